// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <vector>

#include "models/runs.hpp"
#include "support/catch.hpp"
#include "support/no_heap.hpp"

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/models/nonlinear_ssm.hpp"

namespace gdssm {
namespace {

using test::allocations_of;
using test::Random;
using test::random_array;
using test::random_coefficients;
using test::random_tokens;

/// Opaque to the optimiser, so that it removes no pair of new and delete.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

TEST_CASE("the guard against the heap fires", "[no_heap]") {
  CHECK(allocations_of([] { keep(0); }) == 0);
  CHECK(allocations_of([] { keep(std::make_unique<double>(1)); }) == 1);
  CHECK(allocations_of([] { keep(std::vector<double>(3)); }) == 1);
  CHECK(allocations_of([] { keep(Eigen::VectorXd(3)); }) == 1);
  CHECK(allocations_of([] { keep(Array<Lanes<float>>(2, 2)); }) == 1);
  CHECK(allocations_of([] { keep(Array<Lanes<float, 64>, 2, 2>()); }) == 1);
}

template <class S, class Method, class Model>
void check_passes(const Model& model) {
  Random random(31);
  const Index windows = 4, k = 2;
  auto c = random_coefficients<LaneScalar<S>>(model, random);
  auto p = model.template parameters<LaneScalar<S>>();
  const auto tokens = random_tokens<S>(model, windows, random);
  const auto mask = random_array(Array<S>(1, windows), random);
  const Sequence<S, Model::features> sequence{tokens.view(), mask.view()};
  auto state = model.template initial_state<S>(), state_bar = state;
  auto ws = model.template workspace<S>();
  auto gradient_ws = model.template gradient_workspace<S, Method>(windows, k);
  Array<S, Model::outputs> predictions(model.output_count(), k);
  auto c_bar = model.template coefficients<S>();
  Array<S, Model::features> tokens_bar(tokens.rows(), tokens.cols());
  const auto half_squares = [](Index, View<const S, Model::outputs, 1> y, View<S, Model::outputs, 1> y_bar) {
    for (Index i = 0; i < y.size(); ++i) y_bar[i] = y[i];
  };

  CHECK(allocations_of([&] {
          for (Index i = 0; i < tokens.cols(); ++i)
            model.step(c, tokens.view().column(i), state, predictions.view().column(0), ws);
        }) == 0);
  state = model.template initial_state<S>();
  CHECK(allocations_of([&] { model.forward(c, sequence, state, predictions.view(), ws); }) == 0);
  state = model.template initial_state<S>();
  CHECK(allocations_of([&] { model.vjp(c, sequence, state, k, half_squares, c_bar, gradient_ws); }) == 0);
  state = model.template initial_state<S>();
  CHECK(allocations_of([&] {
          model.vjp(c, sequence, state, k, half_squares, c_bar, state_bar, tokens_bar.view(), gradient_ws);
        }) == 0);
  CHECK(allocations_of([&] { model.prepare(p, c); }) == 0);
}

TEST_CASE("step, forward, both pull-backs and prepare leave the heap alone", "[no_heap]") {
  check_passes<double, StoredHistory>(PaperLayer<3>());
  check_passes<double, ForwardSensitivity>(PaperLayer<3>());
  check_passes<float, StoredHistory>(PaperLayer<>(4));
  check_passes<Lanes<float>, StoredHistory>(PaperLayer<3>());
  check_passes<Lanes<float>, ForwardSensitivity>(PaperLayer<>(4));
  using Preconditioned = AugmentedSsm<LocalAttention<>, DiagonalRecurrence<>, Readout<>, PreconditionedGate<>>;
  check_passes<double, StoredHistory>(Preconditioned(4));
  check_passes<double, StoredHistory>(NonlinearSsm<PaperLayer<3>>());
  check_passes<Lanes<float>, ForwardSensitivity>(NonlinearSsm<>(PaperLayer<>(4)));
}

}  // namespace
}  // namespace gdssm
