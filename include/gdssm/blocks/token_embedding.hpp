// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// A vector for every token of a vocabulary,
///     h_t = E^T e_(x_t), row x_t of E                                                             (52)
/// A model may read logits with the same E (`tied`): its cotangent then is the sum of both uses.
/// Shapes  E (vocabulary x width), ids (T), h (width x T)
/// Errors  std::invalid_argument: sizes below 1, an id that the vocabulary does not have
/// Source  docs/theory.md, deep sequence models        VJP  `vjp`
class TokenEmbedding : public PlainBlock<TokenEmbedding>, public Stateless {
 public:
  TokenEmbedding(Index vocabulary, Index width) : vocabulary_(vocabulary), width_(width) {
    if (vocabulary < 1 || width < 1)
      refuse("TokenEmbedding", "vocabulary and width are ", vocabulary, " and ", width, ", expected at least 1 each");
  }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage> table;  ///< E (vocabulary x width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"table"}, self.table...);
    }
  };
  template <class Storage>
  Weights<Storage> weights() const {
    return {made_in<Storage>(vocabulary_, width_)};
  }
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  /// Normal entries of variance 1 / width.
  template <class P>
  void draw(const Weights<InViews<P>>& w, RandomStream<>& stream) const {
    detail::draw_normal_map(w.table, 1, stream);
  }

  /// The tokens' vectors.
  template <class T>
  void forward(const Weights<InViews<const T>>& w, std::span<const Index> ids, View<T> h) const {
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (ids[t] < 0 || ids[t] >= vocabulary_)
        refuse("TokenEmbedding", "id ", t, " is ", ids[t], ", expected 0 to ", vocabulary_ - 1);
      for (Index i = 0; i < width_; ++i) h(i, static_cast<Index>(t)) = w.table(ids[t], i);
    }
  }

  /// VJP of `forward`: row x_t of E_bar += h_bar_t.
  template <class T>
  void vjp(std::span<const Index> ids, View<const T> h_bar, const Weights<InViews<T>>& w_bar) const {
    for (std::size_t t = 0; t < ids.size(); ++t)
      for (Index i = 0; i < width_; ++i) w_bar.table(ids[t], i) += h_bar(i, static_cast<Index>(t));
  }

 private:
  Index vocabulary_, width_;
};

}  // namespace gdssm
