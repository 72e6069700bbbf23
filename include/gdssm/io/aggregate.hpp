// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/io/safetensors.hpp"

// Anything that `visit` shows as a set of named matrices (parameters, states, moments), as tensors of a file.

namespace gdssm {

/// Adds every member of the aggregate to the file, as the tensor `prefix` + its name, of shape (rows, cols).
template <class Aggregate>
void put_aggregate(Safetensors& file, const std::string& prefix, const Aggregate& aggregate) {
  visit(
      [&](const Name& name, const auto& member) {
        using Scalar = typename std::remove_cvref_t<decltype(member)>::Scalar;
        std::vector<Scalar> numbers;
        numbers.reserve(static_cast<std::size_t>(member.size()));
        for (Index i = 0; i < member.rows(); ++i)
          for (Index j = 0; j < member.cols(); ++j) numbers.push_back(member(i, j));
        file.tensors[prefix + name.str()] = {{member.rows(), member.cols()}, std::move(numbers)};
      },
      aggregate);
}

/// Reads every member of the aggregate, which has the shapes that are expected, from the tensors that `put_aggregate`
/// made.
/// Errors  std::invalid_argument naming the file (`where`) and the tensor: one that is missing, of another shape or
///         precision, or not finite
template <class Aggregate>
void take_aggregate(const Safetensors& file, const std::string& where, const std::string& prefix,
                    Aggregate& aggregate) {
  visit(
      [&](const Name& name, auto& member) {
        using Scalar = typename std::remove_cvref_t<decltype(member)>::Scalar;
        const std::string tensor = prefix + name.str(), place = detail::tensor_place(where, tensor);
        const auto found = file.tensors.find(tensor);
        if (found == file.tensors.end()) refuse(place, "is missing, expected it");
        const std::vector<Index> shape{member.rows(), member.cols()};
        if (found->second.shape != shape)
          refuse(place, "has the shape ", detail::shape_text(found->second.shape), ", expected ",
                 detail::shape_text(shape));
        require_finite(found->second, place);
        const auto numbers = found->second.template as<Scalar>(place);
        for (Index i = 0, at = 0; i < member.rows(); ++i)
          for (Index j = 0; j < member.cols(); ++j) member(i, j) = numbers[static_cast<std::size_t>(at++)];
      },
      aggregate);
}

}  // namespace gdssm
