// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/tasks/constructed_regression.hpp"
#include "reproduce/trainer.hpp"

namespace gdssm::reproduce {

/// The plain diagonal layer on constructed tokens.
using ConstructedTrainer = Trainer<ConstructedLayer<10>, VectorTargets, ConstructedRegression>;

extern template class Trainer<ConstructedLayer<10>, VectorTargets, ConstructedRegression>;

}  // namespace gdssm::reproduce
