// SPDX-License-Identifier: Apache-2.0
#include "gdssm/tasks/classification.hpp"

#include <cmath>
#include <cstdint>

#include "support/catch.hpp"
#include "tasks/drawing.hpp"

#include "gdssm/analysis/sample.hpp"

using gdssm::Classification;
using gdssm::Index;
using gdssm::LabelLaw;
using gdssm::Lanes;
using gdssm::Sample;

namespace {

Classification tasks_of(LabelLaw law) {
  return {{.features = 4, .outputs = 3, .context = 5, .range = 4, .weight_scale = 2}, law};
}

}  // namespace

TEST_CASE("Inputs and weights of a classification are those of its regression", "[definition]") {
  const Classification tasks = tasks_of(LabelLaw::softmax);
  const auto task = tasks.draw(1, 2);
  const auto regression = tasks.regression.draw(1, 2);
  CHECK(task.inputs == regression.inputs);
  CHECK(task.weights == regression.weights);
  CHECK(task.labels == tasks.draw(1, 2).labels);
}

TEST_CASE("Labels are the largest logit, or drawn with the softmax's probabilities", "[definition]") {
  const Classification largest = tasks_of(LabelLaw::argmax), drawn = tasks_of(LabelLaw::softmax);
  // Label k less its probability has mean zero whatever the logits, with any weight that they give.
  Sample plain[3], weighted[3];
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const auto task = drawn.draw(1, i);
    const Eigen::MatrixXd logits = task.weights * task.inputs;
    const auto best = largest.draw(1, i);
    for (Index t = 0; t <= 5; ++t) {
      Index k = 0;
      logits.col(t).maxCoeff(&k);
      CHECK(best.labels[t] == k);
      REQUIRE(task.labels[t] >= 0);
      REQUIRE(task.labels[t] < 3);
      const Eigen::VectorXd p = logits.col(t).array().exp() / logits.col(t).array().exp().sum();
      for (Index c = 0; c < 3; ++c) {
        const double difference = (task.labels[t] == c ? 1 : 0) - p[c];
        plain[c].add(difference);
        weighted[c].add(difference * p[c]);
      }
    }
  }
  for (Index c = 0; c < 3; ++c) {
    CHECK(std::abs(plain[c].mean()) < 4 * plain[c].standard_error());
    CHECK(std::abs(weighted[c].mean()) < 4 * weighted[c].standard_error());
  }
}

TEST_CASE("Label tokens are centred one-hot vectors, and what is asked for is the last windows' labels",
          "[definition]") {
  for (const LabelLaw law : {LabelLaw::softmax, LabelLaw::argmax}) {
    const Classification tasks = tasks_of(law);
    const auto task = tasks.draw(1, 3);
    const auto sequence = tasks.sequence(1, 3, 2);
    REQUIRE(sequence.tokens.cols() == 11);
    for (Index t = 0; t <= 5; ++t) {
      CHECK(sequence.tokens.col(2 * t) == task.inputs.col(t));
      Eigen::Vector4d one_hot = Eigen::Vector4d::Zero();
      one_hot[task.labels[t]] = 1;
      if (t >= 4) CHECK(sequence.targets.col(t - 4) == one_hot);
      one_hot.head(3).array() -= 1. / 3;
      if (t < 5) CHECK((sequence.tokens.col(2 * t + 1) - one_hot).norm() < 1e-15);
    }
  }
}

TEMPLATE_TEST_CASE("A lane holds its labels as they are drawn alone", "[definition]", Lanes<float>, Lanes<double>) {
  gdssm::test::check_lanes<TestType>(tasks_of(LabelLaw::softmax), 5);
}

TEST_CASE("Classes that don't fit, noise and distractors are refused", "[misuse]") {
  CHECK_THROWS_WITH((Classification{{.features = 4, .outputs = 1}}.draw(0, 0)),
                    "Classification: there are 1 classes, expected 2 to 4, the features");
  CHECK_THROWS_WITH((Classification{{.features = 4, .outputs = 5}}.draw(0, 0)),
                    "Classification: there are 5 classes, expected 2 to 4, the features");
  CHECK_THROWS_WITH((Classification{{.outputs = 4}}.sequence(0, 0, -1)),
                    "Classification: there are -1 losses, expected 1 to 10");
  CHECK_THROWS_WITH((Classification{{.outputs = 4, .label_noise = 1}}.draw(0, 0)),
                    "Classification: the label noise is 1, expected 0");
  CHECK_THROWS_WITH((Classification{{.outputs = 4, .distractors = 1}}.draw(0, 0)),
                    "Classification: the number of distractors is 1, expected 0");
}
