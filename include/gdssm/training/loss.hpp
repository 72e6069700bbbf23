// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "gdssm/core/lanes.hpp"
#include "gdssm/tasks/targets.hpp"

namespace gdssm {

/// Squared error against given targets, as `vjp` wants it: 1/2 |yhat - y|^2 scale, its gradient (yhat - y) scale, at
/// each of k windows; summed over windows in `value`, lane by lane. `scale` is 1 / (batch x outputs) for vector
/// targets, 1 / batch for scalar ones, of which only the last coordinate counts.
/// Shapes  targets (m x k), column j for the j-th of the last k windows; predictions (m)
template <class S, class Kind = VectorTargets>
class SquaredError {
 public:
  /// `present` (k entries, or absent): zeros in the lanes and windows that bear no loss.
  SquaredError(View<const S> targets, LaneScalar<S> scale, View<const S> present = View<const S>::absent())
      : targets_(targets), scale_(scale), present_(present) {}

  template <Index Outputs>
  void operator()(Index j, View<const S, Outputs, 1> prediction, View<S, Outputs, 1> g) {
    const Index m = prediction.size();
    const S scale = present_.present() ? present_[j] * S(scale_) : S(scale_);
    for (Index i = 0; i < m; ++i) g[i] = S(0);
    for (Index i = std::is_same_v<Kind, ScalarTargets> ? m - 1 : 0; i < m; ++i) {
      const S error = prediction[i] - targets_(i, j);
      g[i] = scale * error;
      value_ = multiply_add(S(LaneScalar<S>(1) / LaneScalar<S>(2)) * g[i], error, value_);
    }
  }

  /// The loss so far, a sum over the windows for each lane.
  const S& value() const { return value_; }

 private:
  View<const S> targets_;
  LaneScalar<S> scale_;
  View<const S> present_;
  S value_ = S(0);
};

}  // namespace gdssm
