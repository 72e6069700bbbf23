// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "gdssm/blocks/dense.hpp"
#include "gdssm/blocks/gated_unit.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {

/// The reference's model of functions from numbers to numbers: a dense embedding of each token s, a layer, and a gated
/// readout,
///     s -> K_1^T s + b_1,   h_t = E_t o_t of the layer on embedded tokens,                         (18)
///     n_t = h_t * sigma(U^T gelu(h_t) + b_2),   yhat_t = -(w^T n_t + b_3)                          (19), (20)
/// The embedding is affine; the layer's products of tokens and the unit make the model nonlinear. Usable wherever an
/// `AugmentedSsm` is.
/// Shapes  tokens (1 x T), predictions (1 x k) at the last k windows
/// Source  arXiv:2410.11687v1 (code: `use_embeddings`, `half_glu2`); docs/theory.md, nonlinear regression    VJP  `vjp`
template <class Layer = PaperLayer<>>
class NonlinearSsm {
  using Embedding = Dense<1, Layer::features>;
  using Unit = GatedUnit<Layer::outputs>;
  using Output = Dense<Layer::outputs, 1>;

 public:
  using Window = SlidingWindow<1, Layer::Window::width, Layer::Window::stride>;
  static constexpr Index features = 1;
  static constexpr Index outputs = 1;
  static constexpr bool sensitive = Layer::sensitive;  ///< `ForwardSensitivity` is there for it

  /// A model whose sizes are all in the type.
  NonlinearSsm() requires std::is_default_constructible_v<Layer> : NonlinearSsm(Layer()) {}
  explicit NonlinearSsm(Layer layer)
      : layer_(std::move(layer)),
        embedding_(1, layer_.feature_count()),
        unit_(layer_.output_count()),
        output_(layer_.output_count(), 1) {}

  const Layer& layer() const { return layer_; }
  const Embedding& embedding() const { return embedding_; }
  const Unit& unit() const { return unit_; }
  const Output& output() const { return output_; }  ///< (20)
  /// Windows of tokens before they are embedded.
  const Window& window() const { return window_; }
  Index feature_count() const { return 1; }
  Index output_count() const { return 1; }

  /// The weights of the embedding, the layer, the unit and the output. The layer's keep their names.
  template <class EmbeddingPart, class LayerPart, class UnitPart, class OutputPart>
  struct Parts {
    EmbeddingPart embedding;  ///< K_1 (1 x Features), b_1
    LayerPart layer;
    UnitPart unit;      ///< U (Outputs x Outputs) and b_2, for the layer's Outputs
    OutputPart output;  ///< w (Outputs x 1), b_3

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("embedding", visitor, self.embedding...);
      gdssm::visit(visitor, self.layer...);
      visit_part("unit", visitor, self.unit...);
      visit_part("output", visitor, self.output...);
    }
  };
  template <class T>
  using Parameters = Parts<typename Embedding::template Parameters<T>, typename Layer::template Parameters<T>,
                           typename Unit::template Parameters<T>, typename Output::template Parameters<T>>;
  template <class T>
  using Coefficients = Parts<typename Embedding::template Coefficients<T>, typename Layer::template Coefficients<T>,
                             typename Unit::template Coefficients<T>, typename Output::template Coefficients<T>>;

  /// The layer's state: Z_t, and the embedded tokens that later windows read.
  template <class T>
  using State = typename Layer::template State<T>;

  template <class T>
  struct Workspace {
    typename Layer::template Workspace<T> layer;
    typename Unit::template Workspace<T> unit;
    Array<T, Layer::features, 1> token;    ///< embedded
    Array<T, Layer::outputs, 1> h, gated;  ///< h_t, n_t
  };

  template <class T, class Method = StoredHistory>
  struct GradientWorkspace {
    Workspace<T> forward;
    typename Layer::template GradientWorkspace<T, Method> layer;
    Array<T, Layer::features> tokens, tokens_bar;  ///< embedded
    Array<T, Layer::outputs, 1> gated_bar;
    State<T> state_bar;
  };

  template <class T>
  Parameters<T> parameters() const {
    return {embedding_.template parameters<T>(), layer_.template parameters<T>(), unit_.template parameters<T>(),
            output_.template parameters<T>()};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {embedding_.template coefficients<T>(), layer_.template coefficients<T>(), unit_.template coefficients<T>(),
            output_.template coefficients<T>()};
  }
  template <class T>
  State<T> initial_state() const {
    return layer_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    const Array<T, Layer::outputs, 1> of_layer(layer_.output_count(), 1);
    return {layer_.template workspace<T>(), unit_.template workspace<T>(),
            Array<T, Layer::features, 1>(layer_.feature_count(), 1), of_layer, of_layer};
  }
  template <class T, class Method = StoredHistory>
  GradientWorkspace<T, Method> gradient_workspace(Index windows, Index losses) const {
    const Array<T, Layer::features> tokens(layer_.feature_count(), Window::stride * (windows - 1) + Window::width);
    return {workspace<T>(), layer_.template gradient_workspace<T, Method>(windows, losses), tokens,
            tokens,         Array<T, Layer::outputs, 1>(layer_.output_count(), 1),          initial_state<T>()};
  }

  /// Draws random weights: the layer's, and from a second random stream those of the embedding, the unit and the
  /// output. `p` must be zeros.
  template <class P>
  void draw(Parameters<P>& p, std::uint64_t seed) const {
    layer_.draw(p.layer, seed);
    RandomStream<> stream(seed, 1);
    embedding_.draw(p.embedding, stream);
    unit_.draw(p.unit, stream);
    output_.draw(p.output, stream);
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    embedding_.prepare(p.embedding, c.embedding);
    layer_.prepare(p.layer, c.layer);
    unit_.prepare(p.unit, c.unit);
    output_.prepare(p.output, c.output);
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
    embedding_.prepare_vjp(p.embedding, c.embedding, c_bar.embedding, p_bar.embedding);
    layer_.prepare_vjp(p.layer, c.layer, c_bar.layer, p_bar.layer);
    unit_.prepare_vjp(p.unit, c.unit, c_bar.unit, p_bar.unit);
    output_.prepare_vjp(p.output, c.output, c_bar.output, p_bar.output);
  }

  /// Takes in one token. If the token completes a window, writes yhat_t to `prediction` and returns true.
  template <class P, class S>
  bool step(const Coefficients<P>& c, View<const S, 1, 1> token, State<S>& state, View<S, 1, 1> prediction,
            Workspace<S>& ws) const {
    expect_own("NonlinearSsm::step", c, state, ws);
    return take(c, token, static_cast<const S*>(nullptr), state, prediction, ws);
  }

  /// Predicts at the last k windows of a sequence, as `AugmentedSsm::forward`. Gives the same bits as `step`.
  template <class P, class S>
  void forward(const Coefficients<P>& c, const Sequence<S, 1>& sequence, State<S>& state, View<S, 1> predictions,
               Workspace<S>& ws) const {
    expect_own("NonlinearSsm::forward", c, state, ws);
    detail::expect_counts<typename Layer::Window>("NonlinearSsm::forward", state.window);
    const Index windows = layer_.window().completed(sequence.tokens.cols(), state.window);
    expect_mask(sequence, windows);
    const Index first = Layer::first_of_last(predictions.cols(), windows);
    Index t = 0;
    for (Index i = 0; i < sequence.tokens.cols(); ++i) {
      const View<S, 1, 1> wanted = t >= first && t < windows ? predictions.column(t - first) : View<S, 1, 1>::absent();
      if (take(c, View<const S, 1, 1>(sequence.tokens.column(i)), sequence.mask_of(t), state, wanted, ws)) ++t;
    }
  }

  /// Runs forward and back with the inputs' gradients, as `AugmentedSsm::vjp`; `tokens_bar` (1 x T) may be absent.
  /// Errors  std::invalid_argument: a workspace made for shorter sequences, arguments of other sizes
  template <class P, class S, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S, 1>& sequence, State<S>& state, Index k, Cotangent&& cotangent,
           Coefficients<S>& c_bar, State<S>& state_bar, View<S, 1> tokens_bar, GradientWorkspace<S, Method>& ws) const {
    const Index length = sequence.tokens.cols();
    if (length > ws.tokens.cols())
      refuse("NonlinearSsm::vjp", "the sequence has ", length, " tokens, the workspace room for ", ws.tokens.cols());
    expect_own("NonlinearSsm::vjp", c, state, ws.forward);
    expect_coefficients<S>("NonlinearSsm::vjp", c_bar);
    detail::expect_layer_state("NonlinearSsm::vjp", layer_, state_bar);
    detail::expect_extents("NonlinearSsm::vjp", Name{"workspace.tokens"}, ws.tokens, layer_.feature_count(),
                           ws.tokens.cols());
    if (tokens_bar.present())
      expect_equal("NonlinearSsm::vjp", "the number of columns of the tokens' cotangent", tokens_bar.cols(), length);
    const View<S, Layer::features> tokens = ws.tokens.view().columns(0, length);
    const View<S, Layer::features> pulled = ws.tokens_bar.view().columns(0, length);
    const auto token = [&](Index i) { return View<const S, 1, 1>(sequence.tokens.column(i)); };
    for (Index i = 0; i < length; ++i) embedding_.step(c.embedding, token(i), tokens.column(i));
    pulled.fill(S(0));
    layer_.vjp(
        c.layer, Sequence<S, Layer::features>{tokens, sequence.mask}, state, k,
        [&](Index j, View<const S, Layer::outputs, 1> of_layer, View<S, Layer::outputs, 1> g) {
          S prediction, prediction_bar;
          read_out(c, of_layer, View<S, 1, 1>(&prediction, 1, 1), ws.forward);
          cotangent(j, View<const S, 1, 1>(&prediction, 1, 1), View<S, 1, 1>(&prediction_bar, 1, 1));
          read_out_vjp(c, prediction_bar, c_bar, g, ws);
        },
        c_bar.layer, state_bar, pulled, ws.layer);
    for (Index i = 0; i < length; ++i)
      embedding_.step_vjp(c.embedding, token(i), View<const S, Layer::features, 1>(pulled.column(i)), c_bar.embedding,
                          tokens_bar.present() ? tokens_bar.column(i) : View<S, 1, 1>::absent());
  }

  /// The same without the inputs' gradients.
  template <class P, class S, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S, 1>& sequence, State<S>& state, Index k, Cotangent&& cotangent,
           Coefficients<S>& c_bar, GradientWorkspace<S, Method>& ws) const {
    ws.state_bar.window.tokens.fill(S(0));
    ws.state_bar.recurrence.memory.fill(S(0));
    vjp(c, sequence, state, k, cotangent, c_bar, ws.state_bar, View<S, 1>::absent(), ws);
  }

  /// Predicts at every window of one sequence; the last prediction is the query's. Checks its arguments and allocates.
  /// Shapes  tokens (1 x T)  ->  (1 x windows)
  /// Errors  std::invalid_argument: a wrong number of features or of tokens, an entry that is not finite
  template <class P, class Derived>
  Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> predict(const Parameters<P>& p,
                                                           const Eigen::MatrixBase<Derived>& tokens) const {
    return detail::predict_every_window<P>(*this, p, tokens);
  }

 private:
  template <class P>
  void expect_coefficients(const char* where, const Coefficients<P>& c) const {
    detail::expect_layer_coefficients<P>(where, layer_, c.layer);
    const Index f = layer_.feature_count(), m = layer_.output_count();
    detail::expect_extents(where, Name{"embedding.map"}, c.embedding.map, f, 1);
    detail::expect_extents(where, Name{"unit.map"}, c.unit.map, m, m);
    detail::expect_extents(where, Name{"output.map"}, c.output.map, 1, m);
  }
  template <class P, class S>
  void expect_own(const char* where, const Coefficients<P>& c, const State<S>& state, const Workspace<S>& ws) const {
    expect_coefficients<P>(where, c);
    detail::expect_layer_state(where, layer_, state);
    detail::expect_workspace(where, layer_, ws.layer);
    detail::expect_extents(where, Name{"workspace.token"}, ws.token, layer_.feature_count(), 1);
    detail::expect_extents(where, Name{"workspace.h"}, ws.h, layer_.output_count(), 1);
  }

  template <class S>
  static void expect_mask(const Sequence<S, 1>& sequence, Index windows) {
    if (sequence.mask.present()) expect_equal("NonlinearSsm", "the length of the mask", sequence.mask.size(), windows);
  }

  // Takes in one token. Predicts if it completes a window, unless `prediction` is absent.
  template <class P, class S>
  bool take(const Coefficients<P>& c, View<const S, 1, 1> token, const S* mask, State<S>& state,
            View<S, 1, 1> prediction, Workspace<S>& ws) const {
    embedding_.step(c.embedding, token, ws.token.view());
    if (!layer_.window().push(View<const S, Layer::features, 1>(ws.token.view()), state.window)) return false;
    const View<const S, Layer::features, Layer::Window::width> X = state.window.tokens.view();
    layer_.absorb(c.layer, X, mask, state.recurrence, ws.layer);
    if (prediction.present()) {
      layer_.gate().step(c.layer.gate, X, ws.layer.o.view(), ws.layer.gate);
      layer_.apply(c.layer, state.recurrence, View<const S, Layer::rows, 1>(ws.layer.o.view()), ws.h.view(), ws.layer);
      read_out(c, View<const S, Layer::outputs, 1>(ws.h.view()), prediction, ws);
    }
    layer_.window().slide(state.window);
    return true;
  }

  // (19) and (20). `of_layer` is the layer's prediction -h_t; it may be the workspace's h.
  template <class P, class S>
  void read_out(const Coefficients<P>& c, View<const S, Layer::outputs, 1> of_layer, View<S, 1, 1> prediction,
                Workspace<S>& ws) const {
    for (Index i = 0; i < of_layer.size(); ++i) ws.h[i] = -of_layer[i];
    unit_.step(c.unit, View<const S, Layer::outputs, 1>(ws.h.view()), ws.gated.view(), ws.unit);
    output_.step(c.output, View<const S, Layer::outputs, 1>(ws.gated.view()), prediction);
    prediction[0] = -prediction[0];
  }

  // VJP of `read_out`, right after it: with z = w^T n + b_3, z_bar = -yhat_bar, and the layer's prediction is -h.
  template <class P, class S, class Method>
  void read_out_vjp(const Coefficients<P>& c, const S& prediction_bar, Coefficients<S>& c_bar,
                    View<S, Layer::outputs, 1> g, GradientWorkspace<S, Method>& ws) const {
    const S z_bar = -prediction_bar;
    ws.gated_bar.fill(S(0));
    output_.step_vjp(c.output, View<const S, Layer::outputs, 1>(ws.forward.gated.view()),
                     View<const S, 1, 1>(&z_bar, 1, 1), c_bar.output, ws.gated_bar.view());
    unit_.step_vjp(c.unit, View<const S, Layer::outputs, 1>(ws.forward.h.view()),
                   View<const S, Layer::outputs, 1>(ws.gated_bar.view()), c_bar.unit, g, ws.forward.unit);
    for (Index i = 0; i < g.size(); ++i) g[i] = -g[i];
  }

  Layer layer_;
  Embedding embedding_;
  Unit unit_;
  Output output_;
  Window window_{1};
};

}  // namespace gdssm
