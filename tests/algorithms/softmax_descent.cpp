// SPDX-License-Identifier: Apache-2.0
#include "gdssm/algorithms/softmax_descent.hpp"

#include <cmath>

#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/tasks/classification.hpp"

namespace gdssm {
namespace {

using test::Random;

Eigen::MatrixXd one_hot(const ClassificationTask& task) {
  Eigen::MatrixXd labels = Eigen::MatrixXd::Zero(task.weights.rows(), task.labels.size());
  for (Index i = 0; i < task.labels.size(); ++i) labels(task.labels[i], i) = 1;
  return labels;
}

const Classification tasks{{.features = 5, .outputs = 3, .context = 7, .range = 3}};

}  // namespace

TEST_CASE("The gradient (13b) of the cross-entropy is its derivative, penalty included", "[theorem]") {
  Random random(1);
  Eigen::MatrixXd W(3, 5);
  random.fill(W);
  const auto task = tasks.draw(1, 0);
  const Eigen::MatrixXd Y = one_hot(task);
  const Eigen::MatrixXd gradient = cross_entropy_gradient(W, task.inputs, Y, 0.7);
  for (Index i = 0; i < W.size(); ++i) {
    const double at = W.data()[i], h = 1e-5;
    W.data()[i] = at + h;
    const double above = cross_entropy(W, task.inputs, Y, 0.7);
    W.data()[i] = at - h;
    const double below = cross_entropy(W, task.inputs, Y, 0.7);
    W.data()[i] = at;
    CHECK(std::abs(gradient.data()[i] - (above - below) / (2 * h)) < 1e-8);
  }
}

TEST_CASE("The layer (7) on label tokens takes one step on the cross-entropy, at every t", "[theorem]") {
  const PaperLayer<> layer(5);
  const double a = 0.3;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const auto task = tasks.draw(1, i);
    const Eigen::MatrixXd logits = layer.predict(gradient_step(layer, a), tasks.sequence(1, i).tokens);
    const Eigen::MatrixXd Y = one_hot(task);
    for (Index t = 1; t <= 7; ++t) {
      CAPTURE(i, t);
      const Eigen::MatrixXd W = descend_on_cross_entropy(task.inputs.leftCols(t), Y.leftCols(t), equal_steps(a, 1));
      CHECK((logits.col(t - 1).head(3) - W * task.inputs.col(t)).norm() < 1e-13);
      CHECK(logits.col(t - 1).tail(2).norm() == 0);
    }
  }
}

TEST_CASE("Steps of a stable size descend, to where the gradient vanishes", "[theorem]") {
  const auto task = tasks.draw(1, 1);
  const Eigen::MatrixXd Y = one_hot(task), S = task.inputs * task.inputs.transpose();
  const double rho = 0.5, size = 1 / (largest_eigenvalue_bound(S) / 2 + rho);
  double before = cross_entropy(Eigen::MatrixXd::Zero(3, 5).eval(), task.inputs, Y, rho);
  CHECK(before == Approx(8 * std::log(3.0)));
  for (const Index steps : {1, 2, 5, 20, 100}) {
    const double after =
        cross_entropy(descend_on_cross_entropy(task.inputs, Y, equal_steps(size, steps), rho), task.inputs, Y, rho);
    CHECK(after < before);
    before = after;
  }
  const Eigen::MatrixXd W = descend_on_cross_entropy(task.inputs, Y, equal_steps(size, 2000), rho);
  CHECK(cross_entropy_gradient(W, task.inputs, Y, rho).norm() < 1e-10);
}

TEST_CASE("Softmax and cross-entropy do not overflow", "[regression]") {
  const Eigen::Vector2d logits(1000, 0);
  CHECK((softmax(logits) - Eigen::Vector2d(1, 0)).norm() < 1e-300);
  const Eigen::MatrixXd W = logits, X = Eigen::MatrixXd::Ones(1, 1);
  CHECK(cross_entropy(W, X, Eigen::MatrixXd(Eigen::Vector2d(0, 1))) == 1000);
}

TEST_CASE("Sizes that don't fit are refused", "[misuse]") {
  const Eigen::MatrixXd W = Eigen::MatrixXd::Zero(2, 3), X = Eigen::MatrixXd::Zero(3, 4);
  CHECK_THROWS_WITH(cross_entropy(W, Eigen::MatrixXd::Zero(2, 4), Eigen::MatrixXd::Zero(2, 4)),
                    "cross_entropy: the number of rows of X is 2, expected 3");
  CHECK_THROWS_WITH(cross_entropy_gradient(W, X, Eigen::MatrixXd::Zero(2, 5)),
                    "cross_entropy_gradient: the number of columns of Y is 5, expected 4");
}

}  // namespace gdssm
