// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {

namespace detail {

/// An input side that takes a run of windows at once, by functions of the class that has its `step`.
template <class B, class S>
concept RunningAttention = !B::left_trains && requires {
  requires std::is_same_v < typename DeclaredIn<decltype(&B::template step<LaneScalar<S>, S>)>::type,
  typename DeclaredIn<decltype(&B::template run<LaneScalar<S>, S>)>::type > ;
  requires std::is_same_v < typename DeclaredIn<decltype(&B::template step<LaneScalar<S>, S>)>::type,
  typename DeclaredIn<decltype(&B::template run_vjp<S>)>::type > ;
};

template <class Model, class S>
inline constexpr bool takes_runs = false;
template <class Attention, class Recurrence, class Readout, class Gate, class S>
inline constexpr bool takes_runs<AugmentedSsm<Attention, Recurrence, Readout, Gate>, S> =
    kernels::has_tiles<LaneScalar<S>, S>&& RunningAttention<Attention, S>&& RunningRecurrence<Recurrence, S> &&
    !ReadsByItsOwn<typename Readout::template Workspace<S>>;

}  // namespace detail

/// Whether a model's slots take many windows at once, so that `RunGradient` is there for it.
template <class Model, class S>
concept TakesRuns = detail::takes_runs<Model, S>;

/// The gradient of a loss at the end of a sequence that begins at Z_0 = 0, many windows at once: (11), with L's share
/// by (12). The cotangent of Z_t^T is (v o^T) * L^k, k the windows after t: nothing of the size of the state is carried
/// back, and the powers of L are the same for all sequences.
/// Source  docs/theory.md, exact gradients
template <class Layer, class S>
requires TakesRuns<Layer, S>
class RunGradient {
  using P = LaneScalar<S>;
  using Coefficients = typename Layer::template Coefficients<P>;
  using Window = typename Layer::Window;
  static constexpr Index features = Layer::features, rows = Layer::rows, cols = Layer::cols, rank = Layer::rank;

 public:
  /// The most windows that are taken at once: what the caches hold a tile's factors of.
  static constexpr Index longest_run = 25;

  /// Scratch for one thread.
  struct Workspace {
    typename Layer::template GradientWorkspace<S, ForwardSensitivity> layer;
    typename Layer::template State<S> state;
    Array<S, cols> rights;  ///< of a run of windows, or their cotangents
    Array<S, rows> gated;   ///< o * x for the tokens of a run
    Array<P, cols> powers;  ///< of the decay, one for each window of a run, where there are no shared ones
  };

  /// For sequences of so many windows.        Errors  std::invalid_argument: fewer than one
  RunGradient(const Layer& layer, Index windows)
      : layer_(layer),
        windows_(windows),
        powers_(layer.col_count(), windows > 0 && windows <= most_shared ? windows * layer.row_count() : 0) {
    if (windows < 1) refuse("RunGradient", "the number of windows is ", windows, ", expected at least 1");
  }

  /// A workspace that also serves `Layer::vjp`, with a loss at up to `losses` windows.
  Workspace workspace(Index losses) const {
    const Index f = layer_.row_count(), m = layer_.col_count(), longest = (std::min)(windows_, longest_run);
    return {layer_.template gradient_workspace<S, ForwardSensitivity>(windows_, losses),
            layer_.template initial_state<S>(), Array<S, cols>(m, longest * rank),
            Array<S, rows>(f, longest * Window::stride + Window::width), Array<P, cols>(m, longest * f)};
  }

  /// Makes what all sequences share of coefficients; to be called whenever these have changed.
  void prepare(const Coefficients& c) {
    detail::expect_layer_coefficients<P>("RunGradient", layer_, c);
    if (powers_.size() > 0) fill_powers(c, nullptr, powers_.view());
  }

  /// Adds to `c_bar` the gradient of a loss at the last of n windows. run(t, count) hands out the tokens of windows
  /// t, ..., t + count - 1 (Features x (count - 1) Stride + Width), which stand until it is called again. It is called
  /// for runs that together are the sequence, first to last and then back, and must return the same tokens both times.
  /// `cotangent` is that of `AugmentedSsm::vjp`, called once. Memory does not depend on n.
  /// Errors  std::invalid_argument: n < 1, arguments or tokens of other sizes
  template <class Run, class Cotangent>
  void operator()(const Coefficients& c, Index n, Run&& run, Cotangent&& cotangent,
                  typename Layer::template Coefficients<S>& c_bar, Workspace& ws) const {
    if (n < 1) refuse("RunGradient", "the sequence has ", n, " windows, expected at least 1");
    detail::expect_layer<P>("RunGradient", layer_, c, ws.state, ws.layer.forward);
    detail::expect_layer_coefficients<S>("RunGradient", layer_, c_bar);
    const auto& attention = layer_.attention();
    const auto& recurrence = layer_.recurrence();
    auto& state = ws.state.recurrence;
    auto& forward = ws.layer.forward;
    const View<const S, rows, 1> o = forward.o.view();

    const Index most = ws.rights.cols() / rank, parts = (n + most - 1) / most, last = parts - 1;
    const auto first_of = [&](Index part) { return part * n / parts; };
    const auto size_of = [&](Index part) { return first_of(part + 1) - first_of(part); };
    const auto run_of = [&](Index part) {
      const auto tokens = run(first_of(part), size_of(part));
      detail::expect_extents("RunGradient", Name{"the tokens of a run"}, tokens, layer_.feature_count(),
                             (size_of(part) - 1) * Window::stride + Window::width);
      return View<const S, features>(tokens);
    };
    const auto gated_of = [&](View<const S, features> tokens) { return ws.gated.view().columns(0, tokens.cols()); };
    const auto absorb_run = [&](Index part, View<const S, features> tokens, View<const S, rows, 1> gate) {
      const View<S, cols> rights = ws.rights.view().columns(0, rank * size_of(part));
      attention.run(c.attention, tokens, rights, gate, gated_of(tokens));
      recurrence.template run<rank>(c.recurrence, tokens, Window::stride, rights.as_const(), state,
                                    ws.layer.memories.view().template columns<rows>(0, layer_.row_count()),
                                    part == 0 ? kernels::ScanStart::zero : kernels::ScanStart::given);
    };
    for (Index part = 0; part < last; ++part) absorb_run(part, run_of(part), View<const S, rows, 1>::absent());
    const View<const S, features> end = run_of(last);
    const View<const S, features, Window::width> X = end.template columns<Window::width>(end.cols() - Window::width);
    layer_.gate().step(c.gate, X, forward.o.view(), forward.gate);
    absorb_run(last, end, o);

    layer_.apply(c, state, o, ws.layer.prediction.view(), forward);
    cotangent(Index(0), ws.layer.prediction.view().as_const(), ws.layer.prediction_bar.view());
    LayerGradient(layer_).apply_vjp(c, state, o, ws.layer.prediction_bar.view().as_const(), 0, c_bar,
                                    ws.layer.o_bar.view(), ws.layer);
    layer_.gate().step_vjp(c.gate, X, ws.layer.o_bar.view().as_const(), c_bar.gate,
                           View<S, features, Window::width>::absent(), forward.gate);

    for (Index part = last; part >= 0; --part) {
      const View<const S, features> tokens = part == last ? end : run_of(part);
      const View<S, rows> gated = gated_of(tokens);
      if (part < last) kernels::scale_rows(tokens, o, gated);
      const Index after = n - first_of(part + 1), count = size_of(part);
      const View<S, cols> rights_bar = ws.rights.view().columns(0, rank * count);
      recurrence.template run_vjp<rank>(powers_of(c, count, after, ws.powers.view()), after, gated.as_const(),
                                        Window::stride, ws.layer.pulled.view().column(0).as_const(), rights_bar);
      attention.run_vjp(tokens, rights_bar.as_const(), c_bar.attention);
    }
  }

 private:
  static constexpr Index most_shared = 64;  // windows; beyond, the powers would take more room than they save time

  // L^(count-1+after), ..., L^after side by side: those that are shared, where they reach so far, or made in `scratch`,
  // which then must still hold those of the run behind it.
  View<const P, cols> powers_of(const Coefficients& c, Index count, Index after, View<P, cols> scratch) const {
    const Index f = layer_.row_count(), prepared = powers_.cols() / f;
    if (count + after <= prepared) return powers_.view().columns((prepared - after - count) * f, count * f);
    const View<P, cols> powers = scratch.columns(0, count * f);
    fill_powers(c, after > 0 ? scratch.data() : nullptr, powers);
    return powers;
  }

  // Last to first: L times what `behind` holds, or ones where there is nothing behind; each before it L times more.
  static void fill_powers(const Coefficients& c, const P* behind, View<P, cols> powers) {
    const auto& decay = c.recurrence.decay;
    const Index size = decay.size();
    P* power = powers.data() + powers.size() - size;
    for (Index e = 0; e < size; ++e) power[e] = behind ? decay[e] * behind[e] : P(1);
    for (; power != powers.data(); power -= size)
      for (Index e = 0; e < size; ++e) power[e - size] = decay[e] * power[e];
  }

  Layer layer_;
  Index windows_;
  Array<P, cols> powers_;
};

}  // namespace gdssm
