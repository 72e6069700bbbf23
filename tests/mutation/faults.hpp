// SPDX-License-Identifier: Apache-2.0
// run.py rewrites expressions with these types, so that one build contains all faults and the environment chooses one.
// The operator is written on both sides of its switch, `a + faults::Plus{17} + b`, so precedence stays the same.
// Operands are passed on unchanged, so without a fault nothing changes. Included before everything else.
#pragma once

#include <algorithm>
#include <type_traits>

extern int gdssm_fault;       // the one that is put in; 0 for none
extern char gdssm_reached[];  // which switches the program came by

namespace faults {

#define GDSSM_INLINE [[gnu::always_inline]] inline

GDSSM_INLINE bool on(int number) {
  gdssm_reached[number] = 1;
  return gdssm_fault == number;
}

/// The common type of both choices: a matrix if they are expressions.
template <class A, class B>
struct Fitting : std::common_type<A, B> {};
template <class A>
struct Fitting<A, A> {
  using type = A;
};
template <class A, class B>
requires(!std::is_same_v<A, B> && requires { typename A::PlainObject; }) struct Fitting<A, B> {
  using type = typename A::PlainObject;
};
template <class A, class B>
using Fit = typename Fitting<std::remove_cvref_t<A>, std::remove_cvref_t<B>>::type;

#define GDSSM_BINARY(Name, op, other)                                                  \
  struct Name {                                                                        \
    int number;                                                                        \
  };                                                                                   \
  template <class A>                                                                   \
  struct Name##Left {                                                                  \
    A&& a;                                                                             \
    int number;                                                                        \
  };                                                                                   \
  template <class A>                                                                   \
  GDSSM_INLINE Name##Left<A> operator op(A&& a, Name name) {                           \
    return {static_cast<A&&>(a), name.number};                                         \
  }                                                                                    \
  template <class A, class B>                                                          \
  GDSSM_INLINE auto operator op(Name##Left<A>&& left, B&& b) {                         \
    using R = Fit<decltype(static_cast<A&&>(left.a) op static_cast<B&&>(b)),           \
                  decltype(static_cast<A&&>(left.a) other static_cast<B&&>(b))>;       \
    if (on(left.number)) return R(static_cast<A&&>(left.a) other static_cast<B&&>(b)); \
    return R(static_cast<A&&>(left.a) op static_cast<B&&>(b));                         \
  }
GDSSM_BINARY(Plus, +, -)
GDSSM_BINARY(Minus, -, +)
GDSSM_BINARY(Times, *, /)
GDSSM_BINARY(Over, /, *)
GDSSM_BINARY(Less, <, <=)
GDSSM_BINARY(AtMost, <=, <)
GDSSM_BINARY(More, >, >=)
GDSSM_BINARY(AtLeast, >=, >)
GDSSM_BINARY(Equal, ==, !=)
GDSSM_BINARY(Unequal, !=, ==)
#undef GDSSM_BINARY

/// `!x` and `-x` without their sign: `->*` binds as closely to what follows.
struct Not {
  int number;
};
template <class X>
GDSSM_INLINE bool operator->*(Not sign, X&& x) {
  return on(sign.number) ? static_cast<bool>(x) : !x;
}
struct Negative {
  int number;
};
template <class X>
GDSSM_INLINE auto operator->*(Negative sign, X&& x) {
  using R = Fit<decltype(-x), std::remove_cvref_t<X>>;
  if (on(sign.number)) return R(x);
  return R(-x);
}

/// Additions become subtractions, and multiplications become divisions.
template <class X>
GDSSM_INLINE auto negated(int number, X&& x) {
  using R = Fit<std::remove_cvref_t<X>, decltype(-x)>;
  if (on(number)) return R(-x);
  return R(x);
}
template <class X>
GDSSM_INLINE auto inverted(int number, X&& x) {
  using R = std::remove_cvref_t<X>;
  if (on(number)) return R(R(1) / x);
  return R(x);
}

template <class X>
GDSSM_INLINE X constant(int number, X is, X fault) {
  return on(number) ? fault : is;
}

template <class Rest>
GDSSM_INLINE bool both(int number, bool first, Rest rest) {
  return on(number) ? first || rest() : first && rest();
}
template <class Rest>
GDSSM_INLINE bool either(int number, bool first, Rest rest) {
  return on(number) ? first && rest() : first || rest();
}

template <class X>
GDSSM_INLINE const X& least(int number, const X& a, const X& b) {
  return on(number) ? std::max(a, b) : std::min(a, b);
}
template <class X>
GDSSM_INLINE const X& greatest(int number, const X& a, const X& b) {
  return on(number) ? std::min(a, b) : std::max(a, b);
}

#undef GDSSM_INLINE

}  // namespace faults
