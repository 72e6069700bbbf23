// SPDX-License-Identifier: Apache-2.0
#include "reproduce/trainer_functions.hpp"

namespace gdssm::reproduce {

template class Trainer<PaperLayer<>, ScalarTargets, FunctionRegression>;

}  // namespace gdssm::reproduce
