// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/ndarray.h>

#include <cstddef>
#include <span>
#include <vector>

#include "gdssm/core/view.hpp"

namespace gdssm::python {

namespace nb = nanobind;

/// Numbers that Python holds, in rows, wherever they lie.
using Rows = nb::ndarray<const double, nb::ndim<2>, nb::device::cpu>;

/// Reads rows one by one; copies only those whose numbers are not side by side.
class RowReader {
 public:
  explicit RowReader(const Rows& rows) : data_(rows.data()), row_(rows.stride(0)), step_(rows.stride(1)) {
    count_ = rows.shape(1);
    if (step_ != 1) copy_.resize(count_);
  }

  std::span<const double> operator()(std::size_t i) {
    const double* const first = data_ + static_cast<std::ptrdiff_t>(i) * row_;
    if (step_ == 1) return {first, count_};
    for (std::size_t j = 0; j < count_; ++j) copy_[j] = first[static_cast<std::ptrdiff_t>(j) * step_];
    return copy_;
  }

 private:
  const double* data_;
  std::ptrdiff_t row_, step_;
  std::size_t count_;
  std::vector<double> copy_;
};

/// A new array for Python of the given shape, and where its numbers go.
template <class T>
struct NewArray {
  nb::ndarray<nb::numpy, T> array;
  T* data;

  explicit NewArray(const std::vector<std::size_t>& shape) {
    std::size_t size = 1;
    for (const std::size_t n : shape) size *= n;
    data = new T[size]();
    const nb::capsule owner(data, [](void* numbers) noexcept { delete[] static_cast<T*>(numbers); });
    array = nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner);
  }
};

}  // namespace gdssm::python
