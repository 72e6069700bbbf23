// SPDX-License-Identifier: Apache-2.0
#include "reproduce/trainer_constructed.hpp"

namespace gdssm::reproduce {

template class Trainer<ConstructedLayer<10>, VectorTargets, ConstructedRegression>;

}  // namespace gdssm::reproduce
