// SPDX-License-Identifier: Apache-2.0
#include "gdssm/tasks/linear_regression.hpp"

#include <cmath>

#include "support/catch.hpp"
#include "tasks/drawing.hpp"

using gdssm::Index;
using gdssm::InputLaw;
using gdssm::Lanes;
using gdssm::LinearRegression;

namespace {

LinearRegression busy() {
  LinearRegression tasks{.features = 4, .outputs = 3, .context = 6};
  tasks.inputs = InputLaw::laplace;
  tasks.label_noise = 0.5;
  tasks.distractors = 2;
  tasks.scales = Eigen::VectorXd::LinSpaced(4, 0.5, 2);
  return tasks;
}

}  // namespace

TEST_CASE("A task, and any of its pairs by itself, is the same whenever it is drawn", "[definition]") {
  const LinearRegression tasks = busy();
  for (const std::uint64_t index : {0u, 5u, 1000u}) {
    const auto task = tasks.draw(3, index);
    const auto again = tasks.draw(3, index);
    CHECK(task.inputs == again.inputs);
    CHECK(task.targets == again.targets);
    CHECK(task.weights == tasks.weights(3, index));
    CHECK(task.inputs != tasks.draw(4, index).inputs);
    for (Index t = tasks.context; t >= 0; --t) {
      Eigen::VectorXd x, y;
      tasks.pair(3, index, t, task.weights, x, y);
      CHECK(x == task.inputs.col(t));
      CHECK(y == task.targets.col(t));
    }
  }
}

TEST_CASE(
    "Targets are W* x, and noise and distractors spare the query, and "
    "distractors are as many as asked for",
    "[definition]") {
  const auto plain = LinearRegression{.features = 4, .outputs = 3, .context = 6}.draw(1, 2);
  CHECK((plain.targets - plain.weights * plain.inputs).norm() < 1e-12);

  LinearRegression distracted{.features = 4, .outputs = 3, .context = 6};
  distracted.distractors = 2;
  for (std::uint64_t i = 0; i < 50; ++i) {
    const auto task = distracted.draw(1, i);
    const Eigen::MatrixXd error = task.targets - task.weights * task.inputs;
    CHECK((error.colwise().norm().array() > 1e-12).count() == 2);
    CHECK(error.col(6).norm() < 1e-12);
  }
  const auto noisy = busy().draw(1, 2);
  CHECK((noisy.targets - noisy.weights * noisy.inputs).col(6).norm() < 1e-12);
}

TEST_CASE(
    "Every input law has mean zero, variance range^2/12 and its own "
    "fourth moment, within four standard errors",
    "[definition]") {
  const auto [law, fourth, eighth] = GENERATE(table<InputLaw, double, double>({{InputLaw::uniform, 9. / 5, 9.},
                                                                               {InputLaw::normal, 3., 105.},
                                                                               {InputLaw::laplace, 6., 2520.},
                                                                               {InputLaw::exponential, 9., 14833.}}));
  LinearRegression tasks{.features = 10, .outputs = 1, .context = 19};
  tasks.inputs = law;
  tasks.range = 2;
  tasks.scales = Eigen::VectorXd::Constant(10, 3);
  const double variance = 4. / 12 * 9;
  double n = 0, m1 = 0, m2 = 0, m4 = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const auto task = tasks.draw(9, i);
    for (const double x : task.inputs.reshaped()) {
      const double z = x / std::sqrt(variance);
      n += 1;
      m1 += z;
      m2 += z * z;
      m4 += z * z * z * z;
    }
  }
  CHECK(std::abs(m1 / n) < 4 / std::sqrt(n));
  CHECK(std::abs(m2 / n - 1) < 4 * std::sqrt((fourth - 1) / n));
  CHECK(std::abs(m4 / n - fourth) < 4 * std::sqrt((eighth - fourth * fourth) / n));
}

TEST_CASE(
    "A sequence holds the pairs in turn and asks for the last windows' "
    "clean targets",
    "[definition]") {
  LinearRegression tasks{.features = 4, .outputs = 1, .context = 5};
  tasks.label_noise = 1;
  const auto task = tasks.draw(1, 2);
  const auto sequence = tasks.sequence(1, 2, 3);
  REQUIRE(sequence.tokens.cols() == tasks.length());
  for (Index t = 0; t < 5; ++t) {
    CHECK(sequence.tokens.col(2 * t) == task.inputs.col(t));
    CHECK(sequence.tokens.col(2 * t + 1).head(3).norm() == 0);
    CHECK(sequence.tokens(3, 2 * t + 1) == task.targets(0, t));
  }
  CHECK(sequence.tokens.col(10) == task.inputs.col(5));
  REQUIRE(sequence.targets.cols() == 3);
  CHECK(sequence.targets.topRows(3).norm() == 0);
  tasks.label_noise = 0;
  CHECK(sequence.targets.bottomRows(1) == tasks.draw(1, 2).targets.rightCols(3));
}

TEMPLATE_TEST_CASE("A lane holds its task as it is drawn alone, in every option", "[definition]", Lanes<float>,
                   Lanes<double>) {
  for (const LinearRegression& tasks : {LinearRegression{.features = 5, .outputs = 5, .context = 3}, busy()})
    gdssm::test::check_lanes<TestType>(tasks, 2);
}

TEST_CASE("A task in float is the task in double, rounded", "[definition]") {
  for (const LinearRegression& tasks : {LinearRegression{.features = 5, .outputs = 5, .context = 3}, busy()}) {
    const auto in_double = tasks.sequence(7, 100, 2);
    gdssm::Array<float> tokens(tasks.features, tasks.length()), targets(tasks.features, 2);
    auto ws = tasks.workspace<float>();
    tasks.sequence(7, 100, tokens.view(), targets.view(), ws);
    for (Index i = 0; i < tokens.size(); ++i)
      REQUIRE(std::abs(double(tokens[i]) - in_double.tokens.reshaped()[i]) <= 1e-5);
  }
}

TEST_CASE("Task options outside their range are refused by name", "[misuse]") {
  const auto message = [](auto&& change) { return gdssm::test::refusal<LinearRegression>(change); };
  CHECK(message([](auto& t) { t.features = 0; }) ==
        "LinearRegression: features, outputs and context are 0, 10 and 10, "
        "expected at least 1");
  CHECK(message([](auto& t) { t.range = 0; }) == "LinearRegression: the range is 0, expected a finite number above 0");
  CHECK(message([](auto& t) { t.weight_scale = -1; }) ==
        "LinearRegression: the weight scale is -1, expected a finite number "
        "above 0");
  CHECK(message([](auto& t) { t.label_noise = -1; }) ==
        "LinearRegression: the label noise is -1, expected a finite number >= 0");
  CHECK(message([](auto& t) { t.distractors = 11; }) == "LinearRegression: there are 11 distractors, expected 0 to 10");
  CHECK(message([](auto& t) { t.scales = Eigen::VectorXd::Ones(3); }) ==
        "LinearRegression: the number of scales is 3, expected 10");
  CHECK_THROWS_WITH((LinearRegression{.features = 2, .outputs = 3}.sequence(0, 0)),
                    "LinearRegression: there are 3 outputs, expected at most 2, the features");
  CHECK_THROWS_WITH(LinearRegression().sequence(0, 0, 11), "LinearRegression: there are 11 losses, expected 1 to 10");
  CHECK_THROWS_WITH(LinearRegression().sequence(0, 0, -1), "LinearRegression: there are -1 losses, expected 1 to 10");
  CHECK_THROWS_WITH((LinearRegression{.features = -1}.sequence(0, 0)),
                    "LinearRegression: features, outputs and context are -1, 10 and 10, expected at least 1");
  CHECK_THROWS_WITH((LinearRegression{.features = -1}.weights(0, 0)),
                    "LinearRegression: features, outputs and context are -1, 10 and 10, expected at least 1");
  Eigen::VectorXd x, y;
  const LinearRegression tasks;
  CHECK_THROWS_WITH(tasks.pair(0, 0, 11, tasks.weights(0, 0), x, y),
                    "LinearRegression: the pair is 11, expected 0 to 10");
  CHECK_THROWS_WITH(tasks.pair(0, 0, 0, Eigen::MatrixXd::Zero(10, 9), x, y),
                    "LinearRegression: the number of columns of the weights is 9, expected 10");
}
