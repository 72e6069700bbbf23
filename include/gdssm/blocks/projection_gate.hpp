// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/windowwise_gate.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// The gate of a layer without attention: a linear map of the single token, o_t = D c_t.
/// Shapes  c_t (Tokens), D (Rows x Tokens), o_t (Rows)
/// Source  arXiv:2410.11687v1        VJP  `step_vjp`
template <Index Rows = Dynamic, Index Tokens = Dynamic>
class ProjectionGate : public PlainCoefficients,
                       public Stateless,
                       public detail::WindowwiseGate<ProjectionGate<Rows, Tokens>> {
 public:
  static constexpr Index rows = Rows;
  static constexpr Index features = Tokens;
  static constexpr Index width = 1;

  ProjectionGate() requires(Rows != Dynamic && Tokens != Dynamic) : ProjectionGate(Rows, Tokens) {}
  ProjectionGate(Index row_count, Index token_size)
      : rows_(detail::fixed_or<Rows>(row_count)), tokens_(detail::fixed_or<Tokens>(token_size)) {
    if (row_count <= 0 || token_size <= 0)
      refuse("ProjectionGate", "the map is ", row_count, " x ", token_size, ", expected at least 1 x 1");
    if (Rows != Dynamic) expect_equal("ProjectionGate", "the number of rows", row_count, Rows);
    if (Tokens != Dynamic) expect_equal("ProjectionGate", "the size of a token", token_size, Tokens);
  }

  Index row_count() const { return rows_.value(); }
  Index feature_count() const { return tokens_.value(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Rows, Tokens> D;  ///< gate's map of the token (Rows x Tokens)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"D"}, self.D...);
    }
  };

  template <class T>
  struct Coefficients {
    Array<T, Rows, Tokens> D;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"D"}, self.D...);
    }
  };

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Rows, Tokens>(row_count(), feature_count())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {Array<T, Rows, Tokens>(row_count(), feature_count())};
  }

  /// o = D c.
  template <class P, class S>
  void step(const Coefficients<P>& c, View<const S, Tokens, 1> token, View<S, Rows, 1> o, Workspace<S>&) const {
    kernels::multiply(c.D.view(), token, o);
  }

  /// VJP of `step`: D_bar += o_bar c^T, and, unless `token_bar` is absent, c_bar += D^T o_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Tokens, 1> token, View<const S, Rows, 1> o_bar,
                Coefficients<S>& c_bar, View<S, Tokens, 1> token_bar, Workspace<S>&) const {
    kernels::add_outer(o_bar, token, c_bar.D.view());
    if (token_bar.present())
      kernels::add_transposed(View<const P>(c.D.view()), View<const S>(o_bar), View<S>(token_bar));
  }

 private:
  [[no_unique_address]] detail::Extent<Rows> rows_;
  [[no_unique_address]] detail::Extent<Tokens> tokens_;
};

}  // namespace gdssm
