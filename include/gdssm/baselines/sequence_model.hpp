// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "gdssm/baselines/inputs.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {

/// Another sequence model in place of the augmented SSM: an encoder, a stack of layers with residual connections, and a
/// decoder. All but the layers is linear,
///     H_0 = E U,   H_l = H_{l-1} + layer_l(H_{l-1}),   yhat_t = D h_t                              (B1)
/// where U is what `Input` makes of a context (its windows, pairs, or local attention) and h_t is the column of H_depth
/// for which the prediction is made. It reads normal tokens and whole contexts of N pairs, without a state to carry on.
/// It is usable wherever an `AugmentedSsm` is trained or measured.
/// Shapes  tokens (f x (2N+1)), U (input size x T), E (width x input size), H_l (width x T), D (m x width)
/// Errors  std::invalid_argument: sizes below 1, contexts of another length, masks, columns without a prediction
/// Source  docs/baselines.md        VJP  `vjp`, for the parameters alone
template <SequenceInput Input, SequenceLayer Layer>
class SequenceModel {
 public:
  using Window = SlidingWindow<Dynamic, 3, 2>;
  static constexpr Index features = Dynamic;
  static constexpr Index outputs = Dynamic;
  static constexpr bool sensitive = false;  ///< whether `ForwardSensitivity` applies

  /// For contexts of this many pairs; predictions are as long as tokens.
  SequenceModel(Input input, Layer layer, Index context, Index depth)
      : window_(input.features()),
        input_(std::move(input)),
        layer_(std::move(layer)),
        context_(detail::expect_size("SequenceModel", "number of pairs", context)),
        depth_(detail::expect_size("SequenceModel", "depth", depth)) {}

  const Window& window() const { return window_; }
  const Input& input() const { return input_; }  ///< makes U
  const Layer& layer() const { return layer_; }
  Index depth() const { return depth_; }  ///< the number of layers
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

  /// Empty, since a context is read from beginning to end.
  template <class T>
  struct State {
    template <class Visitor, class... Self>
    static void visit(Visitor&&, Self&&...) {}
    friend bool operator==(const State&, const State&) = default;
  };

  template <class T>
  struct Workspace {
    Array<T> inputs, inputs_bar;                                ///< U
    std::vector<Array<T>> hidden;                               ///< H_0, ..., H_depth
    std::vector<typename Layer::template Workspace<T>> layers;  ///< of the layers, for `vjp`
    Array<T> change, hidden_bar;                                ///< of one layer; the cotangent on its way back
    Array<T> prediction, prediction_bar;
  };
  /// The same scratch serves `forward` and `vjp`; `Method` has no effect.
  template <class T, class Method = StoredHistory>
  using GradientWorkspace = Workspace<T>;

  template <class T>
  Parameters<T> parameters() const {
    return {input_.template parameters<T>(), zeros_in<InMatrices<T>>(layer_.width(), input_.size()),
            repeat(layer_.template parameters<T>()), zeros_in<InMatrices<T>>(output_count(), layer_.width())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {input_.template coefficients<T>(), Array<T>(layer_.width(), input_.size()),
            repeat(layer_.template coefficients<T>()), Array<T>(output_count(), layer_.width())};
  }
  template <class T>
  State<T> initial_state() const {
    return {};
  }
  template <class T>
  Workspace<T> workspace() const {
    const Index T_ = input_.length(context_), d = layer_.width();
    return {Array<T>(input_.size(), T_),
            Array<T>(input_.size(), T_),
            std::vector<Array<T>>(static_cast<std::size_t>(depth_ + 1), Array<T>(d, T_)),
            repeat(layer_.template workspace<T>(T_)),
            Array<T>(d, T_),
            Array<T>(d, T_),
            Array<T>(output_count(), 1),
            Array<T>(output_count(), 1)};
  }
  template <class T, class Method = StoredHistory>
  GradientWorkspace<T, Method> gradient_workspace(Index windows, Index losses) const {
    expect_equal("SequenceModel", "the number of pairs", windows, context_);
    expect_predictions(losses);
    return workspace<T>();
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
    c.encoder.matrix() = p.encoder;
    for (std::size_t l = 0; l < p.layers.size(); ++l) layer_.prepare(p.layers[l], c.layers[l]);
    c.decoder.matrix() = p.decoder;
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

  /// The predictions at the last k windows, where `predictions` has k columns.
  template <class P, class S>
  void forward(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>&, View<S> predictions,
               Workspace<S>& ws) const {
    expect_predictions(predictions.cols());
    expect_equal("SequenceModel", "the number of rows of the predictions", predictions.rows(), c.decoder.rows());
    run(c, sequence, ws);
    const Array<S>& last = ws.hidden.back();
    for (Index j = 0; j < predictions.cols(); ++j)
      kernels::multiply(c.decoder.view(), last.view().column(last.cols() - predictions.cols() + j),
                        predictions.column(j));
  }

  /// Forward and reverse in one call, like `AugmentedSsm::vjp`. The identities of (B1), last to first, with arrows for
  /// `+=`:  D_bar <- g h^T,  h_bar <- D^T g,  H_{l-1}_bar <- H_l_bar + layer_l's part,  E_bar <- H_0_bar U^T.
  template <class P, class S, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>&, Index k, Cotangent&& cotangent,
           Coefficients<S>& c_bar, Workspace<S>& ws) const {
    expect_predictions(k);
    run(c, sequence, ws);
    const Array<S>& last = ws.hidden.back();
    ws.hidden_bar.fill(S(0));
    for (Index j = 0; j < k; ++j) {
      const Index t = last.cols() - k + j;
      const View<const S, Dynamic, 1> h = last.view().column(t);
      kernels::multiply(c.decoder.view(), h, ws.prediction.view().column(0));
      cotangent(j, View<const S, Dynamic, 1>(ws.prediction.view()), View<S, Dynamic, 1>(ws.prediction_bar.view()));
      const View<const S> g = ws.prediction_bar.view();
      kernels::add_outer_products(g, View<const S>(h), c_bar.decoder.view());
      kernels::add_transposed(c.decoder.view(), g, View<S>(ws.hidden_bar.view().column(t)));
    }
    for (std::size_t l = c.layers.size(); l-- > 0;) {
      ws.change = ws.hidden_bar;
      layer_.vjp(c.layers[l], ws.hidden[l], ws.change, ws.hidden_bar, c_bar.layers[l], ws.layers[l]);
    }
    const View<const S> H_bar = ws.hidden_bar.view(), U = ws.inputs.view();
    kernels::add_outer_products(H_bar, U, c_bar.encoder.view());
    if constexpr (Input::trains) {
      ws.inputs_bar.fill(S(0));
      kernels::add_transposed(c.encoder.view(), H_bar, ws.inputs_bar.view());
      input_.read_vjp(c.input, sequence.tokens, ws.inputs_bar, c_bar.input);
    }
  }

  /// Predictions for one sequence: at every window, or at the last one only where the input gives no others.
  /// Shapes  tokens (f x (2N+1))  ->  (f x N) or (f x 1)
  /// Errors  std::invalid_argument: a wrong number of features or of tokens, an entry that is not finite
  template <class P, class Derived>
  Eigen::MatrixX<P> predict(const Parameters<P>& p, const Eigen::MatrixBase<Derived>& tokens) const {
    const Eigen::MatrixX<P> dense = tokens;
    expect_finite("predict", "token", dense);
    auto ws = workspace<P>();
    State<P> state;
    Eigen::MatrixX<P> predictions(output_count(), Input::every_window ? context_ : 1);
    forward<P, P>(prepare(p), {view_of(std::as_const(dense))}, state, view_of(predictions), ws);
    return predictions;
  }

 private:
  template <class T>
  std::vector<T> repeat(const T& value) const {
    return std::vector<T>(static_cast<std::size_t>(depth_), value);
  }

  void expect_predictions(Index k) const {
    const Index most = Input::every_window ? context_ : 1;
    if (k < 0 || k > most) refuse("SequenceModel", "predictions at the last ", k, " windows, expected 0 to ", most);
  }

  template <class P, class S>
  void run(const Coefficients<P>& c, const Sequence<S>& sequence, Workspace<S>& ws) const {
    expect_equal("SequenceModel", "the number of features", sequence.tokens.rows(), feature_count());
    expect_equal("SequenceModel", "the number of tokens", sequence.tokens.cols(), 2 * context_ + 1);
    if (sequence.mask.present()) refuse("SequenceModel", "there is a mask, expected contexts of one length");
    input_.read(c.input, sequence.tokens, ws.inputs);
    detail::map(c.encoder, ws.inputs, ws.hidden[0]);
    for (std::size_t l = 0; l < c.layers.size(); ++l) {
      layer_.forward(c.layers[l], ws.hidden[l], ws.change, ws.layers[l]);
      for (Index i = 0; i < ws.change.size(); ++i) ws.hidden[l + 1][i] = ws.hidden[l][i] + ws.change[i];
    }
  }

  Window window_;
  Input input_;
  Layer layer_;
  Index context_, depth_;
};

}  // namespace gdssm
