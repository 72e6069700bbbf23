// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

namespace gdssm {

namespace detail {

/// Where the entries of an axis go when f inputs become F. An axis that depends on the number of inputs has a whole
/// number of blocks of one entry an input, then entries that are no input's, such as past targets.
class WidenedAxis {
 public:
  WidenedAxis(Index narrow, Index wide, Index f, Index F) : f_(f), F_(F) {
    if (narrow == wide) return;
    const Index blocks = F > f ? (wide - narrow) / (F - f) : 0;
    if (blocks < 1 || wide - narrow != blocks * (F - f) || blocks * f > narrow)
      refuse("widen", "a state has ", narrow, " entries for ", f, " inputs and ", wide, " for ", F,
             ", expected a block of entries for each of the inputs, and others after them");
    within_blocks_ = blocks * f;
    shift_ = wide - narrow;
  }

  Index operator()(Index i) const { return i < within_blocks_ ? i / f_ * F_ + i % f_ : i + shift_; }

 private:
  Index f_, F_, within_blocks_ = 0, shift_ = 0;
};

}  // namespace detail

/// Hands what a learner has learned to one with more inputs, made alike but for their number. The new inputs are the
/// last ones. `wide`, which has seen nothing, continues as if they had been 0 in every pair so far: sums over pairs get
/// rows and columns of zeros, and penalties those of a direction without data. A column that begins to vary only now
/// thus costs nothing that was learned before.
/// Errors  std::invalid_argument: learners with other members, fewer inputs than before, a state that is not laid out
///         in one block of entries for each of the inputs and others behind them
template <Learner L>
void widen(L& wide, const L& narrow) {
  const Index f = narrow.input_count(), F = wide.input_count();
  if (F < f) refuse("widen", "there are ", F, " inputs, expected at least the ", f, " that were learned");
  auto state = wide.state();
  const auto learned = narrow.state();
  visit(
      [&](const Name&, auto& target, const auto& source) {
        const detail::WidenedAxis row(source.rows(), target.rows(), f, F), col(source.cols(), target.cols(), f, F);
        for (Index j = 0; j < source.cols(); ++j)
          for (Index i = 0; i < source.rows(); ++i) target(row(i), col(j)) = source(i, j);
      },
      state, learned);
  wide.set_state(state);
}

}  // namespace gdssm
