// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "gdssm/blocks/hand_on.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/processes.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/models/sequence.hpp"

namespace gdssm {

namespace detail {

/// Columns of a sequence, for `send_value`.
template <class S, Index Features>
struct SentColumns {
  Array<S, Features> columns;

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"columns"}, self.columns...);
  }
};

}  // namespace detail

/// A layer along one long sequence that several processes share. The sequence is cut into pieces of neighbouring
/// windows, and a process has neighbouring pieces.
///     Z_1 = F_1 * Z_0 + U_1,   Z_2 = F_2 * Z_1 + U_2, ...
/// Each process computes the summaries (22a) of its pieces: U_p, the state after piece p from Z = 0, and F_p, the
/// product of its decays. The states before the pieces are handed on in order, and each piece is run again from its
/// own. The VJP does the same backward with the state's cotangent, for which F_p is the same, since it acts on each
/// entry by itself. `forward` costs two of the layer's, and `vjp` two of each.
///     const SharedLayerPass<PaperLayer<>, float> pass(layer, windows, 64, world);
///     pass.forward(c, tokens, state, predictions);  // tokens number pass.tokens(), predictions number pass.windows()
/// Results are those of the layer's `forward` and `vjp` up to rounding, and the same bits on any number of processes.
///     `Layer`  an AugmentedSsm with `merge` whose decays act on each entry: DiagonalRecurrence, SelectiveRecurrence
/// Shapes  tokens (Features x tokens().count), predictions (Outputs x windows().count), of this process
/// Errors  std::invalid_argument: pieces that are shorter than a window's overlap, or more of them than windows;
///         arguments of other sizes; a first state that has read tokens
template <class Layer, class S>
class SharedLayerPass {
  using Window = typename Layer::Window;
  static constexpr Index features = Layer::features, outputs = Layer::outputs;
  static constexpr Index overlap = Window::width > Window::stride ? Window::width - Window::stride : 0;

 public:
  using State = typename Layer::template State<S>;

  /// For a sequence of `windows` windows. All processes must make the same.
  SharedLayerPass(const Layer& layer, Index windows, Index pieces, Processes& processes)
      : layer_(layer), count_(windows), pieces_(pieces), processes_(processes) {
    if (pieces < 1 || windows / pieces < 1 || windows / pieces * Window::stride < overlap)
      refuse("SharedLayerPass", windows, " windows in ", pieces,
             " pieces, expected pieces of at least a window, and as long as windows overlap");
    mine_ = items_of(processes.rank(), pieces, processes.size());
  }

  /// The windows of this process.
  ItemRange windows() const { return windows_of(mine_.first, mine_.end()); }
  /// The tokens that this process reads. The first ones are the last ones of the process before, where windows overlap.
  ItemRange tokens() const { return tokens_of(windows()); }

  /// Predicts at all windows of this process. `state` is the one before the sequence on entry, and the one after it on
  /// return, on every process.
  template <class P>
  void forward(const typename Layer::template Coefficients<P>& c, View<const S, features> tokens, State& state,
               View<S, outputs> predictions) const {
    expect_equal("SharedLayerPass::forward", "the number of windows of the predictions", predictions.cols(),
                 windows().count);
    auto ws = layer_.template workspace<S>();
    State last = state;
    const std::vector<State> starts = starts_of(c, last, summaries_of(c, tokens, ws));
    for (Index p = mine_.first; p < mine_.end(); ++p) {
      last = starts[own(p)];
      const ItemRange some = windows_of(p, p + 1);
      layer_.forward(c, piece(tokens, p), last, predictions.columns(some.first - windows().first, some.count), ws);
    }
    broadcast_value(processes_, last, owner_of(pieces_ - 1, pieces_, processes_.size()));
    state = last;
  }

  /// VJP of `forward` from the state `first`. At each window of this process calls `cotangent(j, yhat, g)`, j = 0, ...,
  /// windows().count - 1, twice, which must write g = d loss / d yhat. Adds the derivative by the coefficients to
  /// `c_bar`, the same on every process, and that by this process's tokens to `tokens_bar`. `memory_bar` is the
  /// cotangent of the recurrence's state after the sequence on entry, and before it on return, on every process.
  template <class P, class Cotangent>
  void vjp(const typename Layer::template Coefficients<P>& c, View<const S, features> tokens, const State& first,
           Cotangent&& cotangent, typename Layer::template Coefficients<S>& c_bar,
           typename Layer::template State<S>& memory_bar, View<S, features> tokens_bar) const {
    expect_equal("SharedLayerPass::vjp", "the number of columns of the tokens' cotangent", tokens_bar.cols(),
                 tokens.cols());
    auto forward_ws = layer_.template workspace<S>();
    State last = first;
    std::vector<State> summaries = summaries_of(c, tokens, forward_ws);
    const std::vector<State> starts = starts_of(c, last, summaries);

    const auto zero = layer_.template coefficients<S>();
    Array<S, features> sum(tokens.rows(), tokens.cols());
    auto ws = layer_.template gradient_workspace<S>(longest(), longest());
    const auto pull = [&](Index p, State& state_bar, auto& piece_bar, View<S, features> piece_tokens_bar) {
      const Index before = windows_of(p, p + 1).first - windows().first;
      State state = starts[own(p)];
      layer_.vjp(
          c, piece(tokens, p), state, windows_of(p, p + 1).count,
          [&](Index j, auto yhat, auto g) { cotangent(before + j, yhat, g); }, piece_bar, state_bar, piece_tokens_bar,
          ws);
      return state;
    };

    // V_p: the cotangent before a piece if that after it is zero. Beside the piece's decays it takes the place of U_p.
    for (Index p = mine_.first; p < mine_.end(); ++p) {
      State bar = layer_.template initial_state<S>();
      auto unused = zero;
      Array<S, features> no_tokens(tokens.rows(), piece(tokens, p).tokens.cols());
      pull(p, bar, unused, no_tokens.view());
      summaries[own(p)].recurrence.memory = bar.recurrence.memory;
    }
    std::vector<State> ends(starts.size(), memory_bar);
    State bar = memory_bar;
    hand_back(pieces_, processes_, bar, [&](Index p, State& at) {
      ends[own(p)] = at;
      at.recurrence = layer_.recurrence().merge(c.recurrence, at.recurrence, summaries[own(p)].recurrence);
    });

    std::vector<typename Layer::template Coefficients<S>> parts(starts.size(), zero);
    State first_bar = memory_bar;
    for (Index p = mine_.end(); p-- > mine_.first;) {
      first_bar = layer_.template initial_state<S>();
      first_bar.recurrence.memory = ends[own(p)].recurrence.memory;
      const ItemRange range = tokens_of(windows_of(p, p + 1));
      Array<S, features> bar_of_piece(tokens.rows(), range.count);  // added as a whole, for the same bits everywhere
      pull(p, first_bar, parts[own(p)], bar_of_piece.view());
      const View<S, features> to = sum.view().columns(range.first - this->tokens().first, range.count);
      for (Index i = 0; i < to.size(); ++i) to[i] = to[i] + bar_of_piece[i];
    }
    broadcast_value(processes_, first_bar, 0);
    memory_bar.recurrence.memory = first_bar.recurrence.memory;
    const auto whole = sum_of_pieces(pieces_, processes_, parts, zero);
    visit(
        [](const Name&, auto& to, const auto& part) {
          for (Index i = 0; i < to.size(); ++i) to.data()[i] = to.data()[i] + part.data()[i];
        },
        c_bar, whole);
    add_overlaps(sum);
    for (Index i = 0; i < sum.size(); ++i) tokens_bar[i] = tokens_bar[i] + sum[i];
  }

 private:
  std::size_t own(Index p) const { return static_cast<std::size_t>(p - mine_.first); }
  ItemRange windows_of(Index begin, Index end) const {
    const Index first = items_of(begin, count_, pieces_).first;
    return {first, items_of(end, count_, pieces_).first - first};
  }
  static ItemRange tokens_of(const ItemRange& windows) {
    if (windows.count == 0) return {windows.first * Window::stride, 0};
    return {windows.first * Window::stride, (windows.count - 1) * Window::stride + Window::width};
  }
  Index longest() const { return (count_ + pieces_ - 1) / pieces_; }

  Sequence<S, features> piece(View<const S, features> tokens, Index p) const {
    const ItemRange range = tokens_of(windows_of(p, p + 1));
    return {tokens.columns(range.first - this->tokens().first, range.count)};
  }

  /// The states after this process's pieces from Z = 0, which know their decays too.
  template <class P, class Workspace>
  std::vector<State> summaries_of(const typename Layer::template Coefficients<P>& c, View<const S, features> tokens,
                                  Workspace& ws) const {
    expect_equal("SharedLayerPass", "the number of tokens", tokens.cols(), this->tokens().count);
    std::vector<State> summaries;
    for (Index p = mine_.first; p < mine_.end(); ++p) {
      summaries.push_back(layer_.template initial_state<S>());
      layer_.forward(c, piece(tokens, p), summaries.back(), View<S, outputs>(nullptr, layer_.output_count(), 0), ws);
    }
    return summaries;
  }
  /// The states before this process's pieces; `state` becomes that after the last of all.
  template <class P>
  std::vector<State> starts_of(const typename Layer::template Coefficients<P>& c, State& state,
                               const std::vector<State>& summaries) const {
    if (state.window.held != 0 || state.window.skip != 0)
      refuse("SharedLayerPass", "the first state has read tokens of a window, expected none");
    std::vector<State> starts;
    hand_on(pieces_, processes_, state, [&](Index p, State& at) {
      starts.push_back(at);
      at.recurrence = layer_.recurrence().merge(c.recurrence, at.recurrence, summaries[own(p)].recurrence);
    });
    return starts;
  }

  // Tokens that two processes read have a cotangent from each.
  void add_overlaps(Array<S, features>& sum) const {
    if (overlap == 0 || processes_.size() == 1 || mine_.count == 0) return;
    const Index size = processes_.size();
    using Columns = detail::SentColumns<S, features>;
    const auto of = [&](Index first) {
      Columns some{Array<S, features>(sum.rows(), overlap)};
      for (Index j = 0; j < overlap; ++j)
        for (Index i = 0; i < sum.rows(); ++i) some.columns(i, j) = sum(i, first + j);
      return some;
    };
    const auto add = [&](const Columns& some, Index first) {
      for (Index j = 0; j < overlap; ++j)
        for (Index i = 0; i < sum.rows(); ++i) sum(i, first + j) = sum(i, first + j) + some.columns(i, j);
    };
    const Columns head = of(0), tail = of(sum.cols() - overlap);
    const bool has_before = mine_.first > 0, has_after = mine_.end() < pieces_;
    const Index before = has_before ? owner_of(mine_.first - 1, pieces_, size) : 0,
                after = has_after ? owner_of(mine_.end(), pieces_, size) : 0;
    // Down the ranks first, then up: nobody waits for somebody who waits.
    Columns from_after = tail, from_before = head;
    if (has_after) receive_value(processes_, from_after, after);
    if (has_before) send_value(processes_, head, before);
    if (has_before) receive_value(processes_, from_before, before);
    if (has_after) send_value(processes_, tail, after);
    if (has_after) add(from_after, sum.cols() - overlap);
    if (has_before) add(from_before, 0);
  }

  Layer layer_;
  Index count_, pieces_;
  Processes& processes_;
  ItemRange mine_{};
};

}  // namespace gdssm
