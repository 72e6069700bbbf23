// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// The base of rules that descend in mini-batches of tokens.
/// Errors  std::invalid_argument: a batch of less than one token
template <Index Keys, Index Values>
class MiniBatchMemory : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  Index batch() const { return batch_; }  ///< the number of tokens in a mini-batch

  template <class Storage>
  struct Token : KeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, 1, 1> eta;    ///< weight of this token
    MatrixIn<Storage, 1, 1> theta;  ///< step that the batch so far takes

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      KeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"eta"}, self.eta...);
      visitor(Name{"theta"}, self.theta...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template key_value<Storage>(), Base::template number<Storage>(), Base::template number<Storage>()};
  }

 protected:
  /// For the derived rule, whose name stands in errors.
  MiniBatchMemory(const char* rule, Index key_count, Index value_count, Index batch)
      : Base(key_count, value_count), batch_(batch) {
    if (batch <= 0) refuse(rule, "the batch is ", batch, ", expected at least 1");
  }

 private:
  Index batch_;
};

/// TTT-linear without norm, bias and residual: descent in mini-batches of `batch` tokens, S_n the memory before one,
///     S_t = S_n + theta_t sum_{s <= t in batch} eta_s (v_s - S_n k_s) k_s^T                           (41)
/// theta_t times one step on sum_s eta_s/2 |v_s - S k_s|^2 at S_n. The next batch begins with the last S_t.
/// Shapes  as `MatrixMemory`; eta, theta one number each
/// Errors  std::invalid_argument: a batch of less than one token
/// Source  Sun et al., arXiv:2407.04620        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class TttLinear : public MiniBatchMemory<Keys, Values> {
  using Base = MiniBatchMemory<Keys, Values>;

 public:
  /// A rule whose mini-batches have `batch` tokens.
  TttLinear(Index key_count, Index value_count, Index batch) : Base("TttLinear", key_count, value_count, batch) {}
  template <class Storage>
  using Token = typename Base::template Token<Storage>;

  template <class T>
  struct State {
    Array<T, Values, Keys> memory;   ///< S_t
    Array<T, Values, Keys> start;    ///< S_n
    Array<T, Values, Keys> descent;  ///< G = sum eta_s (v_s - S_n k_s) k_s^T, minus the batch's gradient so far
    Index position = 0;              ///< in the batch; at 0 `start` and `descent` are not read

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
      visitor(Name{"start"}, self.start...);
      visitor(Name{"descent"}, self.descent...);
    }
    template <class Visitor, class... Self>
    static void visit_counters(Visitor&& visitor, Self&&... self) {
      visitor(Name{"position"}, self.position...);
    }
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  State<T> initial_state() const {
    return {this->template memory<T>(), this->template memory<T>(), this->template memory<T>()};
  }

  /// Refuses a state within a batch, where a stretch neither begins nor ends.
  template <class T>
  void expect_whole(const State<T>& state) const {
    if (state.position != 0)
      refuse("TttLinear", "a stretch begins or ends after token ", state.position,
             " of a batch, expected after its last");
  }
  /// What a stretch does to the memory, a whole number of batches.
  template <class T>
  using LinearPart = RightFactor<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, State<S>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    if (state.position == 0) {
      state.start = state.memory;
      state.descent.fill(S(0));
    }
    error(state.start, x.k, x.v, ws.y);
    write_rated(x.eta, ws.y, x.k, state.descent, ws);
    state.memory = state.start;
    add_scaled(x.theta[0], state.descent, state.memory);
    state.position = (state.position + 1) % this->batch();
  }
  /// VJP of `step`: with G_t the descent after it and R_n, R_G the cotangents of S_n and G,
  ///     R_n += R,   theta_bar += sum R * G_t,   R_G += theta R,   and with e = v - S_n k
  ///     eta_bar += e^T R_G k,   e_bar = eta R_G k,   v_bar += e_bar,   k_bar += eta R_G^T e - S_n^T e_bar,
  ///     R_n -= e_bar k^T
  /// At the first token of a batch R <- R_n, else R <- 0.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, const State<S>& before,
                State<S>& state_bar, NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar,
                MatrixWorkspace<S, Keys, Values>& ws) const {
    const bool first = before.position == 0;
    const Array<S, Values, Keys>& start = first ? before.memory : before.start;
    error(start, x.k, x.v, ws.y);
    ws.decayed.fill(S(0));
    if (!first) ws.decayed = before.descent;
    write_rated(x.eta, ws.y, x.k, ws.decayed, ws);

    add(state_bar.memory, state_bar.start);
    add_dot(state_bar.memory, ws.decayed, x_bar.theta);
    add_scaled(x.theta[0], state_bar.memory, state_bar.descent);
    state_bar.memory.fill(S(0));
    ws.error_bar.fill(S(0));
    write_rated_vjp(x.eta, ws.y, x.k, state_bar.descent, x_bar.eta, ws.error_bar, x_bar.k, ws);
    add(ws.error_bar, x_bar.v);
    error_vjp(start, x.k, ws.error_bar, x_bar.k, state_bar.start);
    if (!first) return;
    state_bar.memory = state_bar.start;
    state_bar.start.fill(S(0));
    state_bar.descent.fill(S(0));
  }
};

}  // namespace gdssm::recurrences
