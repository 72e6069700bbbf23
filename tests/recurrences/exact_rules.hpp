// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>
#include <utility>

#include "support/catch.hpp"
#include "support/rational.hpp"

#include "gdssm/blocks/recurrences/learning_rule.hpp"

// Learning rules over exact rationals, and gradients of quadratic losses.
namespace gdssm::test {

using Q = Rational;
using ExactMatrix = Eigen::MatrixX<Q>;
using Engine = std::mt19937_64;

/// In place of the exponential, which has no rational values: what is proved of a decay holds whatever number it is.
inline Q exp(const Q& x) { return Q(1) + x; }

/// A fraction between 0 and 1, neither of them.
inline Q random_share(Engine& engine) {
  const int below = static_cast<int>(engine() % 7) + 2;
  return Q(static_cast<int>(engine() % static_cast<unsigned>(below - 1)) + 1) / Q(below);
}
/// A fraction that is not zero.
inline Q random_fraction(Engine& engine) {
  const Q share = random_share(engine) * Q(3);
  return engine() % 2 == 0 ? share : -share;
}
inline ExactMatrix random_fractions(Index rows, Index cols, Engine& engine) {
  ExactMatrix matrix(rows, cols);
  for (Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = random_fraction(engine);
  return matrix;
}

/// A matrix of a token, of constants or of a state.
template <class Matrix>
ExactMatrix value_of(const Matrix& matrix) {
  ExactMatrix value(matrix.rows(), matrix.cols());
  for (Index i = 0; i < value.size(); ++i) value.data()[i] = matrix.data()[i];
  return value;
}
template <class Matrix>
void assign(Matrix& matrix, const ExactMatrix& value) {
  REQUIRE(matrix.size() == value.size());
  for (Index i = 0; i < value.size(); ++i) matrix.data()[i] = value.data()[i];
}

/// A rule before one token: vectors and states hold fractions of either sign, numbers a token and constants shares.
template <class Rule>
struct OneToken {
  using State = typename Rule::template State<Q>;

  Rule rule;
  typename Rule::template Constants<InArrays<Q>> constants;
  typename Rule::template Token<InSeries<Q>> token;
  State state;

  OneToken(const Rule& of, Engine& engine)
      : rule(of),
        constants(of.template constants<InArrays<Q>>()),
        token(tokens_of<Q>(of, 1)),
        state(of.template initial_state<Q>()) {
    const auto draw = [&](const Name& name, auto& member) {
      const bool is_vector = name.head == "k" || name.head == "v" || name.head == "p" || name.head == "kappa";
      for (Index i = 0; i < member.size(); ++i)
        member.data()[i] = is_vector ? random_fraction(engine) : random_share(engine);
    };
    visit(draw, constants);
    visit(draw, token);
    visit([&](const Name&, auto& member) { assign(member, random_fractions(member.rows(), member.cols(), engine)); },
          state);
  }

  ExactMatrix S() const { return value_of(state.memory); }

  /// The state after the token, from another memory than the state's if one is given.
  State after() const {
    State moved = state;
    auto ws = rule.template workspace<Q>();
    rule.step(constants, token_at<Q>(rule, token, 0), moved, ws);
    return moved;
  }
  ExactMatrix memory_after() const { return value_of(after().memory); }
  ExactMatrix memory_after(const ExactMatrix& memory) const {
    OneToken moved = *this;
    assign(moved.state.memory, memory);
    return moved.memory_after();
  }
};

/// The sum of squares.
inline Q square(const ExactMatrix& x) { return x.cwiseProduct(x).sum(); }

/// The sum of w_ij x_ij^2, for w like x.
inline Q square(const ExactMatrix& x, const ExactMatrix& weights) {
  return weights.cwiseProduct(x).cwiseProduct(x).sum();
}
/// Equal rows.
inline ExactMatrix rows_of(Index rows, const ExactMatrix& row) {
  return ExactMatrix::Constant(rows, 1, Q(1)) * row.transpose();
}

/// The gradient by central differences, exact for losses of degree 2.
template <class Loss>
ExactMatrix gradient(Loss&& loss, const ExactMatrix& at) {
  ExactMatrix slope(at.rows(), at.cols()), moved = at;
  for (Index i = 0; i < at.size(); ++i) {
    moved.data()[i] = at.data()[i] + Q(1);
    const Q above = loss(moved);
    moved.data()[i] = at.data()[i] - Q(1);
    slope.data()[i] = (above - loss(moved)) / Q(2);
    moved.data()[i] = at.data()[i];
  }
  return slope;
}

/// J of a row s of S in S' = S - F(S): entry (j, l) is dF_j / ds_l. Exact where the rule is affine in S.
template <class Rule>
ExactMatrix jacobian(const OneToken<Rule>& one) {
  const ExactMatrix S = one.S(), stepped = one.memory_after();
  ExactMatrix J(S.cols(), S.cols());
  for (Index l = 0; l < S.cols(); ++l) {
    ExactMatrix moved = S;
    moved(0, l) += Q(1);
    J.col(l) = ((moved - S) - (one.memory_after(moved) - stepped)).row(0).transpose();
  }
  return J;
}

inline const Q half = Q(1) / Q(2);

}  // namespace gdssm::test
