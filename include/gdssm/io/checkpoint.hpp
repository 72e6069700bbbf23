// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "gdssm/io/checkpoint_tensors.hpp"
#include "gdssm/io/safetensors.hpp"

// Computations that go on where they were left, bit for bit: all of one in one file.

namespace gdssm {

/// Saves a computation, whole or not at all: what was saved before stays until the new file is complete on disk.
///     write_checkpoint("run.safetensors", run, {{"seed", "1"}, {"model", "f = 10"}});
/// Errors  those of `AtomicFile` and `checkpoint_of`
template <class State>
void write_checkpoint(const std::filesystem::path& path, const State& state, const CheckpointIdentity& identity) {
  write_safetensors(path, checkpoint_of(state, identity, path.string()));
}

/// Sets a computation that has just been begun to where `write_checkpoint` left it.
///     auto run = begin_run(optimizer, start);
///     if (std::filesystem::exists("run.safetensors")) read_checkpoint("run.safetensors", run, identity);
/// Errors  those of `read_safetensors` and `take_checkpoint`
template <class State>
void read_checkpoint(const std::filesystem::path& path, State& state, const CheckpointIdentity& identity) {
  take_checkpoint(read_safetensors(path), path.string(), identity, state);
}

}  // namespace gdssm
