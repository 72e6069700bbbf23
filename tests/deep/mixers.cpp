// SPDX-License-Identifier: Apache-2.0
#include "gdssm/deep/mixers.hpp"

// The mixers, compiled once for all tests of deep models.
namespace gdssm {

template std::unique_ptr<Mixer<float>> make_mixer<float>(const DeepSizes&, Index);
template std::unique_ptr<Mixer<double>> make_mixer<double>(const DeepSizes&, Index);

}  // namespace gdssm
