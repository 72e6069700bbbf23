// SPDX-License-Identifier: Apache-2.0
// Tasks check the memory that they write to before writing.
#include <array>
#include <string>

#include "gdssm/core/lanes.hpp"
#include "gdssm/tasks/classification.hpp"
#include "gdssm/tasks/constructed_regression.hpp"
#include "gdssm/tasks/drifting_regression.hpp"
#include "gdssm/tasks/function_regression.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm::test {
namespace {

bool led_by(const std::string& name, const std::string& message) {
  return !message.empty() && message.starts_with(name);
}

/// Views with too many or too few rows or columns are refused by a message that begins with a task's name. So are the
/// workspaces of `others`, tasks of the same type with other options.
template <class S, class Tasks>
void check_sizes(const Tasks& tasks, const std::string& name, std::initializer_list<Tasks> others) {
  const auto right = tasks.sequence(1, 0);
  auto ws = tasks.template workspace<S>();
  // Allocated in exactly these sizes, so that the address sanitizer sees writes out of bounds.
  const auto said = [&](Index rows, Index cols, Index target_rows, Index losses, auto& scratch) {
    Array<S> tokens(rows, cols), targets(target_rows, losses);
    return message_of([&] { tasks.sequence(1, 0, tokens.view(), targets.view(), scratch); });
  };
  const Index rows = right.tokens.rows(), cols = right.tokens.cols(), height = right.targets.rows();
  REQUIRE(said(rows, cols, height, 1, ws) == "");
  for (const Index off : {-1, 1}) {
    CAPTURE(off);
    CHECK(led_by(name, said(rows + off, cols, height, 1, ws)));
    CHECK(led_by(name, said(rows, cols + off, height, 1, ws)));
    CHECK(led_by(name, said(rows, cols + 2 * off, height, 1, ws)));
    CHECK(led_by(name, said(rows, cols, height + off, 1, ws)));
  }
  CHECK(led_by(name, said(rows, cols, height, 0, ws)));
  CHECK(led_by(name, said(rows, cols, height, cols + 1, ws)));
  for (const Tasks& other : others) {
    auto theirs = other.template workspace<S>();
    CHECK(led_by(name, said(rows, cols, height, 1, theirs)));
  }
}

template <class S>
void check_all() {
  const LinearRegression plain{.features = 3, .outputs = 2, .context = 4},
      noisy{.features = 3, .outputs = 2, .context = 4, .distractors = 1},
      higher{.features = 4, .outputs = 2, .context = 4}, more{.features = 3, .outputs = 3, .context = 4},
      shorter{.features = 3, .outputs = 2, .context = 3};
  check_sizes<S>(plain, "LinearRegression: ", {higher, more, noisy});
  check_sizes<S>(noisy, "LinearRegression: ", {higher, more, plain});
  check_sizes<S>(Classification{plain}, "", {{higher}, {more}});
  check_sizes<S>(DriftingRegression{plain, 0.5}, "", {{higher, 0.5}, {more, 0.5}, {shorter, 0.5}});
  check_sizes<S>(AnnouncedRegression{{plain, 0.5}}, "", {{{higher, 0.5}}, {{more, 0.5}}, {{shorter, 0.5}}});
  const ConstructedRegression constructed{{.features = 3, .outputs = 1, .context = 4}};
  check_sizes<S>(constructed, "",
                 {{{.features = 4, .outputs = 1, .context = 4}}, {{.features = 3, .outputs = 1, .context = 3}}});

  const auto functions = [](FunctionClass of, Index features = 3, Index hidden = 5, Index depth = 2) {
    FunctionRegression tasks;
    tasks.function = of;
    tasks.features = features;
    tasks.context = 4;
    tasks.nonzero = 1;
    tasks.hidden = hidden;
    tasks.depth = depth;
    return tasks;
  };
  using enum FunctionClass;
  for (const FunctionClass of : {linear, sparse_linear, quadratic})
    check_sizes<S>(functions(of),
                   "FunctionRegression: ", {functions(of, 4), functions(of, 2), functions(decision_tree)});
  check_sizes<S>(functions(relu_network), "FunctionRegression: ",
                 {functions(relu_network, 4), functions(relu_network, 3, 4), functions(linear)});
  check_sizes<S>(functions(decision_tree), "FunctionRegression: ",
                 {functions(decision_tree, 3, 5, 3), functions(decision_tree, 3, 5, 1), functions(linear)});
}

TEST_CASE("Tasks write into views of their own sizes alone, with a workspace of their own", "[misuse][regression]") {
  check_all<double>();
  check_all<Lanes<float>>();
}

TEST_CASE("Parts of a task refuse other heights, numbers of tokens and places", "[misuse][regression]") {
  const LinearRegression tasks{.features = 3, .outputs = 2, .context = 4};
  auto ws = tasks.workspace<double>();
  tasks.begin(1, 0, ws);
  const auto run = [&](Index rows, Index cols, Index t) {
    Array<double> tokens(rows, cols);
    return message_of([&] { tasks.run(1, 0, t, tokens.view(), ws); });
  };
  CHECK(run(3, 3, 3) == "");
  for (const std::array<Index, 3>& wrong : {std::array<Index, 3>{2, 3, 0}, {4, 3, 0}, {3, 4, 0}, {3, 3, 4}, {3, 3, -1}})
    CHECK(led_by("LinearRegression: ", run(wrong[0], wrong[1], wrong[2])));
  const auto target = [&](Index x_size, Index y_size) {
    const Array<double, Dynamic, 1> x(x_size, 1);
    Array<double, Dynamic, 1> y(y_size, 1);
    return message_of([&] { tasks.target(x.view(), y.view(), ws); });
  };
  CHECK(target(3, 3) == "");
  for (const Index size : {2, 4}) {
    CHECK(led_by("LinearRegression: ", target(size, 3)));
    CHECK(led_by("LinearRegression: ", target(3, size)));
  }
  auto theirs = LinearRegression{.features = 5, .outputs = 2}.workspace<double>();
  CHECK(message_of([&] { tasks.begin(1, 0, theirs); }) ==
        "LinearRegression: the number of columns of the workspace's weights is 5, expected 3");
}

TEST_CASE("A covariance is of two inputs of the functions", "[misuse][regression]") {
  FunctionRegression tasks;
  const Eigen::VectorXd right = Eigen::VectorXd::Ones(tasks.features),
                        wrong = Eigen::VectorXd::Ones(tasks.features + 1);
  CHECK(message_of([&] { tasks.covariance(right, wrong); }).find("FunctionRegression: the number of entries") == 0);
  CHECK(message_of([&] { tasks.covariance(wrong, right); }).find("FunctionRegression: the number of entries") == 0);
}

}  // namespace
}  // namespace gdssm::test
