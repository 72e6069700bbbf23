// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

// What tokens bring a learning rule: a rule names it once, in an aggregate `Token<Storage>` of `MatrixIn<Storage, ...>`
// with `visit`; of a whole sequence, which owns its numbers, or of one token, which looks at them.
namespace gdssm {

/// What a member of a token, or of a rule's constants, is to whatever makes it: a key, a value, or a control, which is
/// a share or a decay, both between 0 and 1, a step above 0, or a continuous decay below 0. A rule says it by name, in
/// a static function `role`.
enum class TokenRole { key, value, share, decay, step, continuous_decay };

/// One matrix for each token of a sequence.
/// Shapes  a token's (Rows x Cols); all of them, for `visit`, (Rows Cols x length), a token a column
template <class T, Index Rows = Dynamic, Index Cols = Dynamic>
class Series {
 public:
  Series(Index rows, Index cols) : one_(nullptr, rows, cols), all_(rows * cols, 0) {}

  /// Zeros for `length` tokens.
  void resize(Index length) { all_ = Array<T>(one_.size(), length); }

  /// Token t's.
  View<T, Rows, Cols> operator[](Index t) { return {all_.view().column(t).data(), one_.rows(), one_.cols()}; }
  View<const T, Rows, Cols> operator[](Index t) const {
    return {all_.view().column(t).data(), one_.rows(), one_.cols()};
  }

  Index rows() const { return all_.rows(); }
  Index cols() const { return all_.cols(); }
  Index size() const { return all_.size(); }
  T* data() { return all_.data(); }
  const T* data() const { return all_.data(); }

 private:
  View<T, Rows, Cols> one_;
  Array<T> all_;
};

/// Where the numbers of a whole sequence of tokens are: `Token<InSeries<S>>`.
template <class T>
struct InSeries {
  template <Index Rows, Index Cols>
  using Matrix = Series<T, Rows, Cols>;
};

/// Zeros for a sequence of `length` tokens, as a rule names them.
template <class S, class Rule>
typename Rule::template Token<InSeries<S>> tokens_of(const Rule& rule, Index length) {
  auto tokens = rule.template token<InSeries<S>>();
  visit([&](const Name&, auto& member) { member.resize(length); }, tokens);
  return tokens;
}

/// Token t of a sequence, to be read.
template <class S, class Rule, class Tokens>
typename Rule::template Token<InViews<const S>> token_at(const Rule& rule, const Tokens& tokens, Index t) {
  auto token = rule.template token<InViews<const S>>();
  visit([&](const Name&, auto& one, const auto& all) { one = all[t]; }, token, tokens);
  return token;
}
/// Token t of a sequence, to take cotangents.
template <class S, class Rule, class Tokens>
typename Rule::template Token<InViews<S>> token_bar_at(const Rule& rule, Tokens& tokens_bar, Index t) {
  auto token = rule.template token<InViews<S>>();
  visit([&](const Name&, auto& one, auto& all) { one = all[t]; }, token, tokens_bar);
  return token;
}

}  // namespace gdssm

// What most rules' tokens begin with.
namespace gdssm::recurrences {

/// A key and a value.
template <class Storage, Index Keys, Index Values>
struct KeyValue {
  MatrixIn<Storage, Keys, 1> k;    ///< key
  MatrixIn<Storage, Values, 1> v;  ///< value

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"k"}, self.k...);
    visitor(Name{"v"}, self.v...);
  }
};

/// A key, a value and a rate, or a rate for each channel.
template <class Storage, Index Keys, Index Values, Index Rates = 1>
struct RatedKeyValue : KeyValue<Storage, Keys, Values> {
  MatrixIn<Storage, Rates, 1> beta;  ///< rate, the weight of the error

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    KeyValue<Storage, Keys, Values>::visit(visitor, self...);
    visitor(Name{"beta"}, self.beta...);
  }
};

/// A key, a value, a rate and a decay, or a decay for each channel.
template <class Storage, Index Keys, Index Values, Index Decays = 1>
struct DecayedKeyValue : RatedKeyValue<Storage, Keys, Values> {
  MatrixIn<Storage, Decays, 1> alpha;  ///< decay

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    RatedKeyValue<Storage, Keys, Values>::visit(visitor, self...);
    visitor(Name{"alpha"}, self.alpha...);
  }
};

}  // namespace gdssm::recurrences
