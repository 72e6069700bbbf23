// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <utility>
#include <variant>

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/recurrences/rank_one_forms.hpp"
#include "gdssm/blocks/rms_norm.hpp"
#include "gdssm/blocks/short_convolution.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/pieces.hpp"
#include "gdssm/deep/mixer.hpp"

namespace gdssm {

/// What a rule's tokens need beside keys and values as a mixer of a deep model, and whether keys and queries have
/// length one. Specialise it to make a mixer of another rule with a `RankOneForm`.
///     `rate`   a share beta for each head        `decay`  decays alpha for each head: 0, 1, or one for each key
///     channel `step`   a step Delta for each head and a continuous decay -exp(a_log)
template <class Rule>
struct RuleControls;
/** @cond */
enum class Decays { none, one, of_channels };
template <Index K, Index V>
struct RuleControls<recurrences::LinearAttention<K, V>> {
  static constexpr bool rate = false, step = false, unit_keys = false;
  static constexpr Decays decay = Decays::none;
};
template <Index K, Index V>
struct RuleControls<recurrences::GatedDeltaRule<K, V>> {
  static constexpr bool rate = true, step = false, unit_keys = true;
  static constexpr Decays decay = Decays::one;
};
template <Index K, Index V>
struct RuleControls<recurrences::Kda<K, V>> {
  static constexpr bool rate = true, step = false, unit_keys = true;
  static constexpr Decays decay = Decays::of_channels;
};
template <Index K, Index V>
struct RuleControls<recurrences::Mamba2<K, V>> {
  static constexpr bool rate = false, step = true, unit_keys = false;
  static constexpr Decays decay = Decays::none;
};
/** @endcond */

/// Heads of a learning rule side by side, as in published layers. Of every column u_t:
///     z = W_q u, W_k u, W_v u;   q, k, v = silu(convolution of z), or z without one               (54)
/// queries and keys divided by sqrt(|k|^2 + 1e-6) where the rule wants it, and controls of u itself,
///     beta = sigma(w_b u + b_b),   alpha = sigma(-w_a u - b_a),   Delta = softplus(w_a u + b_a)   (55)
/// Then S_t by the rule, and r_t = rms(S_t q_t; g), each head with its own gain.
///     `Rule`  one that has `RuleControls` and a `RankOneForm`, with sizes known at run time
/// Shapes  u (width x T), r (heads n x T), head h in rows h n, ..., h n + n - 1; S of every head (n x n), side by side
/// Errors  std::invalid_argument: sizes below 1, a convolution below 0
/// Source  docs/theory.md, deep sequence models        VJP  `vjp`
template <class Rule>
class RuleMixer : public PlainBlock<RuleMixer<Rule>> {
  using Has = RuleControls<Rule>;
  using Form = recurrences::RankOneForm<Rule>;
  static constexpr bool controlled = Has::step || Has::decay != Decays::none;

 public:
  /// A convolution of 0 taps is none, and none of silu either.
  RuleMixer(Index width, Index heads, Index head_size, Index convolution)
      : width_(width),
        heads_(heads),
        n_(head_size),
        taps_(convolution),
        rule_(head_size, head_size),
        norm_(head_size, heads) {
    if (width < 1 || heads < 1 || convolution < 0)
      refuse("RuleMixer", "width, heads and convolution are ", width, ", ", heads, " and ", convolution,
             ", expected at least 1, 1 and 0");
  }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage> w_q, w_k, w_v;           ///< W_q, W_k, W_v (heads n x width)
    MatrixIn<Storage> conv_q, conv_k, conv_v;  ///< taps (heads n x c), if there is a convolution
    MatrixIn<Storage> w_b, b_b;                ///< of beta (heads x width), (heads x 1), if the rule has it
    MatrixIn<Storage> w_a, b_a;                ///< of alpha or Delta, a row each, if the rule has them
    MatrixIn<Storage> a_log;                   ///< log of minus the continuous decay (heads x 1), if it has one
    MatrixIn<Storage> out_gain;                ///< g (n x heads)

    template <class Visitor, class First, class... More>
    static void visit(Visitor&& visitor, First&& first, More&&... more) {
      visitor(Name{"w_q"}, first.w_q, more.w_q...);
      visitor(Name{"w_k"}, first.w_k, more.w_k...);
      visitor(Name{"w_v"}, first.w_v, more.w_v...);
      if (first.conv_q.cols() > 0) {
        visitor(Name{"conv_q"}, first.conv_q, more.conv_q...);
        visitor(Name{"conv_k"}, first.conv_k, more.conv_k...);
        visitor(Name{"conv_v"}, first.conv_v, more.conv_v...);
      }
      if constexpr (Has::rate) {
        visitor(Name{"w_b"}, first.w_b, more.w_b...);
        visitor(Name{"b_b"}, first.b_b, more.b_b...);
      }
      if constexpr (controlled) {
        visitor(Name{"w_a"}, first.w_a, more.w_a...);
        visitor(Name{"b_a"}, first.b_a, more.b_a...);
      }
      if constexpr (Has::step) visitor(Name{"a_log"}, first.a_log, more.a_log...);
      visitor(Name{"out_gain"}, first.out_gain, more.out_gain...);
    }
  };
  /// Zeros of the mixer's sizes.
  template <class Storage>
  Weights<Storage> weights() const {
    const auto map = [&] { return made_in<Storage>(channels(), width_); };
    const auto taps = [&] { return made_in<Storage>(channels(), taps_); };
    const Index rates = Has::rate ? heads_ : 0, controls = control_count(), steps = Has::step ? heads_ : 0;
    return {map(),
            map(),
            map(),
            taps(),
            taps(),
            taps(),
            made_in<Storage>(rates, width_),
            made_in<Storage>(rates, 1),
            made_in<Storage>(controls, width_),
            made_in<Storage>(controls, 1),
            made_in<Storage>(steps, 1),
            made_in<Storage>(n_, heads_)};
  }
  template <class T>
  using Parameters = Weights<InMatrices<T>>;  ///< for users
  template <class T>
  using Coefficients = Weights<InArrays<T>>;  ///< for loops

  /// All that later tokens depend on.
  template <class Storage>
  struct State {
    MatrixIn<Storage> state;   ///< S of every head (n x n heads)
    MatrixIn<Storage> q_tail;  ///< the last z of q, the oldest first (heads n x c - 1)
    MatrixIn<Storage> k_tail;  ///< the same of k
    MatrixIn<Storage> v_tail;  ///< the same of v

    /// The tails are there where the convolution has more than one tap.
    template <class Visitor, class First, class... More>
    static void visit(Visitor&& visitor, First&& first, More&&... more) {
      visitor(Name{"state"}, first.state, more.state...);
      if (first.q_tail.cols() == 0) return;
      visitor(Name{"q_tail"}, first.q_tail, more.q_tail...);
      visitor(Name{"k_tail"}, first.k_tail, more.k_tail...);
      visitor(Name{"v_tail"}, first.v_tail, more.v_tail...);
    }
  };
  /// No token seen.
  template <class Storage>
  State<Storage> state() const {
    const auto past = [&] { return made_in<Storage>(channels(), tail()); };
    return {made_in<Storage>(n_, n_ * heads_), past(), past(), past()};
  }

  /// Matrices normal with variance 1 / columns, gains 1, b_b = 0, b_a = -3, a_log = 0.
  template <class P>
  void draw(const Weights<InViews<P>>& w, RandomStream<>& stream) const {
    for (const View<P>& map : {w.w_q, w.w_k, w.w_v}) detail::draw_normal_map(map, 1, stream);
    if (taps_ > 0)
      for (const View<P>& taps : {w.conv_q, w.conv_k, w.conv_v}) convolution().template draw<P>({taps}, stream);
    detail::draw_normal_map(w.w_b, 1, stream);
    detail::draw_normal_map(w.w_a, 1, stream);
    w.b_b.fill(P(0));
    w.b_a.fill(P(-3));
    w.a_log.fill(P(0));
    w.out_gain.fill(P(1));
  }

  /// What `forward` leaves for `vjp`, of up to `columns` tokens.
  template <class T>
  struct Workspace {
    /// The scan in chunks, for numbers.
    using Scan = typename std::conditional_t<
        std::is_floating_point_v<T>,
        std::type_identity<recurrences::RankOneScan<std::conditional_t<std::is_floating_point_v<T>, T, float>>>,
        std::type_identity<std::monostate>>::type;
    std::array<Array<T>, 3> z;                                     ///< of q, k and v, with those of the tail in front
    std::array<Array<T>, 3> z_bar;                                 ///< their cotangents
    std::array<Array<T>, 3> convolved;                             ///< the convolutions of z
    std::array<Array<T>, 3> value;                                 ///< q, k and v
    std::array<Array<T>, 3> bar;                                   ///< their cotangents
    std::array<Array<T>, 2> unit;                                  ///< q and k of length one
    std::array<Array<T>, 2> unit_bar;                              ///< their cotangents
    Array<T> rate;                                                 ///< beta
    Array<T> rate_bar;                                             ///< its cotangent
    Array<T> opening;                                              ///< w_a u + b_a
    Array<T> decay;                                                ///< alpha, or Delta
    Array<T> decay_bar;                                            ///< its cotangent
    Array<T> o;                                                    ///< S_t q_t
    Array<T> o_bar;                                                ///< its cotangent
    typename Rule::template State<T> memory;                       ///< of a head, in steps
    typename Rule::template Workspace<T> rule;                     ///< of a step
    typename Rule::template Constants<InArrays<T>> constants;      ///< of a head
    typename Rule::template Constants<InArrays<T>> constants_bar;  ///< their cotangents
    Scan scan;                                                     ///< of a head, in chunks
  };
  /// Room for up to `columns` tokens.
  template <class T>
  Workspace<T> workspace(Index columns) const {
    const auto three = [](const Array<T>& one) { return std::array<Array<T>, 3>{one, one, one}; };
    const Array<T> channel(channels(), columns), none;
    const auto extended = three(Array<T>(channels(), columns + tail()));
    const Array<T> unit = Has::unit_keys ? channel : none, rate(Has::rate ? heads_ : 0, columns),
                   control(control_count(), columns);
    using Scan = typename Workspace<T>::Scan;
    const auto scan = [&] {
      if constexpr (std::is_floating_point_v<T>)
        return Scan(n_, n_);
      else
        return Scan();
    };
    return {extended,
            extended,
            three(taps_ > 0 ? channel : none),
            three(channel),
            three(channel),
            {unit, unit},
            {unit, unit},
            rate,
            rate,
            control,
            control,
            control,
            channel,
            channel,
            rule_.template initial_state<T>(),
            rule_.template workspace<T>(),
            rule_.template constants<InArrays<T>>(),
            rule_.template constants<InArrays<T>>(),
            scan()};
  }

  /// r of every token; moves the state on. In steps its bits do not depend on where a sequence is cut.
  template <class T>
  void forward(const Weights<InViews<const T>>& w, View<const T> u, const State<InViews<T>>& state, View<T> r,
               Along along, Workspace<T>& ws) const {
    const Index T_ = u.cols();
    const std::array<View<const T>, 3> maps{w.w_q, w.w_k, w.w_v}, taps{w.conv_q, w.conv_k, w.conv_v};
    const std::array<View<T>, 3> tails{state.q_tail, state.k_tail, state.v_tail};
    for (std::size_t i = 0; i < 3; ++i) {
      const View<T> z = ws.z[i].view().columns(0, tail() + T_), value = columns(ws.value[i], T_);
      std::copy_n(tails[i].data(), tails[i].size(), z.data());
      kernels::multiply_columns(maps[i], u, z.columns(tail(), T_));
      std::copy_n(z.data() + T_ * channels(), tails[i].size(), tails[i].data());
      if (taps_ == 0) {
        std::copy_n(z.data(), z.size(), value.data());
      } else {
        const View<T> convolved = columns(ws.convolved[i], T_);
        convolution().forward({taps[i]}, z.as_const(), convolved);
        kernels::each_piece<T>(value.size(),
                               [&](const auto& at) { at.store(value.data(), silu(at.load(convolved.data()))); });
      }
      if (Has::unit_keys && i < 2) make_unit(value, ws.unit[i]);
    }
    if constexpr (Has::rate) {
      const View<T> rate = columns(ws.rate, T_);
      map_controls(w.w_b, w.b_b, u, rate);
      kernels::each_piece<T>(rate.size(),
                             [&](const auto& at) { at.store(rate.data(), logistic(at.load(rate.data()))); });
    }
    if constexpr (controlled) {
      const View<T> opening = columns(ws.opening, T_), decay = columns(ws.decay, T_);
      map_controls(w.w_a, w.b_a, u, opening);
      kernels::each_piece<T>(opening.size(), [&](const auto& at) {
        const auto z = at.load(opening.data());
        if constexpr (Has::step)
          at.store(decay.data(), softplus(z));
        else
          at.store(decay.data(), logistic(-z));
      });
    }
    for (Index h = 0; h < heads_; ++h) {
      set_constants(w, h, ws);
      const View<T> memory = state.state.columns(h * n_, n_), o(ws.o.data() + h * n_, channels(), T_);
      if constexpr (std::is_floating_point_v<T>)
        if (along == Along::chunks) {
          ws.scan.forward(Steps<T>{*this, ws, h, T_}, memory, o);
          continue;
        }
      detail::copy(memory.as_const(), View<T>(ws.memory.memory.view()));
      for (Index t = 0; t < T_; ++t) {
        rule_.step(ws.constants, token(inputs(ws), h, t), ws.memory, ws.rule);
        rule_.read(ws.constants, ws.memory, View<const T, Dynamic, 1>(query(ws, h, t), n_, 1),
                   View<T, Dynamic, 1>(o.data() + t * channels(), n_, 1), ws.rule);
      }
      detail::copy(View<const T>(std::as_const(ws.memory.memory).view()), memory);
    }
    norm_.forward({w.out_gain}, columns(ws.o, T_).as_const(), r);
  }

  /// VJP of `forward`, after it with the same workspace, for numbers: turns `state_bar` from the cotangent of the last
  /// state into that of `first`, the state before, of which only S is read; adds to `w_bar` and `u_bar`. The rules'
  /// parts are theirs; beta: z_bar = beta_bar beta (1 - beta), alpha: z_bar = -alpha_bar alpha (1 - alpha), Delta:
  /// z_bar = Delta_bar sigma(z), a_log_bar += A A_bar; of k / l, l = sqrt(|k|^2 + 1e-6): k_bar += (b - u <u, b>) / l.
  template <class T>
  void vjp(const Weights<InViews<const T>>& w, View<const T> u, View<const T> first, View<const T> r_bar,
           const State<InViews<T>>& state_bar, const Weights<InViews<T>>& w_bar, View<T> u_bar,
           Workspace<T>& ws) const {
    static_assert(std::is_floating_point_v<T>, "RuleMixer::vjp: float or double");
    const Index T_ = u.cols();
    const View<T> o_bar = columns(ws.o_bar, T_);
    o_bar.fill(T(0));
    norm_.vjp({w.out_gain}, columns(ws.o, T_).as_const(), r_bar, {w_bar.out_gain}, o_bar);
    for (auto* bars : {&ws.bar[0], &ws.bar[1], &ws.bar[2], &ws.rate_bar, &ws.decay_bar}) columns(*bars, T_).fill(T(0));
    if constexpr (Has::unit_keys)
      for (auto& bars : ws.unit_bar) columns(bars, T_).fill(T(0));
    for (Index h = 0; h < heads_; ++h) {
      set_constants(w, h, ws);
      ws.scan.vjp(BackSteps<T>{{*this, ws, h, T_}}, first.columns(h * n_, n_),
                  View<const T>(o_bar.data() + h * n_, channels(), T_), state_bar.state.columns(h * n_, n_));
      if constexpr (Has::step) w_bar.a_log[h] += ws.constants.A[0] * ws.constants_bar.A[0];
    }
    if constexpr (Has::rate) {
      const View<T> rate = columns(ws.rate, T_), bar = columns(ws.rate_bar, T_);
      kernels::each_piece<T>(bar.size(), [&](const auto& at) {
        const auto share = at.load(rate.data());
        at.store(bar.data(), at.load(bar.data()) * share * (decltype(share)(T(1)) - share));
      });
      pull_controls(w.w_b, u, bar.as_const(), w_bar.w_b, w_bar.b_b, u_bar);
    }
    if constexpr (controlled) {
      const View<T> opening = columns(ws.opening, T_), decay = columns(ws.decay, T_), bar = columns(ws.decay_bar, T_);
      kernels::each_piece<T>(bar.size(), [&](const auto& at) {
        const auto share = at.load(decay.data()), one = decltype(share)(T(1));
        if constexpr (Has::step)
          at.store(bar.data(), at.load(bar.data()) * logistic(at.load(opening.data())));
        else
          at.store(bar.data(), -(at.load(bar.data()) * share * (one - share)));
      });
      pull_controls(w.w_a, u, bar.as_const(), w_bar.w_a, w_bar.b_a, u_bar);
    }
    const std::array<View<const T>, 3> maps{w.w_q, w.w_k, w.w_v}, taps{w.conv_q, w.conv_k, w.conv_v};
    const std::array<View<T>, 3> maps_bar{w_bar.w_q, w_bar.w_k, w_bar.w_v},
        taps_bar{w_bar.conv_q, w_bar.conv_k, w_bar.conv_v},
        tails_bar{state_bar.q_tail, state_bar.k_tail, state_bar.v_tail};
    for (std::size_t i = 0; i < 3; ++i) {
      const View<T> bar = columns(ws.bar[i], T_), z_bar = ws.z_bar[i].view().columns(0, tail() + T_);
      if (Has::unit_keys && i < 2) pull_unit(columns(ws.value[i], T_).as_const(), ws.unit_bar[i], bar);
      z_bar.fill(T(0));
      std::copy_n(tails_bar[i].data(), tails_bar[i].size(), z_bar.data() + T_ * channels());
      if (taps_ == 0) {
        std::copy_n(bar.data(), bar.size(), z_bar.data());
      } else {
        const View<T> convolved = columns(ws.convolved[i], T_);
        kernels::each_piece<T>(bar.size(), [&](const auto& at) {
          at.store(bar.data(), at.load(bar.data()) * silu_derivative(at.load(convolved.data())));
        });
        convolution().vjp({taps[i]}, ws.z[i].view().columns(0, tail() + T_).as_const(), bar.as_const(), {taps_bar[i]},
                          z_bar);
      }
      std::copy_n(z_bar.data(), tails_bar[i].size(), tails_bar[i].data());
      kernels::add_outer_products(z_bar.columns(tail(), T_).as_const(), u, maps_bar[i]);
      kernels::add_transposed(maps[i], z_bar.columns(tail(), T_).as_const(), u_bar);
    }
  }

 private:
  /// Where the numbers of all heads' tokens are, and their cotangents.
  template <class U>
  struct Numbers {
    U *k, *v, *rate, *decay;
  };
  template <class T>
  Numbers<const T> inputs(const Workspace<T>& ws) const {
    return {(Has::unit_keys ? ws.unit[1] : ws.value[1]).data(), ws.value[2].data(), ws.rate.data(), ws.decay.data()};
  }
  template <class T>
  Numbers<T> inputs_bar(Workspace<T>& ws) const {
    return {(Has::unit_keys ? ws.unit_bar[1] : ws.bar[1]).data(), ws.bar[2].data(), ws.rate_bar.data(),
            ws.decay_bar.data()};
  }
  template <class T>
  const T* query(const Workspace<T>& ws, Index h, Index t) const {
    return (Has::unit_keys ? ws.unit[0] : ws.value[0]).data() + t * channels() + h * n_;
  }
  /// Token t of head h.
  template <class U>
  typename Rule::template Token<InViews<U>> token(const Numbers<U>& all, Index h, Index t) const {
    auto one = rule_.template token<InViews<U>>();
    one.k = {all.k + t * channels() + h * n_, n_, 1};
    one.v = {all.v + t * channels() + h * n_, n_, 1};
    if constexpr (Has::rate) one.beta = {all.rate + t * heads_ + h, 1, 1};
    if constexpr (Has::decay == Decays::one) one.alpha = {all.decay + t * heads_ + h, 1, 1};
    if constexpr (Has::decay == Decays::of_channels) one.alpha = {all.decay + t * channels() + h * n_, n_, 1};
    if constexpr (Has::step) one.dt = {all.decay + t * heads_ + h, 1, 1};
    return one;
  }

  /// One head's steps, for `RankOneScan`.
  template <class T>
  struct Steps {
    const RuleMixer& mixer;
    Workspace<T>& ws;
    Index head, length;

    Index count() const { return length; }
    bool reads(Index) const { return Form::reads(mixer.rule_, 0); }
    Index answer(Index n) const { return n; }
    void make(Index n, const recurrences::RankOneStep<T>& to) const {
      Form::make(mixer.rule_, ws.constants, mixer.token(mixer.inputs(ws), head, n), 0, to);
      std::copy_n(mixer.query(ws, head, n), mixer.n_, to.query);
    }
  };
  /// The same, and where cotangents go.
  template <class T>
  struct BackSteps : Steps<T> {
    void take(Index n, const recurrences::RankOneStep<T>& bar) const {
      const RuleMixer& m = this->mixer;
      Workspace<T>& all = this->ws;
      Form::take(m.rule_, all.constants, m.token(m.inputs(all), this->head, n), 0, bar, all.constants_bar,
                 m.token(m.inputs_bar(all), this->head, n));
      T* const q_bar = (Has::unit_keys ? all.unit_bar[0] : all.bar[0]).data() + n * m.channels() + this->head * m.n_;
      for (Index j = 0; j < m.n_; ++j) q_bar[j] += bar.query[j];
    }
  };

  Index channels() const { return heads_ * n_; }
  Index tail() const { return taps_ > 1 ? taps_ - 1 : 0; }
  Index control_count() const {
    return Has::decay == Decays::of_channels ? channels() : controlled ? heads_ : Index(0);
  }
  ShortConvolution convolution() const { return {channels(), taps_}; }
  template <class T>
  static View<T> columns(Array<T>& array, Index count) {
    return array.view().columns(0, count);
  }

  template <class T>
  void set_constants(const Weights<InViews<const T>>& w, Index h, Workspace<T>& ws) const {
    using std::exp;
    if constexpr (Has::step) {
      ws.constants.A[0] = -exp(w.a_log[h]);
      ws.constants_bar.A[0] = T(0);
    }
  }
  template <class T>
  static void map_controls(View<const T> map, View<const T> bias, View<const T> u, View<T> z) {
    kernels::multiply_columns(map, u, z);
    for (Index t = 0; t < z.cols(); ++t)
      for (Index i = 0; i < z.rows(); ++i) z(i, t) += bias[i];
  }
  template <class T>
  static void pull_controls(View<const T> map, View<const T> u, View<const T> z_bar, View<T> map_bar, View<T> bias_bar,
                            View<T> u_bar) {
    kernels::add_outer_products(z_bar, u, map_bar);
    for (Index t = 0; t < z_bar.cols(); ++t)
      for (Index i = 0; i < z_bar.rows(); ++i) bias_bar[i] += z_bar(i, t);
    kernels::add_transposed(map, z_bar, u_bar);
  }

  template <class T>
  T inverse_length(const T* x) const {
    using std::sqrt;
    const T squares = kernels::sum_of_pieces<T>(n_, [&](const auto& at, auto& sum) {
      const auto entry = at.load(x);
      sum = multiply_add(entry, entry, sum);
    });
    return T(1) / sqrt(squares + detail::constant<T>(1e-6));
  }
  template <class T>
  void make_unit(View<T> value, Array<T>& unit) const {
    for (Index i = 0; i < value.size(); i += n_) {
      const T scale = inverse_length(value.data() + i);
      kernels::each_piece<T>(n_, [&](const auto& at) {
        at.store(unit.data() + i, at.load(value.data() + i) * decltype(at.load(value.data()))(scale));
      });
    }
  }
  template <class T>
  void pull_unit(View<const T> value, const Array<T>& unit_bar, View<T> bar) const {
    for (Index i = 0; i < value.size(); i += n_) {
      const T* const x = value.data() + i;
      const T* const b = unit_bar.data() + i;
      const T scale = inverse_length(x);
      const T along = scale * scale * kernels::sum_of_pieces<T>(n_, [&](const auto& at, auto& sum) {
                        sum = multiply_add(at.load(x), at.load(b), sum);
                      });
      kernels::each_piece<T>(n_, [&](const auto& at) {
        using Value = decltype(at.load(x));
        at.store(bar.data() + i, (at.load(b) - at.load(x) * Value(along)) * Value(scale));
      });
    }
  }

  Index width_, heads_, n_, taps_;
  Rule rule_;
  RmsNorm norm_;
};

}  // namespace gdssm
