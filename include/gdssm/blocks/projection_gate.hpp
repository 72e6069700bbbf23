// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// The gate of a layer without attention, a linear map of the single token: o_t = D c_t.
/// Shapes  c_t (Tokens), D (Rows x Tokens), o_t (Rows)
/// Source  arXiv:2410.11687v1        VJP  `step_vjp`
template <Index Rows = Dynamic, Index Tokens = Dynamic>
class ProjectionGate : public PlainBlock<ProjectionGate<Rows, Tokens>>, public Stateless {
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

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Rows, Tokens> D;  ///< the map of the token (Rows x Tokens)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"D"}, self.D...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Rows, Tokens>(row_count(), feature_count())};
  }

  /// D ~ N(0, 1 / columns); the reference has no such map.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_map(p.D, stream);
  }
  /// In the closed form (7) D = [0 I], which selects the query of constructed tokens.
  /// Errors  std::invalid_argument: tokens that are not twice as long as the state
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    expect_equal("ProjectionGate", "the size of a constructed token", feature_count(), 2 * row_count());
    for (Index i = 0; i < row_count(); ++i) p.D(i, row_count() + i) = P(1);
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
    kernels::multiply_vjp(c.D, token, o_bar, c_bar.D, token_bar);
  }

 private:
  [[no_unique_address]] detail::Extent<Rows> rows_;
  [[no_unique_address]] detail::Extent<Tokens> tokens_;
};

}  // namespace gdssm
