// SPDX-License-Identifier: Apache-2.0
#include "gdssm/analysis/check_gradient.hpp"

#include "support/catch.hpp"

#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/models/horner_stack.hpp"

namespace gdssm {
namespace {

template <class Recurrence>
using Layer = AugmentedSsm<LocalAttention<3>, Recurrence, Readout<3>, OutputGate<3>>;

template <class Model>
void expect_gradient(const Model& model) {
  const VjpReport report = check_gradient(model);
  INFO(report.message);
  CHECK(report.passed);
}

TEST_CASE("gradients are right on every path of training, in runs and window by window", "[vjp]") {
  static_assert(TakesRuns<PaperLayer<3>, Lanes<float>> && TakesRuns<Layer<CommonDecay<3>>, Lanes<float>>);
  static_assert(!TakesRuns<Layer<SelectiveRecurrence<3>>, Lanes<float>>);
  expect_gradient(PaperLayer<3>());
  expect_gradient(Layer<SelectiveRecurrence<3>>());
  expect_gradient(HornerStack(PaperLayer<2>(), 2));
}

/// A recurrence that pulls runs of windows back through its initial decays.
class StaleRuns : public DiagonalRecurrence<3> {
  using Base = DiagonalRecurrence<3>;

 public:
  template <class P, class S, Index Rank>
  void step(const Coefficients<P>& c, const Factors<const S, 3, 3, Rank>& G, const S* mask, State<S>& state,
            Workspace<S>& ws) const {
    Base::step(c, G, mask, state, ws);
  }
  template <class P, class S, Index Rank>
  void step_vjp(const Coefficients<P>& c, const Factors<const S, 3, 3, Rank>& G, const S* mask,
                View<const S, 3, 3> before, View<S, 3, 3> memory_bar, Coefficients<S>& c_bar,
                const Factors<S, 3, 3, Rank>& G_bar, Workspace<S>& ws) const {
    Base::step_vjp(c, G, mask, before, memory_bar, c_bar, G_bar, ws);
  }
  template <class P, class S>
  void sensitivity_step(const Coefficients<P>& c, const State<S>& state, const S* mask, View<S, 3, 3> sensitivity,
                        Workspace<S>& ws) const {
    Base::sensitivity_step(c, state, mask, sensitivity, ws);
  }
  template <Index Rank, class P, class S>
  void run(const Coefficients<P>& c, View<const S, 3> lefts, Index stride, View<const S, 3> rights, State<S>& state,
           View<S, 3, 3> sensitivity, kernels::ScanStart start) const {
    Base::run<Rank>(c, lefts, stride, rights, state, sensitivity, start);
  }
  template <Index Rank, class P, class S>
  void run_vjp(View<const P, 3> powers, Index after, View<const S, 3> gated, Index stride, View<const S, 3, 1> v,
               View<S, 3> rights_bar) const {
    auto& kept = std::is_same_v<P, float> ? in_float_ : in_double_;
    if (kept.empty()) kept.assign(powers.data(), powers.data() + powers.size());
    const std::vector<P> stale(kept.begin(), kept.end());
    Base::run_vjp<Rank>(View<const P, 3>(stale.data(), 3, powers.cols()), after, gated, stride, v, rights_bar);
  }

 private:
  mutable std::vector<double> in_float_, in_double_;
};

TEST_CASE("powers of a decay that are not made anew with it are found out, by the name of the weight", "[vjp]") {
  static_assert(TakesRuns<Layer<StaleRuns>, Lanes<float>>);
  const VjpReport report = check_gradient(Layer<StaleRuns>());
  INFO(report.message);
  CHECK_FALSE(report.passed);
  CHECK(report.message.find("attention.A(") != std::string::npos);
  CHECK(report.message.find("forward sensitivity") != std::string::npos);
  CHECK(report.message.find("changed") != std::string::npos);
}

/// A recurrence that forgets 1.5 times as fast, without its own derivative.
class HalfStep : public DiagonalRecurrence<3> {
 public:
  template <class P, class S, Index Rank>
  void step(const Coefficients<P>& c, const Factors<const S, 3, 3, Rank>& G, const S* mask, State<S>& state,
            Workspace<S>& ws) const {
    DiagonalRecurrence<3>::step(c, G, mask, state, ws);
    for (Index e = 0; e < state.memory.size(); ++e) state.memory[e] = state.memory[e] * S(LaneScalar<S>(0.5));
  }
};

TEST_CASE("a derived recurrence does not lend another's derivative to a step of its own", "[misuse]") {
  static_assert(RecurrenceBlock<DiagonalRecurrence<3>> && !RecurrenceBlock<HalfStep>);
  CHECK_FALSE(RecurrenceBlock<HalfStep>);
}

/// The diagonal recurrence with its own step and derivative, without runs.
class OwnStep : public HalfStep {
 public:
  template <class P, class S, Index Rank>
  void step(const Coefficients<P>& c, const Factors<const S, 3, 3, Rank>& G, const S* mask, State<S>& state,
            Workspace<S>& ws) const {
    HalfStep::step(c, G, mask, state, ws);
  }
  template <class P, class S, Index Rank>
  void step_vjp(const Coefficients<P>& c, const Factors<const S, 3, 3, Rank>& G, const S* mask,
                View<const S, 3, 3> before, View<S, 3, 3> memory_bar, Coefficients<S>& c_bar,
                const Factors<S, 3, 3, Rank>& G_bar, Workspace<S>& ws) const {
    for (Index e = 0; e < memory_bar.size(); ++e) memory_bar[e] = memory_bar[e] * S(LaneScalar<S>(0.5));
    DiagonalRecurrence<3>::step_vjp(c, G, mask, before, memory_bar, c_bar, G_bar, ws);
  }
};

TEST_CASE("runs and sensitivities of another step are not taken for one's own", "[vjp]") {
  static_assert(RecurrenceBlock<OwnStep> && !SensitiveRecurrence<OwnStep> && !TakesRuns<Layer<OwnStep>, Lanes<float>>);
  const VjpReport report = check_gradient(Layer<OwnStep>());
  INFO(report.message);
  CHECK(report.passed);
}

}  // namespace
}  // namespace gdssm
