// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/learning_recurrence.hpp"

#include "support/catch.hpp"

#include "gdssm/analysis/check_gradient.hpp"
#include "gdssm/blocks/factored_attention.hpp"
#include "gdssm/blocks/output_gate.hpp"
#include "gdssm/blocks/readout.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/models/augmented_ssm.hpp"

using namespace gdssm;

TEST_CASE("A layer around a learning rule has the gradient of its loss, on every path that training takes", "[vjp]") {
  using Rule = recurrences::GatedDeltaRule<2>;
  const AugmentedSsm<FactoredAttention<2>, LearningRecurrence<Rule>, Readout<2>, OutputGate<2>> layer;
  const auto report = check_gradient(layer);
  INFO(report.message);
  CHECK(report.passed);
}

TEST_CASE("Linear attention in the slot, keys and values one a window, is the closed form of one gradient step",
          "[theorem]") {
  using Rule = recurrences::LinearAttention<3>;
  const AugmentedSsm<FactoredAttention<3>, LearningRecurrence<Rule>, Readout<3>, OutputGate<3>> layer;
  const PaperLayer<3> paper;
  const Eigen::MatrixXd tokens = Eigen::MatrixXd::Random(3, 11);
  const Eigen::MatrixXd got = layer.predict(gradient_step(layer, 0.3), tokens);
  const Eigen::MatrixXd expected = paper.predict(gradient_step(paper, 0.3), tokens);
  CHECK((got - expected).cwiseAbs().maxCoeff() < 1e-15);
}
