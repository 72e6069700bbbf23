// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "support/catch.hpp"
#include "tasks/drawing.hpp"

#include "gdssm/tasks/constructed_regression.hpp"
#include "gdssm/tasks/tokens.hpp"

using gdssm::ConstructedRegression;
using gdssm::Index;
using gdssm::Lanes;

namespace {

const ConstructedRegression tasks{{.features = 4, .outputs = 1, .context = 5, .label_noise = 0.5, .distractors = 1}};

}  // namespace

TEST_CASE("Constructed sequences hold the regression's tasks in constructed tokens, and ask for their clean targets",
          "[definition]") {
  for (const std::uint64_t i : {0u, 3u}) {
    const auto task = tasks.regression.draw(1, i);
    const auto sequence = tasks.sequence(1, i, 3);
    CHECK(tasks.length() == 5);
    CHECK(sequence.tokens == gdssm::constructed_tokens(task.inputs, task.targets.leftCols(5)));
    REQUIRE(sequence.targets.rows() == 1);
    CHECK(sequence.targets.isApprox((task.weights * task.inputs).rightCols(3), 1e-14));
  }
}

TEMPLATE_TEST_CASE("A lane holds its constructed task as it is drawn alone", "[definition]", Lanes<float>,
                   Lanes<double>) {
  gdssm::test::check_lanes<TestType>(tasks, 2);
}

TEST_CASE("Constructed tokens of more than one output, or more losses than tokens, are refused", "[misuse]") {
  CHECK_THROWS_WITH((ConstructedRegression{{.outputs = 2}}.sequence(0, 0)),
                    "ConstructedRegression: the number of outputs is 2, expected 1");
  CHECK_THROWS_WITH(tasks.sequence(0, 0, -1), "ConstructedRegression: there are -1 losses, expected 1 to 5");
  CHECK_THROWS_WITH(tasks.sequence(0, 0, 6), "ConstructedRegression: there are 6 losses, expected 1 to 5");
}
