// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "gdssm/io/reference_weights.hpp"
#include "gdssm/io/safetensors.hpp"

namespace gdssm {

/// Weights in the reference's naming, read from a file.
/// Errors  std::invalid_argument and those of `read_safetensors`, as `ReferenceWeights`
inline ReferenceWeights read_reference_weights(const std::filesystem::path& path) {
  return ReferenceWeights(read_safetensors(path), path.string());
}

/// Writes the weights of a layer, of a stack of layers or of a `NonlinearSsm` to a file in the reference's naming,
/// which the programs `evaluate` and `explain` read.
///     write_reference_weights("layer.safetensors", weights, {.discretization = "zoh", .targets = "vector"});
/// Errors  std::invalid_argument: weights that the reference does not have, unknown words; nothing is written then
template <class Parameters>
void write_reference_weights(const std::filesystem::path& path, const Parameters& weights,
                             const ReferenceMetadata& metadata) {
  const Safetensors file = reference_file(weights, metadata);
  ReferenceWeights(file, path.string());  // checks
  write_safetensors(path, file);
}

}  // namespace gdssm
