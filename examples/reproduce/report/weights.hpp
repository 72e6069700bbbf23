// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/parameters.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/io/tensors.hpp"

namespace gdssm::reproduce {

struct OutputFile;

namespace detail {

/// A tensor for each parameter, named name_of(name); vectors have one dimension where the reference's have.
template <class Parameters, class NameOf>
Safetensors tensors_of(const Parameters& parameters, std::map<std::string, std::string> metadata,
                       const NameOf& name_of) {
  Safetensors file{std::move(metadata), {}};
  visit(
      [&](const Name& name, const auto& matrix) {
        using Scalar = typename std::remove_cvref_t<decltype(matrix)>::Scalar;
        const std::string tensor = name_of(name);
        std::vector<Index> shape{matrix.rows(), matrix.cols()};
        if ((tensor.ends_with(".D") || tensor.ends_with(".bias")) && matrix.cols() == 1) shape.pop_back();
        std::vector<Scalar> numbers;
        for (Index i = 0; i < matrix.rows(); ++i)
          for (Index j = 0; j < matrix.cols(); ++j) numbers.push_back(matrix(i, j));
        file.tensors[tensor] = {std::move(shape), std::move(numbers)};
      },
      parameters);
  return file;
}

}  // namespace detail

/// A layer's or a stack's parameters as a file that `evaluate` runs.
template <class Parameters>
Safetensors weights_file(const Parameters& parameters, std::map<std::string, std::string> metadata) {
  return detail::tensors_of(parameters, std::move(metadata),
                            [](const Name& name) { return gdssm::detail::reference_name(name); });
}

/// The same of a model that the reference doesn't have, and `evaluate` doesn't run: gdssm's own names, and in the
/// metadata what the model is.
template <class Parameters>
Safetensors own_weights_file(const Parameters& parameters, const std::string& model) {
  return detail::tensors_of(parameters, {{"model", model}}, [](const Name& name) { return name.str(); });
}

/// Metadata of the paper's layer for vector targets.
inline std::map<std::string, std::string> vector_metadata() {
  return {{"discretization", "zoh"}, {"targets", "vector"}, {"readout", "none"}};
}

/// `NAME.safetensors` among an experiment's files.
OutputFile weights_output(const std::string& name, const Safetensors& weights);

}  // namespace gdssm::reproduce
