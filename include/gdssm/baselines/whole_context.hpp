// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "gdssm/baselines/sequence_layer.hpp"

namespace gdssm {

/// A layer that answers every column of a context from its state after the last, as if each had come after all others:
/// it goes through the context to write, and through it again to read. Linear attention, (B6) with the products as
/// weights, is a learning rule read so.
///     `Layer`  a `CausalLayer` whose masked columns are answered and not written
/// Shapes  as `Layer`        VJP  `vjp`
template <CausalLayer Layer>
class WholeContext : public Layer {
  using Base = Layer;
  template <class T>
  using Inner = typename Layer::template State<T>;

 public:
  static constexpr bool sensitive = false;  ///< whether `ForwardSensitivity` applies
  template <class T>
  using Coefficients = typename Layer::template Coefficients<T>;
  template <class T>
  using State = Stateless::State<T>;

  /// For contexts of so many pairs at most, and a query.
  WholeContext(Layer layer, Index pairs)
      : Layer(std::move(layer)), pairs_(detail::expect_size("WholeContext", "number of pairs", pairs)) {}

  Index context() const { return pairs_ + 1; }  ///< columns of the longest context

  template <class T>
  struct Workspace {
    typename Layer::template Workspace<T> layer;
    Inner<T> first, state;
    Array<T> nothing_written;  ///< a mask of zeros
  };
  template <class T, class Method = StoredHistory>
  struct GradientWorkspace {
    Workspace<T> forward;
    typename Layer::template GradientWorkspace<T> layer;
    Inner<T> state_bar;
  };
  template <class T>
  State<T> initial_state() const {
    return {};
  }
  template <class T>
  Workspace<T> workspace() const {
    const auto state = Layer::template initial_state<T>();
    return {Layer::template workspace<T>(), state, state, Array<T>(1, context())};
  }
  template <class T, class Method = StoredHistory>
  GradientWorkspace<T, Method> gradient_workspace(Index length, Index losses) const {
    return {workspace<T>(), Layer::template gradient_workspace<T>(length, losses), Layer::template initial_state<T>()};
  }

  /// A context has no single columns.
  void step() const = delete;

  /// The outputs at the last k columns of a context.        Errors  std::invalid_argument: too long a context
  template <class P, class S>
  void forward(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>&, View<S> predictions,
               Workspace<S>& ws) const {
    write(c, sequence, ws);
    Layer::forward(c, read(sequence, ws), ws.state, predictions, ws.layer);
  }

  /// Forward and reverse in one, with the inputs' gradients, as `AugmentedSsm::vjp`: of the second time through, then
  /// of the first.
  template <class P, class S, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>&, Index k, Cotangent&& cotangent,
           Coefficients<S>& c_bar, State<S>&, View<S> tokens_bar, GradientWorkspace<S, Method>& ws) const {
    write(c, sequence, ws.forward);
    fill(ws.state_bar, S(0));
    Layer::vjp(c, read(sequence, ws.forward), ws.forward.state, k, cotangent, c_bar, ws.state_bar, tokens_bar,
               ws.layer);
    ws.forward.state = ws.forward.first;
    Layer::vjp(c, sequence, ws.forward.state, 0, cotangent, c_bar, ws.state_bar, tokens_bar, ws.layer);
  }

 private:
  template <class P, class S>
  void write(const Coefficients<P>& c, const Sequence<S>& sequence, Workspace<S>& ws) const {
    if (sequence.tokens.cols() > pairs_ + 1)
      refuse("WholeContext", "the context has ", sequence.tokens.cols(), " columns, expected at most ", pairs_ + 1);
    ws.state = ws.first;
    Layer::forward(c, sequence, ws.state, View<S>(nullptr, this->output_count(), 0), ws.layer);
  }
  template <class S>
  static Sequence<S> read(const Sequence<S>& sequence, const Workspace<S>& ws) {
    return {sequence.tokens, detail::first(ws.nothing_written, sequence.tokens.cols())};
  }

  Index pairs_;
};

}  // namespace gdssm
