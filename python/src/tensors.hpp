// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/ndarray.h>

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "arrays.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/io/tensors.hpp"
#include "gdssm/io/text.hpp"

namespace gdssm::python {

/// An array of float or double that lies row by row.
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

/// A copy of an array.
inline Tensor tensor_of(const std::string& name, const AnyArray& array) {
  Tensor tensor;
  for (std::size_t axis = 0; axis < array.ndim(); ++axis) tensor.shape.push_back(static_cast<Index>(array.shape(axis)));
  const auto copy = [&]<class T>(const T* numbers) { tensor.data = std::vector<T>(numbers, numbers + array.size()); };
  if (array.dtype() == nb::dtype<float>())
    copy(static_cast<const float*>(array.data()));
  else if (array.dtype() == nb::dtype<double>())
    copy(static_cast<const double*>(array.data()));
  else
    refuse(in_quotes(name), "is of another type, expected float32 or float64");
  return tensor;
}

inline std::map<std::string, Tensor> tensors_of(const nb::dict& arrays) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [key, array] : arrays) {
    const auto name = nb::cast<std::string>(key);
    tensors.emplace(name, tensor_of(name, nb::cast<AnyArray>(array)));
  }
  return tensors;
}

/// An array for Python, which takes the numbers over.
inline nb::object array_of(Tensor&& tensor) {
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  return std::visit(
      [&]<class T>(std::vector<T>& numbers) {
        auto* const kept = new std::vector<T>(std::move(numbers));
        const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
        return nb::cast(nb::ndarray<nb::numpy, T>(kept->data(), shape.size(), shape.data(), owner));
      },
      tensor.data);
}

inline nb::dict arrays_of(std::map<std::string, Tensor>&& tensors) {
  nb::dict arrays;
  for (auto& [name, tensor] : tensors) arrays[name.c_str()] = array_of(std::move(tensor));
  return arrays;
}

}  // namespace gdssm::python
