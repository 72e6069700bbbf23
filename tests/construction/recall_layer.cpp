// SPDX-License-Identifier: Apache-2.0
// What the layer (1)-(4) with stride 1 answers, over rationals: (60) and (77).
#include <algorithm>

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/recall.hpp"
#include "gdssm/tasks/associative_recall.hpp"
#include "support/catch.hpp"
#include "support/exact.hpp"

namespace gdssm {
namespace {

using test::Engine;
using test::ExactMatrix;
using test::Rational;

using Layer = AugmentedSsm<LocalAttention<Dynamic, 3, 1>, DiagonalRecurrence<Dynamic, Dynamic, GivenDecay>, Readout<>,
                           OutputGate<>>;

/// r_t of every token from the third on: before, nothing has been written. The layer's minus sign (4) is in C = -a I.
ExactMatrix answers(const ExactMatrix& tokens, const Rational& step = 1, const Rational& decay = 1) {
  const Layer layer(tokens.rows());
  auto p = gradient_step(layer, step);
  p.recurrence.Lambda.setConstant(decay);
  return layer.predict(p, tokens);
}

/// Tokens of ids as columns of I.
ExactMatrix one_hot(std::span<const Index> ids, Index vocabulary) {
  ExactMatrix tokens = ExactMatrix::Zero(vocabulary, static_cast<Index>(ids.size()));
  for (std::size_t t = 0; t < ids.size(); ++t) tokens(ids[t], static_cast<Index>(t)) = 1;
  return tokens;
}

TEST_CASE("Theorem: with stride 1 the layer is a gradient step on pairs of neighbouring tokens, at every token",
          "[theorem]") {
  Engine engine(1);
  for (const Index f : {1, 2, 3, 5}) {
    const ExactMatrix p = test::random_rational_matrix(f, 9, engine);
    const Rational a = test::random_fraction(engine), decay = test::random_fraction(engine);
    const ExactMatrix r = answers(p, a), forgetful = answers(p, a, decay);
    REQUIRE(r.cols() == 7);
    for (Index t = 2; t < 9; ++t) {
      ExactMatrix sum = ExactMatrix::Zero(f, 1), discounted = sum;
      Rational weight = 1;
      for (Index s = t; s >= 2; --s, weight *= decay) {
        const ExactMatrix term = p.col(s - 1) * p.col(s - 2).dot(p.col(t));
        sum += a * term;
        discounted += a * weight * term;
      }
      CHECK(r.col(t - 2) == sum);
      CHECK(forgetful.col(t - 2) == discounted);
      // The same as W_1 p_t, W_1 = -a grad ell_t(0) of the loss 1/2 sum |p_(s-1) - W p_(s-2)|^2.
      const auto loss = [&](const ExactMatrix& W) {
        const ExactMatrix error = p.middleCols(1, t - 1) - W * p.leftCols(t - 1);
        return error.cwiseProduct(error).sum() / Rational(2);
      };
      ExactMatrix slope(f, f), moved = ExactMatrix::Zero(f, f);
      for (Index i = 0; i < moved.size(); ++i) {
        moved.data()[i] = 1;
        const Rational above = loss(moved);
        moved.data()[i] = -1;
        slope.data()[i] = (above - loss(moved)) / Rational(2);
        moved.data()[i] = 0;
      }
      CHECK(r.col(t - 2) == -a * slope * p.col(t));
    }
  }
}

TEST_CASE("Theorem: with orthonormal tokens every query is answered with its value, exactly", "[theorem]") {
  const AssociativeRecall tasks{.ids = 18, .tokens = 16, .pairs = 4, .filler = Filler::zero};
  for (std::uint64_t i = 0; i < 6; ++i) {
    MarkedSequences one(1, 16);
    draw_batch(tasks, 1, i, one);
    const ExactMatrix tokens = one_hot(one.ids(0), 18), r = answers(tokens);
    for (std::size_t t = 0; t < 16; ++t)
      if (one.marked(0)[t]) {
        const Index target = one.targets(0)[t];
        CHECK(r.col(static_cast<Index>(t) - 2) == one_hot(std::span(&target, 1), 18));
      }
  }
}

TEST_CASE("Theorem: of a key that comes again the layer adds up the values, older ones by their decay", "[theorem]") {
  const std::vector<Index> ids{0, 1, 0, 2, 0, 1, 0};  // key 0 with the values 1, 2, 1, then asked for
  const ExactMatrix tokens = one_hot(ids, 4), last = answers(tokens).col(4);
  CHECK(last == ExactMatrix(2 * tokens.col(1) + tokens.col(3)));
  const Rational decay = Rational(1) / Rational(3);
  // The pair written s tokens ago counts decay^s: values stood 6, 4 and 2 tokens behind the last pair's window.
  const Rational d2 = decay * decay;
  CHECK(ExactMatrix(answers(tokens, 1, decay).col(4)) ==
        ExactMatrix((d2 * d2 + Rational(1)) * tokens.col(1) + d2 * tokens.col(3)));
}

}  // namespace
}  // namespace gdssm
