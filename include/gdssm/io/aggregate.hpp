// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/io/tensors.hpp"

// Sets of named matrices with a `visit` (parameters, states, moments), as tensors of a file.

namespace gdssm {

namespace detail {

/// The numbers of a tensor that `put_aggregate` made, row by row.
/// Errors  a tensor that is missing, of another shape or precision
template <class Scalar>
std::span<const Scalar> numbers_of(const Safetensors& file, const std::string& where, const std::string& tensor,
                                   Index rows, Index cols) {
  const std::string place = tensor_place(where, tensor);
  const auto found = file.tensors.find(tensor);
  if (found == file.tensors.end()) refuse(place, "is missing, expected it");
  const std::vector<Index> shape{rows, cols};
  if (found->second.shape != shape)
    refuse(place, "has the shape ", shape_text(found->second.shape), ", expected ", shape_text(shape));
  return found->second.template as<Scalar>(place);
}

/// Sets a matrix of the tensor's shape to its numbers, finite or not.
template <class Member>
void take_member(const Safetensors& file, const std::string& where, const std::string& tensor, Member& member) {
  using Scalar = typename std::remove_cvref_t<Member>::Scalar;
  const auto numbers = numbers_of<Scalar>(file, where, tensor, member.rows(), member.cols());
  for (Index i = 0, at = 0; i < member.rows(); ++i)
    for (Index j = 0; j < member.cols(); ++j) member(i, j) = numbers[static_cast<std::size_t>(at++)];
}

}  // namespace detail

/// Adds every member of the aggregate to the file, as the tensor `prefix` + its name of shape (rows, cols).
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

/// Reads every member of the aggregate, which has the expected shapes, from the tensors of `put_aggregate`.
/// Errors  std::invalid_argument naming the file (`where`) and the tensor: missing, of another shape or precision, not
///         finite
template <class Aggregate>
void take_aggregate(const Safetensors& file, const std::string& where, const std::string& prefix,
                    Aggregate& aggregate) {
  visit(
      [&](const Name& name, auto& member) {
        const std::string tensor = prefix + name.str();
        detail::take_member(file, where, tensor, member);
        require_finite(file.tensors.at(tensor), detail::tensor_place(where, tensor));
      },
      aggregate);
}

}  // namespace gdssm
