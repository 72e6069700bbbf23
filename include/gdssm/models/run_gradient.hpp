// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {

namespace detail {

/// An attention that processes a run of windows at once. `run` and `run_vjp` must be of the class that has its `step`.
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

/// Satisfied by a layer whose slots process many windows at once. `RunGradient` requires it.
template <class Model, class S>
concept TakesRuns = detail::takes_runs<Model, S>;

/// The gradient of a loss at the end of a sequence from Z_0 = 0, for many windows at once: (11), and L_bar by (12).
/// With k windows after t, the cotangent of Z_t^T is (v o^T) * L^k. The way back therefore carries nothing of the
/// state's size, and all sequences share the powers of L.
/// Source  docs/theory.md, exact gradients
template <class Layer, class S>
requires TakesRuns<Layer, S>
class RunGradient {
  using P = LaneScalar<S>;
  using Coefficients = typename Layer::template Coefficients<P>;
  using Window = typename Layer::Window;
  static constexpr Index features = Layer::features, rows = Layer::rows, cols = Layer::cols, rank = Layer::rank;

 public:
  /// The longest run; a tile's factors of a run of this length fit into the caches.
  static constexpr Index longest_run = 25;

  /// Scratch for one thread.
  struct Workspace {
    typename Layer::template GradientWorkspace<S, ForwardSensitivity> layer;
    typename Layer::template State<S> state;
    Array<S, cols> rights;  ///< right factors of a run of windows, or their cotangents
    Array<S, rows> gated;   ///< o * x for the tokens of a run
    Array<P, cols> powers;  ///< powers of the decay for each window of a run, unless they are shared
  };

  /// For sequences of `windows` windows.        Errors  std::invalid_argument: fewer than one
  RunGradient(const Layer& layer, Index windows)
      : layer_(layer),
        windows_(windows),
        powers_(layer.col_count(), windows > 0 && windows <= most_shared ? windows * layer.row_count() : 0) {
    if (windows < 1) refuse("RunGradient", "the number of windows is ", windows, ", expected at least 1");
  }

  /// A workspace. Its `layer` also serves `Layer::vjp` with up to `losses` losses.
  Workspace workspace(Index losses) const {
    const Index f = layer_.row_count(), m = layer_.col_count(), longest = (std::min)(windows_, longest_run);
    return {layer_.template gradient_workspace<S, ForwardSensitivity>(windows_, losses),
            layer_.template initial_state<S>(), Array<S, cols>(m, longest * rank),
            Array<S, rows>(f, longest * Window::stride + Window::width), Array<P, cols>(m, longest * f)};
  }

  /// Computes the shared powers of L. Call it after each change of the coefficients.
  void prepare(const Coefficients& c) {
    detail::expect_layer_coefficients<P>("RunGradient", layer_, c);
    if (powers_.size() > 0) fill_powers(c, nullptr, powers_.view());
  }

  /// Adds to `c_bar` the gradient of a loss at the last of n windows. run(t, count) must return the tokens of windows
  /// t, ..., t + count - 1 (Features x (count - 1) Stride + Width), valid until its next call. It is called for the
  /// runs of the sequence first to last, then last to first, and must return the same tokens both times. `cotangent` is
  /// as in `AugmentedSsm::vjp`; it is called once. Memory does not depend on n.
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
  static constexpr Index most_shared = 64;  // windows; for longer sequences shared powers cost more than they save

  // L^(count-1+after), ..., L^after side by side. They are the shared powers if these reach so far. Otherwise they are
  // computed in `scratch` from those of the following run, which `scratch` must still hold.
  View<const P, cols> powers_of(const Coefficients& c, Index count, Index after, View<P, cols> scratch) const {
    const Index f = layer_.row_count(), prepared = powers_.cols() / f;
    if (count + after <= prepared) return powers_.view().columns((prepared - after - count) * f, count * f);
    const View<P, cols> powers = scratch.columns(0, count * f);
    fill_powers(c, after > 0 ? scratch.data() : nullptr, powers);
    return powers;
  }

  // Fills in powers from the last to the first. The last is L times `behind`, or 1 if `behind` is null.
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
