// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/io/text.hpp"

// Named arrays of numbers as values; safetensors.hpp reads them from files and writes them.

namespace gdssm {

namespace detail {

/// The format's name of a precision.
template <class Scalar>
constexpr std::string_view dtype_of() {
  static_assert(std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double>, "safetensors: float or double");
  return std::is_same_v<Scalar, float> ? "F32" : "F64";
}

}  // namespace detail

/// An array in the file's precision. Row-major: the last axis varies fastest.
/// Shapes  shape (n_1, ..., n_k), data n_1 ... n_k numbers; a scalar has shape () and one number
struct Tensor {
  std::vector<Index> shape;                                    ///< sizes, the first varying slowest
  std::variant<std::vector<float>, std::vector<double>> data;  ///< entries, row-major: F32 or F64

  /// "F32" or "F64".
  std::string_view dtype() const {
    return std::visit([]<class Scalar>(const std::vector<Scalar>&) { return detail::dtype_of<Scalar>(); }, data);
  }

  /// The numbers.
  /// Errors  std::invalid_argument, beginning with `where`, if their precision is the other one
  template <class Scalar>
  std::span<const Scalar> as(const std::string& where = "tensor") const {
    return numbers<const Scalar>(*this, where);
  }
  template <class Scalar>
  std::span<Scalar> as(const std::string& where = "tensor") {
    return numbers<Scalar>(*this, where);
  }

  friend bool operator==(const Tensor&, const Tensor&) = default;

 private:
  template <class Scalar, class Self>
  static std::span<Scalar> numbers(Self& self, const std::string& where) {
    using Value = std::remove_const_t<Scalar>;
    if (self.dtype() != detail::dtype_of<Value>()) {
      refuse(where, "dtype is ", self.dtype(), ", expected ", detail::dtype_of<Value>());
    }
    return std::get<std::vector<Value>>(self.data);
  }
};

/// An array of whole numbers, I64 in files. Row-major.
struct IntegerTensor {
  std::vector<Index> shape;           ///< sizes, the first varying slowest
  std::vector<std::int64_t> numbers;  ///< entries

  friend bool operator==(const IntegerTensor&, const IntegerTensor&) = default;
};

/// A safetensors file as a value.
struct Safetensors {
  std::map<std::string, std::string> metadata;  ///< strings by name
  std::map<std::string, Tensor> tensors;        ///< by name
  std::map<std::string, std::string> halves{};  ///< "F16" or "BF16" by name, for tensors that were read from halves

  friend bool operator==(const Safetensors&, const Safetensors&) = default;
};

namespace detail {

inline std::string tensor_place(const std::string& where, const std::string& name) {
  return where + ": tensor " + in_quotes(name, 200);
}

inline std::string shape_text(std::span<const Index> shape) {
  std::string text = "[";
  for (const Index size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace detail

/// The precision that holds every number of all tensors: "F64" if any tensor is F64, else "F32".
inline std::string_view widest_dtype(const std::map<std::string, Tensor>& tensors) {
  for (const auto& [name, tensor] : tensors)
    if (tensor.dtype() == detail::dtype_of<double>()) return detail::dtype_of<double>();
  return detail::dtype_of<float>();
}

/// Makes every tensor F64 if `dtype` is "F64", which is exact; else leaves all as they are.
inline void widen(std::map<std::string, Tensor>& tensors, std::string_view dtype) {
  if (dtype != detail::dtype_of<double>()) return;
  for (auto& [name, tensor] : tensors)
    if (const auto* floats = std::get_if<std::vector<float>>(&tensor.data))
      tensor.data = std::vector<double>(floats->begin(), floats->end());
}

/// Refuses NaN and infinity: "where: entry [2, 0] is nan, expected a finite number".
inline void require_finite(const Tensor& tensor, const std::string& where) {
  std::visit(
      [&](const auto& numbers) {
        for (std::size_t i = 0; i < numbers.size(); ++i) {
          if (std::isfinite(numbers[i])) continue;
          std::vector<Index> entry(tensor.shape.size());
          auto rest = static_cast<Index>(i);
          for (std::size_t axis = entry.size(); axis-- > 0; rest /= tensor.shape[axis]) {
            entry[axis] = rest % tensor.shape[axis];
          }
          refuse(where, "entry ", detail::shape_text(entry), " is ", format_number(numbers[i]),
                 ", expected a finite number");
        }
      },
      tensor.data);
}

}  // namespace gdssm
