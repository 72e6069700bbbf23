// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "gdssm/blocks/concepts.hpp"
#include "gdssm/blocks/diagonal_recurrence.hpp"
#include "gdssm/blocks/local_attention.hpp"
#include "gdssm/blocks/output_gate.hpp"
#include "gdssm/blocks/readout.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/models/layer_checks.hpp"
#include "gdssm/models/layer_gradient.hpp"
#include "gdssm/models/predict.hpp"
#include "gdssm/models/sequence.hpp"

namespace gdssm {

/// The augmented state-space model: one slot an equation, each a type.
///     G_t = X_t^T A X_t                (1)  Attention
///     Z_t = L * Z_{t-1} + G_t          (2)  Recurrence
///     E_t = C Z_t^T                    (3)  Readout
///     yhat_t = -E_t o_t, o_t = X_t^T d (4)  Gate
/// yhat_t is the prediction after t windows. -E_t is the weight matrix of the implicit model; `implicit_weights`
/// returns it at any t. The reference's `logits` are E_t o_t, without the minus.
///
/// Parameters have the scalar type P. Tokens, states and predictions have the type S, which is P or lanes of P.
///
/// Shapes  tokens (Features x T); predictions (Outputs x k) at the last k windows: k = 1 is the query alone
/// Errors  std::invalid_argument: arguments of other sizes; slots that do not fit one another (static_assert where
///         sizes are fixed)
/// Source  Sushma et al., arXiv:2410.11687v1        VJP  `vjp`
template <class Attention = LocalAttention<>, class Recurrence = DiagonalRecurrence<>, class Readout = Readout<>,
          class Gate = OutputGate<>>
class AugmentedSsm {
  static_assert(!detail::expect_block<Attention>() || AttentionBlock<Attention>,
                "AugmentedSsm: the first slot must be an AttentionBlock: window(), step, step_vjp, sizes");
  static_assert(!detail::expect_block<Recurrence>() || RecurrenceBlock<Recurrence>,
                "AugmentedSsm: the second slot must be a RecurrenceBlock: step and step_vjp of one class, restart, "
                "state.memory, sizes");
  static_assert(!detail::expect_block<Readout>() || ReadoutBlock<Readout>,
                "AugmentedSsm: the third slot must be a ReadoutBlock: step, step_vjp, workspace.v, sizes");
  static_assert(!detail::expect_block<Gate>() || GateBlock<Gate>,
                "AugmentedSsm: the fourth slot must be a GateBlock: step, step_vjp, sizes");
  static_assert(Attention::rows == Recurrence::rows && Attention::cols == Recurrence::cols,
                "AugmentedSsm: the recurrence's state must have the size of what the attention hands it");
  static_assert(Recurrence::cols == Readout::cols,
                "AugmentedSsm: the readout must have as many columns as the recurrence's state");
  static_assert(Recurrence::rows == Gate::rows,
                "AugmentedSsm: the gate's output must be as long as the recurrence's state has rows");
  static_assert(Attention::Window::width == Gate::width && Attention::Window::size == Gate::features,
                "AugmentedSsm: the gate must read the window that the attention reads");

 public:
  using Window = typename Attention::Window;
  static constexpr Index features = Window::size;
  static constexpr Index rows = Recurrence::rows;
  static constexpr Index cols = Recurrence::cols;
  static constexpr Index outputs = Readout::outputs;
  static constexpr Index rank = Attention::rank;
  static constexpr bool sensitive = SensitiveRecurrence<Recurrence>;  ///< `ForwardSensitivity` is there for it

  /// One value for each slot: the slots' weights (`Parameters`), or what inner loops read (`Coefficients`). Gradients
  /// add up in coefficients.
  template <class AttentionPart, class RecurrencePart, class ReadoutPart, class GatePart>
  struct Slots {
    AttentionPart attention;
    RecurrencePart recurrence;
    ReadoutPart readout;
    GatePart gate;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("attention", visitor, self.attention...);
      visit_part("recurrence", visitor, self.recurrence...);
      visit_part("readout", visitor, self.readout...);
      visit_part("gate", visitor, self.gate...);
    }
  };
  template <class T>
  using Parameters = Slots<typename Attention::template Parameters<T>, typename Recurrence::template Parameters<T>,
                           typename Readout::template Parameters<T>, typename Gate::template Parameters<T>>;
  template <class T>
  using Coefficients =
      Slots<typename Attention::template Coefficients<T>, typename Recurrence::template Coefficients<T>,
            typename Readout::template Coefficients<T>, typename Gate::template Coefficients<T>>;

  /// All that later predictions depend on: Z_t, and the tokens that later windows read. A value.
  template <class T>
  struct State {
    typename Window::template State<T> window;
    typename Recurrence::template State<T> recurrence;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("window", visitor, self.window...);
      visit_part("recurrence", visitor, self.recurrence...);
    }
    template <class Visitor, class... Self>
    static void visit_counters(Visitor&& visitor, Self&&... self) {
      visit_counters_of_part("window", visitor, self.window...);
      visit_counters_of_part("recurrence", visitor, self.recurrence...);
    }
    friend bool operator==(const State&, const State&) = default;
  };

  /// Scratch of `step` and `forward`.
  template <class T>
  struct Workspace {
    typename Attention::template Workspace<T> attention;
    typename Recurrence::template Workspace<T> recurrence;
    typename Readout::template Workspace<T> readout;
    typename Gate::template Workspace<T> gate;
    Array<T, rows, 1> o;            ///< o_t of the last window
    Array<T, features> straddling;  ///< windows that begin with tokens of the state
  };

  /// Scratch of `vjp`.
  template <class T, class Method = StoredHistory>
  using GradientWorkspace = detail::LayerGradientWorkspace<AugmentedSsm, T, Method>;

  /// (1) and (2): takes in one window. Where `mask` is zero, a lane's state stays as it was; null: no mask.
  template <class P, class S>
  void absorb(const Coefficients<P>& c, View<const S, features, Window::width> X, const S* mask,
              typename Recurrence::template State<S>& state, Workspace<S>& ws) const {
    const Factors<const S, rows, cols, rank> G = attention_.step(c.attention, X, ws.attention);
    recurrence_.step(c.recurrence, G, mask, state, ws.recurrence);
  }

  /// -E_t o, the implicit model's answer to any vector o: (3), and (4) for o = o_t.
  template <class P, class S>
  void apply(const Coefficients<P>& c, const typename Recurrence::template State<S>& state, View<const S, rows, 1> o,
             View<S, outputs, 1> answer, Workspace<S>& ws) const {
    readout_.step(c.readout, View<const S, cols, rows>(state.memory.view()), o, answer, ws.readout);
  }

  /// (4): o_t of one window, then `apply`.
  template <class P, class S>
  void predict_window(const Coefficients<P>& c, View<const S, features, Window::width> X,
                      const typename Recurrence::template State<S>& state, View<S, outputs, 1> prediction,
                      Workspace<S>& ws) const {
    gate_.step(c.gate, X, ws.o.view(), ws.gate);
    apply(c, state, View<const S, rows, 1>(ws.o.view()), prediction, ws);
  }

  /// A layer whose sizes are all in the type.
  AugmentedSsm() requires(std::is_default_constructible_v<Attention>&& std::is_default_constructible_v<Recurrence>&&
                              std::is_default_constructible_v<Readout>&& std::is_default_constructible_v<Gate>)
      : AugmentedSsm(Attention(), Recurrence(), Readout(), Gate()) {}

  /// A layer of one size throughout, as in the paper.
  explicit AugmentedSsm(Index size) : AugmentedSsm(Attention(size), Recurrence(size), Readout(size), Gate(size)) {}

  AugmentedSsm(Attention attention, Recurrence recurrence, Readout readout, Gate gate)
      : attention_(std::move(attention)),
        recurrence_(std::move(recurrence)),
        readout_(std::move(readout)),
        gate_(std::move(gate)) {
    expect_equal("AugmentedSsm", "the number of rows of the state", recurrence_.row_count(), attention_.row_count());
    expect_equal("AugmentedSsm", "the number of columns of the state", recurrence_.col_count(), attention_.col_count());
    expect_equal("AugmentedSsm", "the number of columns of the readout", readout_.col_count(), recurrence_.col_count());
    expect_equal("AugmentedSsm", "the length of the gate's output", gate_.row_count(), recurrence_.row_count());
    expect_equal("AugmentedSsm", "the length of a token at the gate", gate_.feature_count(), feature_count());
  }

  const Attention& attention() const { return attention_; }
  const Recurrence& recurrence() const { return recurrence_; }
  const Readout& readout() const { return readout_; }
  const Gate& gate() const { return gate_; }
  const Window& window() const { return attention_.window(); }

  Index feature_count() const { return attention_.window().features(); }
  Index row_count() const { return recurrence_.row_count(); }
  Index col_count() const { return recurrence_.col_count(); }
  Index output_count() const { return readout_.output_count(); }

  template <class T>
  Parameters<T> parameters() const {
    return {attention_.template parameters<T>(), recurrence_.template parameters<T>(),
            readout_.template parameters<T>(), gate_.template parameters<T>()};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {attention_.template coefficients<T>(), recurrence_.template coefficients<T>(),
            readout_.template coefficients<T>(), gate_.template coefficients<T>()};
  }
  /// No token seen, Z_0 = 0.
  template <class T>
  State<T> initial_state() const {
    return {attention_.template initial_state<T>(), recurrence_.template initial_state<T>()};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {attention_.template workspace<T>(), recurrence_.template workspace<T>(),
            readout_.template workspace<T>(),   gate_.template workspace<T>(),
            Array<T, rows, 1>(row_count(), 1),  Array<T, features>(feature_count(), 2 * Window::width)};
  }
  /// For sequences of up to `windows` windows with a loss at up to `losses` of them.
  template <class T, class Method = StoredHistory>
  GradientWorkspace<T, Method> gradient_workspace(Index windows, Index losses) const {
    static_assert(std::is_same_v<Method, StoredHistory> || SensitiveRecurrence<Recurrence>,
                  "AugmentedSsm: this recurrence has no forward sensitivity, its gradient needs StoredHistory");
    return {*this, windows, losses};
  }

  /// Draws random weights: each slot draws its own, in the order of the slots, from random stream `number` of the seed.
  /// `p` must be zeros.
  template <class P>
  void draw(Parameters<P>& p, std::uint64_t seed, std::uint64_t number = 0) const {
    static_assert(DrawnBlock<Attention, P>, "draw: the first slot has no draw(p, stream)");
    static_assert(DrawnBlock<Recurrence, P>, "draw: the second slot has no draw(p, stream)");
    static_assert(DrawnBlock<Readout, P>, "draw: the third slot has no draw(p, stream)");
    static_assert(DrawnBlock<Gate, P>, "draw: the fourth slot has no draw(p, stream)");
    RandomStream<> stream(seed, number);
    draw(p, stream);
  }
  /// The same from a random stream.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    attention_.draw(p.attention, stream);
    recurrence_.draw(p.recurrence, stream);
    readout_.draw(p.readout, stream);
    gate_.draw(p.gate, stream);
  }

  /// Constructs the closed form (7) for the step size a: each slot fills in its part. `p` must be zeros.
  template <class P>
  void construct(Parameters<P>& p, const P& step) const {
    static_assert(ConstructedBlock<Attention, P>,
                  "construct: the first slot has no construct(p, step), a share of (7)");
    static_assert(ConstructedBlock<Recurrence, P>,
                  "construct: the second slot has no construct(p, step), a share of (7)");
    static_assert(ConstructedBlock<Readout, P>, "construct: the third slot has no construct(p, step), a share of (7)");
    static_assert(ConstructedBlock<Gate, P>, "construct: the fourth slot has no construct(p, step), a share of (7)");
    attention_.construct(p.attention, step);
    recurrence_.construct(p.recurrence, step);
    readout_.construct(p.readout, step);
    gate_.construct(p.gate, step);
  }

  /// Computes coefficients from parameters; called once an update.
  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    detail::expect_layer_coefficients<P>("AugmentedSsm::prepare", *this, c);
    attention_.prepare(p.attention, c.attention);
    recurrence_.prepare(p.recurrence, c.recurrence);
    readout_.prepare(p.readout, c.readout);
    gate_.prepare(p.gate, c.gate);
  }
  template <class P>
  Coefficients<P> prepare(const Parameters<P>& p) const {
    Coefficients<P> c = coefficients<P>();
    prepare(p, c);
    return c;
  }
  /// VJP of `prepare`; adds to `p_bar`.
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    detail::expect_layer_coefficients<P>("AugmentedSsm::prepare_vjp", *this, c);
    detail::expect_layer_coefficients<P>("AugmentedSsm::prepare_vjp", *this, c_bar);
    attention_.prepare_vjp(p.attention, c.attention, c_bar.attention, p_bar.attention);
    recurrence_.prepare_vjp(p.recurrence, c.recurrence, c_bar.recurrence, p_bar.recurrence);
    readout_.prepare_vjp(p.readout, c.readout, c_bar.readout, p_bar.readout);
    gate_.prepare_vjp(p.gate, c.gate, c_bar.gate, p_bar.gate);
  }

  /// Takes in one token. If the token completes a window, writes yhat_t to `prediction` and returns true. Gives the
  /// same bits as `forward`.
  template <class P, class S>
  bool step(const Coefficients<P>& c, View<const S, features, 1> token, State<S>& state, View<S, outputs, 1> prediction,
            Workspace<S>& ws) const {
    detail::expect_layer<P>("AugmentedSsm::step", *this, c, state, ws);
    expect_equal("AugmentedSsm::step", "the number of features of a token", token.size(), feature_count());
    expect_equal("AugmentedSsm::step", "the length of the prediction", prediction.size(), output_count());
    if (!window().push(token, state.window)) return false;
    const View<const S, features, Window::width> X = state.window.tokens.view();
    absorb(c, X, static_cast<const S*>(nullptr), state.recurrence, ws);
    predict_window(c, X, state.recurrence, prediction, ws);
    window().slide(state.window);
    return true;
  }

  /// Predicts at the last k of the windows that a sequence completes; `predictions` has k columns. `state` becomes the
  /// state after the sequence. A sequence may be cut anywhere: its parts in turn give the bits of the whole.
  template <class P, class S>
  void forward(const Coefficients<P>& c, const Sequence<S, features>& sequence, State<S>& state,
               View<S, outputs> predictions, Workspace<S>& ws) const {
    detail::expect_layer<P>("AugmentedSsm::forward", *this, c, state, ws);
    const auto windows = read(sequence, state.window, ws);
    const Index first = first_of_last(predictions.cols(), windows.count());
    if (predictions.cols() > 0)
      expect_equal("AugmentedSsm", "the number of rows of the predictions", predictions.rows(), output_count());
    for (Index t = 0; t < windows.count(); ++t) {
      absorb(c, windows[t], sequence.mask_of(t), state.recurrence, ws);
      if (t >= first) predict_window(c, windows[t], state.recurrence, predictions.column(t - first), ws);
    }
    windows.finish(window(), state.window);
  }

  /// Runs forward and back, (11); the `Method` of the workspace says whether L_bar is by history or by (12).
  /// At each of the last k windows calls `cotangent(j, yhat, g)`, j = 0..k-1. It must write g = d loss / d yhat, with
  /// zeros in lanes whose mask is zero. Adds d loss / d coefficients to `c_bar`. `state` changes as in `forward`; the
  /// loss must not depend on it.
  template <class P, class S, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S, features>& sequence, State<S>& state, Index k,
           Cotangent&& cotangent, Coefficients<S>& c_bar, GradientWorkspace<S, Method>& ws) const {
    LayerGradient (*this)(
        c, sequence, state, k, cotangent, c_bar, View<const S, cols, rows>::absent(),
        [](Index) { return View<S, features, Window::width>::absent(); }, ws);
  }

  /// The same with the inputs' gradients. Adds to `tokens_bar` (Features x T). `state_bar` is the cotangent of the last
  /// state on entry, and of the first state on return.
  template <class P, class S, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S, features>& sequence, State<S>& state, Index k,
           Cotangent&& cotangent, Coefficients<S>& c_bar, State<S>& state_bar, View<S, features> tokens_bar,
           GradientWorkspace<S, Method>& ws) const {
    detail::expect_layer_state("AugmentedSsm::vjp", *this, state);
    detail::expect_layer_state("AugmentedSsm::vjp", *this, state_bar);
    detail::expect_counts<Window>("AugmentedSsm::vjp", state.window);
    detail::expect_workspace("AugmentedSsm::vjp", *this, ws.backward);
    expect_equal("AugmentedSsm::vjp", "the number of rows of the tokens' cotangent", tokens_bar.rows(),
                 feature_count());
    expect_equal("AugmentedSsm::vjp", "the number of columns of the tokens' cotangent", tokens_bar.cols(),
                 sequence.tokens.cols());
    const detail::WindowedCotangent<Window, S> windows_bar(state.window,
                                                           window().windows(sequence.tokens.cols(), state.window),
                                                           state_bar.window, tokens_bar, ws.backward.straddling.view());
    LayerGradient (*this)(
        c, sequence, state, k, cotangent, c_bar, View<const S, cols, rows>(state_bar.recurrence.memory.view()),
        [&](Index t) { return windows_bar[t]; }, ws);
    detail::copy(View<const S, cols, rows>(ws.cotangent.view()), state_bar.recurrence.memory.view());
    windows_bar.finish(state_bar.window);
  }

  /// -E_t = -C Z_t^T, the factor of o_t in (4).
  /// Shapes  (Outputs x Rows)
  template <class P>
  detail::Matrix<P, outputs, rows> readout_weights(const Coefficients<P>& c, const State<P>& state) const {
    detail::expect_layer_coefficients<P>("AugmentedSsm::implicit_weights", *this, c);
    detail::expect_layer_state("AugmentedSsm::implicit_weights", *this, state);
    detail::Matrix<P, outputs, rows> E = detail::zeros<P, outputs, rows>(output_count(), row_count());
    readout_.add_readout(c.readout, View<const P, cols, rows>(state.recurrence.memory.view()), view_of(E));
    return -E;
  }

  /// The weights of the implicit model: -E_t, or -E_t P if the gate is preconditioned.
  /// Shapes  (Outputs x Rows), or (Outputs x Features) if the gate is preconditioned
  template <class P>
  auto implicit_weights(const Coefficients<P>& c, const State<P>& state) const {
    const auto W = readout_weights(c, state);
    if constexpr (requires { c.gate.P; })
      return detail::Matrix<P, outputs, features>(W * c.gate.P.matrix());
    else
      return W;
  }

  /// The state after the windows of `first` followed by those of `second`, which began at Z_0 = 0.
  template <class P, class S>
  State<S> merge(const Coefficients<P>& c, const State<S>& first, const State<S>& second) const {
    detail::expect_layer_coefficients<P>("AugmentedSsm::merge", *this, c);
    detail::expect_layer_state("AugmentedSsm::merge", *this, first);
    detail::expect_layer_state("AugmentedSsm::merge", *this, second);
    return {second.window, recurrence_.merge(c.recurrence, first.recurrence, second.recurrence)};
  }

  /// Predicts at every window of one sequence; the last prediction is the query's. Checks its arguments and allocates.
  /// Shapes  tokens (Features x T)  ->  (Outputs x windows)
  /// Errors  std::invalid_argument: a wrong number of features or of tokens, an entry that is not finite
  template <class P, class Derived>
  Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> predict(const Parameters<P>& p,
                                                           const Eigen::MatrixBase<Derived>& tokens) const {
    return detail::predict_every_window<P>(*this, p, tokens);
  }

  // For models that are made of several such layers.

  /// The windows that a sequence completes after `state`.
  /// Errors  std::invalid_argument: tokens of another height, a mask of another length, a state that no sequence leads
  /// to
  template <class S>
  detail::WindowedSequence<Window, S> read(const Sequence<S, features>& sequence,
                                           const typename Window::template State<S>& state, Workspace<S>& ws) const {
    expect_equal("AugmentedSsm", "the number of features", sequence.tokens.rows(), feature_count());
    detail::expect_counts<Window>("AugmentedSsm", state);
    const detail::WindowedSequence<Window, S> windows(window(), state, sequence.tokens, ws.straddling.view());
    if (sequence.mask.present())
      expect_equal("AugmentedSsm", "the length of the mask", sequence.mask.size(), windows.count());
    return windows;
  }

  /// The index of the first of the last k of n windows.        Errors  std::invalid_argument: k < 0, k > n
  static Index first_of_last(Index k, Index n) {
    if (k < 0 || k > n) refuse("AugmentedSsm", "predictions at the last ", k, " windows, expected 0 to ", n);
    return n - k;
  }

 private:
  Attention attention_;
  Recurrence recurrence_;
  Readout readout_;
  Gate gate_;
};

/// The paper's layer: windows of 3 tokens with stride 2, one size throughout, and zero-order hold unless said
/// otherwise.
template <Index Features = Dynamic, class Discretization = ZeroOrderHold>
using PaperLayer = AugmentedSsm<LocalAttention<Features>, DiagonalRecurrence<Features, Features, Discretization>,
                                Readout<Features>, OutputGate<Features>>;

}  // namespace gdssm
