// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {

/// K steps of gradient descent in one pass. 2K - 1 layers read the same tokens, and Horner's rule combines their E_t:
///     E <- M_1;   for k = 2..K:   E <- E + E S_k + M_k;   yhat_t = -E o_t.
/// Each S_k and M_k is the E_t of one layer; o_t is the gate of the last. The stack is causal and has no residual
/// connection. It evaluates the product from the right, with matrix-vector products alone:
///     u_K = o_t,   u_{k-1} = u_k + S_k u_k,   yhat = -sum_k M_k u_k.
/// The layers' order is M_1, S_2, M_2, ..., S_K, M_K. For K = 1 the stack is the layer.
/// Shapes  those of the layer, which must have Outputs = Rows
/// Errors  std::invalid_argument: K < 1, Outputs other than Rows (static_assert where sizes are fixed), arguments of
///         other sizes
/// Source  docs/theory.md, K steps        VJP  `vjp`
template <class Layer>
class HornerStack {
  static_assert(Layer::outputs == Layer::rows,
                "HornerStack: the layer must have as many outputs as its state has rows");

 public:
  using Window = typename Layer::Window;
  static constexpr Index features = Layer::features;
  static constexpr Index rows = Layer::rows;
  static constexpr Index outputs = Layer::outputs;
  static constexpr bool sensitive = Layer::sensitive;  ///< `ForwardSensitivity` is there for it

  HornerStack(Layer layer, Index steps) : layer_(std::move(layer)), steps_(steps) {
    if (steps < 1) refuse("HornerStack", "the number of steps is ", steps, ", expected at least 1");
    expect_equal("HornerStack", "the number of outputs", layer_.output_count(), layer_.row_count());
  }

  const Layer& layer() const { return layer_; }
  const Window& window() const { return layer_.window(); }
  Index steps() const { return steps_; }  ///< K
  Index layer_count() const { return 2 * steps_ - 1; }
  Index feature_count() const { return layer_.feature_count(); }
  Index output_count() const { return layer_.output_count(); }
  static Index M(Index k) { return 2 * k - 2; }  ///< where M_k stands among the layers, k = 1..K
  static Index S(Index k) { return 2 * k - 3; }  ///< where S_k stands among the layers, k = 2..K

  /// The layers' weights, named `layers_0`, `layers_1`, ... Only the last layer's gate has an effect.
  template <class Part>
  struct Layers {
    std::vector<Part> layers;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_list("layers", visitor, self.layers...);
    }
  };
  template <class T>
  using Parameters = Layers<typename Layer::template Parameters<T>>;
  template <class T>
  using Coefficients = Layers<typename Layer::template Coefficients<T>>;

  /// All that later predictions depend on: each layer's Z_t, and the tokens that later windows read. A value.
  template <class T>
  struct State {
    typename Window::template State<T> window;
    std::vector<decltype(Layer::template State<T>::recurrence)> layers;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("window", visitor, self.window...);
      visit_list("layers", visitor, self.layers...);
    }
    template <class Visitor, class First, class... More>
    static void visit_counters(Visitor&& visitor, First&& first, More&&... more) {
      visit_counters_of_part("window", visitor, first.window, more.window...);
      for (std::size_t l = 0; l < first.layers.size(); ++l)
        visit_counters_of_part(Name{"layers", nullptr, 0, static_cast<Index>(l)}, visitor, first.layers[l],
                               more.layers[l]...);
    }
    friend bool operator==(const State&, const State&) = default;
  };

  template <class T>
  struct Workspace {
    typename Layer::template Workspace<T> layer;
    Array<T, outputs, 1> answer;
  };

  template <class T, class Method = StoredHistory>
  struct GradientWorkspace {
    std::vector<typename Layer::template GradientWorkspace<T, Method>> layers;
    Array<T, rows> u;  ///< u_k, k = 1..K
    Array<T, rows, 1> u_bar;
    Array<T, outputs, 1> answer_bar;
  };

  template <class T>
  Parameters<T> parameters() const {
    return {repeat(layer_.template parameters<T>())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {repeat(layer_.template coefficients<T>())};
  }
  template <class T>
  State<T> initial_state() const {
    auto state = layer_.template initial_state<T>();
    return {std::move(state.window), repeat(state.recurrence)};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {layer_.template workspace<T>(), Array<T, outputs, 1>(output_count(), 1)};
  }
  template <class T, class Method = StoredHistory>
  GradientWorkspace<T, Method> gradient_workspace(Index windows, Index losses) const {
    return {repeat(layer_.template gradient_workspace<T, Method>(windows, losses)),
            Array<T, rows>(layer_.row_count(), steps_), Array<T, rows, 1>(layer_.row_count(), 1),
            Array<T, outputs, 1>(output_count(), 1)};
  }

  /// Draws random weights, each layer's from a random stream of its own. `p` must be zeros.
  template <class P>
  void draw(Parameters<P>& p, std::uint64_t seed) const {
    for (std::size_t l = 0; l < p.layers.size(); ++l) layer_.draw(p.layers[l], seed, l);
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    expect_layers("HornerStack::prepare", "the number of layers of the weights", p.layers);
    expect_layers("HornerStack::prepare", "the number of layers of the coefficients", c.layers);
    for (std::size_t l = 0; l < p.layers.size(); ++l) layer_.prepare(p.layers[l], c.layers[l]);
  }
  template <class P>
  Coefficients<P> prepare(const Parameters<P>& p) const {
    Coefficients<P> c = coefficients<P>();
    prepare(p, c);
    return c;
  }
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    expect_layers("HornerStack::prepare_vjp", "the number of layers of the weights", p.layers);
    expect_layers("HornerStack::prepare_vjp", "the number of layers of the coefficients", c.layers);
    expect_layers("HornerStack::prepare_vjp", "the number of layers of the coefficients' gradient", c_bar.layers);
    expect_layers("HornerStack::prepare_vjp", "the number of layers of the weights' gradient", p_bar.layers);
    for (std::size_t l = 0; l < p.layers.size(); ++l)
      layer_.prepare_vjp(p.layers[l], c.layers[l], c_bar.layers[l], p_bar.layers[l]);
  }

  /// Takes in one token. If the token completes a window, writes yhat_t to `prediction` and returns true.
  template <class P, class T>
  bool step(const Coefficients<P>& c, View<const T, features, 1> token, State<T>& state, View<T, outputs, 1> prediction,
            Workspace<T>& ws) const {
    expect_own("HornerStack::step", c, state, ws.layer);
    expect_equal("HornerStack::step", "the number of features of a token", token.size(), feature_count());
    expect_equal("HornerStack::step", "the length of the prediction", prediction.size(), output_count());
    if (!window().push(token, state.window)) return false;
    const View<const T, features, Window::width> X = state.window.tokens.view();
    absorb(c, X, static_cast<const T*>(nullptr), state, ws);
    predict_window(c, X, state, prediction, ws);
    window().slide(state.window);
    return true;
  }

  /// Predicts at the last k windows of a sequence, as `AugmentedSsm::forward`.
  template <class P, class T>
  void forward(const Coefficients<P>& c, const Sequence<T, features>& sequence, State<T>& state,
               View<T, outputs> predictions, Workspace<T>& ws) const {
    expect_own("HornerStack::forward", c, state, ws.layer);
    const auto windows = layer_.read(sequence, state.window, ws.layer);
    const Index first = Layer::first_of_last(predictions.cols(), windows.count());
    if (predictions.cols() > 0)
      expect_equal("HornerStack", "the number of rows of the predictions", predictions.rows(), output_count());
    for (Index t = 0; t < windows.count(); ++t) {
      absorb(c, windows[t], sequence.mask_of(t), state, ws);
      if (t >= first) predict_window(c, windows[t], state, predictions.column(t - first), ws);
    }
    windows.finish(window(), state.window);
  }

  /// Runs forward and back, as `AugmentedSsm::vjp`.
  template <class P, class T, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<T, features>& sequence, State<T>& state, Index k,
           Cotangent&& cotangent, Coefficients<T>& c_bar, GradientWorkspace<T, Method>& ws) const {
    pull(
        c, sequence, state, k, cotangent, c_bar, static_cast<const State<T>*>(nullptr),
        [](Index) { return View<T, features, Window::width>::absent(); }, ws);
  }

  /// The same with the inputs' gradients, as `AugmentedSsm::vjp`.
  template <class P, class T, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<T, features>& sequence, State<T>& state, Index k,
           Cotangent&& cotangent, Coefficients<T>& c_bar, State<T>& state_bar, View<T, features> tokens_bar,
           GradientWorkspace<T, Method>& ws) const {
    expect_state("HornerStack::vjp", state);
    expect_state("HornerStack::vjp", state_bar);
    detail::expect_counts<Window>("HornerStack::vjp", state.window);
    expect_layers("HornerStack::vjp", "the number of layers of the workspace", ws.layers);
    detail::expect_workspace("HornerStack::vjp", layer_, ws.layers[0].backward);
    expect_equal("HornerStack::vjp", "the number of rows of the tokens' cotangent", tokens_bar.rows(), feature_count());
    expect_equal("HornerStack::vjp", "the number of columns of the tokens' cotangent", tokens_bar.cols(),
                 sequence.tokens.cols());
    const detail::WindowedCotangent<Window, T> windows_bar(
        state.window, window().windows(sequence.tokens.cols(), state.window), state_bar.window, tokens_bar,
        ws.layers[0].backward.straddling.view());
    pull(
        c, sequence, state, k, cotangent, c_bar, &state_bar, [&](Index t) { return windows_bar[t]; }, ws);
    for (std::size_t l = 0; l < ws.layers.size(); ++l) {
      const auto& R = ws.layers[l].cotangent;
      detail::copy(R.view(), state_bar.layers[l].memory.view());
    }
    windows_bar.finish(state_bar.window);
  }

  /// The weights of the implicit model after K steps: -E, or -E P if the last layer's gate is preconditioned.
  /// Shapes  those of `AugmentedSsm::implicit_weights`
  template <class P>
  auto implicit_weights(const Coefficients<P>& c, const State<P>& state) const {
    expect_layers("HornerStack::implicit_weights", "the number of layers of the coefficients", c.layers);
    expect_layers("HornerStack::implicit_weights", "the number of layers of the state", state.layers);
    const auto minus_E = [&](Index l) {
      const auto i = static_cast<std::size_t>(l);
      return layer_.readout_weights(c.layers[i], typename Layer::template State<P>{state.window, state.layers[i]});
    };
    detail::Matrix<P, outputs, rows> W = minus_E(M(1));
    for (Index k = 2; k <= steps_; ++k) W = (W - W * minus_E(S(k)) + minus_E(M(k))).eval();
    const auto& gate = c.layers.back().gate;
    if constexpr (requires { gate.P; })
      return detail::Matrix<P, outputs, features>(W * gate.P.matrix());
    else
      return W;
  }

  /// Merges the states of each layer, as `AugmentedSsm::merge`.
  template <class P, class T>
  State<T> merge(const Coefficients<P>& c, const State<T>& first, const State<T>& second) const {
    expect_layers("HornerStack::merge", "the number of layers of the coefficients", c.layers);
    for (const auto& layer : c.layers) detail::expect_layer_coefficients<P>("HornerStack::merge", layer_, layer);
    expect_state("HornerStack::merge", first);
    expect_state("HornerStack::merge", second);
    State<T> whole = second;
    for (std::size_t l = 0; l < whole.layers.size(); ++l)
      whole.layers[l] = layer_.recurrence().merge(c.layers[l].recurrence, first.layers[l], second.layers[l]);
    return whole;
  }

  /// Predictions at every window of one sequence, as `AugmentedSsm::predict`.
  template <class P, class Derived>
  Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> predict(const Parameters<P>& p,
                                                           const Eigen::MatrixBase<Derived>& tokens) const {
    return detail::predict_every_window<P>(*this, p, tokens);
  }

  /// Refuses coefficients, a state or scratch of other sizes than the stack's.
  /// Errors  std::invalid_argument, led by `where`
  template <class P, class T>
  void expect_own(const char* where, const Coefficients<P>& c, const State<T>& state,
                  const typename Layer::template Workspace<T>& ws) const {
    expect_layers(where, "the number of layers of the coefficients", c.layers);
    for (const auto& layer : c.layers) detail::expect_layer_coefficients<P>(where, layer_, layer);
    expect_state(where, state);
    detail::expect_workspace(where, layer_, ws);
  }

 private:
  template <class List>
  void expect_layers(const char* where, const char* what, const List& list) const {
    expect_equal(where, what, static_cast<Index>(list.size()), layer_count());
  }

  template <class T>
  void expect_state(const char* where, const State<T>& state) const {
    detail::expect_extents(where, Name{"window.tokens"}, state.window.tokens, feature_count(), Window::width);
    expect_layers(where, "the number of layers of the state", state.layers);
    for (const auto& layer : state.layers) detail::expect_memory(where, layer_, layer);
  }

  template <class T>
  std::vector<T> repeat(const T& value) const {
    return std::vector<T>(static_cast<std::size_t>(layer_count()), value);
  }

  template <class P, class T>
  void absorb(const Coefficients<P>& c, View<const T, features, Window::width> X, const T* mask, State<T>& state,
              Workspace<T>& ws) const {
    for (std::size_t l = 0; l < state.layers.size(); ++l)
      layer_.absorb(c.layers[l], X, mask, state.layers[l], ws.layer);
  }

  template <class P, class T>
  void predict_window(const Coefficients<P>& c, View<const T, features, Window::width> X, const State<T>& state,
                      View<T, outputs, 1> prediction, Workspace<T>& ws) const {
    const View<T, rows, 1> u = ws.layer.o.view();
    layer_.gate().step(c.layers.back().gate, X, u, ws.layer.gate);
    prediction.fill(T(0));
    for (Index k = steps_; k >= 1; --k) {
      const auto m = static_cast<std::size_t>(M(k));
      layer_.apply(c.layers[m], state.layers[m], View<const T, rows, 1>(u), ws.answer.view(), ws.layer);
      for (Index i = 0; i < prediction.size(); ++i) prediction[i] += ws.answer[i];
      if (k == 1) break;
      const auto s = static_cast<std::size_t>(S(k));
      layer_.apply(c.layers[s], state.layers[s], View<const T, rows, 1>(u), ws.answer.view(), ws.layer);
      for (Index i = 0; i < u.size(); ++i) u[i] -= ws.answer[i];
    }
  }

  // `predict_window` in the layers' gradient workspaces, where `predict_vjp` finds what it reads. Keeps u_k in ws.u.
  template <class P, class T, class Method>
  void predict_recorded(const Coefficients<P>& c, View<const T, features, Window::width> X, const State<T>& state,
                        GradientWorkspace<T, Method>& ws) const {
    auto& last = ws.layers.back();
    const View<T, outputs, 1> prediction = last.prediction.view();
    layer_.gate().step(c.layers.back().gate, X, ws.u.view().column(steps_ - 1), last.forward.gate);
    prediction.fill(T(0));
    for (Index k = steps_; k >= 1; --k) {
      const View<const T, rows, 1> u = ws.u.view().column(k - 1);
      const auto apply = [&](Index l) {
        const auto i = static_cast<std::size_t>(l);
        layer_.apply(c.layers[i], state.layers[i], u, ws.answer_bar.view(), ws.layers[i].forward);
      };
      apply(M(k));
      for (Index i = 0; i < prediction.size(); ++i) prediction[i] += ws.answer_bar[i];
      if (k == 1) break;
      apply(S(k));
      for (Index i = 0; i < u.size(); ++i) ws.u(i, k - 2) = u[i] - ws.answer_bar[i];
    }
  }

  // Steps first to last. yhat = sum_k p_{M_k}(u_k), u_{k-1} = u_k - p_{S_k}(u_k), with p_l(u) = -E_l u:
  //   u_1_bar = p_{M_1}-part of g;  u_k_bar = u_{k-1}_bar + p_{S_k}-part of -u_{k-1}_bar + p_{M_k}-part of g.
  template <class P, class T, class Method>
  void predict_vjp(const Coefficients<P>& c, const State<T>& state, Index j, Coefficients<T>& c_bar,
                   GradientWorkspace<T, Method>& ws) const {
    const View<const T, outputs, 1> g = ws.layers.back().prediction_bar.view();
    ws.u_bar.fill(T(0));
    for (Index k = 1; k <= steps_; ++k) {
      const View<const T, rows, 1> u = ws.u.view().column(k - 1);
      const auto pull_layer = [&](Index l, View<const T, outputs, 1> answer_bar) {
        const auto i = static_cast<std::size_t>(l);
        LayerGradient(layer_).apply_vjp(c.layers[i], state.layers[i], u, answer_bar, j, c_bar.layers[i],
                                        ws.layers[i].o_bar.view(), ws.layers[i]);
      };
      const auto add_pulled = [&](Index l) {
        detail::add(View<const T, rows, 1>(ws.layers[static_cast<std::size_t>(l)].o_bar.view()), ws.u_bar.view());
      };
      if (k > 1) {
        for (Index i = 0; i < ws.u_bar.size(); ++i) ws.answer_bar[i] = -ws.u_bar[i];
        pull_layer(S(k), View<const T, outputs, 1>(ws.answer_bar.view()));
        add_pulled(S(k));
      }
      pull_layer(M(k), g);
      add_pulled(M(k));
    }
  }

  template <class P, class T, class Method, class Cotangent, class WindowBar>
  void pull(const Coefficients<P>& c, const Sequence<T, features>& sequence, State<T>& state, Index losses,
            Cotangent& cotangent, Coefficients<T>& c_bar, const State<T>* last_state_bar, WindowBar window_bar,
            GradientWorkspace<T, Method>& ws) const {
    expect_layers("HornerStack::vjp", "the number of layers of the workspace", ws.layers);
    expect_layers("HornerStack::vjp", "the number of layers of the gradient", c_bar.layers);
    detail::expect_extents("HornerStack::vjp", Name{"workspace.u"}, ws.u, layer_.row_count(), steps_);
    auto& last = ws.layers.back();
    expect_own("HornerStack::vjp", c, state, last.forward);
    for (const auto& bar : c_bar.layers) detail::expect_layer_coefficients<T>("HornerStack::vjp", layer_, bar);
    const LayerGradient gradient(layer_);
    window().windows(sequence.tokens.cols(), state.window);  // refuses tokens left over
    const auto windows = layer_.read(sequence, state.window, last.forward);
    const Index n = windows.count(), first = Layer::first_of_last(losses, n);
    for (auto& layer : ws.layers) gradient.begin(n, losses, layer);
    for (Index t = 0; t < n; ++t) {
      for (std::size_t l = 0; l < ws.layers.size(); ++l)
        gradient.absorb(c.layers[l], windows[t], sequence.mask_of(t), t, state.layers[l], ws.layers[l]);
      if (t < first) continue;
      predict_recorded(c, windows[t], state, ws);
      cotangent(t - first, View<const T, outputs, 1>(last.prediction.view()),
                View<T, outputs, 1>(last.prediction_bar.view()));
      predict_vjp(c, state, t - first, c_bar, ws);
      layer_.gate().step_vjp(c.layers.back().gate, windows[t], View<const T, rows, 1>(ws.u_bar.view()),
                             c_bar.layers.back().gate, window_bar(t), last.forward.gate);
    }
    for (std::size_t l = 0; l < ws.layers.size(); ++l) {
      if (last_state_bar) {
        const auto& memory_bar = last_state_bar->layers[l].memory;
        gradient.seed(memory_bar.view(), c_bar.layers[l], ws.layers[l]);
      }
      for (Index t = n - 1; t >= 0; --t)
        gradient.release(c.layers[l], windows[t], sequence.mask_of(t), t, t >= first ? t - first : -1, c_bar.layers[l],
                         window_bar(t), ws.layers[l]);
    }
    windows.finish(window(), state.window);
  }

  Layer layer_;
  Index steps_;
};

}  // namespace gdssm
