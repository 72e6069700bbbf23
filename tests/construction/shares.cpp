// SPDX-License-Identifier: Apache-2.0
#include "gdssm/construction/gradient_step.hpp"

#include "support/catch.hpp"
#include "support/exact.hpp"

#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/diagonal_readout.hpp"
#include "gdssm/blocks/projected_attention.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/blocks/softmax_local_attention.hpp"
#include "gdssm/training/initialization.hpp"

namespace gdssm {
namespace {

using test::Engine;
using test::ExactContext;
using test::ExactMatrix;
using test::Rational;

/// With any slots, (7) predicts W_1 x_{t+1} with W_1 = a M_t, at every t.
template <class Layer>
void check_step(const Layer& layer, Engine& engine) {
  const Index f = layer.feature_count(), n = 5;
  const ExactContext context(f, f, n, engine);
  const Rational a = test::random_fraction(engine);
  const ExactMatrix predictions = layer.predict(gradient_step(layer, a), context.tokens());
  for (Index t = 1; t <= n; ++t) {
    const ExactMatrix expected = a * context.M(t) * context.x.col(t);
    CHECK(predictions.col(t - 1) == expected);
  }
}

TEST_CASE("Theorem: whatever the slots, their shares together take one step of gradient descent", "[theorem]") {
  Engine engine(11);
  using Attention = LocalAttention<>;
  using Recurrence = DiagonalRecurrence<Dynamic, Dynamic, GivenDecay>;
  check_step(AugmentedSsm<Attention, UnitDecay<>, Readout<>, OutputGate<>>(3), engine);
  check_step(AugmentedSsm<Attention, Recurrence, DiagonalReadout<>, OutputGate<>>(3), engine);
  check_step(AugmentedSsm<Attention, Recurrence, TiedReadout<>, PreconditionedGate<>>(3), engine);
  check_step(AugmentedSsm<ProjectedAttention<>, UnitDecay<>, TiedReadout<>, PreconditionedGate<>>(
                 ProjectedAttention<>(3, 3), UnitDecay<>(3), TiedReadout<>(3), PreconditionedGate<>(3)),
             engine);
}

TEST_CASE("Decays by an exponential have the share L = 1, exactly", "[definition]") {
  const auto decay = [](const auto& recurrence) {
    auto p = recurrence.template parameters<double>();
    p.Lambda.setConstant(-7);
    recurrence.construct(p, 0.3);
    auto c = recurrence.template coefficients<double>();
    recurrence.prepare(p, c);
    return c;
  };
  for (const auto& c : {decay(DiagonalRecurrence<2>()), decay(CommonDecay<2>())})
    for (Index e = 0; e < 4; ++e) CHECK(c.decay[e] == 1);
  const auto c = decay(SelectiveRecurrence<2>());
  for (Index e = 0; e < 4; ++e) CHECK(c.Lambda[e] == 0);  // L = exp(Lambda Delta) = 1 for every step Delta
}

TEST_CASE("Blocks without a share of (7) say so by having none", "[definition]") {
  static_assert(ConstructedBlock<LocalAttention<3>> && ConstructedBlock<ProjectedAttention<3>>);
  static_assert(!ConstructedBlock<SoftmaxLocalAttention<3>>);
  static_assert(DrawnBlock<SoftmaxLocalAttention<3>>);
  CHECK_THROWS_WITH(gradient_step(AugmentedSsm<LocalAttention<>, UnitDecay<>, Readout<>, OutputGate<>>(
                                      LocalAttention<>(3), UnitDecay<>(3), Readout<>(2, 3), OutputGate<>(3)),
                                  0.5),
                    "Readout::construct: the number of outputs is 2, expected 3");
}

}  // namespace
}  // namespace gdssm
