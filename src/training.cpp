// SPDX-License-Identifier: Apache-2.0
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm {

template void LinearRegression::sequence(std::uint64_t, std::uint64_t, View<double>, View<double>,
                                         Workspace<double>&) const;
template void LinearRegression::sequence(std::uint64_t, std::uint64_t, View<Lanes<float>>, View<Lanes<float>>,
                                         Workspace<Lanes<float>>&) const;
template AdamW::State<NamedWeights<float>> AdamW::initial_state(const NamedWeights<float>&) const;
template void AdamW::update(const NamedWeights<float>&, double, NamedWeights<float>&,
                            State<NamedWeights<float>>&) const;
template struct detail::TrainingLoop<Lanes<float>, AdamW>;

}  // namespace gdssm
