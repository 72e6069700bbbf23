// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include <Eigen/Core>

#include "gdssm/analysis/sample.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {

/// Sizes of K steps, in the order in which they are taken, and the loss to expect from them.
struct Steps {
  std::vector<double> sizes;
  Sample expected;
};

/// The best sizes of K steps in the paper's setting, f = N = 10, inputs uniform on [-1/2, 1/2]. Given a context the
/// loss is exact over maps and queries: with p(l) = prod_k (1 - a_k l), entries of W* of variance 1 and coordinates of
/// q of variance s2, 1/2 s2 tr p(S)^2 an output. So the best sizes are a matter of the eigenvalues l of S alone, here
/// of sampled contexts.
class Spectrum {
 public:
  static constexpr Index features = 10, context = 10, contexts_a_part = 100;

  /// Of tasks 0, 1, ... of a seed; `progress` advances by a hundredth of the contexts.
  Spectrum(std::uint64_t seed, Index contexts, int threads, programs::Progress& progress);

  /// The best K equal steps: the derivative -2K E sum l (1 - a l)^(2K-1) grows with a; its zero, by halving.
  Steps equal(Index K) const;

  /// The best K steps of sizes of their own, for K = 1..most. E tr p(S)^2 is least, among p of degree K with p(0) = 1,
  /// where E sum l p(l) r(l) = 0 for every r of lower degree: p is the K-th orthogonal polynomial of the weight l, and
  /// the sizes are one over its roots, the eigenvalues of the Jacobi matrix that Lanczos' recurrence gives.
  std::vector<Steps> tuned(Index most) const;

  /// The loss of given sizes.
  Steps steps(std::vector<double> sizes) const;

  /// The loss of ridge regression with penalty rho, in the same way, with p(l) = rho / (l + rho).
  Sample ridge(double rho) const;

 private:
  Sample loss_of(const Eigen::ArrayXXd& p) const;

  Eigen::ArrayXXd eigenvalues_;  // a context a column
};

}  // namespace gdssm::reproduce
