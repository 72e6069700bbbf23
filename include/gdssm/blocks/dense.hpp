// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// A dense layer. Its kernel is stored as (in, out), like the reference's,
///     y = K^T x + b                                                                                (18)
/// Shapes  x (Inputs), K (Inputs x Outputs), b (Outputs), y (Outputs)
/// Errors  sizes below 1: std::invalid_argument (fixed sizes: static_assert)
/// Source  arXiv:2410.11687v1 (code)        VJP  `step_vjp`
template <Index Inputs = Dynamic, Index Outputs = Dynamic>
class Dense : public Stateless {
  static_assert(Inputs == Dynamic || Inputs > 0, "Dense: the inputs must be a positive number or Dynamic");
  static_assert(Outputs == Dynamic || Outputs > 0, "Dense: the outputs must be a positive number or Dynamic");

 public:
  static constexpr Index inputs = Inputs;
  static constexpr Index outputs = Outputs;

  Dense() requires(Inputs != Dynamic && Outputs != Dynamic) : Dense(Inputs, Outputs) {}
  Dense(Index input_count, Index output_count)
      : inputs_(detail::fixed_or<Inputs>(input_count)), outputs_(detail::fixed_or<Outputs>(output_count)) {
    if (input_count <= 0) refuse("Dense", "the number of inputs is ", input_count, ", expected at least 1");
    if (output_count <= 0) refuse("Dense", "the number of outputs is ", output_count, ", expected at least 1");
    if (Inputs != Dynamic) expect_equal("Dense", "the number of inputs", input_count, Inputs);
    if (Outputs != Dynamic) expect_equal("Dense", "the number of outputs", output_count, Outputs);
  }

  Index input_count() const { return inputs_.value(); }
  Index output_count() const { return outputs_.value(); }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Inputs, Outputs> kernel;  ///< K (Inputs x Outputs)
    MatrixIn<Storage, Outputs, 1> bias;         ///< b (Outputs)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"kernel"}, self.kernel...);
      visitor(Name{"bias"}, self.bias...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;

  template <class T>
  struct Coefficients {
    Array<T, Outputs, Inputs> map;  ///< K^T, so that the product runs along its columns
    Array<T, Outputs, 1> bias;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"map"}, self.map...);
      visitor(Name{"bias"}, self.bias...);
    }
  };

  template <class T>
  Parameters<T> parameters() const {
    return {zeros_in<InMatrices<T>, Inputs, Outputs>(input_count(), output_count()),
            zeros_in<InMatrices<T>, Outputs, 1>(output_count(), 1)};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {Array<T, Outputs, Inputs>(output_count(), input_count()), Array<T, Outputs, 1>(output_count(), 1)};
  }

  /// K ~ N(0, 1 / inputs), b = 0. The reference truncates its normal numbers at two standard deviations.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    const double deviation = 1 / std::sqrt(static_cast<double>(input_count()));
    detail::draw_entries(p.kernel, [&] { return deviation * stream.normal(); });
  }

  /// map = K^T.        Errors  std::invalid_argument: weights of other sizes
  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    expect_sizes("Dense::prepare", p, c);
    for (Index j = 0; j < input_count(); ++j)
      for (Index i = 0; i < output_count(); ++i) c.map(i, j) = p.kernel(j, i);
    detail::copy(p.bias, c.bias);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    expect_sizes("Dense::prepare_vjp", p_bar, c_bar);
    for (Index j = 0; j < input_count(); ++j)
      for (Index i = 0; i < output_count(); ++i) p_bar.kernel(j, i) += c_bar.map(i, j);
    for (Index i = 0; i < output_count(); ++i) p_bar.bias[i] += c_bar.bias[i];
  }

  /// y = K^T x + b.
  template <class P, class S>
  void step(const Coefficients<P>& c, View<const S, Inputs, 1> x, View<S, Outputs, 1> y) const {
    kernels::multiply(c.map.view(), x, y);
    for (Index i = 0; i < y.size(); ++i) y[i] += S(c.bias[i]);
  }

  /// VJP of `step`: K_bar += x y_bar^T, b_bar += y_bar, and, unless `x_bar` is absent, x_bar += K y_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Inputs, 1> x, View<const S, Outputs, 1> y_bar,
                Coefficients<S>& c_bar, View<S, Inputs, 1> x_bar) const {
    kernels::multiply_vjp(c.map, x, y_bar, c_bar.map, x_bar);
    detail::add(y_bar, c_bar.bias.view());
  }

 private:
  template <class P>
  void expect_sizes(const char* where, const Parameters<P>& p, const Coefficients<P>& c) const {
    detail::expect_extents(where, Name{"kernel"}, p.kernel, input_count(), output_count());
    detail::expect_extents(where, Name{"bias"}, p.bias, output_count(), 1);
    detail::expect_extents(where, Name{"map"}, c.map, output_count(), input_count());
    detail::expect_extents(where, Name{"bias"}, c.bias, output_count(), 1);
  }

  [[no_unique_address]] detail::Extent<Inputs> inputs_;
  [[no_unique_address]] detail::Extent<Outputs> outputs_;
};

}  // namespace gdssm
