// SPDX-License-Identifier: Apache-2.0
#include "reproduce/trainer_preconditioned.hpp"

namespace gdssm::reproduce {

template class Trainer<PreconditionedLayer, VectorTargets>;

}  // namespace gdssm::reproduce
