// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// Gated DeltaProduct, a decay and then `Steps` steps of the delta rule with keys and values of their own,
///     W = alpha S_{t-1};   j = 1, ..., Steps:  W <- W + beta_j (v_j - W k_j) k_j^T;   S_t = W         (33)
/// which is one pass of incremental gradient descent on sum_j 1/2 |v_j - W k_j|^2. As one step it has a Euclidean loss
/// only where the keys commute, and two reflections, beta_j |k_j|^2 = 2, have none in any metric.
/// Shapes  as `MatrixMemory`; k (Keys x Steps), v (Values x Steps), beta (Steps), alpha one number
/// Errors  std::invalid_argument: fewer steps than one, or not the type's
/// Source  Siems et al., arXiv:2502.10297        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys, Index Steps = Dynamic>
class DeltaProduct : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  /// A rule of `step_count` steps a token.
  DeltaProduct(Index key_count, Index value_count, Index step_count)
      : Base(key_count, value_count), steps_(gdssm::detail::fixed_or<Steps>(step_count)) {
    if (step_count <= 0) refuse("DeltaProduct", "the number of steps is ", step_count, ", expected at least 1");
    if (Steps != Dynamic) expect_equal("DeltaProduct", "the number of steps", step_count, Steps);
  }
  Index step_count() const { return steps_.value(); }  ///< n_h

  template <class Storage>
  struct Token {
    MatrixIn<Storage, Keys, Steps> k;    ///< keys
    MatrixIn<Storage, Values, Steps> v;  ///< values
    MatrixIn<Storage, Steps, 1> beta;    ///< rates
    MatrixIn<Storage, 1, 1> alpha;       ///< decay

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"k"}, self.k...);
      visitor(Name{"v"}, self.v...);
      visitor(Name{"beta"}, self.beta...);
      visitor(Name{"alpha"}, self.alpha...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {made_in<Storage, Keys, Steps>(this->key_count(), step_count()),
            made_in<Storage, Values, Steps>(this->value_count(), step_count()),
            made_in<Storage, Steps, 1>(step_count(), 1), Base::template number<Storage>()};
  }

  template <class T>
  struct Workspace : MatrixWorkspace<T, Keys, Values> {
    std::vector<Array<T, Values, Keys>> trail;  ///< the memory before each step
  };
  template <class T>
  Workspace<T> workspace() const {
    return {Base::template workspace<T>(), {static_cast<std::size_t>(step_count()), this->template memory<T>()}};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = RightFactor<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            Workspace<S>& ws) const {
    decay(Decay{x.alpha}, state.memory);
    for (Index j = 0; j < step_count(); ++j) descend(x, j, state.memory, ws);
  }
  /// VJP of `step`: that of `DeltaRule` for the last of the steps first, then that of the decay.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, Workspace<S>& ws) const {
    ws.trail[0] = before.memory;
    decay(Decay{x.alpha}, ws.trail[0]);
    for (std::size_t j = 1; j < ws.trail.size(); ++j) {
      ws.trail[j] = ws.trail[j - 1];
      descend(x, static_cast<Index>(j) - 1, ws.trail[j], ws);
    }
    for (Index j = step_count() - 1; j >= 0; --j) {
      scaled(x.beta[j], x.k.column(j), ws.kappa);
      core_after_vjp(NoDecay(), x.k.column(j), ws.kappa, x.v.column(j), ws.trail[static_cast<std::size_t>(j)],
                     state_bar.memory, NoDecay(), ws);
      const S beta[] = {x.beta[j]};
      S beta_bar[] = {S(0)};
      const auto k_bar = x_bar.k.column(j);
      const auto v_bar = x_bar.v.column(j);
      add_rated(x.k.column(j), beta, k_bar, v_bar, beta_bar, ws);
      x_bar.beta[j] += beta_bar[0];
    }
    decay_vjp(Decay{x.alpha}, before.memory, Decay{x_bar.alpha}, state_bar.memory);
  }

 private:
  /// Step j of the delta rule.
  template <class S>
  static void descend(const Token<InViews<const S>>& x, Index j, Array<S, Values, Keys>& memory, Workspace<S>& ws) {
    scaled(x.beta[j], x.k.column(j), ws.kappa);
    core_after(NoDecay(), x.k.column(j), ws.kappa, x.v.column(j), memory, ws);
  }

  [[no_unique_address]] gdssm::detail::Extent<Steps> steps_;
};

}  // namespace gdssm::recurrences
