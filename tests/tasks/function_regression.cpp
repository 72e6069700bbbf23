// SPDX-License-Identifier: Apache-2.0
#include "gdssm/tasks/function_regression.hpp"

#include <cmath>
#include <set>
#include <vector>

#include <Eigen/Cholesky>
#include <Eigen/LU>

#include "support/catch.hpp"
#include "tasks/drawing.hpp"

#include "gdssm/analysis/sample.hpp"

using gdssm::FunctionClass;
using gdssm::FunctionRegression;
using gdssm::Index;
using gdssm::Lanes;
using gdssm::Sample;

namespace {

const std::vector<FunctionClass> classes{FunctionClass::linear, FunctionClass::sparse_linear, FunctionClass::quadratic,
                                         FunctionClass::relu_network, FunctionClass::decision_tree};

FunctionRegression small(FunctionClass function, double noise = 0) {
  return {
      .function = function, .features = 4, .context = 6, .label_noise = noise, .nonzero = 2, .hidden = 20, .depth = 3};
}

}  // namespace

TEST_CASE("Inputs and functions have the moments that are said, within four standard errors", "[definition]") {
  for (const FunctionClass function : classes) {
    CAPTURE(static_cast<int>(function));
    const FunctionRegression tasks = small(function);
    Sample inputs, squares, means, values;
    for (std::uint64_t i = 0; i < 20000; ++i) {
      const auto task = tasks.draw(3, i);
      inputs.add(task.inputs(1, 2));
      squares.add(task.inputs(1, 2) * task.inputs(1, 2));
      means.add(task.values[2]);
      values.add(task.values[2] * task.values[2]);
    }
    CHECK(std::abs(inputs.mean()) < 4 * inputs.standard_error());
    CHECK(std::abs(squares.mean() - 1) < 4 * squares.standard_error());
    CHECK(std::abs(means.mean()) < 4 * means.standard_error());
    CHECK(std::abs(values.mean() - 1) < 4 * values.standard_error());
  }
}

TEST_CASE("The covariance of a class is that of its functions, within four standard errors", "[theorem]") {
  for (const FunctionClass function : classes) {
    CAPTURE(static_cast<int>(function));
    const FunctionRegression tasks = small(function);
    // E f(x) f(x') - k(x, x') is zero for every pair of inputs, so it is with any weight of theirs: here with the
    // weight 1, the covariance itself, and the sign of k less its mean.
    Sample plain, by_size, by_covariance;
    for (std::uint64_t i = 0; i < 20000; ++i) {
      const auto task = tasks.draw(4, i);
      const Eigen::VectorXd x = task.inputs.col(0), other = task.inputs.col(1);
      const double k = tasks.covariance(x, other), difference = task.values[0] * task.values[1] - k;
      CHECK(k == tasks.covariance(other, x));
      plain.add(difference);
      by_size.add(difference * (x.norm() > 2 ? 1 : -1));
      by_covariance.add(difference * (k > 0.3 ? 1 : -1));
    }
    for (const Sample& sample : {plain, by_size, by_covariance})
      CHECK(std::abs(sample.mean()) < 4 * sample.standard_error());
  }
}

TEST_CASE("Functions are what their class says", "[definition]") {
  // As many examples as weights determine linear and quadratic functions, which then fit another example.
  for (const FunctionClass function : {FunctionClass::linear, FunctionClass::sparse_linear, FunctionClass::quadratic}) {
    CAPTURE(static_cast<int>(function));
    for (std::uint64_t i = 0; i < 5; ++i) {
      const auto task = small(function).draw(1, i);
      Eigen::MatrixXd phi = task.inputs;
      if (function == FunctionClass::quadratic) phi = phi.cwiseAbs2();
      const Eigen::RowVectorXd w =
          phi.leftCols(4).transpose().fullPivLu().solve(task.values.head(4).transpose()).transpose();
      CHECK((w * phi - task.values).norm() < 1e-8 * task.values.norm());
      if (function == FunctionClass::sparse_linear) CHECK((w.array().abs() > 1e-8).count() == 2);
    }
  }
  SECTION("a tree of depth d has 2^d leaves at the most, which signs alone choose") {
    FunctionRegression tasks = small(FunctionClass::decision_tree);
    tasks.context = 200;
    for (std::uint64_t i = 0; i < 5; ++i) {
      const auto task = tasks.draw(1, i);
      const std::set<double> leaves(task.values.begin(), task.values.end());
      CHECK(leaves.size() <= 8);
      CHECK(leaves.size() > 2);
      for (Index s = 0; s < 20; ++s)
        for (Index t = 0; t < s; ++t)
          if (((task.inputs.col(s).array() > 0) == (task.inputs.col(t).array() > 0)).all())
            CHECK(task.values[s] == task.values[t]);
    }
  }
  SECTION("a ReLU network's even part is half of its variance") {
    // f(x) = linear + even, so the best linear fit over many examples leaves half of the mean square.
    FunctionRegression tasks = small(FunctionClass::relu_network);
    tasks.context = 400;
    Sample left;
    for (std::uint64_t i = 0; i < 300; ++i) {
      const auto task = tasks.draw(2, i);
      const Eigen::MatrixXd S = task.inputs * task.inputs.transpose();
      const Eigen::RowVectorXd w = S.ldlt().solve(task.inputs * task.values.transpose()).transpose();
      left.add((w * task.inputs - task.values).squaredNorm() / 401);
    }
    CHECK(std::abs(left.mean() - 0.5) < 4 * left.standard_error() + 0.01);  // 4 of 401 degrees of freedom are fitted
  }
}

TEST_CASE("Noise has its deviation and spares the query and the targets", "[definition]") {
  const FunctionRegression tasks = small(FunctionClass::linear, 0.5);
  Sample squares;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const auto task = tasks.draw(1, i);
    const Eigen::RowVectorXd noise = task.labels - task.values;
    CHECK(noise[6] == 0);
    for (Index t = 0; t < 6; ++t) squares.add(noise[t] * noise[t]);
  }
  CHECK(std::abs(squares.mean() - 0.25) < 4 * squares.standard_error());
}

TEST_CASE("A function sequence holds the task's pairs in turn and asks for the last windows' values", "[definition]") {
  for (const FunctionClass function : classes) {
    CAPTURE(static_cast<int>(function));
    const FunctionRegression tasks = small(function, 0.5);
    const auto task = tasks.draw(1, 7);
    const auto sequence = tasks.sequence(1, 7, 3);
    REQUIRE(sequence.tokens.cols() == tasks.length());
    for (Index t = 0; t < 6; ++t) {
      CHECK(sequence.tokens.col(2 * t) == task.inputs.col(t));
      CHECK(sequence.tokens.col(2 * t + 1).head(3).norm() == 0);
      CHECK(sequence.tokens(3, 2 * t + 1) == task.labels[t]);
    }
    CHECK(sequence.tokens.col(12) == task.inputs.col(6));
    CHECK(sequence.targets.topRows(3).norm() == 0);
    CHECK(sequence.targets.row(3) == task.values.tail(3));
  }
}

TEMPLATE_TEST_CASE("A lane holds its function's task as it is drawn alone", "[definition]", Lanes<float>,
                   Lanes<double>) {
  for (const FunctionClass function : classes) {
    CAPTURE(static_cast<int>(function));
    gdssm::test::check_lanes<TestType>(small(function, 0.25), 2);
  }
}

TEST_CASE("Options of function tasks outside their range are refused by name", "[misuse]") {
  const auto message = [](auto&& change) { return gdssm::test::refusal<FunctionRegression>(change); };
  CHECK(message([](auto& t) { t.context = 0; }) ==
        "FunctionRegression: features and context are 10 and 0, expected at least 1");
  CHECK(message([](auto& t) { t.nonzero = 11; }) ==
        "FunctionRegression: there are 11 nonzero entries, expected 1 to 10");
  CHECK(message([](auto& t) { t.hidden = 0; }) == "FunctionRegression: there are 0 hidden units, expected at least 1");
  CHECK(message([](auto& t) { t.depth = 13; }) == "FunctionRegression: the depth is 13, expected 1 to 12");
  CHECK(message([](auto& t) { t.label_noise = -1; }) ==
        "FunctionRegression: the label noise is -1, expected a finite number >= 0");
  CHECK_THROWS_WITH(FunctionRegression().sequence(0, 0, 41),
                    "FunctionRegression: there are 41 losses, expected 1 to 40");
}
