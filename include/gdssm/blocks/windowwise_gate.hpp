// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/view.hpp"

namespace gdssm::detail {

/// A gate over a sequence of windows laid side by side; what every gate adds to its `step` and `step_vjp`.
template <class Gate>
struct WindowwiseGate {
  /// Shapes  windows (Features x Width n), gates (Rows x n)
  template <class Coefficients, class S, Index Features, Index Rows, class Workspace>
  void forward(const Coefficients& c, View<const S, Features> windows, View<S, Rows> gates, Workspace& ws) const {
    for (Index t = 0; t < gates.cols(); ++t) {
      const View<const S, Gate::features, Gate::width> window = windows.template columns<Gate::width>(t * Gate::width);
      gate().step(c, window, View<S, Gate::rows, 1>(gates.column(t)), ws);
    }
  }

  /// VJP of `forward`: adds to `c_bar` and `windows_bar`.
  template <class Coefficients, class S, Index Features, Index Rows, class CoefficientsBar, class Workspace>
  void vjp(const Coefficients& c, View<const S, Features> windows, View<const S, Rows> gates_bar,
           CoefficientsBar& c_bar, View<S, Features> windows_bar, Workspace& ws) const {
    for (Index t = 0; t < gates_bar.cols(); ++t) {
      const View<const S, Gate::features, Gate::width> window = windows.template columns<Gate::width>(t * Gate::width);
      const View<S, Gate::features, Gate::width> window_bar =
          windows_bar.template columns<Gate::width>(t * Gate::width);
      gate().step_vjp(c, window, View<const S, Gate::rows, 1>(gates_bar.column(t)), c_bar, window_bar, ws);
    }
  }

 private:
  const Gate& gate() const { return static_cast<const Gate&>(*this); }
};

}  // namespace gdssm::detail
