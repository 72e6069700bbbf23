// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/parameters.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/io/safetensors.hpp"

namespace gdssm::reproduce {

/// A layer's or a stack's parameters as a file that `evaluate` runs.
template <class Parameters>
Safetensors weights_file(const Parameters& parameters, std::map<std::string, std::string> metadata) {
  Safetensors file{std::move(metadata), {}};
  visit(
      [&](const Name& name, const auto& matrix) {
        using Scalar = typename std::remove_cvref_t<decltype(matrix)>::Scalar;
        const std::string reference = gdssm::detail::reference_name(name);
        std::vector<Index> shape{matrix.rows(), matrix.cols()};
        if (reference.ends_with(".D")) shape.pop_back();
        std::vector<Scalar> numbers;
        for (Index i = 0; i < matrix.rows(); ++i)
          for (Index j = 0; j < matrix.cols(); ++j) numbers.push_back(matrix(i, j));
        file.tensors[reference] = {std::move(shape), std::move(numbers)};
      },
      parameters);
  return file;
}

}  // namespace gdssm::reproduce
