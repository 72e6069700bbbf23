// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "gdssm/io/checkpoint_tensors.hpp"
#include "gdssm/io/safetensors.hpp"

// Weights, states and whole computations in files: anything whose members `visit` names.

namespace gdssm {

/// Saves a value exactly, or not at all: the previous file stays until the new one is complete on disk. The file is
/// safetensors, one tensor for each matrix. `identity` may hold what shapes do not show: options, seed, model.
///     save("layer.safetensors", weights);
///     save("run.safetensors", run, {{"seed", "1"}, {"model", "f = 10"}});
/// Errors  those of `AtomicFile` and `checkpoint_of`
template <class Value>
void save(const std::filesystem::path& path, const Value& value, const CheckpointIdentity& identity = {}) {
  write_safetensors(path, checkpoint_of(value, identity, path.string()));
}

/// Reads what `save` saved into a new value, which determines the expected shapes. The identity must be the same.
///     auto weights = layer.parameters<float>();
///     load("layer.safetensors", weights);
/// Errors  those of `read_safetensors` and `take_checkpoint`; the value is then unchanged
template <class Value>
void load(const std::filesystem::path& path, Value& value, const CheckpointIdentity& identity = {}) {
  take_checkpoint(read_safetensors(path), path.string(), identity, value);
}

}  // namespace gdssm
