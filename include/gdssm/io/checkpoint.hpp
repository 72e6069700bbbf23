// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "gdssm/io/checkpoint_tensors.hpp"
#include "gdssm/io/safetensors.hpp"

// Weights, states and whole computations in files: anything whose members `visit` names.

namespace gdssm {

/// Saves a value, every bit of it, whole or not at all: what was saved before stays until the new file is complete on
/// disk. The file is safetensors, a matrix a tensor; what else tells the value from others of its shape, options, seed
/// and model, can be given in words.
///     save("layer.safetensors", weights);
///     save("run.safetensors", run, {{"seed", "1"}, {"model", "f = 10"}});
/// Errors  those of `AtomicFile` and `checkpoint_of`
template <class Value>
void save(const std::filesystem::path& path, const Value& value, const CheckpointIdentity& identity = {}) {
  write_safetensors(path, checkpoint_of(value, identity, path.string()));
}

/// Reads what `save` saved into a value that has just been begun, which says what shapes are expected; the words must
/// be the same.
///     auto weights = layer.parameters<float>();
///     load("layer.safetensors", weights);
/// Errors  those of `read_safetensors` and `take_checkpoint`; the value is then as before
template <class Value>
void load(const std::filesystem::path& path, Value& value, const CheckpointIdentity& identity = {}) {
  take_checkpoint(read_safetensors(path), path.string(), identity, value);
}

}  // namespace gdssm
