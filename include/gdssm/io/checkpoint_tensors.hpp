// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstddef>
#include <limits>
#include <map>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/io/aggregate.hpp"
#include "gdssm/io/tensors.hpp"
#include "gdssm/io/text.hpp"

// A checkpoint as a value, for anything with matrices in `visit` and whole numbers in `visit_counters` (a TrainingRun).
// Matrices are tensors under their names, of shape (rows, cols); the counter "optimizer.updates" is the metadata
// "counter.optimizer.updates", in decimal.

namespace gdssm {

/// Tells a computation from others of the same shape: options, seed and model, in words.
using CheckpointIdentity = std::map<std::string, std::string>;

namespace detail {

inline constexpr const char* checkpoint_format = "gdssm checkpoint 1";

/// "FILE: metadata 'seed'".
inline std::string metadata_place(const std::string& where, const std::string& key) {
  return where + ": metadata " + in_quotes(key, 200);
}

/// The metadata of a state's checkpoint.
/// Errors  an identity with the name of another entry
template <class State>
CheckpointIdentity checkpoint_metadata(const CheckpointIdentity& identity, const State& state,
                                       const std::string& where) {
  CheckpointIdentity metadata = identity;
  const auto add = [&](const std::string& key, const std::string& value) {
    if (!metadata.emplace(key, value).second)
      refuse(metadata_place(where, key), "is the checkpoint's own, expected an identity without it");
  };
  add("format", checkpoint_format);
  visit_counters([&](const Name& name, const auto& counter) { add("counter." + name.str(), std::to_string(counter)); },
                 state);
  return metadata;
}

/// Reads the counters; refuses metadata other than those of a checkpoint with this identity.
template <class State>
void take_checkpoint_metadata(const CheckpointIdentity& found, const std::string& where,
                              const CheckpointIdentity& identity, State& state) {
  CheckpointIdentity expected = checkpoint_metadata(identity, state, where);
  visit_counters(
      [&](const Name& name, auto& counter) {
        const std::string key = "counter." + name.str();
        const auto entry = found.find(key);
        const std::string text = entry == found.end() ? "" : entry->second;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), counter);
        if (error != std::errc() || end != text.data() + text.size() || text.starts_with('-'))
          refuse(metadata_place(where, key), "is ", entry == found.end() ? "missing" : in_quotes(text),
                 ", expected a whole number from 0 to ",
                 (std::numeric_limits<std::remove_cvref_t<decltype(counter)>>::max)());
        expected[key] = text;
      },
      state);
  for (const auto& [key, value] : expected) {
    const auto entry = found.find(key);
    if (entry == found.end()) refuse(metadata_place(where, key), "is missing, expected ", in_quotes(value));
    if (entry->second != value)
      refuse(metadata_place(where, key), "is ", in_quotes(entry->second), ", expected ", in_quotes(value));
  }
  for (const auto& [key, value] : found)
    if (!expected.contains(key))
      refuse(metadata_place(where, key), "is ", in_quotes(value), ", expected a checkpoint without it");
}

}  // namespace detail

/// A state as a file, exactly. `where` names the file in error messages.
/// Errors  std::invalid_argument: an identity with a key "format" or with a counter's, two matrices of one name
template <class State>
Safetensors checkpoint_of(const State& state, const CheckpointIdentity& identity,
                          const std::string& where = "checkpoint") {
  Safetensors file{detail::checkpoint_metadata(identity, state, where), {}};
  put_aggregate(file, "", state);
  std::size_t members = 0;
  visit([&](const Name&, const auto&) { ++members; }, state);
  if (file.tensors.size() != members)
    refuse(where, members, " matrices have ", file.tensors.size(), " names, expected one each");
  return file;
}

/// Replaces a newly made state, which determines the expected shapes, by the one in a file. Numbers are not checked: a
/// computation may have reached infinity, and continues with it.
/// Errors  std::invalid_argument naming the file (`where`) and the metadata or the tensor; the state is then unchanged:
///         a file of another format or identity, a counter that is not a number, a tensor that is missing, unknown, or
///         of another shape or precision
template <class State>
void take_checkpoint(const Safetensors& file, const std::string& where, const CheckpointIdentity& identity,
                     State& state) {
  State taken = state;
  detail::take_checkpoint_metadata(file.metadata, where, identity, taken);
  std::size_t members = 0;
  visit(
      [&](const Name& name, auto& member) {
        detail::take_member(file, where, name.str(), member);
        ++members;
      },
      taken);
  if (members != file.tensors.size()) {
    auto unknown = file.tensors;
    visit([&](const Name& name, const auto&) { unknown.erase(name.str()); }, taken);
    refuse(detail::tensor_place(where, unknown.begin()->first), "is unknown, expected a checkpoint without it");
  }
  state = std::move(taken);
}

}  // namespace gdssm
