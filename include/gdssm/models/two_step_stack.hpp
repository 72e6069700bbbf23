// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/models/horner_stack.hpp"

namespace gdssm {

/// The reference's two-step model with its residual connection, to reproduce the reference's figures. Its layers are
/// E_0, E_1 and E_2. With rows counted from 0, its logits are the inputs in rows 0..N, and in row N + t, t = 1..N, the
/// input plus
///     (E_0(t) + E_0(N) E_1(t) + E_2(t)) X_t^T d_2.
/// Predictions are -logits. At t = N the bracket is `HornerStack` with K = 2. With weights of the form (7) the last
/// prediction is therefore W_2 q - q: the residual adds an error of -q. For t < N the model is not causal, because
/// E_0(N) reads all windows; so it has no `step`. `HornerStack` takes two steps without these faults.
/// Shapes  tokens (f x (2N+1)), predictions (f x (2N+1)), or (f x 1): the last row
/// Source  arXiv:2410.11687v1 (code); docs/theory.md, the reference's two-step stack        VJP  `vjp`
template <class Layer = PaperLayer<>>
class TwoStepStack {
  static_assert(Layer::Window::width == 3 && Layer::Window::stride == 2,
                "TwoStepStack: the window must have width 3 and stride 2");
  static_assert(Layer::outputs == Layer::features, "TwoStepStack: outputs and tokens must have one size");
  using Stack = HornerStack<Layer>;

 public:
  static constexpr Index features = Layer::features;
  static constexpr Index outputs = Layer::outputs;
  static constexpr bool sensitive = Layer::sensitive;  ///< `ForwardSensitivity` is there for it

  explicit TwoStepStack(Layer layer) : stack_(std::move(layer), 2) {}

  /// The causal stack of the same three layers, without the residual.
  const Stack& without_residual() const { return stack_; }
  Index feature_count() const { return stack_.feature_count(); }
  Index output_count() const { return stack_.output_count(); }
  const typename Stack::Window& window() const { return stack_.window(); }

  template <class T>
  using Parameters = typename Stack::template Parameters<T>;
  template <class T>
  using Coefficients = typename Stack::template Coefficients<T>;
  template <class T>
  using State = typename Stack::template State<T>;
  template <class T>
  using Workspace = typename Stack::template Workspace<T>;
  template <class T, class Method = StoredHistory>
  using GradientWorkspace = typename Stack::template GradientWorkspace<T, Method>;

  template <class T>
  Parameters<T> parameters() const {
    return stack_.template parameters<T>();
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return stack_.template coefficients<T>();
  }
  template <class T>
  State<T> initial_state() const {
    return stack_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    return stack_.template workspace<T>();
  }
  template <class T, class Method = StoredHistory>
  GradientWorkspace<T, Method> gradient_workspace(Index windows, Index losses) const {
    return stack_.template gradient_workspace<T, Method>(windows, losses);
  }

  /// Draws random weights, as `HornerStack::draw`.
  template <class P>
  void draw(typename Stack::template Parameters<P>& p, std::uint64_t seed) const {
    stack_.draw(p, seed);
  }
  template <class P>
  void prepare(const typename Stack::template Parameters<P>& p, typename Stack::template Coefficients<P>& c) const {
    stack_.prepare(p, c);
  }
  template <class P>
  Coefficients<P> prepare(const typename Stack::template Parameters<P>& p) const {
    return stack_.prepare(p);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    stack_.prepare_vjp(p, c, c_bar, p_bar);
  }

  /// Writes all 2N+1 rows, or only the last if `predictions` has one column; rows are columns here. For all rows it
  /// runs the sequence twice from `first`, because each reads E_0(N). Allocates states.
  template <class P, class T>
  void forward(const Coefficients<P>& c, const Sequence<T, features>& sequence, const State<T>& first,
               View<T, outputs> predictions, Workspace<T>& ws) const {
    const Layer& layer = stack_.layer();
    const Index length = sequence.tokens.cols();
    stack_.expect_own("TwoStepStack::forward", c, first, ws.layer);
    detail::expect_extents("TwoStepStack::forward", Name{"workspace.answer"}, ws.answer, output_count(), 1);
    expect_equal("TwoStepStack::forward", "the number of rows of the predictions", predictions.rows(), output_count());
    if (predictions.cols() == 1 && length > 1) {
      State<T> state = first;
      stack_.forward(c, sequence, state, predictions, ws);
      for (Index i = 0; i < predictions.size(); ++i) predictions[i] -= sequence.tokens(i, length - 1);
      return;
    }
    expect_equal("TwoStepStack::forward", "the number of columns of the predictions", predictions.cols(), length);
    window().windows(length, first.window);  // refuses tokens left over
    const auto windows = layer.read(sequence, first.window, ws.layer);
    const Index n = windows.count();

    State<T> last = first, state = first;
    for (Index t = 0; t < n; ++t) layer.absorb(c.layers[0], windows[t], sequence.mask_of(t), last.layers[0], ws.layer);

    for (Index r = 0; r < length; ++r)
      for (Index i = 0; i < feature_count(); ++i) predictions(i, r) = -sequence.tokens(i, r);
    Array<T, features, 1> E_1_o(feature_count(), 1);
    const View<const T, features, 1> o = ws.layer.o.view();
    const auto add_answer = [&](std::size_t l, const auto& of, View<const T, features, 1> to, View<T, outputs, 1> row) {
      layer.apply(c.layers[l], of.layers[l], to, ws.answer.view(), ws.layer);
      detail::add(View<const T, outputs, 1>(ws.answer.view()), row);
    };
    for (Index t = 0; t < n; ++t) {
      for (std::size_t l = 0; l < 3; ++l)
        layer.absorb(c.layers[l], windows[t], sequence.mask_of(t), state.layers[l], ws.layer);
      layer.gate().step(c.layers[2].gate, windows[t], ws.layer.o.view(), ws.layer.gate);
      const View<T, outputs, 1> row = predictions.column(length - n + t);
      add_answer(0, state, o, row);
      add_answer(2, state, o, row);
      layer.apply(c.layers[1], state.layers[1], o, ws.answer.view(), ws.layer);
      for (Index i = 0; i < E_1_o.size(); ++i) E_1_o[i] = -ws.answer[i];
      add_answer(0, last, View<const T, features, 1>(E_1_o.view()), row);
    }
  }

  /// Runs forward and back for a loss on the last row, yhat = (two Horner steps) - x_{N+1}, as `AugmentedSsm::vjp`. The
  /// reference's loss is on that row alone, so k must be 1.
  template <class P, class T, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<T, features>& sequence, State<T>& state, Index k,
           Cotangent&& cotangent, Coefficients<T>& c_bar, GradientWorkspace<T, Method>& ws) const {
    expect_equal("TwoStepStack::vjp", "the number of rows with a loss", k, Index(1));
    detail::expect_extents("TwoStepStack::vjp", Name{"workspace.answer_bar"}, ws.answer_bar, output_count(), 1);
    // Scratch that the stack does not use while it calls `cotangent`.
    const View<T, outputs, 1> prediction = ws.answer_bar.view();
    const Index query = sequence.tokens.cols() - 1;
    stack_.vjp(
        c, sequence, state, 1,
        [&](Index j, View<const T, outputs, 1> steps, View<T, outputs, 1> g) {
          for (Index i = 0; i < steps.size(); ++i) prediction[i] = steps[i] - sequence.tokens(i, query);
          cotangent(j, View<const T, outputs, 1>(prediction), g);
        },
        c_bar, ws);
  }

  /// Predicts all 2N+1 rows of one sequence. Checks its arguments and allocates.
  /// Errors  std::invalid_argument: a wrong number of features or of tokens, an entry that is not finite
  template <class P, class Derived>
  Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> predict(const typename Stack::template Parameters<P>& p,
                                                           const Eigen::MatrixBase<Derived>& tokens) const {
    expect_equal("predict", "the number of features of a token", tokens.rows(), feature_count());
    expect_shapes("predict", parameters<P>(), p);
    const Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> dense = tokens;
    expect_finite("predict", "token", dense);
    Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> predictions(output_count(), dense.cols());
    auto ws = workspace<P>();
    forward<P, P>(stack_.prepare(p), {view_of(dense)}, initial_state<P>(), view_of(predictions), ws);
    return predictions;
  }

 private:
  Stack stack_;
};

}  // namespace gdssm
