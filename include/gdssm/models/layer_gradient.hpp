// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>
#include <utility>

#include "gdssm/blocks/concepts.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/models/layer_checks.hpp"
#include "gdssm/models/sequence.hpp"

// The gradient of one `AugmentedSsm`, window by window, (11) and (12).
namespace gdssm {

/// The gradient by stored history: every Z_t is kept, N f^2 numbers a task, and L_bar = sum_t R_t * Z_{t-1}, (11).
struct StoredHistory {};

/// The gradient by forward sensitivity: Y_t is carried beside Z_t, and L_bar = sum_t R_t^loc * Y_t, (12). Memory does
/// not depend on the number of windows.
/// Source  Zucchet et al., arXiv:2305.15947
struct ForwardSensitivity {};

namespace detail {

/// Scratch of a layer's gradient.
template <class Layer, class T, class Method>
struct LayerGradientWorkspace {
  static constexpr Index rows = Layer::rows, cols = Layer::cols, rank = Layer::rank, outputs = Layer::outputs;

  typename Layer::template Workspace<T> forward;
  typename Layer::template Workspace<T> backward;
  Array<T, cols> memories;         ///< Z_{t-1}^T for every t (`StoredHistory`), or Y_t^T (`ForwardSensitivity`)
  Array<T, cols, rows> cotangent;  ///< R_t^T
  Array<T, rows> gates;            ///< o_t, or the readout's own x, where there is a loss
  Array<T, cols> pulled;           ///< v_t = -C^T g_t where there is a loss
  Array<T, outputs, 1> prediction, prediction_bar;
  Array<T, rows, 1> o_bar;
  Array<T, rows, rank> left_bar;
  Array<T, cols, rank> right_bar;

  /// For sequences of up to `windows` windows with a loss at up to `losses` of them.
  LayerGradientWorkspace(const Layer& layer, Index windows, Index losses)
      : forward(layer.template workspace<T>()),
        backward(layer.template workspace<T>()),
        memories(layer.col_count(), layer.row_count() * (std::is_same_v<Method, StoredHistory> ? windows : 1)),
        cotangent(layer.col_count(), layer.row_count()),
        gates(layer.row_count(), losses),
        pulled(layer.col_count(), losses),
        prediction(layer.output_count(), 1),
        prediction_bar(layer.output_count(), 1),
        o_bar(layer.row_count(), 1),
        left_bar(layer.row_count(), rank),
        right_bar(layer.col_count(), rank) {}
};

}  // namespace detail

/// The parts of a layer's `vjp`, for models of one or several layers. A pass calls `begin`; then for each window
/// `absorb` and, where there is a loss, `AugmentedSsm::apply` and `apply_vjp`; then `seed`; then `release` for each
/// window, last to first. Keeps the layer by reference.
template <class Layer>
class LayerGradient {
  using Recurrence = std::remove_cvref_t<decltype(std::declval<const Layer&>().recurrence())>;
  using Attention = std::remove_cvref_t<decltype(std::declval<const Layer&>().attention())>;
  using Window = typename Layer::Window;
  static constexpr Index features = Layer::features, rows = Layer::rows, cols = Layer::cols, rank = Layer::rank,
                         outputs = Layer::outputs;
  template <class P>
  using Coefficients = typename Layer::template Coefficients<P>;
  template <class S, class Method>
  using Workspace = detail::LayerGradientWorkspace<Layer, S, Method>;

 public:
  explicit LayerGradient(const Layer& layer) : layer_(layer) {}

  /// Makes the workspace ready for a pass over n windows with k losses, R_N = 0.
  /// Errors  std::invalid_argument: a workspace of another layer's sizes, or made for fewer windows or losses
  template <class S, class Method>
  void begin(Index n, Index k, Workspace<S, Method>& ws) const {
    constexpr bool history = std::is_same_v<Method, StoredHistory>;
    const Index f = layer_.row_count(), m = layer_.col_count();
    detail::expect_extents("AugmentedSsm::vjp", Name{"workspace.cotangent"}, ws.cotangent, m, f);
    detail::expect_extents("AugmentedSsm::vjp", Name{"workspace.prediction"}, ws.prediction, layer_.output_count(), 1);
    if (k > ws.gates.cols() || (history && n * f > ws.memories.cols()))
      refuse("AugmentedSsm::vjp", "the workspace has room for ", ws.memories.cols() / f, " states and ",
             ws.gates.cols(), " losses, expected ", history ? n : 1, " and ", k);
    if constexpr (!history) ws.memories.fill(S(0));
    ws.cotangent.fill(S(0));
  }

  /// `AugmentedSsm::absorb` for window t. Records what the way back reads: Z_{t-1}, or Y_t.
  template <class P, class S, class Method>
  void absorb(const Coefficients<P>& c, View<const S, features, Window::width> X, const S* mask, Index t,
              typename Recurrence::template State<S>& state, Workspace<S, Method>& ws) const {
    if constexpr (std::is_same_v<Method, StoredHistory>)
      detail::copy(View<const S, cols, rows>(state.memory.view()), recorded(ws, t));
    else
      layer_.recurrence().sensitivity_step(c.recurrence, state, mask, recorded(ws, 0), ws.forward.recurrence);
    layer_.absorb(c, X, mask, state, ws.forward);
  }

  /// VJP of `AugmentedSsm::apply`, right after it in the same workspace, as loss j: C_bar and o_bar. Keeps o (or the
  /// readout's own x) and v = -C^T g for the way back. Under (12) L_bar += R^loc * Y_t with R^loc = o v^T.
  template <class P, class S, class Method>
  void apply_vjp(const Coefficients<P>& c, const typename Recurrence::template State<S>& state,
                 View<const S, rows, 1> o, View<const S, outputs, 1> g, Index j, Coefficients<S>& c_bar,
                 View<S, rows, 1> o_bar, Workspace<S, Method>& ws) const {
    layer_.readout().step_vjp(c.readout, View<const S, cols, rows>(state.memory.view()), g, c_bar.readout, o_bar,
                              ws.forward.readout);
    const View<const S, cols, 1> v = ws.forward.readout.v.view();
    const View<const S, rows, 1> x = detail::read_by(ws.forward.readout, o);
    detail::copy(x, ws.gates.view().column(j));
    detail::copy(v, ws.pulled.view().column(j));
    if constexpr (std::is_same_v<Method, ForwardSensitivity>)
      kernels::add_weighted_outer(v, x, View<const S, cols, rows>(recorded(ws, 0)), c_bar.recurrence.decay.view());
  }

  /// Adds the last state's own cotangent, R_N += Z_N_bar. Under (12) L_bar += Z_N_bar * Y_N.
  template <class S, class Method>
  void seed(View<const S, cols, rows> memory_bar, Coefficients<S>& c_bar, Workspace<S, Method>& ws) const {
    detail::add(memory_bar, ws.cotangent.view());
    if constexpr (std::is_same_v<Method, ForwardSensitivity>)
      for (Index i = 0; i < memory_bar.size(); ++i)
        c_bar.recurrence.decay[i] = multiply_add(memory_bar[i], ws.memories[i], c_bar.recurrence.decay[i]);
  }

  /// VJP of window t's `absorb`, which bears loss j, or none if j is -1: R_t += o v^T, A_bar, by history L_bar, the
  /// tokens' gradient unless `X_bar` is absent, and R_{t-1}.
  template <class P, class S, class Method>
  void release(const Coefficients<P>& c, View<const S, features, Window::width> X, const S* mask, Index t, Index j,
               Coefficients<S>& c_bar, View<S, features, Window::width> X_bar, Workspace<S, Method>& ws) const {
    if (j >= 0)
      kernels::add_outer(View<const S, cols, 1>(ws.pulled.view().column(j)),
                         View<const S, rows, 1>(ws.gates.view().column(j)), ws.cotangent.view());
    const auto& attention = layer_.attention();
    const Factors<const S, rows, cols, rank> G = attention.step(c.attention, X, ws.backward.attention);
    const bool left = Attention::left_trains || X_bar.present();
    const Factors<S, rows, cols, rank> G_bar{left ? ws.left_bar.view() : View<S, rows, rank>::absent(),
                                             ws.right_bar.view()};
    const View<const S, cols, rows> before = std::is_same_v<Method, StoredHistory>
                                                 ? View<const S, cols, rows>(recorded(ws, t))
                                                 : View<const S, cols, rows>::absent();
    layer_.recurrence().step_vjp(c.recurrence, G, mask, before, ws.cotangent.view(), c_bar.recurrence, G_bar,
                                 ws.backward.recurrence);
    attention.step_vjp(c.attention, X, View<const S, rows, rank>(ws.left_bar.view()),
                       View<const S, cols, rank>(ws.right_bar.view()), c_bar.attention, X_bar);
  }

  /// `AugmentedSsm::vjp`, for any way of handing out the windows' cotangents. Forward over the windows it adds the
  /// shares of C and d, which depend on Z_t alone; back over them A's share, and by history L's.
  template <class P, class S, class Method, class Cotangent, class WindowBar>
  void operator()(const Coefficients<P>& c, const Sequence<S, features>& sequence,
                  typename Layer::template State<S>& state, Index k, Cotangent& cotangent, Coefficients<S>& c_bar,
                  View<const S, cols, rows> last_memory_bar, WindowBar window_bar, Workspace<S, Method>& ws) const {
    detail::expect_layer<P>("AugmentedSsm::vjp", layer_, c, state, ws.forward);
    detail::expect_layer_coefficients<S>("AugmentedSsm::vjp", layer_, c_bar);
    layer_.window().windows(sequence.tokens.cols(), state.window);  // refuses tokens left over
    const auto windows = layer_.read(sequence, state.window, ws.forward);
    const Index n = windows.count(), first = Layer::first_of_last(k, n);
    begin(n, k, ws);
    for (Index t = 0; t < n; ++t) {
      absorb(c, windows[t], sequence.mask_of(t), t, state.recurrence, ws);
      if (t < first) continue;
      layer_.predict_window(c, windows[t], state.recurrence, ws.prediction.view(), ws.forward);
      cotangent(t - first, View<const S, outputs, 1>(ws.prediction.view()),
                View<S, outputs, 1>(ws.prediction_bar.view()));
      apply_vjp(c, state.recurrence, View<const S, rows, 1>(ws.forward.o.view()),
                View<const S, outputs, 1>(ws.prediction_bar.view()), t - first, c_bar, ws.o_bar.view(), ws);
      layer_.gate().step_vjp(c.gate, windows[t], View<const S, rows, 1>(ws.o_bar.view()), c_bar.gate, window_bar(t),
                             ws.forward.gate);
    }
    if (last_memory_bar.present()) seed(last_memory_bar, c_bar, ws);
    for (Index t = n - 1; t >= 0; --t)
      release(c, windows[t], sequence.mask_of(t), t, t >= first ? t - first : -1, c_bar, window_bar(t), ws);
    windows.finish(layer_.window(), state.window);
  }

 private:
  template <class S, class Method>
  View<S, cols, rows> recorded(Workspace<S, Method>& ws, Index t) const {
    return ws.memories.view().template columns<rows>(t * layer_.row_count(), layer_.row_count());
  }

  const Layer& layer_;
};

}  // namespace gdssm
