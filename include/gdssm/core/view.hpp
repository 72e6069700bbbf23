// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

namespace gdssm {

/// Sizes and positions, signed as in Eigen.
using Index = Eigen::Index;

/// A size known only at run time. In every `template <Index Size>` of this library, Size is a number or `Dynamic`.
inline constexpr Index Dynamic = Eigen::Dynamic;

namespace detail {

/// Refuses a view whose size differs from the type's.
[[noreturn, gnu::cold, gnu::noinline]] inline void refuse_size(const char* what, Index size, Index expected) {
  throw std::invalid_argument(std::string("View: the number of ") + what + " is " + std::to_string(size) +
                              ", expected " + std::to_string(expected));
}

/// A size: part of the type if `Size` is a number, a member if it is `Dynamic`.
template <Index Size>
struct Extent {
  constexpr explicit Extent(Index size) {
    if (size != Size) refuse_size("rows or columns", size, Size);
  }
  static constexpr Index value() { return Size; }
};

template <>
struct Extent<Dynamic> {
  constexpr explicit Extent(Index size) : size_(size) {}
  constexpr Index value() const { return size_; }
  Index size_;
};

[[noreturn, gnu::cold, gnu::noinline]] inline void refuse_array(Index rows, Index cols, Index Rows, Index Cols) {
  const auto size = [](Index fixed) { return fixed == Dynamic ? "any" : std::to_string(fixed); };
  throw std::invalid_argument("Array: the sizes are " + std::to_string(rows) + " x " + std::to_string(cols) +
                              ", expected " + size(Rows) + " x " + size(Cols));
}

/// The size in the type if there is one, else the given size. Lets constructors take any size and refuse a wrong one
/// later, where `Extent` would assert.
template <Index Size>
constexpr Index fixed_or(Index size) {
  return Size == Dynamic ? size : Size;
}

/// Refuses sizes that an array cannot have: below zero, or another than the type's.
template <Index Rows, Index Cols>
void expect_array(Index rows, Index cols) {
  if (rows < 0 || cols < 0 || (Rows != Dynamic && rows != Rows) || (Cols != Dynamic && cols != Cols))
    refuse_array(rows, cols, Rows, Cols);
}

/// Sizes that may be equal: the same, or at least one of them known only at run time.
template <Index A, Index B>
inline constexpr bool compatible = A == B || A == Dynamic || B == Dynamic;

}  // namespace detail

/// A dense column-major matrix in memory owned elsewhere; kernels read and write it. Elements may have any type,
/// including lanes. A vector is a matrix of one column.
/// Shapes  rows x cols, each a number in the type or `Dynamic`; element (i, j) is data()[i + j rows()].
template <class T, Index Rows = Dynamic, Index Cols = Dynamic>
class View {
 public:
  constexpr View(T* data, Index rows, Index cols) : data_(data), rows_(rows), cols_(cols) {}

  /// Adds const, or moves a size from the type to run time or back. The number of columns moves into the type only by
  /// an explicit conversion, so that a matrix does not become a vector unnoticed.
  /// Errors  std::invalid_argument: another size than the type's
  template <class U, Index R, Index C>
  requires(std::is_convertible_v<U (*)[], T (*)[]>&& detail::compatible<Rows, R>&& detail::compatible<Cols, C>)  //
      constexpr explicit(Cols != Dynamic && C == Dynamic) View(const View<U, R, C>& other)
      : View(other.data(), Rows == Dynamic ? other.rows() : Rows, Cols == Dynamic ? other.cols() : Cols) {
    if (Rows != Dynamic && R == Dynamic && other.rows() != Rows) detail::refuse_size("rows", other.rows(), Rows);
    if (Cols != Dynamic && C == Dynamic && other.cols() != Cols) detail::refuse_size("columns", other.cols(), Cols);
  }

  /// A view of nothing, for a result that is not wanted; see `present`.
  static constexpr View absent() { return {nullptr, Rows == Dynamic ? 0 : Rows, Cols == Dynamic ? 0 : Cols}; }
  constexpr bool present() const { return data_ != nullptr; }  ///< not `absent`

  /// The same view, read-only.
  constexpr View<const T, Rows, Cols> as_const() const { return {data_, rows(), cols()}; }

  constexpr T* data() const { return data_; }
  constexpr Index rows() const { return rows_.value(); }
  constexpr Index cols() const { return cols_.value(); }
  constexpr Index size() const { return rows() * cols(); }

  constexpr T& operator()(Index i, Index j) const {
    assert(i >= 0 && i < rows() && j >= 0 && j < cols());
    return data_[i + j * rows()];
  }
  constexpr T& operator[](Index i) const {
    assert(i >= 0 && i < size());
    return data_[i];
  }

  /// Column j.
  constexpr View<T, Rows, 1> column(Index j) const { return {data_ + j * rows(), rows(), 1}; }

  /// Columns first, ..., first + count - 1. Pass the count as a template argument to keep it in the type.
  template <Index Count = Dynamic>
  constexpr View<T, Rows, Count> columns(Index first, Index count = Count) const {
    assert(first >= 0 && count >= 0 && first + count <= cols());
    return {data_ + first * rows(), rows(), count};
  }

  constexpr void fill(const std::remove_const_t<T>& value) const {
    for (Index i = 0; i < size(); ++i) data_[i] = value;
  }

 private:
  T* data_;
  [[no_unique_address]] detail::Extent<Rows> rows_;
  [[no_unique_address]] detail::Extent<Cols> cols_;
};

namespace detail {

/// Allocates at the beginning of a cache line, so that vectors never straddle two lines.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t line{64};

  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), line)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, line); }
  friend bool operator==(const LineAllocator&, const LineAllocator&) { return true; }
};

}  // namespace detail

/// A dense column-major matrix of any element type that owns its memory; a value. Eigen matrices hold parameters;
/// arrays hold the data of inner loops: coefficients, states, scratch. It allocates only when it is constructed, or
/// copied from an array of another size.
template <class T, Index Rows = Dynamic, Index Cols = Dynamic>
class Array {
 public:
  using Scalar = T;  ///< of an entry

  /// Zeros of the sizes in the type; sizes known only at run time are 0.
  Array() : Array(Rows == Dynamic ? 0 : Rows, Cols == Dynamic ? 0 : Cols) {}
  /// Errors  std::invalid_argument: sizes below zero, or other than the type's
  Array(Index rows, Index cols)
      : rows_((detail::expect_array<Rows, Cols>(rows, cols), rows)),
        cols_(cols),
        data_(static_cast<std::size_t>(rows * cols), T(0)) {}

  Index rows() const { return rows_.value(); }
  Index cols() const { return cols_.value(); }
  Index size() const { return rows() * cols(); }
  T* data() { return data_.data(); }
  const T* data() const { return data_.data(); }
  T& operator()(Index i, Index j) { return view()(i, j); }
  const T& operator()(Index i, Index j) const { return view()(i, j); }
  T& operator[](Index i) { return view()[i]; }
  const T& operator[](Index i) const { return view()[i]; }
  void fill(const T& value) { view().fill(value); }

  View<T, Rows, Cols> view() { return {data(), rows(), cols()}; }
  View<const T, Rows, Cols> view() const { return {data(), rows(), cols()}; }

  /// The same memory as an Eigen matrix, for elements that Eigen computes with.
  auto matrix() { return Eigen::Map<Eigen::Matrix<T, eigen(Rows), eigen(Cols)>>(data(), rows(), cols()); }
  auto matrix() const { return Eigen::Map<const Eigen::Matrix<T, eigen(Rows), eigen(Cols)>>(data(), rows(), cols()); }

  friend bool operator==(const Array& a, const Array& b) {
    return a.rows() == b.rows() && a.cols() == b.cols() && a.data_ == b.data_;
  }

 private:
  static constexpr int eigen(Index size) { return static_cast<int>(size); }

  [[no_unique_address]] detail::Extent<Rows> rows_;
  [[no_unique_address]] detail::Extent<Cols> cols_;
  std::vector<T, detail::LineAllocator<T>> data_;
};

/// A view of a column-major Eigen matrix that owns its memory.
template <class Derived>
auto view_of(Eigen::PlainObjectBase<Derived>& matrix) {
  static_assert(!Derived::IsRowMajor || Derived::IsVectorAtCompileTime, "view_of: the matrix must be column-major");
  return View<typename Derived::Scalar, Derived::RowsAtCompileTime, Derived::ColsAtCompileTime>(
      matrix.data(), matrix.rows(), matrix.cols());
}
template <class Derived>
auto view_of(const Eigen::PlainObjectBase<Derived>& matrix) {
  static_assert(!Derived::IsRowMajor || Derived::IsVectorAtCompileTime, "view_of: the matrix must be column-major");
  return View<const typename Derived::Scalar, Derived::RowsAtCompileTime, Derived::ColsAtCompileTime>(
      matrix.data(), matrix.rows(), matrix.cols());
}

namespace detail {

template <class T, Index Rows, Index Cols>
void copy(View<const T, Rows, Cols> from, View<T, Rows, Cols> to) {
  for (Index i = 0; i < from.size(); ++i) to[i] = from[i];
}

template <class T, Index Rows, Index Cols>
void add(View<const T, Rows, Cols> from, View<T, Rows, Cols> to) {
  for (Index i = 0; i < from.size(); ++i) to[i] += from[i];
}

/// Eigen's matrix type for sizes of a `template <Index ...>`.
template <class T, Index Rows, Index Cols>
using Matrix = Eigen::Matrix<T, static_cast<int>(Rows), static_cast<int>(Cols)>;

// Operations of every model on its parameters, as loops: Eigen's expressions take longer to compile.

template <class T, Index Rows, Index Cols>
Matrix<T, Rows, Cols> zeros(Index rows, Index cols) {
  expect_array<Rows, Cols>(rows, cols);
  Matrix<T, Rows, Cols> matrix;
  matrix.resize(rows, cols);  // the constructor would take the sizes of a vector of two for its entries
  for (Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = T(0);
  return matrix;
}

template <class T, Index Rows, Index Cols, int EigenRows, int EigenCols>
void copy(const Eigen::Matrix<T, EigenRows, EigenCols>& from, Array<T, Rows, Cols>& to) {
  for (Index i = 0; i < to.size(); ++i) to.data()[i] = from.data()[i];
}

}  // namespace detail
}  // namespace gdssm
