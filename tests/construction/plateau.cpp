// SPDX-License-Identifier: Apache-2.0
#include "gdssm/construction/plateau.hpp"

#include <cmath>

#include "gdssm/analysis/canonical.hpp"
#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

using test::message_of;

Eigen::Vector3d unit(Index i) { return Eigen::Vector3d::Unit(i); }

TEST_CASE("At decay 1 the loss of the plateau is that of a gradient step", "[theorem]") {
  const LinearTask<> task{4, 7, uniform_inputs(1.5), 0.8};
  const PlateauLoss loss(task, Eigen::MatrixXd::Ones(4, 4));
  for (const double a : {0.0, 0.1, 0.6, 2.0})
    CHECK(loss({2 * unit(0) * unit(1).transpose(), unit(2) / 2, Eigen::VectorXd::Constant(4, -a)}) ==
          Approx(expected_loss(task, a)).epsilon(1e-14));
}

TEST_CASE("Near zero the loss of the plateau is the layer's", "[theorem]") {
  const LinearRegression tasks{.features = 3, .outputs = 3, .context = 4};
  const PaperLayer<3> layer;
  auto p = reference_initialization<double>(layer, 3);
  p.recurrence.Lambda << -0.1, -0.5, -2, -1, -0.2, -0.7, -0.05, -3, -1;
  p.recurrence.log_step.setZero();
  p.attention.A << 0.3, -0.2, 0.9, 0.4, 0.1, -0.7, 0.8, 0.25, -0.3;
  p.gate.d << 0.6, -0.9, 0.5;
  const PlateauLoss loss(theory_of(tasks), canonical_form(layer, p).L);
  const PlateauWeights at{p.attention.A, p.gate.d, p.readout.C.diagonal()};

  // Of third order, times h: the difference between starts of opposite signs of C, which cancels the sixth order.
  const double h = 1e-3;
  ThreadPool pool;
  auto up = p, down = p;
  up.readout.C *= h;
  down.readout.C *= -h;
  const TaskRange range{1, 1000000};
  const auto plus = query_losses(layer, up, tasks, range, pool), minus = query_losses(layer, down, tasks, range, pool);
  Sample measured;
  for (std::size_t i = 0; i < plus.size(); ++i) measured.add((plus[i] - minus[i]) / (2 * h));
  const double cubic = (loss({at.A, at.d, h * at.C}) - loss({at.A, at.d, -h * at.C})) / (2 * h);
  INFO(measured.standard_error() << " of " << cubic);
  CHECK(std::abs(cubic) > 20 * measured.standard_error());
  CHECK(std::abs(measured.mean() - cubic) < 4 * measured.standard_error());
}

TEST_CASE("Along the step's own weights the loss of the plateau is the layer's, however large", "[theorem]") {
  const LinearRegression tasks{.features = 3, .outputs = 3, .context = 5};
  const PaperLayer<3> layer;
  auto p = gradient_step(layer, 0.0);
  p.recurrence.Lambda << -0.1, -0.5, -2, -1, -0.2, -0.7, -0.05, -3, -1;
  p.attention.A *= 0.8;
  p.gate.d *= 1.5;
  p.readout.C.diagonal() << -0.3, 0.2, -0.9;
  const PlateauLoss loss(theory_of(tasks), canonical_form(layer, p).L);
  ThreadPool pool;
  Sample measured;
  for (const double one : query_losses(layer, p, tasks, TaskRange{1, 200000}, pool)) measured.add(one);
  CHECK(std::abs(measured.mean() - loss({p.attention.A, p.gate.d, p.readout.C.diagonal()})) <
        4 * measured.standard_error());
}

TEST_CASE("The gradient of the plateau's loss is its derivative", "[theorem]") {
  const PlateauLoss loss({4, 6, uniform_inputs(1.0)}, Eigen::MatrixXd::Random(4, 4).cwiseAbs());
  const PlateauWeights at{Eigen::Matrix3d::Random(), Eigen::Vector3d::Random(), Eigen::VectorXd::Random(4)};
  const auto slope = loss.gradient(at);
  const auto check = [&](const auto& part, const auto& of) {
    for (Index i = 0; i < of.size(); ++i) {
      PlateauWeights up = at, down = at;
      const double h = 1e-6;
      part(up).data()[i] += h;
      part(down).data()[i] -= h;
      CHECK((loss(up) - loss(down)) / (2 * h) == Approx(of.data()[i]).epsilon(1e-6).margin(1e-9));
    }
  };
  check(
      [](PlateauWeights & w) -> auto& { return w.A; }, slope.A);
  check(
      [](PlateauWeights & w) -> auto& { return w.d; }, slope.d);
  check(
      [](PlateauWeights & w) -> auto& { return w.C; }, slope.C);
}

TEST_CASE("A start at half the scale stays on the plateau twice as long", "[theorem]") {
  const LinearTask<> task{5, 10, uniform_inputs(1.0)};
  const PlateauLoss loss(task, Eigen::MatrixXd::Constant(5, 5, 0.98));
  const auto length = [&](double scale) {
    const PlateauWeights start{Eigen::Matrix3d{{0.1, 0.1, -0.2}, {0.05, 0.3, -0.1}, {0, 0.2, 0.1}} * scale,
                               Eigen::Vector3d(0.4, -0.3, 0.7) * scale,
                               Eigen::VectorXd::LinSpaced(5, -0.3, 0.2) * scale};
    return static_cast<double>(loss.updates_until(0.9 * expected_loss(task, 0.0), start, 0.05, 1000000).value());
  };
  CHECK(length(0.005) / length(0.01) == Approx(2).epsilon(0.02));
  CHECK(!loss.updates_until(0, {Eigen::Matrix3d::Zero(), unit(0), Eigen::VectorXd::Zero(5)}, 0.1, 10));
}

TEST_CASE("The loss of the plateau refuses what it leaves out", "[misuse]") {
  const LinearTask<> task{3, 5, uniform_inputs(1.0)};
  CHECK(message_of([&] { PlateauLoss(task, Eigen::MatrixXd::Ones(2, 3)); }) ==
        "PlateauLoss: the matrix of decays is 2 x 3, expected 3 x 3");
  LinearTask<> noisy = task;
  noisy.noise_variance = 0.5;
  CHECK(message_of([&] { PlateauLoss(noisy, Eigen::MatrixXd::Ones(3, 3)); }) ==
        "PlateauLoss: the noise's variance is 0.5 and distractors are 0, expected 0 and 0");
  CHECK(message_of([&] {
          PlateauLoss(task, Eigen::MatrixXd::Ones(3, 3))
              .updates_until(0, {Eigen::Matrix3d::Zero(), unit(0), Eigen::VectorXd::Ones(2)}, 0.1, 1);
        }) == "PlateauLoss: the length of C's diagonal is 2, expected 3");
}

}  // namespace
}  // namespace gdssm
