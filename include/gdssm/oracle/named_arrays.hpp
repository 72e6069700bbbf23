// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gdssm/blocks/recurrences/token.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/io/tensors.hpp"
#include "gdssm/io/text.hpp"

// Arrays of a learning rule under the names that they have in files.
namespace gdssm::detail {

using NamedTensors = std::map<std::string, Tensor>;

/// An array of numbers of any kind, row-major.
template <class S>
struct NumbersOf {
  std::vector<Index> shape;
  std::vector<S> numbers;
  bool of_tokens = false;  ///< whether the first axis is that of tokens
};
template <class S>
using Results = std::map<std::string, NumbersOf<S>>;

/// An array of a rule as a file has it: its name, its shape, and where its entries are, row-major.
template <class S>
struct BoundTensor {
  std::string name;
  std::vector<Index> shape;
  std::vector<S*> entries;
  bool of_tokens = false;             ///< whether the first axis is that of tokens
  TokenRole role = TokenRole::value;  ///< what they are to the rule
};

/// Tensors by name, in one precision, each of which must be asked for.
template <class S>
class AskedTensors {
 public:
  AskedTensors(const NamedTensors& tensors, std::string where, std::string prefix = "")
      : tensors_(tensors), where_(std::move(where)), prefix_(std::move(prefix)) {}

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }

  /// The sizes of a tensor of that many axes, which are called `axes`.
  std::vector<Index> shape(const std::string& name, const char* axes, std::size_t count) const {
    const Tensor& tensor = at(name, axes);
    if (tensor.shape.size() != count)
      refuse(tensor_place(where_, name), "shape is ", shape_text(tensor.shape), ", expected ", axes);
    return tensor.shape;
  }
  /// A number.
  double number(const std::string& name) {
    asked_.push_back(name);
    shape(name, "[]", 0);
    return std::visit([](const auto& numbers) { return static_cast<double>(numbers.front()); }, at(name, "[]").data);
  }
  /// A whole number from 1.
  Index whole_number(const std::string& name) {
    const double value = number(name);
    if (!(value >= 1 && value < 1e15 && value == std::floor(value)))
      refuse(where_, "tensor ", in_quotes(name), " is ", format_number(value), ", expected a whole number from 1");
    return static_cast<Index>(value);
  }
  /// Copies a tensor to its entries.
  void read(const BoundTensor<S>& bound) {
    const std::string name = prefix_ + bound.name;
    asked_.push_back(name);
    const Tensor& tensor =
        at(name, "shape " + shape_text(bound.shape) + (prefix_.empty() ? "" : ", as there are other cotangents"));
    if (tensor.shape != bound.shape)
      refuse(tensor_place(where_, name), "shape is ", shape_text(tensor.shape), ", expected ", shape_text(bound.shape));
    std::visit(
        [&](const auto& numbers) {
          for (std::size_t i = 0; i < bound.entries.size(); ++i) *bound.entries[i] = static_cast<S>(numbers[i]);
        },
        tensor.data);
  }
  /// Refuses tensors that nobody asked for.
  void expect_no_others() const {
    for (const auto& [name, tensor] : tensors_) {
      if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
      std::string known;
      for (const std::string& one : asked_) known += (known.empty() ? "" : ", ") + one;
      refuse(where_, "tensor ", in_quotes(name, 200), " is unknown, expected one of ", known);
    }
  }

 private:
  const Tensor& at(const std::string& name, const std::string& expected) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) refuse(where_, "tensor ", in_quotes(name), " is missing, expected ", expected);
    return found->second;
  }

  const NamedTensors& tensors_;
  std::string where_;
  std::string prefix_;  // of every name
  std::vector<std::string> asked_;
};

template <class S>
void write_tensors(const std::vector<BoundTensor<S>>& bound, const std::string& prefix, Results<S>& out) {
  for (const BoundTensor<S>& one : bound) {
    std::vector<S> numbers;
    for (const S* entry : one.entries) numbers.push_back(*entry);
    out[prefix + one.name] = {one.shape, std::move(numbers), one.of_tokens};
  }
}

}  // namespace gdssm::detail
