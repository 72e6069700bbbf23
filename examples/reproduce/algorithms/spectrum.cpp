// SPDX-License-Identifier: Apache-2.0
#include "reproduce/algorithms/spectrum.hpp"

#include <cstddef>
#include <utility>

#include <Eigen/Dense>

#include "gdssm/construction/step_size.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "reproduce/run/parallel.hpp"

namespace gdssm::reproduce {
namespace {

/// 1 / roots, so ordered that no product of the first few factors gets large, which would cost digits.
/// Source  Reichel, The application of Leja points to Richardson iteration (1991)
std::vector<double> in_leja_order(const Eigen::VectorXd& roots) {
  std::vector<double> sizes;
  Eigen::ArrayXd distance = roots;
  for (Index k = 0; k < roots.size(); ++k) {
    Index farthest = 0;
    distance.maxCoeff(&farthest);
    sizes.push_back(1 / roots[farthest]);
    distance *= (roots.array() - roots[farthest]).abs();
  }
  return sizes;
}

}  // namespace

Spectrum::Spectrum(std::uint64_t seed, Index contexts, int threads, programs::Progress& progress)
    : eigenvalues_(features, contexts) {
  const LinearRegression distribution{.features = features, .outputs = 1, .context = context};
  run_parts(contexts / contexts_a_part, threads, progress, [&](Index part) {
    for (Index i = part * contexts_a_part; i < (part + 1) * contexts_a_part; ++i) {
      const Eigen::MatrixXd X = distribution.draw(seed, static_cast<std::uint64_t>(i)).inputs.leftCols(context);
      eigenvalues_.col(i) = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(X * X.transpose(), Eigen::EigenvaluesOnly)
                                .eigenvalues()
                                .cwiseMax(0);
    }
  });
}

Steps Spectrum::equal(Index K) const {
  const auto slope = [&](double a) {
    const Eigen::ArrayXXd p = 1 - a * eigenvalues_, p2 = p * p;
    Eigen::ArrayXXd power = -eigenvalues_ * p;
    for (Index k = 1; k < K; ++k) power *= p2;
    return power.sum();
  };
  double least = 0, most = 1;
  while (slope(most) < 0) most *= 2;
  for (int halving = 0; halving < 30; ++halving) {
    const double middle = (least + most) / 2;
    (slope(middle) < 0 ? least : most) = middle;
  }
  return steps(std::vector<double>(static_cast<std::size_t>(K), (least + most) / 2));
}

std::vector<Steps> Spectrum::tuned(Index most) const {
  const Eigen::VectorXd lambda = eigenvalues_.reshaped();
  Eigen::MatrixXd basis(lambda.size(), most), jacobi = Eigen::MatrixXd::Zero(most, most);
  basis.col(0) = lambda.cwiseSqrt().normalized();
  std::vector<Steps> best;
  for (Index k = 0; k < most; ++k) {
    Eigen::VectorXd next = lambda.cwiseProduct(basis.col(k));
    jacobi(k, k) = basis.col(k).dot(next);
    const auto known = basis.leftCols(k + 1);
    for (int pass = 0; pass < 2; ++pass) next -= known * (known.transpose() * next).eval();
    if (k + 1 < most) {
      jacobi(k, k + 1) = jacobi(k + 1, k) = next.norm();
      basis.col(k + 1) = next.normalized();
    }
    const Eigen::VectorXd roots =
        Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(jacobi.topLeftCorner(k + 1, k + 1), Eigen::EigenvaluesOnly)
            .eigenvalues();
    best.push_back(steps(in_leja_order(roots)));
  }
  return best;
}

Steps Spectrum::steps(std::vector<double> sizes) const {
  Eigen::ArrayXXd p = Eigen::ArrayXXd::Ones(eigenvalues_.rows(), eigenvalues_.cols());
  for (const double a : sizes) p *= 1 - a * eigenvalues_;
  return {std::move(sizes), loss_of(p)};
}

Sample Spectrum::ridge(double rho) const { return loss_of(rho / (eigenvalues_ + rho)); }

Sample Spectrum::loss_of(const Eigen::ArrayXXd& p) const {
  Sample loss;
  for (Index i = 0; i < p.cols(); ++i) loss.add(0.5 * uniform_inputs(1.0).variance * p.col(i).square().sum());
  return loss;
}

}  // namespace gdssm::reproduce
