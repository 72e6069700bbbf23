// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "gdssm/io/safetensors.hpp"
#include "gdssm/io/tensors.hpp"

namespace gdssm::programs {

/// Runs weights in the reference's naming on contexts: predictions and, given targets, loss and gradient. Both are
/// files of docs/from-jax.md; the places name them in messages. Errors  std::invalid_argument: those of
/// `ReferenceWeights` and `ReferenceTokens`
std::map<std::string, Tensor> evaluate_weights(Safetensors model, const std::string& model_place, Safetensors tokens,
                                               const std::string& tokens_place);

}  // namespace gdssm::programs
