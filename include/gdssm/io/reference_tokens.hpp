// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/io/tensors.hpp"

namespace gdssm {

/// A checked file of contexts in the format of the paper's JAX code: x_1, y_1, ..., x_N, y_N, x_{N+1}, one token a row,
/// and optionally the targets.
/// Shapes  `tokens` (batch, 2N+1, width), `target` (batch, height): both f, or 1 and 2 of the nonlinear model
/// Source  arXiv:2410.11687v1 (code); docs/from-jax.md
class ReferenceTokens {
 public:
  /// `where` names the file in error messages; `width`, `height` and `dtype`, "F32" or "F64", are those of the model,
  /// in whose precision tokens are kept.
  /// Errors  std::invalid_argument naming the file, the tensor and what was expected: a tensor that is unknown,
  ///         missing, of a wider precision, another shape, or not finite; no context, an even number of tokens
  ReferenceTokens(Safetensors file, const std::string& where, Index width, Index height, std::string_view dtype) {
    widen(file.tensors, dtype);
    for (const auto& [name, tensor] : file.tensors) {
      const std::string place = detail::tensor_place(where, name);
      if (name != "tokens" && name != "target")
        refuse(place, "is unknown, expected 'tokens' and, where there is to be a loss, 'target'");
      if (tensor.dtype() != dtype)
        refuse(place, "dtype is ", tensor.dtype(), ", expected ", dtype, ", the precision of the weights");
    }
    const std::string expected = "[batch, 2N+1, " + std::to_string(width) + "] with N at least 1";
    const std::string tokens_place = detail::tensor_place(where, "tokens");
    const auto tokens = file.tensors.find("tokens");
    if (tokens == file.tensors.end()) refuse(tokens_place, "is missing, expected a tensor of shape ", expected);
    tokens_ = std::move(tokens->second);
    const std::vector<Index>& shape = tokens_.shape;
    if (shape.size() != 3 || shape[0] < 1 || shape[1] < 3 || shape[1] % 2 == 0 || shape[2] != width)
      refuse(tokens_place, "shape is ", detail::shape_text(shape), ", expected ", expected);
    require_finite(tokens_, tokens_place);

    const auto target = file.tensors.find("target");
    if (target == file.tensors.end()) return;
    const std::vector<Index> target_shape = {shape[0], height};
    const std::string target_place = detail::tensor_place(where, "target");
    if (target->second.shape != target_shape)
      refuse(target_place, "shape is ", detail::shape_text(target->second.shape), ", expected ",
             detail::shape_text(target_shape));
    require_finite(target->second, target_place);
    target_ = std::move(target->second);
  }

  Index batch() const { return tokens_.shape[0]; }         ///< the number of sequences
  Index length() const { return tokens_.shape[1]; }        ///< 2N+1
  bool has_target() const { return target_.has_value(); }  ///< whether a loss can be computed

  /// Context b, one token a column, in the same memory.       Shapes  (width x (2N+1))
  /// Errors  std::invalid_argument: b not in 0..batch - 1, another precision than the file's
  template <class T>
  auto tokens(Index b) const {
    return matrix<T>(tokens_, b, tokens_.shape[2], length());
  }
  /// The target of context b.                                 Shapes  (height x 1)
  /// Errors  as `tokens`; a file without targets
  template <class T>
  auto target(Index b) const {
    if (!target_) refuse("ReferenceTokens", "the file has no tensor 'target'");
    return matrix<T>(*target_, b, target_->shape[1], 1);
  }

 private:
  template <class T>
  static Eigen::Map<const Eigen::MatrixX<T>> matrix(const Tensor& tensor, Index b, Index rows, Index cols) {
    if (b < 0 || b >= tensor.shape[0])
      refuse("ReferenceTokens", "the context is ", b, ", expected 0 to ", tensor.shape[0] - 1);
    return {tensor.as<T>().data() + b * rows * cols, rows, cols};
  }

  Tensor tokens_;
  std::optional<Tensor> target_;
};

}  // namespace gdssm
