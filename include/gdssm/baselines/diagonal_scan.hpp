// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

// The recurrence that S5, the selective SSM, the gated linear RNN and the RG-LRU have in common, z_t = a_t * z_{t-1} +
// u_t elementwise; they differ in what makes a_t and u_t of a token. Numbers may be complex.
namespace gdssm::detail {

/// z_t of numbers that are not complex.
template <class T>
struct ScanState {
  Array<T> memory;  ///< z_t (n x 1)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"memory"}, self.memory...);
  }
  friend bool operator==(const ScanState&, const ScanState&) = default;
};

/// Turns u_t into z_t in place, from `state`, z_0, which moves on to z_T. decay(e, t) is entry e of a_t. A column whose
/// mask is zero leaves the state as it was; a null mask: none is.
/// Shapes  z (n x T), state (n), mask (T)        VJP  `scan_vjp`
template <class Z, class S, class Decay>
void scan(View<Z> z, const S* mask, Array<Z>& state, const Decay& decay) {
  for (Index t = 0; t < z.cols(); ++t)
    for (Index e = 0; e < z.rows(); ++e) {
      const Z after = multiply_add(Z(decay(e, t)), state[e], z(e, t));
      state[e] = z(e, t) = mask ? Z(select(mask[t], after, state[e])) : after;
    }
}

/// VJP of `scan`, last column to first: R_t = z_bar_t + a_{t+1} * R_{t+1}, which is u_bar_t, takes the place of
/// z_bar_t, and `state_bar` turns from the cotangent of z_T into that of z_0. take(e, t, R, before) is told of entry e
/// of R_t and of z_{t-1}, whose product is a_bar_t.
/// Shapes  z, z_bar (n x T), first, state_bar (n), mask (T)
template <class Z, class S, class Decay, class Take>
void scan_vjp(View<const Z> z, const Array<Z>& first, const S* mask, View<Z> z_bar, Array<Z>& state_bar,
              const Decay& decay, const Take& take) {
  const Index n = z.rows(), T = z.cols();
  if (T == 0) return;
  for (Index e = 0; e < n; ++e) {
    z_bar(e, T - 1) = z_bar(e, T - 1) + state_bar[e];
    state_bar[e] = Z(0);
  }
  for (Index t = T - 1; t >= 0; --t)
    for (Index e = 0; e < n; ++e) {
      Z& before_bar = t > 0 ? z_bar(e, t - 1) : state_bar[e];
      const Z whole = z_bar(e, t), R = mask ? Z(select(mask[t], whole, Z(0))) : whole;
      const Z passed = multiply_add(Z(decay(e, t)), R, before_bar);
      before_bar = mask ? Z(select(mask[t], passed, before_bar + whole)) : passed;
      z_bar(e, t) = R;
      take(e, t, R, t > 0 ? z(e, t - 1) : first[e]);
    }
}

}  // namespace gdssm::detail
