// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "gdssm/core/rounded.hpp"
#include "gdssm/io/tensors.hpp"
#include "gdssm/oracle/recurrence.hpp"

// Whether what another implementation computed differs from a learning rule by more than rounding. docs/oracle.md
// explains it to its authors.
namespace gdssm {

/// A precision to compute in.
struct Precision {
  std::string_view name;  ///< as a file of tensors has it, in small letters
  double unit;            ///< u, the unit roundoff
  double smallest;        ///< the least positive number, or where smaller ones may count as zero the least normal one
  double largest;         ///< the largest finite number
};

/// The precisions from the finest on.
/// Source  Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 2.1, and the formats' definitions
inline constexpr std::array<Precision, 5> precisions{{{"f64", 0x1p-53, 0x1p-1022, 0x1.fffffffffffffp1023},
                                                      {"f32", 0x1p-24, 0x1p-126, 0x1.fffffep127},
                                                      {"tf32", 0x1p-11, 0x1p-126, 0x1.ffcp127},
                                                      {"f16", 0x1p-11, 0x1p-24, 65504},
                                                      {"bf16", 0x1p-8, 0x1p-126, 0x1.fep127}}};

/// The factor of the bound on rounding, c in (45b), for keys of this size.
inline double rounding_factor(Index key_count) {
  return 4 * std::sqrt(1 + static_cast<double>(Rounded::chunk) / static_cast<double>(key_count));
}

/// How far a tensor is from a learning rule's, where that is most in units of the bound (45b).
struct Comparison {
  Precision precision;           ///< in which it is supposed to be computed
  double units = 0;              ///< the largest difference, in units of the bound at its entry
  std::vector<Index> entry{};    ///< where; empty for numbers, and for tensors without entries
  double found = 0;              ///< the number there
  double expected = 0;           ///< the rule's, computed in double
  double bound = 0;              ///< on their difference, if there is rounding only
  double resolution = 0;         ///< the median of all bounds, in units of the tensor's largest entry
  std::optional<Index> first{};  ///< the first token, from 0, with a difference beyond the bound; of gradients, for
                                 ///< which tokens are run through backwards, the last
  std::optional<Precision> coarser{};  ///< the finest precision in which a difference beyond the bound is rounding

  bool is_rounding() const { return units <= 1; }  ///< whether every difference is within the bound
};

namespace detail {

/// The bound (45b) of a number.
inline double rounding_bound(const Rounded& x, double factor, const Precision& precision) {
  // The rule's own numbers are rounded too, to double.
  return factor * ((precision.unit + 0x1p-53) * (x.spread() + std::abs(x.bias())) + precision.smallest);
}

/// |found - expected| in units of the bound. Overflow is no bug.
inline double in_bounds(double found, double expected, double bound, const Precision& precision) {
  if (std::isinf(found) && std::copysign(expected, found) == expected && std::abs(expected) + bound > precision.largest)
    return 0;
  const double units = std::abs(found - expected) / bound;
  return std::isnan(units) ? std::numeric_limits<double>::infinity() : units;
}

inline std::vector<Index> entry_at(std::size_t place, const std::vector<Index>& shape) {
  std::vector<Index> entry(shape.size());
  auto rest = static_cast<Index>(place);
  for (std::size_t axis = entry.size(); axis-- > 0; rest /= shape[axis]) entry[axis] = rest % shape[axis];
  return entry;
}

inline Comparison compare(const NumbersOf<Rounded>& expected, const std::vector<double>& found, bool backward,
                          double factor, const Precision& precision) {
  Comparison result{precision};
  std::vector<double> bounds;
  double largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Rounded& x = expected.numbers[i];
    bounds.push_back(rounding_bound(x, factor, precision));
    largest = (std::max)(largest, std::abs(x.value));
    const double units = in_bounds(found[i], x.value, bounds.back(), precision);
    if (i == 0 || units > result.units) {
      result.units = units, result.found = found[i], result.expected = x.value, result.bound = bounds.back();
      result.entry = entry_at(i, expected.shape);
    }
    if (expected.of_tokens && units > 1 && (backward || !result.first))
      result.first = entry_at(i, expected.shape).front();
  }
  if (largest > 0) {
    const auto middle = bounds.begin() + static_cast<std::ptrdiff_t>(bounds.size() / 2);
    std::nth_element(bounds.begin(), middle, bounds.end());
    result.resolution = *middle / largest;
  }
  return result;
}

/// The numbers of a tensor that a recurrence has computed, or was asked to.
inline std::vector<double> numbers_to_compare(const std::string& name, const Tensor& tensor,
                                              const Results<Rounded>& expected, bool backward,
                                              const std::string& where) {
  const auto known = expected.find(name);
  if (known == expected.end() && name.starts_with("grad.") && !backward)
    refuse(tensor_place(where, name), "is a gradient, expected one only where the inputs have cotangents");
  if (known == expected.end()) {
    std::string names;
    for (const auto& [one, numbers] : expected) names += (names.empty() ? "" : ", ") + one;
    refuse(tensor_place(where, name), "is unknown, expected some of ", names);
  }
  if (tensor.shape != known->second.shape)
    refuse(tensor_place(where, name), "shape is ", shape_text(tensor.shape), ", expected ",
           shape_text(known->second.shape));
  return std::visit([](const auto& numbers) { return std::vector<double>(numbers.begin(), numbers.end()); },
                    tensor.data);
}

}  // namespace detail

/// The precision of that name, if there is one.
inline std::optional<Precision> precision_of(std::string_view name) {
  for (const Precision& one : precisions)
    if (one.name == name) return one;
  return {};
}

/// The precision in which a file has a tensor.
inline Precision precision_of(const Safetensors& file, const std::string& name) {
  const auto half = file.halves.find(name);
  const std::string_view dtype = half != file.halves.end() ? half->second : file.tensors.at(name).dtype();
  return *precision_of(dtype == "F16" ? "f16" : dtype == "BF16" ? "bf16" : dtype == "F32" ? "f32" : "f64");
}

/// Compares tensors that an implementation of the row's rule computed with the rule run in double, entry by entry, in
/// units of the bound (45b) on rounding in `precision`, or by default in that of each tensor. `outputs` has any of
/// what `recurrence` returns.
///     for (const auto& [name, one] : compare_with_recurrence("delta_rule", inputs, outputs))
///       if (!one.is_rounding()) std::cout << name << " differs by more than rounding\n";
/// Errors  std::invalid_argument, naming the file and the tensor: those of `recurrence`; an output that is unknown or
///         of another shape, or a gradient without cotangents; no output at all; inputs on which the rule itself is not
///         finite
inline std::map<std::string, Comparison> compare_with_recurrence(std::string_view row,
                                                                 const std::map<std::string, Tensor>& inputs,
                                                                 const Safetensors& outputs,
                                                                 std::optional<Precision> precision = {},
                                                                 const std::string& inputs_place = "inputs",
                                                                 const std::string& outputs_place = "outputs") {
  detail::expect_row(row);
  const auto expected = detail::recurrence_of<Rounded>(row, inputs, inputs_place);
  const bool backward = std::any_of(expected.begin(), expected.end(),
                                    [](const auto& result) { return result.first.starts_with("grad."); });
  for (const auto& [name, result] : expected)
    for (std::size_t i = 0; i < result.numbers.size(); ++i)
      if (!std::isfinite(result.numbers[i].value) || !std::isfinite(result.numbers[i].spread()))
        refuse(inputs_place, "the recurrence makes of them the tensor ", in_quotes(name), " whose entry ",
               detail::shape_text(detail::entry_at(i, result.shape)), " is ", format_number(result.numbers[i].value),
               ", expected inputs on which it stays finite");
  if (outputs.tensors.empty()) {
    refuse(outputs_place, "has no tensor, expected some of the recurrence's outputs, as o");
  }
  const double factor = rounding_factor(inputs.at(row == "paper_layer" ? "tokens" : "q").shape.back());
  std::map<std::string, Comparison> comparisons;
  for (const auto& [name, tensor] : outputs.tensors) {
    const auto found = detail::numbers_to_compare(name, tensor, expected, backward, outputs_place);
    const auto compare_in = [&, &name = name](const Precision& one) {
      return detail::compare(expected.at(name), found, name.starts_with("grad."), factor, one);
    };
    Comparison& result = comparisons[name] = compare_in(precision ? *precision : precision_of(outputs, name));
    if (result.is_rounding()) continue;
    for (const Precision& one : precisions)
      if (!result.coarser && one.unit > result.precision.unit && compare_in(one).is_rounding()) result.coarser = one;
  }
  return comparisons;
}

}  // namespace gdssm
