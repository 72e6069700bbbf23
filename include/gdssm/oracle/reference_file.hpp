// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {

/// Weights in the reference's naming, read from a file.
/// Errors  std::invalid_argument and those of `read_safetensors`, as `ReferenceWeights`
inline ReferenceWeights read_reference_weights(const std::filesystem::path& path) {
  return ReferenceWeights(read_safetensors(path), path.string());
}

namespace detail {

/// The metadata `discretization` of a layer's weights; empty unless the layer is a `PaperLayer`.
template <class Weights>
constexpr std::string_view layer_discretization() {
  if constexpr (requires(const Weights& weights) { weights.readout.C; }) {
    using C = decltype(std::declval<const Weights&>().readout.C);
    constexpr Index f = C::RowsAtCompileTime;
    const auto are_of = []<class Discretization>(Discretization) {
      return std::is_same_v<Weights, typename PaperLayer<f, Discretization>::template Parameters<typename C::Scalar>>;
    };
    if (are_of(ZeroOrderHold())) return "zoh";
    if (are_of(Bilinear())) return "bilinear";
    if (are_of(GivenDecay())) return "none";
  }
  return {};
}

/// The same for the weights of a layer, of the layers of a stack, or of the layer of a `NonlinearSsm`.
template <class Weights>
constexpr std::string_view reference_discretization() {
  if constexpr (requires { typename decltype(Weights::layers)::value_type; })
    return layer_discretization<typename decltype(Weights::layers)::value_type>();
  else if constexpr (requires(const Weights& weights) { weights.layer; })
    return layer_discretization<decltype(Weights::layer)>();
  else
    return layer_discretization<Weights>();
}

}  // namespace detail

/// Weights as a file that `ReferenceWeights` reads.
/// Errors  layers other than `PaperLayer`: static_assert; another discretization than the layer's:
///         std::invalid_argument
template <class Parameters>
Safetensors reference_file(const Parameters& weights, const ReferenceMetadata& metadata) {
  constexpr std::string_view discretization = detail::reference_discretization<Parameters>();
  static_assert(!discretization.empty(),
                "reference_file: the reference has the weights of a PaperLayer, of stacks of it and of a NonlinearSsm "
                "around it, and those of no other layer");
  expect_equal("reference_file", "metadata 'discretization'", in_quotes(metadata.discretization),
               in_quotes(discretization));
  Safetensors file{
      {{"discretization", metadata.discretization}, {"targets", metadata.targets}, {"readout", metadata.readout}}, {}};
  if (!metadata.stack.empty()) file.metadata["stack"] = metadata.stack;
  visit(
      [&](const Name& name, const auto& matrix) {
        using Scalar = typename std::remove_cvref_t<decltype(matrix)>::Scalar;
        const std::string tensor = detail::reference_name(name);
        std::vector<Index> shape{matrix.rows(), matrix.cols()};
        if (tensor.ends_with(".D") || tensor.ends_with(".bias")) shape.pop_back();
        std::vector<Scalar> numbers;
        for (Index i = 0; i < matrix.rows(); ++i)
          for (Index j = 0; j < matrix.cols(); ++j) numbers.push_back(matrix(i, j));
        file.tensors[tensor] = {std::move(shape), std::move(numbers)};
      },
      weights);
  return file;
}

/// Writes the weights of a layer, of a stack of layers or of a `NonlinearSsm` to a file in the reference's naming,
/// which the programs `evaluate` and `explain` read.
///     write_reference_weights("layer.safetensors", weights, {.discretization = "zoh", .targets = "vector"});
/// Errors  as `reference_file`, and std::invalid_argument: unknown words, a number of layers that the reference
///         does not have. Nothing is written then.
template <class Parameters>
void write_reference_weights(const std::filesystem::path& path, const Parameters& weights,
                             const ReferenceMetadata& metadata) {
  const Safetensors file = reference_file(weights, metadata);
  ReferenceWeights(file, path.string());  // checks
  write_safetensors(path, file);
}

}  // namespace gdssm
