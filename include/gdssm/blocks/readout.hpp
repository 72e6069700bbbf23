// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// The readout and its product with the gate:
///     E_t = C Z_t^T,   yhat_t = -E_t o_t = -C (Z_t^T o_t)                                          (3), (4)
/// computed from the right, so that E_t, minus the implicit model's weights, is formed only on request.
/// Shapes  C (Outputs x Cols), Z_t (Rows x Cols), o_t (Rows), yhat_t (Outputs), E_t (Outputs x Rows)
/// Source  arXiv:2410.11687v1        VJP  `step_vjp`
template <Index Outputs = Dynamic, Index Cols = Outputs>
class Readout : public PlainBlock<Readout<Outputs, Cols>>, public Stateless {
  static_assert(Outputs == Dynamic || Outputs > 0, "Readout: the outputs must be a positive number or Dynamic");
  static_assert(Cols == Dynamic || Cols > 0, "Readout: the columns must be a positive number or Dynamic");

 public:
  static constexpr Index outputs = Outputs;
  static constexpr Index cols = Cols;

  Readout() requires(Outputs != Dynamic && Cols != Dynamic) : Readout(Outputs, Cols) {}
  explicit Readout(Index size) : Readout(size, size) {}
  Readout(Index output_count, Index col_count)
      : outputs_(detail::fixed_or<Outputs>(output_count)), cols_(detail::fixed_or<Cols>(col_count)) {
    if (output_count <= 0) refuse("Readout", "the number of outputs is ", output_count, ", expected at least 1");
    if (col_count <= 0) refuse("Readout", "the number of columns is ", col_count, ", expected at least 1");
    if (Outputs != Dynamic) expect_equal("Readout", "the number of outputs", output_count, Outputs);
    if (Cols != Dynamic) expect_equal("Readout", "the number of columns", col_count, Cols);
  }

  Index output_count() const { return outputs_.value(); }
  Index col_count() const { return cols_.value(); }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Outputs, Cols> C;  ///< readout (Outputs x Cols)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"C"}, self.C...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class T>
  struct Workspace {
    Array<T, Cols, 1> u;  ///< Z^T o, as the last `step` left it
    Array<T, Cols, 1> v;  ///< -C^T g, as the last `step_vjp` left it: the memory's cotangent is v o^T
    Array<T, Outputs, 1> minus_g;
  };

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Outputs, Cols>(output_count(), col_count())};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {Array<T, Cols, 1>(col_count(), 1), Array<T, Cols, 1>(col_count(), 1),
            Array<T, Outputs, 1>(output_count(), 1)};
  }

  /// The reference's initial values: C ~ N(0, 1 / columns).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_map(p.C, stream);
  }
  /// In the closed form (7) C = -a I for the step size a.
  /// Errors  std::invalid_argument: numbers of outputs and columns that differ
  template <class P>
  void construct(Parameters<P>& p, const P& step) const {
    expect_equal("Readout::construct", "the number of outputs", output_count(), col_count());
    for (Index i = 0; i < output_count(); ++i) p.C(i, i) = -step;
  }

  /// yhat = -C (Z^T o).
  template <class P, class S, Index Rows>
  void step(const Coefficients<P>& c, View<const S, Cols, Rows> memory, View<const S, Rows, 1> o,
            View<S, Outputs, 1> prediction, Workspace<S>& ws) const {
    kernels::multiply(memory, o, ws.u.view());
    kernels::multiply(c.C.view(), View<const S, Cols, 1>(ws.u.view()), prediction);
    for (Index i = 0; i < prediction.size(); ++i) prediction[i] = -prediction[i];
  }

  /// VJP of `step` for the prediction's cotangent g, with u in the workspace as `step` left it:
  /// C_bar -= g u^T, v = -C^T g (left in the workspace: Z^T_bar = v o^T is of rank one), o_bar = Z v.
  template <class P, class S, Index Rows>
  void step_vjp(const Coefficients<P>& c, View<const S, Cols, Rows> memory, View<const S, Outputs, 1> g,
                Coefficients<S>& c_bar, View<S, Rows, 1> o_bar, Workspace<S>& ws) const {
    kernels::multiply_transposed(c.C.view(), g, ws.v.view());
    for (Index j = 0; j < col_count(); ++j) ws.v[j] = -ws.v[j];
    for (Index i = 0; i < output_count(); ++i) ws.minus_g[i] = -g[i];
    kernels::add_outer(View<const S, Outputs, 1>(ws.minus_g.view()), View<const S, Cols, 1>(ws.u.view()),
                       c_bar.C.view());
    kernels::multiply_transposed(memory, View<const S, Cols, 1>(ws.v.view()), o_bar);
  }

  /// E += C Z^T.     Shapes  E (Outputs x Rows)
  template <class P, class S, Index Rows>
  void add_readout(const Coefficients<P>& c, View<const S, Cols, Rows> memory, View<S, Outputs, Rows> E) const {
    for (Index r = 0; r < memory.cols(); ++r)
      for (Index j = 0; j < col_count(); ++j)
        for (Index i = 0; i < output_count(); ++i) E(i, r) = multiply_add(S(c.C(i, j)), memory(j, r), E(i, r));
  }

 private:
  [[no_unique_address]] detail::Extent<Outputs> outputs_;
  [[no_unique_address]] detail::Extent<Cols> cols_;
};

}  // namespace gdssm
