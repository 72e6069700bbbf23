// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// The name of a parameter, preceded by the part of the model that holds it: "gate.d". A linked list of views, so that
/// passing names on costs nothing; `str` writes it out.
struct Name {
  std::string_view head;       ///< the first part
  const Name* tail = nullptr;  ///< the rest behind the dot, if any
  int degree = 0;              ///< degree in the data, where `visit` gives one: 1 for a mean
  Index number = -1;           ///< index among parts of the same name, from 0: "layers_0.gate.d"; below 0: the only one

  /// The last part: "d" of "gate.d".
  std::string_view leaf() const { return tail ? tail->leaf() : head.substr(head.rfind('.') + 1); }

  /// The whole name, with dots.
  std::string str() const {
    std::string text(head);
    if (number >= 0) {
      text += '_';
      text += std::to_string(number);
    }
    if (tail) {
      text += '.';
      text += tail->str();
    }
    return text;
  }
};

// Weights, gradients, moments and states are aggregates with one static function
//
//     template <class Visitor, class... Self> static void visit(Visitor&& visitor, Self&&... self);
//
// that calls visitor(name, self.member...) for each matrix member, in a fixed order. It takes several aggregates of one
// shape (weights, gradients, moments) side by side. Initialisation, optimisers, files and printing need nothing else.

/// Storage of weights for users, files and optimisers: Eigen matrices. A block names its weights once, in an aggregate
/// `Weights<Storage>` with members `MatrixIn<Storage, Rows, Cols>`.
template <class T>
struct InMatrices {
  template <Index Rows, Index Cols>
  using Matrix = detail::Matrix<T, Rows, Cols>;
};

/// Storage of weights for inner loops, and of their gradients: arrays, whose elements may be lanes.
template <class T>
struct InArrays {
  template <Index Rows, Index Cols>
  using Matrix = Array<T, Rows, Cols>;
};

/// Storage of shapes alone: which matrices a block has, without memory for them.
struct InShapes {
  template <Index Rows, Index Cols>
  class Matrix {
   public:
    Matrix(Index rows, Index cols) : rows_(rows), cols_(cols) {}
    Index rows() const { return rows_.value(); }
    Index cols() const { return cols_.value(); }

   private:
    [[no_unique_address]] detail::Extent<Rows> rows_;
    [[no_unique_address]] detail::Extent<Cols> cols_;
  };
};

/// Storage elsewhere, looked at in views: `Weights<InViews<const T>>` are read, `Weights<InViews<T>>` take cotangents.
template <class T>
struct InViews {
  template <Index Rows, Index Cols>
  using Matrix = View<T, Rows, Cols>;
};

/// A matrix in a storage, `InMatrices<T>` or `InArrays<T>`; each size is a number or `Dynamic`.
template <class Storage, Index Rows = Dynamic, Index Cols = Dynamic>
using MatrixIn = typename Storage::template Matrix<Rows, Cols>;

/// The weights of what has none, in any storage.
template <class Storage>
struct NoWeights {
  template <class Visitor, class... Self>
  static void visit(Visitor&&, Self&&...) {}
};

/// Zeros in a storage.
/// Shapes  (rows x cols); sizes that are fixed in the type must agree
template <class Storage, Index Rows = Dynamic, Index Cols = Dynamic>
MatrixIn<Storage, Rows, Cols> zeros_in(Index rows = Rows, Index cols = Cols) {
  using Result = MatrixIn<Storage, Rows, Cols>;
  if constexpr (requires { typename Result::PlainObject; })
    return detail::zeros<typename Result::Scalar, Rows, Cols>(rows, cols);
  else
    return Result(rows, cols);
}

namespace detail {

template <class Storage, Index Rows, Index Cols>
struct MadeIn {
  static MatrixIn<Storage, Rows, Cols> of(Index rows, Index cols) { return zeros_in<Storage, Rows, Cols>(rows, cols); }
};
template <class T, Index Rows, Index Cols>
struct MadeIn<InViews<T>, Rows, Cols> {
  static View<T, Rows, Cols> of(Index rows, Index cols) { return {nullptr, rows, cols}; }
};

}  // namespace detail

/// A matrix of a storage, of zeros; in a series the series of no token, among views one of nothing of that size.
template <class Storage, Index Rows = Dynamic, Index Cols = Dynamic>
MatrixIn<Storage, Rows, Cols> made_in(Index rows = Rows, Index cols = Cols) {
  return detail::MadeIn<Storage, Rows, Cols>::of(rows, cols);
}

/// Calls visitor(name, matrix...) for the members of one aggregate, or of several of the same shape side by side.
template <class Visitor, class First, class... More>
void visit(Visitor&& visitor, First&& first, More&&... more) {
  std::remove_cvref_t<First>::visit(visitor, first, more...);
}

/// Visits the members of a part of a model. Their names are preceded by the part's name and, if it has one, its number.
template <class Visitor, class First, class... More>
void visit_part(const Name& part, Visitor&& visitor, First&& first, More&&... more) {
  visit(
      [&](const Name& name, auto&... member) {
        visitor(Name{part.head, &name, name.degree, part.number}, member...);
      },
      first, more...);
}
template <class Visitor, class First, class... More>
void visit_part(std::string_view part, Visitor&& visitor, First&& first, More&&... more) {
  visit_part(Name{part}, visitor, first, more...);
}

/// Visits the members of a list of parts, "layers_0", "layers_1", ...
/// Errors  std::invalid_argument: lists of different lengths
template <class Visitor, class First, class... More>
void visit_list(std::string_view part, Visitor&& visitor, First& first, More&... more) {
  [[maybe_unused]] const auto expect_length = [&](std::size_t length) {
    if (length != first.size()) refuse("visit", "the number of ", part, " is ", length, ", expected ", first.size());
  };
  (expect_length(more.size()), ...);
  for (std::size_t i = 0; i < first.size(); ++i)
    visit_part(Name{part, nullptr, 0, static_cast<Index>(i)}, visitor, first[i], more[i]...);
}

// Aggregates with whole numbers beside their matrices (such as updates made) have a second function, `visit_counters`,
// which calls visitor(name, self.counter...) for each. The two functions together show the whole value.

/// Calls visitor(name, counter...) for the whole numbers of one aggregate, or of several of the same shape side by
/// side. Does nothing where the aggregate has no `visit_counters`.
template <class Visitor, class First, class... More>
void visit_counters(Visitor&& visitor, First&& first, More&&... more) {
  using Aggregate = std::remove_cvref_t<First>;
  if constexpr (requires { Aggregate::visit_counters(visitor, first, more...); })
    Aggregate::visit_counters(visitor, first, more...);
}

/// Visits the whole numbers of a part. Their names are preceded by the part's name.
template <class Visitor, class First, class... More>
void visit_counters_of_part(const Name& part, Visitor&& visitor, First&& first, More&&... more) {
  visit_counters(
      [&](const Name& name, auto&... counter) {
        visitor(Name{part.head, &name, 0, part.number}, counter...);
      },
      first, more...);
}
template <class Visitor, class First, class... More>
void visit_counters_of_part(std::string_view part, Visitor&& visitor, First&& first, More&&... more) {
  visit_counters_of_part(Name{part}, visitor, first, more...);
}

/// The members of an aggregate in arrays, `Weights<InArrays<T>>`, as views.
template <class Views, class Arrays>
Views views_of(Views views, Arrays& arrays) {
  visit([](const Name&, auto& view, auto& array) { view = array.view(); }, views, arrays);
  return views;
}

/// Sets every entry of every member.
template <class Aggregate, class T>
void fill(Aggregate& aggregate, const T& value) {
  visit(
      [&](const Name&, auto& member) {
        using Entry = std::remove_reference_t<decltype(*member.data())>;
        for (Index i = 0; i < member.size(); ++i) member.data()[i] = static_cast<Entry>(value);
      },
      aggregate);
}

/// The number of entries in all members.
template <class Aggregate>
Index count(const Aggregate& aggregate) {
  Index n = 0;
  visit([&](const Name&, const auto& member) { n += member.size(); }, aggregate);
  return n;
}

/// True when every entry of every member is equal. NaN equals nothing.
template <class Aggregate>
bool identical(const Aggregate& a, const Aggregate& b) {
  bool same = true;
  visit(
      [&](const Name&, const auto& x, const auto& y) {
        same = same && x.rows() == y.rows() && x.cols() == y.cols();
        for (Index i = 0; same && i < x.size(); ++i) same = x.data()[i] == y.data()[i];
      },
      a, b);
  return same;
}

namespace detail {

/// Refuses a shape; a function, so that what checks shapes stays small.
[[noreturn]] inline void refuse_shape(const char* where, const Name& name, Index rows, Index cols, Index expected_rows,
                                      Index expected_cols) {
  refuse(where, name.str(), " is ", rows, " x ", cols, ", expected ", expected_rows, " x ", expected_cols);
}

/// Refuses a matrix of another shape: "where: what is 2 x 1, expected 3 x 1".
template <class Matrix>
void expect_extents(const char* where, const Name& what, const Matrix& matrix, Index rows, Index cols) {
  if (matrix.rows() != rows || matrix.cols() != cols)
    refuse_shape(where, what, matrix.rows(), matrix.cols(), rows, cols);
}

}  // namespace detail

/// Refuses a value whose members have other shapes than expected: "where: gate.d is 2 x 1, expected 3 x 1".
/// Errors  std::invalid_argument
template <class Aggregate>
void expect_shapes(const char* where, const Aggregate& expected, const Aggregate& got) {
  visit(
      [&](const Name& name, const auto& a, const auto& b) {
        if (a.rows() != b.rows() || a.cols() != b.cols())
          detail::refuse_shape(where, name, b.rows(), b.cols(), a.rows(), a.cols());
      },
      expected, got);
}

}  // namespace gdssm
