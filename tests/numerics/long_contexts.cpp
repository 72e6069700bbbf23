// SPDX-License-Identifier: Apache-2.0
// Ten million windows: the statements of docs/numerics.md on float and double states.
#include <algorithm>
#include <cmath>
#include <limits>

#include <Eigen/Core>

#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm::test {
namespace {

using Layer = PaperLayer<2, GivenDecay>;
constexpr Index f = 2, block = 4096, blocks = 2442;

/// A block of pairs (x, x), so that every entry on the state's diagonal is a sum of squares, and the first x again.
Eigen::MatrixXf repeating_tokens() {
  Random random(1);
  Eigen::MatrixXf x(f, block + 1);
  random.fill(x);
  x.col(block) = x.col(0);
  return interleave(x, x.leftCols(block).eval());
}

/// The largest error of Z after this many repetitions of a block, in units of its largest entry. Blocks add up in one
/// state, or start from an empty one and are merged.
template <class T>
double error_after(Index times, bool merged) {
  const Eigen::MatrixX<T> tokens = repeating_tokens().template cast<T>();
  const Layer layer;
  const auto c = layer.prepare(gradient_step(layer, T(1)));
  auto ws = layer.template workspace<T>();
  auto whole = layer.template initial_state<T>(), part = whole;
  const View<T, f> no_predictions(nullptr, f, 0);
  for (Index i = 0; i < times; ++i) {
    layer.window().restart(part.window);
    layer.template forward<T, T>(c, {view_of(tokens)}, part, no_predictions, ws);
    if (!merged) continue;
    whole = layer.merge(c, whole, part);
    layer.recurrence().restart(part.recurrence);
  }
  if (!merged) whole = part;
  REQUIRE(whole.recurrence.windows[0] == times * block);

  Eigen::Matrix2d sum = Eigen::Matrix2d::Zero();
  for (Index t = 0; t < block; ++t) {
    const Eigen::Vector2d x = tokens.col(2 * t).template cast<double>();
    sum += x * x.transpose();
  }
  sum *= static_cast<double>(times);
  const Eigen::MatrixXd Z = whole.recurrence.memory.matrix().template cast<double>();
  return (Z - sum).cwiseAbs().maxCoeff() / sum.maxCoeff();
}

/// The state of one feature that starts from `first`, after n windows with the product `g`.
template <class T>
T decayed(T decay, T first, T g, Index n) {
  const PaperLayer<1, GivenDecay> layer;
  auto p = gradient_step(layer, T(1));
  p.recurrence.Lambda(0, 0) = decay;
  const auto c = layer.prepare(p);
  auto ws = layer.template workspace<T>();
  auto state = layer.template initial_state<T>();
  state.recurrence.memory[0] = first;
  Eigen::MatrixX<T> tokens(1, 2 * block + 1);
  for (Index i = 0; i < tokens.cols(); ++i) tokens(0, i) = i % 2 == 0 ? T(1) : g;
  for (Index t = 0; t < n; t += block) {
    layer.window().restart(state.window);
    const Eigen::Ref<Eigen::MatrixX<T>> piece = tokens.leftCols(2 * std::min(block, n - t) + 1);
    layer.template forward<T, T>(c, {View<const T, 1>(piece.data(), 1, piece.cols())}, state, View<T, 1>(nullptr, 1, 0),
                                 ws);
  }
  return state.recurrence.memory[0];
}

}  // namespace

TEST_CASE("Ten million pairs leave two digits in a float state, four where blocks are merged, ten in a double one",
          "[numerics]") {
  CHECK(error_after<float>(3, false) < 2e-5);  // 12,288 pairs
  CHECK(error_after<float>(blocks, false) > 1e-3);
  CHECK(error_after<float>(blocks, false) < 2e-2);
  CHECK(error_after<float>(blocks, true) < 1e-4);
  CHECK(error_after<double>(blocks, false) < 1e-10);
}

TEST_CASE("A decay of exactly 1 keeps and counts, of exactly 0 forgets all but the last window", "[numerics]") {
  CHECK(decayed(1.f, 0.1f, 0.f, 10'000'000) == 0.1f);
  CHECK(decayed(1.0, 0.5, 1.0, 10'000'000) == 10'000'000.5);
  CHECK(decayed(1.f, 0.f, 1.f, 20'000'000) == 0x1p24f);  // where float no longer counts
  CHECK(decayed(0.f, std::numeric_limits<float>::max(), 3.f, 1) == 3.f);
  CHECK(decayed(0.0, 7.0, 0.25, 1'000) == 0.25);
  CHECK(std::isnan(decayed(0.0, std::numeric_limits<double>::infinity(), 1.0, 1)));  // 0 times infinity
}

TEST_CASE("A decay of 1 - 1e-7 remembers ten million windows: double to nine digits, float to two", "[numerics]") {
  const double L = 1 - 1e-7;
  const Index n = 10'000'000;
  const double kept = std::exp(static_cast<double>(n) * std::log1p(L - 1));
  CHECK(std::abs(decayed(L, 1.0, 0.0, n) / kept - 1) < 1e-9);
  CHECK(std::abs(decayed(L, 0.0, 1.0, n) / ((1 - kept) / (1 - L)) - 1) < 1e-9);

  // The nearest floats are 1 - 0.6e-7 and 1 - 1.2e-7: the decay itself is rounded.
  const float near = 1 - 0x1p-23f;
  const double kept_there = std::exp(static_cast<double>(n) * std::log1p(-0x1p-23));
  CHECK(std::abs(decayed(near, 1.f, 0.f, n) / kept_there - 1) < 0.1);
  CHECK(std::abs(decayed(near, 0.f, 1.f, n) / ((1 - kept_there) * 0x1p23) - 1) < 0.1);
  CHECK(std::abs(decayed(1 - 0x1p-17f, 1.f, 0.f, 100'000) / std::exp(100'000 * std::log1p(-0x1p-17)) - 1) < 1e-3);
}

TEST_CASE("What is forgotten underflows to numbers that stay finite, and stops there", "[numerics]") {
  const float rest = decayed(0.9f, 1.f, 0.f, 2'000);
  CHECK(rest >= 0.f);
  CHECK(rest < std::numeric_limits<float>::min());
  CHECK(decayed(0.9f, 1.f, 0.f, 4'000) == rest);
  CHECK(decayed(0.4f, 1.f, 0.f, 2'000) == 0.f);
  CHECK(decayed(0.9f, 1.f, 2.f, 2'000) == Approx(20));
}

}  // namespace gdssm::test
