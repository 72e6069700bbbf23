// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/tasks/function_regression.hpp"
#include "reproduce/trainer.hpp"

namespace gdssm::reproduce {

/// The paper's layer on regression of any class of functions.
using FunctionTrainer = Trainer<PaperLayer<>, ScalarTargets, FunctionRegression>;

extern template class Trainer<PaperLayer<>, ScalarTargets, FunctionRegression>;

}  // namespace gdssm::reproduce
