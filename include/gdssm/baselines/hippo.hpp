// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <complex>

#include <Eigen/Eigenvalues>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// The normal part of HiPPO-LegS, diagonalised: A = V diag(Lambda) V^* - P P^T with
///     A_nk = -sqrt((2n+1)(2k+1)) for n > k, -(n+1) for n = k, 0 above,   P_n = sqrt(n + 1/2),      (B10)
/// so that A + P P^T is -1/2 I plus a skew-symmetric matrix. Its eigenvalues are conjugate pairs with real part -1/2.
/// Shapes  Lambda (n/2), V (n x n/2): of each pair the one of positive imaginary part, imaginary parts ascending
/// Source  Gu et al., arXiv:2008.07669; Smith et al., arXiv:2208.04933
template <class T = double>
struct HippoSpectrum {
  Eigen::VectorX<std::complex<T>> Lambda;  ///< eigenvalues
  Eigen::MatrixX<std::complex<T>> V;       ///< eigenvectors, one a column
};

/// Lambda and V of (B10) at size n: the eigenvalues of A + P P^T with positive imaginary part, and their eigenvectors.
/// Shapes  Lambda (n/2), V (n x n/2)
/// Errors  std::invalid_argument: n odd or below 2
template <class T = double>
HippoSpectrum<T> hippo_spectrum(Index n) {
  if (n < 2 || n % 2 != 0) refuse("hippo_spectrum", "the size is ", n, ", expected an even number above 0");
  using Matrix = Eigen::MatrixX<std::complex<T>>;
  // -i times the skew-symmetric part is Hermitian. Its eigenvalues are the imaginary parts, ascending.
  Matrix hermitian = Matrix::Zero(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < i; ++j) {
      const T half = std::sqrt(static_cast<T>((2 * i + 1) * (2 * j + 1))) / 2;
      hermitian(i, j) = {0, half};
      hermitian(j, i) = {0, -half};
    }
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(hermitian);
  HippoSpectrum<T> spectrum{Eigen::VectorX<std::complex<T>>(n / 2), solver.eigenvectors().rightCols(n / 2)};
  for (Index j = 0; j < n / 2; ++j) spectrum.Lambda[j] = {T(-0.5), solver.eigenvalues()[n / 2 + j]};
  return spectrum;
}

}  // namespace gdssm
