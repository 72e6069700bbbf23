// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <type_traits>

#include "gdssm/blocks/recurrences/comba.hpp"
#include "gdssm/blocks/recurrences/delta_product.hpp"
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_delta_net2.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_linear_attention.hpp"
#include "gdssm/blocks/recurrences/kda.hpp"
#include "gdssm/blocks/recurrences/linear_attention.hpp"
#include "gdssm/blocks/recurrences/mamba2.hpp"
#include "gdssm/blocks/recurrences/rank_one_scan.hpp"
#include "gdssm/blocks/recurrences/ret_net.hpp"
#include "gdssm/blocks/recurrences/rwkv7.hpp"

// Rules whose step is (22) with one decay for each channel of the keys, in the numbers that `RankOneScan` takes.
namespace gdssm::recurrences {

/// A token of a rule as steps of (22). A specialisation for a rule R has
///     steps(rule)                            how many steps a token takes; the query is answered after the last
///     reads(rule, n)                         whether step n of a token reads: else p = 0
///     make(rule, constants, token, n, step)  p, kappa, D and y of step n
///     take(rule, constants, token, n, step_bar, constants_bar, token_bar)    its VJP, which adds
template <class Rule>
struct RankOneForm;

/// A rule that has a `RankOneForm`.
template <class R>
concept RuleOfRankOne = requires(const R& rule) {
  RankOneForm<R>::steps(rule);
};

/// The sum over j = 0, ..., n - 1 that add(j, sum) makes, in 16 parts, so that a part need not wait for itself.
template <class T, class Add>
T sum_of_parts(Index n, const Add& add) {
  constexpr Index many = 16;
  T part[many] = {};
  Index j = 0;
  for (; j + many <= n; j += many)
    for (Index k = 0; k < many; ++k) add(j + k, part[k]);
  for (Index k = 0; j < n; ++j, ++k) add(j, part[k]);
  T sum = part[0];
  for (Index k = 1; k < many; ++k) sum += part[k];
  return sum;
}

// The specialisations have what `RankOneForm` says.
/** @cond */

/// One step a token, which reads.
struct OneStepForm {
  template <class Rule>
  static Index steps(const Rule&) {
    return 1;
  }
  template <class Rule>
  static bool reads(const Rule&, Index) {
    return true;
  }
};

/// The delta rules: D, p = D k, kappa = beta k, y = v, with D = 1, alpha or diag(alpha).
struct DeltaForm : OneStepForm {
  template <class Rule, class C, class X, class T>
  static void make(const Rule&, const C&, const X& x, Index, const RankOneStep<T>& to) {
    const T beta = x.beta[0];
    for (Index j = 0; j < x.k.size(); ++j) {
      const T d = decay(x, j), k = x.k[j];
      to.decay[j] = d;
      to.read[j] = d * k;
      to.write[j] = beta * k;
    }
    for (Index i = 0; i < x.v.size(); ++i) to.target[i] = x.v[i];
  }
  template <class Rule, class C, class X, class T, class CBar, class XBar>
  static void take(const Rule&, const C&, const X& x, Index, const RankOneStep<T>& bar, CBar&, const XBar& x_bar) {
    const T beta = x.beta[0];
    const Index keys = x.k.size();
    for (Index j = 0; j < keys; ++j) x_bar.k[j] += multiply_add(decay(x, j), bar.read[j], beta * bar.write[j]);
    x_bar.beta[0] += sum_of_parts<T>(keys, [&](Index j, T& sum) { sum = multiply_add(x.k[j], bar.write[j], sum); });
    if constexpr (requires { x_bar.alpha; }) {
      if (x.alpha.rows() > 1)
        for (Index j = 0; j < keys; ++j) x_bar.alpha[j] += multiply_add(x.k[j], bar.read[j], bar.decay[j]);
      else
        x_bar.alpha[0] +=
            sum_of_parts<T>(keys, [&](Index j, T& sum) { sum += multiply_add(x.k[j], bar.read[j], bar.decay[j]); });
    }
    for (Index i = 0; i < x.v.size(); ++i) x_bar.v[i] += bar.target[i];
  }

 private:
  template <class X>
  static auto decay(const X& x, Index j) {
    using T = std::remove_const_t<std::remove_reference_t<decltype(x.k[0])>>;
    if constexpr (requires { x.alpha; })
      return T(x.alpha[x.alpha.rows() > 1 ? j : 0]);
    else
      return T(1);
  }
};

/// (29).
template <Index K, Index V>
struct RankOneForm<DeltaRule<K, V>> : DeltaForm {};
/// (30).
template <Index K, Index V>
struct RankOneForm<GatedDeltaRule<K, V>> : DeltaForm {};
/// (31).
template <Index K, Index V>
struct RankOneForm<Kda<K, V>> : DeltaForm {};

/// (32): D = diag(alpha), p = alpha * b * k, kappa = k, y = w * v.
template <Index K, Index V>
struct RankOneForm<GatedDeltaNet2<K, V>> : OneStepForm {
  template <class C, class X, class T>
  static void make(const GatedDeltaNet2<K, V>&, const C&, const X& x, Index, const RankOneStep<T>& to) {
    for (Index j = 0; j < x.k.size(); ++j) {
      to.decay[j] = x.alpha[j];
      to.read[j] = x.alpha[j] * x.b[j] * x.k[j];
      to.write[j] = x.k[j];
    }
    for (Index i = 0; i < x.v.size(); ++i) to.target[i] = x.w[i] * x.v[i];
  }
  template <class C, class X, class T, class CBar, class XBar>
  static void take(const GatedDeltaNet2<K, V>&, const C&, const X& x, Index, const RankOneStep<T>& bar, CBar&,
                   const XBar& x_bar) {
    for (Index j = 0; j < x.k.size(); ++j) {
      x_bar.k[j] += multiply_add(x.alpha[j] * x.b[j], bar.read[j], bar.write[j]);
      x_bar.b[j] = multiply_add(x.alpha[j] * x.k[j], bar.read[j], x_bar.b[j]);
      x_bar.alpha[j] += multiply_add(x.b[j] * x.k[j], bar.read[j], bar.decay[j]);
    }
    for (Index i = 0; i < x.v.size(); ++i) {
      x_bar.v[i] = multiply_add(x.w[i], bar.target[i], x_bar.v[i]);
      x_bar.w[i] = multiply_add(x.v[i], bar.target[i], x_bar.w[i]);
    }
  }
};

/// (34): D = alpha, p, kappa = beta k, y = v.
template <Index K, Index V>
struct RankOneForm<Comba<K, V>> : OneStepForm {
  template <class C, class X, class T>
  static void make(const Comba<K, V>&, const C&, const X& x, Index, const RankOneStep<T>& to) {
    for (Index j = 0; j < x.k.size(); ++j) {
      to.decay[j] = x.alpha[0];
      to.read[j] = x.p[j];
      to.write[j] = x.beta[0] * x.k[j];
    }
    for (Index i = 0; i < x.v.size(); ++i) to.target[i] = x.v[i];
  }
  template <class C, class X, class T, class CBar, class XBar>
  static void take(const Comba<K, V>&, const C&, const X& x, Index, const RankOneStep<T>& bar, CBar&,
                   const XBar& x_bar) {
    for (Index j = 0; j < x.k.size(); ++j) {
      x_bar.p[j] += bar.read[j];
      x_bar.k[j] = multiply_add(x.beta[0], bar.write[j], x_bar.k[j]);
    }
    x_bar.beta[0] +=
        sum_of_parts<T>(x.k.size(), [&](Index j, T& sum) { sum = multiply_add(x.k[j], bar.write[j], sum); });
    x_bar.alpha[0] += sum_of_parts<T>(x.k.size(), [&](Index j, T& sum) { sum += bar.decay[j]; });
    for (Index i = 0; i < x.v.size(); ++i) x_bar.v[i] += bar.target[i];
  }
};

/// (36), two steps: D = diag(w), p = kappa, a * kappa is written and y = 0; then k is written, y = v.
template <Index K, Index V>
struct RankOneForm<Rwkv7<K, V>> {
  static Index steps(const Rwkv7<K, V>&) { return 2; }
  static bool reads(const Rwkv7<K, V>&, Index n) { return n == 0; }
  template <class C, class X, class T>
  static void make(const Rwkv7<K, V>&, const C&, const X& x, Index n, const RankOneStep<T>& to) {
    for (Index j = 0; j < x.k.size(); ++j) {
      to.decay[j] = n == 0 ? x.w[j] : T(1);
      to.read[j] = x.kappa[j];
      to.write[j] = n == 0 ? x.a[j] * x.kappa[j] : x.k[j];
    }
    for (Index i = 0; i < x.v.size(); ++i) to.target[i] = n == 0 ? T(0) : x.v[i];
  }
  template <class C, class X, class T, class CBar, class XBar>
  static void take(const Rwkv7<K, V>&, const C&, const X& x, Index n, const RankOneStep<T>& bar, CBar&,
                   const XBar& x_bar) {
    for (Index j = 0; j < x.k.size(); ++j) {
      if (n == 0) {
        x_bar.w[j] += bar.decay[j];
        x_bar.kappa[j] += multiply_add(x.a[j], bar.write[j], bar.read[j]);
        x_bar.a[j] = multiply_add(x.kappa[j], bar.write[j], x_bar.a[j]);
      } else {
        x_bar.k[j] += bar.write[j];
      }
    }
    if (n == 1)
      for (Index i = 0; i < x.v.size(); ++i) x_bar.v[i] += bar.target[i];
  }
};

/// (33), a step for each of its own: D = alpha at the first, p = D k_j, kappa = beta_j k_j, y = v_j.
template <Index K, Index V, Index N>
struct RankOneForm<DeltaProduct<K, V, N>> {
  static Index steps(const DeltaProduct<K, V, N>& rule) { return rule.step_count(); }
  static bool reads(const DeltaProduct<K, V, N>&, Index) { return true; }
  template <class C, class X, class T>
  static void make(const DeltaProduct<K, V, N>&, const C&, const X& x, Index n, const RankOneStep<T>& to) {
    const T alpha = n == 0 ? x.alpha[0] : T(1);
    for (Index j = 0; j < x.k.rows(); ++j) {
      to.decay[j] = alpha;
      to.read[j] = alpha * x.k(j, n);
      to.write[j] = x.beta[n] * x.k(j, n);
    }
    for (Index i = 0; i < x.v.rows(); ++i) to.target[i] = x.v(i, n);
  }
  template <class C, class X, class T, class CBar, class XBar>
  static void take(const DeltaProduct<K, V, N>&, const C&, const X& x, Index n, const RankOneStep<T>& bar, CBar&,
                   const XBar& x_bar) {
    const T alpha = n == 0 ? x.alpha[0] : T(1);
    const Index keys = x.k.rows();
    for (Index j = 0; j < keys; ++j) x_bar.k(j, n) += multiply_add(alpha, bar.read[j], x.beta[n] * bar.write[j]);
    x_bar.beta[n] += sum_of_parts<T>(keys, [&](Index j, T& sum) { sum = multiply_add(x.k(j, n), bar.write[j], sum); });
    if (n == 0)
      x_bar.alpha[0] +=
          sum_of_parts<T>(keys, [&](Index j, T& sum) { sum += multiply_add(x.k(j, n), bar.read[j], bar.decay[j]); });
    for (Index i = 0; i < x.v.rows(); ++i) x_bar.v(i, n) += bar.target[i];
  }
};

/// Additive rules: D, p = 0, kappa = k, y = rate v, with a decay and a rate that `Decay` has.
template <class Decay>
struct AdditiveForm {
  template <class Rule>
  static Index steps(const Rule&) {
    return 1;
  }
  template <class Rule>
  static bool reads(const Rule&, Index) {
    return false;
  }
  template <class Rule, class C, class X, class T>
  static void make(const Rule&, const C& c, const X& x, Index, const RankOneStep<T>& to) {
    Decay::make(c, x, to.decay);
    const T rate = Decay::template rate<T>(x);
    for (Index j = 0; j < x.k.size(); ++j) to.write[j] = x.k[j];
    for (Index i = 0; i < x.v.size(); ++i) to.target[i] = rate * x.v[i];
  }
  template <class Rule, class C, class X, class T, class CBar, class XBar>
  static void take(const Rule&, const C& c, const X& x, Index, const RankOneStep<T>& bar, CBar& c_bar,
                   const XBar& x_bar) {
    const T rate = Decay::template rate<T>(x);
    for (Index j = 0; j < x.k.size(); ++j) x_bar.k[j] += bar.write[j];
    for (Index i = 0; i < x.v.size(); ++i) x_bar.v[i] = multiply_add(rate, bar.target[i], x_bar.v[i]);
    const T rate_bar =
        sum_of_parts<T>(x.v.size(), [&](Index i, T& sum) { sum = multiply_add(x.v[i], bar.target[i], sum); });
    Decay::take(c, x, bar.decay, rate_bar, c_bar, x_bar);
  }
};

/// D = 1, rate 1.
struct AdditiveDecay {
  template <class C, class X, class T>
  static void make(const C&, const X& x, T* decay) {
    for (Index j = 0; j < x.k.size(); ++j) decay[j] = T(1);
  }
  template <class T, class X>
  static T rate(const X&) {
    return T(1);
  }
  template <class C, class X, class T, class CBar, class XBar>
  static void take(const C&, const X&, const T*, const T&, CBar&, const XBar&) {}
};
/// D = gamma.
struct RetNetDecay : AdditiveDecay {
  template <class C, class X, class T>
  static void make(const C& c, const X& x, T* decay) {
    for (Index j = 0; j < x.k.size(); ++j) decay[j] = c.gamma[0];
  }
  template <class C, class X, class T, class CBar, class XBar>
  static void take(const C&, const X& x, const T* decay_bar, const T&, CBar& c_bar, const XBar&) {
    c_bar.gamma[0] += sum_of_parts<T>(x.k.size(), [&](Index j, T& sum) { sum += decay_bar[j]; });
  }
};
/// D = exp(A Delta), rate Delta.
struct Mamba2Decay {
  template <class C, class X, class T>
  static void make(const C& c, const X& x, T* decay) {
    const T alpha = std::exp(c.A[0] * x.dt[0]);
    for (Index j = 0; j < x.k.size(); ++j) decay[j] = alpha;
  }
  template <class T, class X>
  static T rate(const X& x) {
    return x.dt[0];
  }
  template <class C, class X, class T, class CBar, class XBar>
  static void take(const C& c, const X& x, const T* decay_bar, const T& rate_bar, CBar& c_bar, const XBar& x_bar) {
    const T exponent_bar =
        std::exp(c.A[0] * x.dt[0]) * sum_of_parts<T>(x.k.size(), [&](Index j, T& sum) { sum += decay_bar[j]; });
    c_bar.A[0] = multiply_add(x.dt[0], exponent_bar, c_bar.A[0]);
    x_bar.dt[0] += multiply_add(c.A[0], exponent_bar, rate_bar);
  }
};
/// D = diag(alpha).
struct KeyDecays : AdditiveDecay {
  template <class C, class X, class T>
  static void make(const C&, const X& x, T* decay) {
    for (Index j = 0; j < x.k.size(); ++j) decay[j] = x.alpha[j];
  }
  template <class C, class X, class T, class CBar, class XBar>
  static void take(const C&, const X& x, const T* decay_bar, const T&, CBar&, const XBar& x_bar) {
    for (Index j = 0; j < x.k.size(); ++j) x_bar.alpha[j] += decay_bar[j];
  }
};

/// (24).
template <Index K, Index V>
struct RankOneForm<LinearAttention<K, V>> : AdditiveForm<AdditiveDecay> {};
/// (25).
template <Index K, Index V>
struct RankOneForm<RetNet<K, V>> : AdditiveForm<RetNetDecay> {};
/// (26).
template <Index K, Index V>
struct RankOneForm<Mamba2<K, V>> : AdditiveForm<Mamba2Decay> {};
/// (27).
template <Index K, Index V>
struct RankOneForm<GatedLinearAttention<K, V>> : AdditiveForm<KeyDecays> {};

/** @endcond */

}  // namespace gdssm::recurrences
