// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "gdssm/baselines/inputs.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {

/// Another sequence model in place of the augmented SSM: an encoder, a stack of layers with residual connections, and a
/// decoder. All but the layers is linear,
///     H_0 = E U,   H_l = H_{l-1} + layer_l(H_{l-1}),   yhat_t = D h_t                              (B1)
/// where U is what `Input` makes of normal tokens, and h_t is the column of H_depth for which the prediction is made.
/// It is usable wherever an `AugmentedSsm` is, with a state to carry on and with masks. Layers that read contexts as a
/// whole predict at the last window, of contexts that they are made for.
///     `Layer`  any `SequenceLayer`: S5, an `AugmentedSsm` around a learning rule, ...
/// Shapes  tokens (f x T), T such that the last token ends a window; U (input size x columns), E (width x input size),
///         H_l (width x columns), D (m x width); predictions (f x k), of the last k windows
/// Errors  std::invalid_argument: sizes below 1, tokens and predictions of another height
/// Source  docs/baselines.md        VJP  `vjp`
template <SequenceInput Input, SequenceLayer Layer>
class SequenceModel {
  static constexpr bool causal = CausalLayer<Layer>;

 public:
  using Window = SlidingWindow<Dynamic, 3, 2>;
  static constexpr Index features = Dynamic;
  static constexpr Index outputs = Dynamic;
  static constexpr bool sensitive = false;  ///< whether `ForwardSensitivity` applies

  /// Predictions are as long as tokens.
  SequenceModel(Input input, Layer layer, Index depth)
      : window_(input.features()), input_(std::move(input)), layer_(std::move(layer)), depth_(depth) {
    detail::expect_size("SequenceModel", "depth", depth);
    expect_equal("SequenceModel", "the length of a layer's output", layer_.output_count(), layer_.feature_count());
  }

  const Window& window() const { return window_; }
  const Input& input() const { return input_; }  ///< makes U
  const Layer& layer() const { return layer_; }
  Index depth() const { return depth_; }                  ///< the number of layers
  Index width() const { return layer_.feature_count(); }  ///< entries of a column of H
  Index feature_count() const { return window_.features(); }
  Index output_count() const { return window_.features(); }

  /// The weights, by parts. The layers are named `layers_0`, `layers_1`, ...
  template <class InputPart, class Matrix, class LayerPart>
  struct Parts {
    InputPart input;  ///< the input's weights
    Matrix encoder;   ///< E (width x input size)
    std::vector<LayerPart> layers;
    Matrix decoder;  ///< D (m x width)

    template <class Visitor, class First, class... More>
    static void visit(Visitor&& visitor, First&& first, More&&... more) {
      visit_part("input", visitor, first.input, more.input...);
      visitor(Name{"encoder"}, first.encoder, more.encoder...);
      visit_list("layers", visitor, first.layers, more.layers...);
      visitor(Name{"decoder"}, first.decoder, more.decoder...);
    }
  };
  template <class T>
  using Parameters =
      Parts<typename Input::template Parameters<T>, Eigen::MatrixX<T>, typename Layer::template Parameters<T>>;
  template <class T>
  using Coefficients =
      Parts<typename Input::template Coefficients<T>, Array<T>, typename Layer::template Coefficients<T>>;

  /// The tokens still needed, and the layers' states. A value.
  template <class T>
  struct State {
    typename Window::template State<T> window;
    std::vector<typename Layer::template State<T>> layers;

    template <class Visitor, class First, class... More>
    static void visit(Visitor&& visitor, First&& first, More&&... more) {
      visit_part("window", visitor, first.window, more.window...);
      visit_list("layers", visitor, first.layers, more.layers...);
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

  /// Scratch of `step` and `forward`.
  template <class T>
  struct Workspace {
    Array<T> inputs, mask;         ///< U, and which of its columns are written
    std::vector<Array<T>> hidden;  ///< H_0, ..., H_depth
    Array<T> change;               ///< of one layer
    Array<T> straddling;           ///< where windows are assembled that reach back into the state
    typename Input::template Workspace<T> input;
    typename Layer::template Workspace<T> layer;
  };
  /// Scratch of `vjp`; `Method` has no effect.
  template <class T, class Method = StoredHistory>
  struct GradientWorkspace {
    Workspace<T> forward;
    Array<T> hidden_bar, change_bar, inputs_bar, straddling_bar;
    Array<T> prediction, prediction_bar, h;
    std::vector<typename Layer::template State<T>> first;
    State<T> state_bar;
    typename Layer::template GradientWorkspace<T> layer;
  };

  template <class T>
  Parameters<T> parameters() const {
    return {input_.template parameters<T>(), zeros_in<InMatrices<T>>(width(), input_.size()),
            repeat(layer_.template parameters<T>()), zeros_in<InMatrices<T>>(output_count(), width())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {input_.template coefficients<T>(), Array<T>(width(), input_.size()),
            repeat(layer_.template coefficients<T>()), Array<T>(output_count(), width())};
  }
  template <class T>
  State<T> initial_state() const {
    return {window_.template initial_state<T>(), repeat(layer_.template initial_state<T>())};
  }
  template <class T>
  Workspace<T> workspace() const {
    if constexpr (causal)
      return scratch<T>(2);
    else
      return scratch<T>(layer_.context());
  }
  template <class T, class Method = StoredHistory>
  GradientWorkspace<T, Method> gradient_workspace(Index windows, Index losses) const {
    const Index length = Input::asks ? windows + losses : windows;
    const Array<T> columns(width(), length), prediction(output_count(), 1);
    return {scratch<T>(length),
            columns,
            columns,
            Array<T>(input_.size(), length),
            Array<T>(feature_count(), 2 * Window::width),
            prediction,
            prediction,
            Array<T>(width(), 1),
            repeat(layer_.template initial_state<T>()),
            initial_state<T>(),
            layer_.template gradient_workspace<T>(length, length)};
  }

  /// Replaces parameters of zeros by random ones: E and D by LeCun's law, the others by their own `draw`.
  template <class P>
  void draw(Parameters<P>& p, std::uint64_t seed) const {
    RandomStream<> stream(seed);
    input_.draw(p.input, stream);
    detail::draw_map(p.encoder, stream);
    for (auto& layer : p.layers) layer_.draw(layer, stream);
    detail::draw_map(p.decoder, stream);
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    input_.prepare(p.input, c.input);
    detail::copy(p.encoder, c.encoder);
    for (std::size_t l = 0; l < p.layers.size(); ++l) layer_.prepare(p.layers[l], c.layers[l]);
    detail::copy(p.decoder, c.decoder);
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
    input_.prepare_vjp(p.input, c.input, c_bar.input, p_bar.input);
    p_bar.encoder += c_bar.encoder.matrix();
    for (std::size_t l = 0; l < p.layers.size(); ++l)
      layer_.prepare_vjp(p.layers[l], c.layers[l], c_bar.layers[l], p_bar.layers[l]);
    p_bar.decoder += c_bar.decoder.matrix();
  }

  /// Takes one token in. True when it completed a window: `prediction` then is yhat_t, otherwise it is left alone.
  /// Bit for bit what `forward` computes.
  template <class P, class S>
  bool step(const Coefficients<P>& c, View<const S, Dynamic, 1> token, State<S>& state, View<S, Dynamic, 1> prediction,
            Workspace<S>& ws) const requires(causal) {
    expect_equal("SequenceModel::step", "the number of features of a token", token.size(), feature_count());
    if (!window_.push(token, state.window)) return false;
    predict_window(c, std::as_const(state.window.tokens).view(), static_cast<const S*>(nullptr), prediction, state, ws);
    window_.slide(state.window);
    return true;
  }

  /// The predictions at the last k windows that a sequence completes, k the columns of `predictions`; moves `state` on.
  /// A sequence may be cut anywhere, unless the layers read contexts as a whole.
  template <class P, class S>
  void forward(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>& state, View<S> predictions,
               Workspace<S>& ws) const {
    const auto windows = read(sequence, state, ws);
    const Index n = windows.count(), k = predictions.cols(), first = first_of_last(k, n);
    if (k > 0)
      expect_equal("SequenceModel", "the number of rows of the predictions", predictions.rows(), output_count());
    if constexpr (causal) {
      for (Index t = 0; t < n; ++t)
        predict_window(c, windows[t], sequence.mask_of(t),
                       t >= first ? predictions.column(t - first) : View<S, Dynamic, 1>::absent(), state, ws);
    } else if (k > 0) {
      const Sequence<S> columns = assemble(c, windows, sequence, first, ws);
      run(c, columns, depth_, state, ws);
      decode(c, std::as_const(ws.hidden.back()).view().column(columns.tokens.cols() - 1), predictions.column(0));
    }
    windows.finish(window_, state.window);
  }

  /// Forward and reverse in one call, like `AugmentedSsm::vjp`, with the inputs' gradients: adds to `tokens_bar`
  /// (unless it is absent) and turns `state_bar` from the cotangent of the last state into that of the first. The
  /// identities of (B1), last to first, with arrows for `+=`:  D_bar <- g h^T,  h_bar <- D^T g,  H_{l-1}_bar <- H_l_bar
  /// + layer_l's part,  E_bar <- H_0_bar U^T,  U_bar <- E^T H_0_bar. Layers but the last run twice; none keeps more
  /// than one does.
  template <class P, class S, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>& state, Index k, Cotangent&& cotangent,
           Coefficients<S>& c_bar, State<S>& state_bar, View<S> tokens_bar, GradientWorkspace<S, Method>& ws) const {
    // As one type, so that what is heavy to compile is compiled once.
    pull(c, sequence, state, k,
         std::function<void(Index, View<const S, Dynamic, 1>, View<S, Dynamic, 1>)>(std::ref(cotangent)), c_bar,
         state_bar, tokens_bar, ws);
  }
  /// The same for the parameters alone.
  template <class P, class S, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>& state, Index k, Cotangent&& cotangent,
           Coefficients<S>& c_bar, GradientWorkspace<S, Method>& ws) const {
    fill(ws.state_bar, S(0));
    vjp(c, sequence, state, k, cotangent, c_bar, ws.state_bar, View<S>::absent(), ws);
  }

  /// Predictions for one sequence: at every window, or at the last one only where layers read contexts as a whole.
  /// Shapes  tokens (f x T)  ->  (f x windows) or (f x 1)
  /// Errors  std::invalid_argument: a wrong number of features or of tokens, an entry that is not finite
  template <class P, class Derived>
  Eigen::MatrixX<P> predict(const Parameters<P>& p, const Eigen::MatrixBase<Derived>& tokens) const {
    if constexpr (causal) {
      return detail::predict_every_window<P>(*this, p, tokens);
    } else {
      const Eigen::MatrixX<P> dense = tokens;
      expect_finite("predict", "token", dense);
      auto ws = workspace<P>();
      auto state = initial_state<P>();
      Eigen::MatrixX<P> prediction(output_count(), 1);
      forward<P, P>(prepare(p), {view_of(dense)}, state, view_of(prediction), ws);
      return prediction;
    }
  }

 private:
  template <class S>
  using Windows = detail::WindowedSequence<Window, S>;

  template <class T>
  std::vector<T> repeat(const T& value) const {
    return std::vector<T>(static_cast<std::size_t>(depth_), value);
  }
  template <class T>
  Workspace<T> scratch(Index columns) const {
    return {Array<T>(input_.size(), columns),
            Array<T>(1, columns),
            std::vector<Array<T>>(static_cast<std::size_t>(depth_ + 1), Array<T>(width(), columns)),
            Array<T>(width(), columns),
            Array<T>(feature_count(), 2 * Window::width),
            input_.template workspace<T>(),
            layer_.template workspace<T>()};
  }

  template <class S>
  Windows<S> read(const Sequence<S>& sequence, const State<S>& state, Workspace<S>& ws) const {
    expect_equal("SequenceModel", "the number of features", sequence.tokens.rows(), feature_count());
    const Windows<S> windows(window_, state.window, sequence.tokens, ws.straddling.view());
    if (sequence.mask.present())
      expect_equal("SequenceModel", "the length of the mask", sequence.mask.size(), windows.count());
    return windows;
  }
  static Index first_of_last(Index k, Index n) {
    const Index most = causal ? n : (std::min)(n, Index(1));
    if (k < 0 || k > most) refuse("SequenceModel", "predictions at the last ", k, " windows, expected 0 to ", most);
    return n - k;
  }

  /// Column `at` of U, a window's, and if it is to be predicted and the input asks, its query's behind it. Returns how
  /// many.
  template <class P, class S>
  Index read_window(const Coefficients<P>& c, View<const S, Dynamic, 3> X, const S* mask, bool predicted, Index at,
                    Workspace<S>& ws) const {
    input_.read(c.input, X, ws.inputs.view().column(at), ws.input);
    ws.mask[at] = mask ? *mask : S(1);
    if constexpr (Input::asks)
      if (predicted) {
        input_.ask(X, ws.inputs.view().column(at + 1));
        ws.mask[at + 1] = S(0);
        return 2;
      }
    return 1;
  }
  /// All columns of a sequence, of which windows from `first` on are predicted.
  template <class P, class S>
  Sequence<S> assemble(const Coefficients<P>& c, const Windows<S>& windows, const Sequence<S>& sequence, Index first,
                       Workspace<S>& ws) const {
    const Index length = Input::asks ? 2 * windows.count() - first : windows.count();
    if (length > ws.inputs.cols())
      refuse("SequenceModel", "the sequence has ", length, " columns, the workspace room for ", ws.inputs.cols());
    for (Index t = 0, at = 0; t < windows.count(); ++t)
      at += read_window(c, windows[t], sequence.mask_of(t), t >= first, at, ws);
    return columns_of(ws, length, sequence.mask.present() || (Input::asks && first < windows.count()));
  }
  template <class S>
  static Sequence<S> columns_of(const Workspace<S>& ws, Index length, bool masked) {
    return {detail::first(ws.inputs, length), masked ? detail::first(ws.mask, length) : View<const S>::absent()};
  }

  /// H_0, ..., H_layers of columns of U.
  template <class P, class S>
  void run(const Coefficients<P>& c, const Sequence<S>& columns, Index layers, State<S>& state,
           Workspace<S>& ws) const {
    const Index T = columns.tokens.cols();
    detail::map(T, c.encoder, columns.tokens, ws.hidden[0]);
    for (std::size_t l = 0; l < static_cast<std::size_t>(layers); ++l) {
      layer_.forward(c.layers[l],
                     Sequence<S, Layer::features>{detail::first(std::as_const(ws.hidden[l]), T), columns.mask},
                     state.layers[l], View<S, Layer::outputs>(detail::first(ws.change, T)), ws.layer);
      for (Index i = 0; i < width() * T; ++i) ws.hidden[l + 1][i] = ws.hidden[l][i] + ws.change[i];
    }
  }
  template <class P, class S>
  static void decode(const Coefficients<P>& c, View<const S, Dynamic, 1> h, View<S, Dynamic, 1> prediction) {
    kernels::multiply(c.decoder.view(), h, prediction);
  }

  /// One window through all layers, and its prediction unless that is absent.
  template <class P, class S>
  void predict_window(const Coefficients<P>& c, View<const S, Dynamic, 3> X, const S* mask,
                      View<S, Dynamic, 1> prediction, State<S>& state, Workspace<S>& ws) const {
    const Index length = read_window(c, X, mask, prediction.present(), 0, ws);
    run(c, columns_of(ws, length, mask || length > 1), depth_, state, ws);
    if (prediction.present()) decode(c, std::as_const(ws.hidden.back()).view().column(length - 1), prediction);
  }

  template <class P, class S, class Method, class Cotangent>
  void pull(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>& state, Index k, const Cotangent& cotangent,
            Coefficients<S>& c_bar, State<S>& state_bar, View<S> tokens_bar, GradientWorkspace<S, Method>& ws) const {
    window_.windows(sequence.tokens.cols(), state.window);  // refuses tokens left over
    const auto windows = read(sequence, state, ws.forward);
    const Index n = windows.count(), first = first_of_last(k, n);
    const Sequence<S> columns = assemble(c, windows, sequence, first, ws.forward);
    const Index T = columns.tokens.cols(), stride = Input::asks ? 2 : 1;
    const Index asked = k > 0 ? T - 1 - (k - 1) * stride : T;  // the first column with a prediction
    const std::size_t last = static_cast<std::size_t>(depth_) - 1;
    for (std::size_t l = 0; l <= last; ++l) ws.first[l] = state.layers[l];
    run(c, columns, depth_ - 1, state, ws.forward);

    const View<S> H_bar = detail::first(ws.hidden_bar, T);
    H_bar.fill(S(0));
    for (std::size_t l = last + 1; l-- > 0;) {
      const View<const S> H = detail::first(std::as_const(ws.forward.hidden[l]), T);
      const Index begin = l == last ? asked : 0;
      if (l < last) detail::copy(H_bar.as_const(), detail::first(ws.change_bar, T));
      const auto layer_cotangent = [&](Index j, View<const S, Layer::outputs, 1> y, View<S, Layer::outputs, 1> y_bar) {
        const Index t = begin + j;
        if (l < last) return detail::copy(View<const S, Layer::outputs, 1>(ws.change_bar.view().column(t)), y_bar);
        y_bar.fill(S(0));
        if (j % stride != 0) return;
        for (Index i = 0; i < y.size(); ++i) ws.h[i] = H(i, t) + y[i];
        decode(c, std::as_const(ws.h).view().column(0), ws.prediction.view().column(0));
        cotangent(j / stride, std::as_const(ws.prediction).view().column(0), ws.prediction_bar.view().column(0));
        const View<const S> g = std::as_const(ws.prediction_bar).view();
        kernels::add_outer_products(g, std::as_const(ws.h).view(), c_bar.decoder.view());
        kernels::add_transposed(c.decoder.view(), g, View<S>(y_bar));
        for (Index i = 0; i < y.size(); ++i) H_bar(i, t) += y_bar[i];
      };
      layer_.vjp(c.layers[l], Sequence<S, Layer::features>{H, columns.mask}, l == last ? state.layers[l] : ws.first[l],
                 T - begin, layer_cotangent, c_bar.layers[l], state_bar.layers[l], View<S, Layer::features>(H_bar),
                 ws.layer);
    }

    kernels::add_outer_products(H_bar.as_const(), columns.tokens, c_bar.encoder.view());
    const View<S> U_bar = detail::first(ws.inputs_bar, T);
    U_bar.fill(S(0));
    kernels::add_transposed(c.encoder.view(), H_bar.as_const(), U_bar);
    if (tokens_bar.present()) {
      const detail::WindowedCotangent<Window, S> windows_bar(state.window, n, state_bar.window, tokens_bar,
                                                             ws.straddling_bar.view());
      pull_windows(
          c, windows, first, U_bar.as_const(), [&](Index t) { return windows_bar[t]; }, c_bar, ws.forward);
      windows_bar.finish(state_bar.window);
    } else {
      pull_windows(
          c, windows, first, U_bar.as_const(), [](Index) { return View<S, Dynamic, 3>::absent(); }, c_bar, ws.forward);
    }
    windows.finish(window_, state.window);
  }

  /// VJP of `assemble`.
  template <class P, class S, class WindowBar>
  void pull_windows(const Coefficients<P>& c, const Windows<S>& windows, Index first, View<const S> U_bar,
                    const WindowBar& window_bar, Coefficients<S>& c_bar, Workspace<S>& ws) const {
    for (Index t = 0, at = 0; t < windows.count(); ++t) {
      input_.read_vjp(c.input, windows[t], U_bar.column(at++), c_bar.input, window_bar(t), ws.input);
      if constexpr (Input::asks)
        if (t >= first) input_.ask_vjp(U_bar.column(at++), window_bar(t));
    }
  }

  Window window_;
  Input input_;
  Layer layer_;
  Index depth_;
};

}  // namespace gdssm
