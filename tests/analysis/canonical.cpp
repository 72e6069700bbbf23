// SPDX-License-Identifier: Apache-2.0
#include "gdssm/analysis/canonical.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/construction/gradient_step.hpp"

namespace gdssm {
namespace {

using test::Random;

/// (A, C) and (d, C) exchange factors.
template <class Parameters, class T>
Parameters rescaled(Parameters p, T of_A, T of_d) {
  p.attention.A *= of_A;
  p.gate.d *= of_d;
  p.readout.C /= of_A * of_d;
  return p;
}

template <class T>
bool close(const Eigen::MatrixX<T>& a, const Eigen::MatrixX<T>& b) {
  return (a - b).cwiseAbs().maxCoeff() <= 32 * std::numeric_limits<T>::epsilon() * a.cwiseAbs().maxCoeff();
}

template <class T, class Layer>
void check_invariance(const Layer& layer, Random& random) {
  auto p = layer.template parameters<T>();
  random.fill(p);
  const Index f = layer.feature_count();
  Eigen::MatrixX<T> tokens(f, 9);
  random.fill(tokens);
  const Eigen::MatrixX<T> predictions = layer.predict(p, tokens);
  const auto form = canonical_form(layer, p);
  CHECK(std::abs(form.A.norm() - 1) <= 4 * std::numeric_limits<T>::epsilon());
  CHECK(std::abs(form.d.norm() - 1) <= 4 * std::numeric_limits<T>::epsilon());
  CHECK(form.A(0, 1) > 0);
  CHECK(form.d[2] > 0);
  for (int trial = 0; trial < 8; ++trial) {
    const T of_A = static_cast<T>(std::ldexp(random(), trial)), of_d = static_cast<T>(std::ldexp(random(), -trial));
    CAPTURE(of_A, of_d);
    const auto q = rescaled(p, of_A, of_d);
    const Eigen::MatrixX<T> same_function = layer.predict(q, tokens);
    CHECK((same_function - predictions).cwiseAbs().maxCoeff() <=
          100 * std::numeric_limits<T>::epsilon() * predictions.cwiseAbs().maxCoeff());
    const auto same_form = canonical_form(layer, q);
    CHECK(close<T>(form.A, same_form.A));
    CHECK(close<T>(form.d, same_form.d));
    CHECK(close<T>(form.C, same_form.C));
    CHECK(same_form.L == form.L);
  }
}

bool equal(double a, double b) { return std::abs(a - b) <= 1e-14 * std::abs(b); }

TEST_CASE("layers of one function have one canonical form", "[theorem]") {
  Random random(21);
  check_invariance<double>(PaperLayer<>(4), random);
  check_invariance<double>(PaperLayer<3>(), random);
  check_invariance<float>(PaperLayer<Dynamic, Bilinear>(5), random);
  check_invariance<double>(PaperLayer<1, GivenDecay>(), random);
}

TEST_CASE("the canonical form computes the same predictions", "[theorem]") {
  Random random(22);
  const PaperLayer<Dynamic, GivenDecay> layer(4);
  auto p = layer.parameters<double>();
  random.fill(p);
  p = rescaled(p, -3.0, -0.2);
  Eigen::MatrixXd tokens(4, 11);
  random.fill(tokens);
  const auto form = canonical_form(layer, p);
  auto q = layer.parameters<double>();
  q.attention.A = form.A;
  q.gate.d = form.d;
  q.readout.C = form.C;
  q.recurrence.Lambda = form.L;
  const Eigen::MatrixXd expected = layer.predict(p, tokens);
  CHECK((layer.predict(q, tokens) - expected).norm() <= 1e-13 * expected.norm());
  CHECK(expected.norm() > 0);
}

template <class T, class Layer>
void check_construction(const Layer& layer, T step) {
  CAPTURE(layer.feature_count(), step);
  const T tolerance = 8 * std::numeric_limits<T>::epsilon();
  const auto near = [&](const auto& distance) {
    CHECK(std::abs(distance.step - step) <= tolerance * std::abs(step));
    CHECK(distance.A <= tolerance);
    CHECK(distance.d <= tolerance);
    CHECK(distance.C <= tolerance);
    CHECK(distance.decay == 0);
  };
  const auto p = gradient_step(layer, step);
  for (const auto& q : {p, rescaled(p, T(-1.7), T(0.3)), rescaled(p, T(0.01), T(-40)), rescaled(p, T(-5), T(-5))}) {
    const auto form = canonical_form(layer, q);
    near(distance_from_step(form, VectorTargets()));
    near(distance_from_step(form, ScalarTargets()));
  }
}

TEST_CASE("the construction is at distance zero, whatever its scales, and its step is recovered", "[theorem]") {
  for (const double step : {0.606, 1.5, -0.25}) {
    for (const Index f : {1, 2, 5, 10}) check_construction(PaperLayer<>(f), step);
    check_construction(PaperLayer<3, Bilinear>(), step);
    check_construction(PaperLayer<4, GivenDecay>(), step);
    check_construction(PaperLayer<>(6), static_cast<float>(step));
  }
}

TEST_CASE("each distance is what its definition says", "[theorem]") {
  const PaperLayer<Dynamic, GivenDecay> layer(3);
  auto p = gradient_step(layer, 0.5);
  p.attention.A << 0, 3, 0, 0, 0, 0, 0, 4, 0;
  p.gate.d << 0, -12, 5;
  p.recurrence.Lambda(1, 0) = 0.75;
  p.recurrence.Lambda(2, 2) = 1.125;
  p.readout.C(0, 2) = 0.3;

  // |A| = 5 and |d| = 13: canonically A has 3/5 and 4/5, d has -12/13 and 5/13, C times 65.
  const auto form = canonical_form(layer, p);
  const auto vector = distance_from_step(form, VectorTargets()), scalar = distance_from_step(form, ScalarTargets());
  for (const auto& distance : {vector, scalar}) {
    CHECK(equal(distance.step, 65 * 0.5));
    CHECK(equal(distance.A, std::hypot(2.0 / 5, 4.0 / 5)));
    CHECK(equal(distance.d, std::hypot(12.0 / 13, 8.0 / 13)));
  }
  CHECK(equal(vector.C, 0.6 / std::sqrt(3.0)));
  CHECK(vector.decay == 0.25);
  CHECK(std::abs(scalar.C) < 1e-15);
  CHECK(scalar.decay == 0.125);
}

TEST_CASE("for scalar targets only C's last row and L's last column act", "[theorem]") {
  Random random(23);
  const PaperLayer<Dynamic, GivenDecay> layer(4);
  const auto p = gradient_step(layer, 0.4);
  auto q = p;
  random.fill(q.readout.C);
  q.readout.C.row(3) = p.readout.C.row(3);
  q.recurrence.Lambda.leftCols(3).setConstant(0.5);
  Eigen::MatrixXd inputs(4, 7), targets(1, 6);
  random.fill(inputs);
  random.fill(targets);
  const Eigen::MatrixXd tokens = interleave(inputs, targets);
  CHECK(layer.predict(q, tokens).bottomRows(1) == layer.predict(p, tokens).bottomRows(1));

  const auto form = canonical_form(layer, p), other = canonical_form(layer, q);
  const auto before = distance_from_step(form, ScalarTargets()), after = distance_from_step(other, ScalarTargets());
  CHECK(after.step == before.step);
  CHECK(after.A == before.A);
  CHECK(after.d == before.d);
  CHECK(after.C == before.C);
  CHECK(after.decay == before.decay);
  CHECK(distance_from_step(other, VectorTargets()).C > 0.1);
  CHECK(distance_from_step(other, VectorTargets()).decay == 0.5);

  q.readout.C(3, 0) = 0.1;
  q.recurrence.Lambda(0, 3) = 0.875;
  const auto moved = distance_from_step(canonical_form(layer, q), ScalarTargets());
  CHECK(equal(moved.C, 0.25));
  CHECK(moved.decay == 0.125);
}

TEST_CASE("a layer without attention or without a gate has no canonical form", "[misuse]") {
  const PaperLayer<> layer(3);
  auto p = gradient_step(layer, 0.5);
  p.attention.A.setZero();
  CHECK_THROWS_WITH(canonical_form(layer, p), "canonical_form: |A| is 0 and |d| is 1, expected both positive");
  p = gradient_step(layer, 0.5);
  p.gate.d.setZero();
  CHECK_THROWS_WITH(canonical_form(layer, p), "canonical_form: |A| is 1 and |d| is 0, expected both positive");
  p.gate.d[0] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(canonical_form(layer, p), std::invalid_argument);
}

}  // namespace
}  // namespace gdssm
