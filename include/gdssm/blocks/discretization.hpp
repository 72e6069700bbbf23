// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

namespace gdssm {

/// Zero-order hold: L = exp(Lambda Delta)                                                          (5)
/// Derivatives  dL/dLambda = L Delta, dL/dDelta = L Lambda
/// Source  Smith et al., S5, arXiv:2208.04933
struct ZeroOrderHold {
  static constexpr bool has_step = true;

  template <class T>
  static T decay(const T& Lambda, const T& Delta) {
    using std::exp;
    return exp(Lambda * Delta);
  }
  /// The Lambda whose decay is L > 0 at Delta = 1.
  template <class T>
  static T Lambda(const T& L) {
    using std::log;
    return log(L);
  }
  template <class T>
  static T decay_by_Lambda(const T& L, const T&, const T& Delta) {
    return L * Delta;
  }
  template <class T>
  static T decay_by_Delta(const T& L, const T& Lambda, const T&) {
    return L * Lambda;
  }
};

/// Bilinear (Tustin): L = (1 + Delta Lambda / 2) / (1 - Delta Lambda / 2)                          (6)
/// Derivatives  dL/dLambda = Delta / (1 - Delta Lambda / 2)^2, dL/dDelta = Lambda / (1 - Delta Lambda / 2)^2
/// Source  Smith et al., S5, arXiv:2208.04933
struct Bilinear {
  static constexpr bool has_step = true;

  template <class T>
  static T decay(const T& Lambda, const T& Delta) {
    const T half = Lambda * Delta / T(2);
    return (T(1) + half) / (T(1) - half);
  }
  /// The Lambda whose decay is L > -1 at Delta = 1.
  template <class T>
  static T Lambda(const T& L) {
    return T(2) * (L - T(1)) / (L + T(1));
  }
  template <class T>
  static T decay_by_Lambda(const T&, const T& Lambda, const T& Delta) {
    const T below = T(1) - Lambda * Delta / T(2);
    return Delta / (below * below);
  }
  template <class T>
  static T decay_by_Delta(const T&, const T& Lambda, const T& Delta) {
    const T below = T(1) - Lambda * Delta / T(2);
    return Lambda / (below * below);
  }
};

/// L = Lambda: the decay itself is the parameter, without a step size. Exact in any arithmetic.
struct GivenDecay {
  static constexpr bool has_step = false;

  /// The Lambda whose decay is L, which is L itself.
  template <class T>
  static T Lambda(const T& L) {
    return L;
  }
};

}  // namespace gdssm
