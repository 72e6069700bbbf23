// SPDX-License-Identifier: Apache-2.0
#include "reproduce/trainers.hpp"

namespace gdssm::reproduce {

template class Trainer<PaperLayer<>, VectorTargets>;

}  // namespace gdssm::reproduce
