// SPDX-License-Identifier: Apache-2.0
#include "reproduce/trainers.hpp"

namespace gdssm::reproduce {

template class Trainer<PaperLayer<paper_features>, ScalarTargets>;

}  // namespace gdssm::reproduce
