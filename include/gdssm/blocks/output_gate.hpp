// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// The multiplicative output gate. It gives the vector to which the implicit model is applied,
///     o_t = X_t^T d                                                                                (4)
/// Shapes  X_t (Width x Features), d (Width), o_t (Features)
/// Source  arXiv:2410.11687v1; d is the reference's `D`        VJP  `step_vjp`
template <Index Features = Dynamic, Index Width = 3>
class OutputGate : public PlainBlock<OutputGate<Features, Width>>, public Stateless {
  static_assert(Features == Dynamic || Features > 0, "OutputGate: the features must be a positive number or Dynamic");
  static_assert(Width > 0, "OutputGate: the width must be positive");

 public:
  static constexpr Index rows = Features;      ///< length of o_t
  static constexpr Index features = Features;  ///< length of a token
  static constexpr Index width = Width;

  OutputGate() requires(Features != Dynamic) : OutputGate(Features) {}
  explicit OutputGate(Index feature_count) : features_(detail::fixed_or<Features>(feature_count)) {
    if (feature_count <= 0) refuse("OutputGate", "the number of features is ", feature_count, ", expected at least 1");
    if (Features != Dynamic) expect_equal("OutputGate", "the number of features", feature_count, Features);
  }

  Index row_count() const { return features_.value(); }
  Index feature_count() const { return features_.value(); }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Width, 1> d;  ///< weight of each token of the window (Width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"d"}, self.d...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Width, 1>(Width, 1)};
  }

  /// The reference's initial values: d ~ N(0, 1).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_entries(p.d, [&] { return stream.normal(); });
  }
  /// In the closed form (7) d = e_2.
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    static_assert(Width >= 3, "OutputGate::construct: the window must hold a pair and the next input, three tokens");
    p.d[2] = P(1);
  }

  /// o = sum_a d_a x_a over the window's tokens.
  template <class P, class S>
  void step(const Coefficients<P>& c, View<const S, Features, Width> window, View<S, Features, 1> o,
            Workspace<S>&) const {
    S d[Width];
    for (Index a = 0; a < Width; ++a) d[a] = S(c.d[a]);
    kernels::multiply(window, View<const S, Width, 1>(d, Width, 1), o);
  }

  /// VJP of `step`: d_bar_a += <x_a, o_bar>, and, unless `window_bar` is absent, x_bar_a += d_a o_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Features, Width> window, View<const S, Features, 1> o_bar,
                Coefficients<S>& c_bar, View<S, Features, Width> window_bar, Workspace<S>&) const {
    for (Index a = 0; a < Width; ++a) {
      S sum = c_bar.d[a];
      for (Index i = 0; i < o_bar.size(); ++i) sum = multiply_add(window(i, a), o_bar[i], sum);
      c_bar.d[a] = sum;
    }
    if (!window_bar.present()) return;
    for (Index a = 0; a < Width; ++a)
      for (Index i = 0; i < o_bar.size(); ++i) window_bar(i, a) = multiply_add(S(c.d[a]), o_bar[i], window_bar(i, a));
  }

 private:
  [[no_unique_address]] detail::Extent<Features> features_;
};

}  // namespace gdssm
