// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>

#include "support/rational.hpp"

#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/tokens.hpp"

namespace gdssm::test {

using ExactMatrix = Eigen::MatrixX<Rational>;
using Engine = std::mt19937_64;

/// The paper's layer for rationals: without an exponential, the decay itself is the parameter.
template <Index Features = Dynamic>
using ExactLayer = PaperLayer<Features, GivenDecay>;

/// A small fraction.
inline Rational random_fraction(Engine& engine) {
  const int numerator = random_integer(engine, 5);
  return Rational(numerator) / Rational(static_cast<int>(engine() % 3) + 1);
}

/// Fills an array, or all members of an aggregate that can be visited, with small fractions.
template <class Target>
void fill_with_fractions(Target& target, Engine& engine) {
  if constexpr (requires { target.data(); }) {
    for (Index i = 0; i < target.size(); ++i) target.data()[i] = random_fraction(engine);
  } else {
    visit([&](const Name&, auto& member) { fill_with_fractions(member, engine); }, target);
  }
}

/// Pairs of small integers and a query, and the theory of the first t pairs. Targets of m < f coordinates are the last
/// m of f, as in tokens.
struct ExactContext {
  ExactMatrix x;  ///< (f x (N+1)), the query last
  ExactMatrix y;  ///< (m x N)

  ExactContext(Index f, Index m, Index pairs, Engine& engine)
      : x(random_rational_matrix(f, pairs + 1, engine)), y(random_rational_matrix(m, pairs, engine)) {}

  Index features() const { return x.rows(); }
  Index pairs() const { return y.cols(); }
  ExactMatrix tokens() const { return interleave(x, y); }

  ExactMatrix full_y() const {
    ExactMatrix full = ExactMatrix::Zero(x.rows(), y.cols());
    full.bottomRows(y.rows()) = y;
    return full;
  }
  /// S_t = sum x_i x_i^T
  ExactMatrix S(Index t) const { return x.leftCols(t) * x.leftCols(t).transpose(); }
  /// M_t = sum y_i x_i^T
  ExactMatrix M(Index t) const { return full_y().leftCols(t) * x.leftCols(t).transpose(); }

  /// ell_t(W) = 1/2 sum_i |y_i - W x_i|^2
  Rational loss(const ExactMatrix& W, Index t) const {
    const ExactMatrix error = full_y().leftCols(t) - W * x.leftCols(t);
    return error.cwiseProduct(error).sum() / Rational(2);
  }
  /// Its gradient at W, by central differences: exact, since the loss is a quadratic form.
  ExactMatrix loss_gradient(const ExactMatrix& W, Index t) const {
    ExactMatrix gradient(W.rows(), W.cols()), moved = W;
    for (Index i = 0; i < W.size(); ++i) {
      Rational& entry = moved.data()[i];
      entry += Rational(1);
      const Rational above = loss(moved, t);
      entry -= Rational(2);
      const Rational below = loss(moved, t);
      entry += Rational(1);
      gradient.data()[i] = (above - below) / Rational(2);
    }
    return gradient;
  }
};

}  // namespace gdssm::test
