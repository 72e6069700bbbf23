// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gdssm/deep/model.hpp"
#include "gdssm/io/tensors.hpp"
#include "gdssm/oracle/named_arrays.hpp"

// Deep sequence models on tensors by their names: what other implementations are compared with.
namespace gdssm {

namespace detail {

/// A matrix of a deep model as files have it: vectors and maps by rows, and of what every head has of its own, the
/// heads first.
template <class T>
BoundTensor<T> deep_tensor(const std::string& name, View<T> matrix, Index heads) {
  const std::string_view leaf = std::string_view(name).substr(name.rfind('.') + 1);
  const auto among = [&](auto... names) { return ((leaf == names) || ...); };
  BoundTensor<T> tensor{name, {matrix.rows()}, {}};
  const auto take = [&](Index first, Index cols) {
    for (Index i = 0; i < matrix.rows(); ++i)
      for (Index j = first; j < first + cols; ++j) tensor.entries.push_back(&matrix(i, j));
  };
  if (among("norm1", "norm2", "final_norm", "b_b", "b_a", "a_log")) {
    take(0, 1);
  } else if (among("log_step", "d", "out_gain", "tokens", "q_tail", "k_tail", "v_tail")) {
    tensor.shape = {matrix.cols(), matrix.rows()};
    for (Index i = 0; i < matrix.size(); ++i) tensor.entries.push_back(&matrix[i]);
  } else if (among("a", "lambda", "c", "state")) {
    const Index cols = matrix.cols() / heads;
    tensor.shape = {heads, matrix.rows(), cols};
    for (Index h = 0; h < heads; ++h) take(h * cols, cols);
  } else {
    tensor.shape = {matrix.rows(), matrix.cols()};
    take(0, matrix.cols());
  }
  return tensor;
}

/// All matrices of a model or a state.
template <class T>
std::vector<BoundTensor<T>> deep_tensors(NamedWeights<T>& weights, Index heads) {
  std::vector<BoundTensor<T>> all;
  for (std::size_t i = 0; i < weights.entries().size(); ++i)
    all.push_back(deep_tensor<T>(weights.entries()[i].name, weights[i], heads));
  return all;
}

inline const std::string& metadata_of(const Safetensors& file, const std::string& name, const std::string& expected,
                                      const std::string& where) {
  const auto found = file.metadata.find(name);
  if (found == file.metadata.end()) refuse(where, "metadata ", in_quotes(name), " is missing, expected ", expected);
  return found->second;
}
inline Index whole_metadata(const Safetensors& file, const std::string& name, Index least, const std::string& where) {
  const std::string expected = "a whole number from " + std::to_string(least);
  const std::string& text = metadata_of(file, name, expected, where);
  Index value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > 1000000)
    refuse(where, "metadata ", in_quotes(name), " is ", in_quotes(text), ", expected ", expected);
  return value;
}

/// The sizes that metadata and shapes say.
template <class T>
DeepSizes deep_sizes(const Safetensors& file, const std::string& where) {
  constexpr std::array<std::string_view, 5> mixers{"gril", "linear", "gated_delta", "kda", "mamba2"};
  const std::string names = "gril, linear, gated_delta, kda or mamba2";
  DeepSizes sizes{};
  sizes.mixer = metadata_of(file, "mixer", names, where);
  if (std::find(mixers.begin(), mixers.end(), sizes.mixer) == mixers.end())
    refuse(where, "metadata 'mixer' is ", in_quotes(sizes.mixer), ", expected ", names);
  sizes.heads = whole_metadata(file, "heads", 1, where);
  if (sizes.mixer == "gril")
    sizes.window = whole_metadata(file, "window", 1, where);
  else
    sizes.convolution = whole_metadata(file, "convolution", 0, where);
  const std::string& tied = metadata_of(file, "tied", "true or false", where);
  if (tied != "true" && tied != "false")
    refuse(where, "metadata 'tied' is ", in_quotes(tied), ", expected true or false");
  sizes.tied = tied == "true";

  const AskedTensors<T> given(file.tensors, where);
  const auto embedding = given.shape("embedding", "[vocabulary, width]", 2);
  const auto map = given.shape("layers.0.w_o", "[width, heads n]", 2);
  const auto hidden = given.shape("layers.0.w1", "[hidden, width]", 2);
  const auto expect_some = [&](const std::string& name, const std::vector<Index>& shape) {
    for (const Index size : shape)
      if (size < 1) refuse(tensor_place(where, name), "shape is ", shape_text(shape), ", expected sizes from 1");
  };
  expect_some("embedding", embedding), expect_some("layers.0.w_o", map), expect_some("layers.0.w1", hidden);
  if (map[1] % sizes.heads != 0)
    refuse(tensor_place(where, "layers.0.w_o"), "shape is ", shape_text(map), ", expected a multiple of ", sizes.heads,
           " heads as the second size");
  sizes.vocabulary = embedding[0];
  sizes.width = embedding[1];
  sizes.head_size = map[1] / sizes.heads;
  sizes.hidden = hidden[0];
  const auto has_layer = [&](Index l) {
    const std::string prefix = "layers." + std::to_string(l) + ".";
    const auto found = file.tensors.lower_bound(prefix);
    return found != file.tensors.end() && found->first.starts_with(prefix);
  };
  while (has_layer(sizes.depth)) ++sizes.depth;
  return sizes;
}

/// Whole numbers from 0 to most - 1 of shape (sequences, length).
inline std::vector<Index> ids_of(const std::map<std::string, IntegerTensor>& tensors, const std::string& name,
                                 const std::vector<Index>& shape, Index most, const std::string& where) {
  const auto found = tensors.find(name);
  if (found == tensors.end())
    refuse(where, "tensor ", in_quotes(name), " of I64 is missing, expected shape ",
           shape.empty() ? "[batch, T]" : shape_text(shape));
  const IntegerTensor& ids = found->second;
  const bool right = ids.shape.size() == 2 &&
                     (shape.empty() || (ids.shape[0] == shape[0] && (shape[1] < 0 || ids.shape[1] == shape[1])));
  if (!right)
    refuse(tensor_place(where, name), "shape is ", shape_text(ids.shape), ", expected ",
           shape.empty()  ? "[batch, T]"
           : shape[1] < 0 ? "[" + std::to_string(shape[0]) + ", any length]"
                          : shape_text(shape));
  for (std::size_t i = 0; i < ids.numbers.size(); ++i)
    if (ids.numbers[i] < 0 || ids.numbers[i] >= most)
      refuse(tensor_place(where, name), "entry [", static_cast<Index>(i) / ids.shape[1], ", ",
             static_cast<Index>(i) % ids.shape[1], "] is ", ids.numbers[i], ", expected 0 to ", most - 1);
  return {ids.numbers.begin(), ids.numbers.end()};
}

template <class T>
NamedTensors deep_in(const Safetensors& file, const std::string& where,
                     const std::map<std::string, IntegerTensor>& tokens, const std::string& where_ids) {
  const DeepModel<T> model(deep_sizes<T>(file, where));
  const Index V = model.sizes().vocabulary, heads = model.sizes().heads;
  NamedWeights<T> weights = model.zeros(), gradient = weights;
  AskedTensors<T> given(file.tensors, where);
  for (const auto& tensor : deep_tensors(weights, heads)) given.read(tensor);
  given.expect_no_others();

  for (const auto& [name, tensor] : tokens)
    if (name != "ids" && name != "targets" && name != "marked" && name != "more_ids")
      refuse(where_ids, "tensor ", in_quotes(name, 200), " is unknown, expected one of ids, targets, marked, more_ids");
  const std::vector<Index> ids = ids_of(tokens, "ids", {}, V, where_ids);
  const std::vector<Index> shape = tokens.at("ids").shape;
  const Index batch = shape[0], length = shape[1];
  const bool trained = tokens.count("targets") > 0 || tokens.count("marked") > 0, more = tokens.count("more_ids") > 0;
  std::vector<Index> targets, marks, more_ids;
  std::vector<char> marked;
  double K = 0;
  if (trained) {
    marks = ids_of(tokens, "marked", shape, 2, where_ids);
    marked.assign(marks.begin(), marks.end());
    K = static_cast<double>(std::count(marks.begin(), marks.end(), Index(1)));
    if (K == 0) refuse(tensor_place(where_ids, "marked"), "nothing is marked, expected at least one 1");
    // What is not marked has no target, whatever stands there.
    auto counted = tokens;
    if (const auto found = counted.find("targets"); found != counted.end() && found->second.shape == shape)
      for (std::size_t i = 0; i < marked.size(); ++i)
        if (!marked[i]) found->second.numbers[i] = 0;
    targets = ids_of(counted, "targets", shape, V, where_ids);
  }
  if (more) more_ids = ids_of(tokens, "more_ids", {batch, -1}, V, where_ids);
  const Index further = more ? tokens.at("more_ids").shape[1] : 0;

  DeepPass<T> pass(model, (std::max)({length, further, Index(1)}));
  std::map<std::string, NumbersOf<T>> results;
  const auto append = [&](const std::string& name, std::vector<Index> one, const std::vector<const T*>& entries) {
    one.insert(one.begin(), batch);
    auto& result = results[name];
    result.shape = std::move(one);
    for (const T* entry : entries) result.numbers.push_back(*entry);
  };
  const auto sequence = [](const auto& all, Index b, Index size) {
    return std::span(all).subspan(static_cast<std::size_t>(b * size), static_cast<std::size_t>(size));
  };
  const auto forward = [&](const std::vector<Index>& all, Index b, Index size, NamedWeights<T>& state,
                           const std::string& name) {
    Array<T> logits(V, size);
    pass.forward(weights, sequence(all, b, size), state, logits.view());
    std::vector<const T*> entries;
    for (Index i = 0; i < logits.size(); ++i) entries.push_back(&logits[i]);
    append(name, {size, V}, entries);
  };
  double loss = 0;
  for (Index b = 0; b < batch; ++b) {
    NamedWeights<T> state = model.initial_state();
    forward(ids, b, length, state, "logits");
    for (const auto& part : deep_tensors(state, heads))
      append("state." + part.name, part.shape, {part.entries.begin(), part.entries.end()});
    if (more) forward(more_ids, b, further, state, "more_logits");
    if (trained)
      loss += pass.loss_and_gradient(weights, sequence(ids, b, length), sequence(targets, b, length),
                                     sequence(marked, b, length), 1 / K, gradient);
  }
  if (trained) {
    results["loss"] = {{}, {static_cast<T>(loss / K)}};
    write_tensors(deep_tensors(gradient, heads), "grad.", results);
  }
  NamedTensors all;
  for (auto& [name, result] : results) all[name] = {std::move(result.shape), std::move(result.numbers)};
  return all;
}

}  // namespace detail

/// A deep model on the tensors of two files: the logits of `ids` (batch, T) and the state after them, `state.<name>`;
/// given `targets` and `marked`, the mean cross-entropy of all marked tokens, `loss`, and its gradients, `grad.<name>`;
/// given `more_ids`, the logits that follow from that state, `more_logits`. The model's metadata are `mixer`, `heads`,
/// `window` for gril or `convolution` for the others, and `tied`. In F64 if any tensor is F64, else in F32.
/// Errors  std::invalid_argument naming file and tensor: metadata that are missing or no such value, a tensor that is
///         missing, unknown or of another shape, ids that the vocabulary does not have, nothing marked
inline std::map<std::string, Tensor> deep_results(const Safetensors& model, const std::string& where,
                                                  const std::map<std::string, IntegerTensor>& tokens,
                                                  const std::string& where_ids) {
  return widest_dtype(model.tensors) == "F64" ? detail::deep_in<double>(model, where, tokens, where_ids)
                                              : detail::deep_in<float>(model, where, tokens, where_ids);
}

}  // namespace gdssm
