// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "gdssm/core/requirements.hpp"

namespace gdssm {

namespace detail {

/// A part of a message: text, a number, or anything else that can be streamed. Messages of all types are then put
/// together by one function.
class MessagePart {
 public:
  explicit(false) MessagePart(const char* text) : MessagePart(std::string_view(text)) {}
  explicit(false) MessagePart(std::string_view text) : kind_(Kind::text), text_(text) {}
  explicit(false) MessagePart(const std::string& text) : MessagePart(std::string_view(text)) {}
  template <class T>
  explicit(false) MessagePart(const T& value) {
    if constexpr (std::is_floating_point_v<T> && sizeof(T) <= sizeof(double)) {
      kind_ = Kind::real;
      real_ = static_cast<double>(value);
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T> && sizeof(T) > 1) {
      kind_ = Kind::whole;
      whole_ = static_cast<long long>(value);
    } else {
      kind_ = Kind::other;
      other_ = {&value, [](std::ostream& to, const void* from) { to << *static_cast<const T*>(from); }};
    }
  }

  friend std::ostream& operator<<(std::ostream& to, const MessagePart& part) {
    if (part.kind_ == Kind::text) return to << part.text_;
    if (part.kind_ == Kind::real) return to << part.real_;
    if (part.kind_ == Kind::whole) return to << part.whole_;
    part.other_.write(to, part.other_.value);
    return to;
  }

 private:
  struct Other {
    const void* value;
    void (*write)(std::ostream&, const void*);
  };

  enum class Kind { text, real, whole, other } kind_;
  union {
    std::string_view text_;
    double real_;
    long long whole_;
    Other other_;
  };
};

[[noreturn, gnu::cold, gnu::noinline]] inline void refuse_parts(std::string_view where, const MessagePart* parts,
                                                                std::size_t count) {
  std::ostringstream text;
  text << where << ": ";
  for (std::size_t i = 0; i < count; ++i) text << parts[i];
  throw std::invalid_argument(std::move(text).str());
}

}  // namespace detail

/// Throws `std::invalid_argument` with the message `where: ` followed by the other arguments, streamed. `where` names
/// the place (a function, a file and its line, a tensor); the rest says what was found and what was expected. Out of
/// line and cold, so that a check costs its caller one comparison; by value, so that all literals are of one type.
template <class... Message>
[[noreturn, gnu::cold, gnu::noinline]] void refuse(std::string_view where, Message... message) {
  const detail::MessagePart parts[] = {message...};
  detail::refuse_parts(where, parts, sizeof...(Message));
}

/// Refuses a size other than the expected one: "where: what is 3, expected 4".
template <class Got, class Expected>
void expect_equal(const char* where, const char* what, const Got& got, const Expected& expected) {
  if (!(got == expected)) refuse(where, what, " is ", got, ", expected ", expected);
}

/// Refuses a matrix with an entry that is NaN or infinite, naming its row and column from 0. Types in which `x - x` is
/// always zero (exact rationals) pass.
template <class Matrix>
void expect_finite(const char* where, const char* what, const Matrix& matrix) {
  for (auto j = matrix.cols() - matrix.cols(); j < matrix.cols(); ++j)
    for (auto i = j - j; i < matrix.rows(); ++i)
      if (!(matrix(i, j) - matrix(i, j) == typename Matrix::Scalar(0)))
        refuse(where, what, " ", j, ", entry ", i, " is ", matrix(i, j), ", expected a finite number");
}

}  // namespace gdssm
