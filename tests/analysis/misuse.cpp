// SPDX-License-Identifier: Apache-2.0
// Measurements refuse tasks, models and tokens that do not fit each other, and read nothing out of bounds.
#include <string>

#include "gdssm/analysis/alignment.hpp"
#include "gdssm/analysis/implicit_weights.hpp"
#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/analysis/observation.hpp"
#include "gdssm/tasks/classification.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm::test {
namespace {

/// Regression of f features, as many outputs and three pairs.
LinearRegression tasks_of(Index f) { return {.features = f, .outputs = f, .context = 3}; }

const PaperLayer<> layer(3);
const auto weights = layer.parameters<double>();
constexpr TaskRange range{1, 2};

TEST_CASE("Measurements refuse tasks of another height", "[misuse]") {
  ThreadPool pool(1);
  const std::string found = "LinearRegression: the number of rows of tokens and targets is 3, expected ";
  for (const Index f : {2, 4}) {
    const LinearRegression tasks = tasks_of(f);
    const std::string expected = found + std::to_string(f);
    CHECK(message_of([&] { loss_by_context<double, VectorTargets>(layer, weights, tasks, range, pool); }) == expected);
    CHECK(message_of([&] { query_losses<double, VectorTargets>(layer, weights, tasks, range, pool); }) == expected);
    CHECK(message_of([&] {
            implicit_weight_error<double, VectorTargets>(layer, weights, weights, tasks, range, pool);
          }) == expected);
    CHECK(message_of([&] { align<double, VectorTargets>(layer, weights, layer, weights, tasks, range, pool); }) ==
          expected);
    CHECK(message_of([&] { observe(layer, weights, tasks, range, pool); }) ==
          "observe: the number of features of a task is " + std::to_string(f) + ", expected 3");
  }
}

TEST_CASE("Losses of classes need an output for each class", "[misuse][regression]") {
  ThreadPool pool(1);
  const Classification tasks{tasks_of(3)};
  const auto said = [&](const std::string& text) {
    return text == "loss_by_context: predictions have 3 coordinates, expected at least 5";
  };
  using Five = ClassTargets<5>;
  CHECK(said(message_of([&] { loss_by_context<double, Five>(layer, weights, tasks, range, pool); })));
  CHECK(said(message_of([&] { query_losses<double, Five>(layer, weights, tasks, range, pool); })));
  CHECK(said(message_of([&] { accuracy_by_context<double, 5>(layer, weights, tasks, range, pool); })));
  CHECK(message_of([&] { accuracy_by_context<double, 3>(layer, weights, tasks, range, pool); }) == "");
}

TEST_CASE("Models are aligned that read tokens of one height", "[misuse][regression]") {
  ThreadPool pool(1);
  using Other = AugmentedSsm<LocalAttention<>, DiagonalRecurrence<>, Readout<>, OutputGate<>>;
  const Other other(LocalAttention<>(4), DiagonalRecurrence<>(4, 4), Readout<>(3, 4), OutputGate<>(4));
  CHECK(message_of([&] {
          align<double, VectorTargets>(layer, weights, other, other.parameters<double>(), tasks_of(3), range, pool);
        }) == "align: the number of features is 4, expected 3");
}

TEST_CASE("A query's derivative has the rows and the tokens of its model", "[misuse][regression]") {
  QueryDerivative<double> derivative(layer, weights);
  const auto said = [&](Index rows, Index first_row) {
    const Array<double> tokens(rows, 7);
    return message_of([&] { derivative(tokens.view(), first_row); });
  };
  CHECK(said(3, 2) == "");
  CHECK(said(2, 0) == "QueryDerivative: the number of features of a token is 2, expected 3");
  CHECK(said(4, 0) == "QueryDerivative: the number of features of a token is 4, expected 3");
  CHECK(said(3, -1) == "QueryDerivative: the first row is -1, expected 0 to 2");
  CHECK(said(3, 3) == "QueryDerivative: the first row is 3, expected 0 to 2");
}

TEST_CASE("An observer refuses tokens, outputs and probes that its model can't have", "[misuse][regression]") {
  const auto said = [&](Index rows, Index cols, Index outputs, double probe) {
    return message_of([&] { Observer(layer, weights, outputs, probe)(Eigen::MatrixXd::Zero(rows, cols)); });
  };
  CHECK(said(3, 7, 3, 1) == "");
  CHECK(said(2, 7, 3, 1) == "Observer: the number of features of a token is 2, expected 3");
  CHECK(said(4, 7, 3, 1) == "Observer: the number of features of a token is 4, expected 3");
  for (const Index cols : {0, 1, 6})
    CHECK(said(3, cols, 3, 1) ==
          "Observer: the sequence has " + std::to_string(cols) + " tokens, expected an odd number from 3 on");
  for (const Index outputs : {-1, 0, 4})
    CHECK(said(3, 7, outputs, 1) == "Observer: there are " + std::to_string(outputs) + " outputs, expected 1 to 3");
  CHECK(said(3, 7, 3, 0) == "Observer: the probe is 0, expected a number other than 0");
}

}  // namespace
}  // namespace gdssm::test
