// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reproduce/trainer.hpp"

// Trainers that several experiments use, each compiled once, in a file of its own.
namespace gdssm::reproduce {

/// f = N = 10, the paper's setting.
inline constexpr Index paper_features = 10;

extern template class Trainer<PaperLayer<paper_features>, VectorTargets>;  // trainer_vector.cpp
extern template class Trainer<PaperLayer<paper_features>, ScalarTargets>;  // trainer_scalar.cpp
extern template class Trainer<PaperLayer<>, VectorTargets>;                // trainer_any_size.cpp

}  // namespace gdssm::reproduce
