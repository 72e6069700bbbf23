// SPDX-License-Identifier: Apache-2.0
// Refused: a start other than zero for a layer that does not read normal tokens.
#include "gdssm/construction/gradient_step.hpp"

#if defined(CONTROL)
constexpr gdssm::Index stride = 2;
#else
constexpr gdssm::Index stride = 1;
#endif

using Layer = gdssm::AugmentedSsm<gdssm::LocalAttention<2, 3, stride>, gdssm::DiagonalRecurrence<2>, gdssm::Readout<2>,
                                  gdssm::OutputGate<2>>;

Eigen::MatrixXd started(const Layer& layer, const Layer::Parameters<double>& parameters) {
  return gdssm::predict_from(layer, parameters, Eigen::MatrixXd::Zero(2, 5), Eigen::MatrixXd::Zero(2, 2));
}
