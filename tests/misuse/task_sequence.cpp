// SPDX-License-Identifier: Apache-2.0
// Refused: training on tasks whose sequence() returns no TokenSequence.
#include <cstdint>

#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/training/train.hpp"

struct Tasks {
  gdssm::Index length() const { return 5; }
#if defined(CONTROL)
  gdssm::TokenSequence sequence(std::uint64_t, std::uint64_t, gdssm::Index) const { return {}; }
#else
  Eigen::MatrixXd sequence(std::uint64_t, std::uint64_t, gdssm::Index) const { return {}; }
#endif
};

void use() { gdssm::train(gdssm::PaperLayer<3>(), Tasks()); }
