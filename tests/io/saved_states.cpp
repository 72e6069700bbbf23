// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <string>

#include "io/support.hpp"
#include "models/runs.hpp"
#include "support/catch.hpp"

#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/io/checkpoint.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/nonlinear_ssm.hpp"
#include "gdssm/oracle/reference_file.hpp"
#include "gdssm/training/initialization.hpp"

namespace gdssm::test {
namespace {

/// A state saved in mid-sequence and loaded is the same, and so is everything after it, including merges.
template <class Model>
void check_saved_state(const Model& model) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "state.safetensors";
  Random random(8);
  const auto c = model.prepare(reference_initialization<double>(model, 2));
  const auto tokens = random_tokens<double>(model, 6, random);
  auto state = model.template initial_state<double>();
  run<double>(model, c, {tokens.view().columns(0, 6)}, state, 2);
  save(path, state);
  auto loaded = model.template initial_state<double>();
  load(path, loaded);
  CHECK(loaded == state);
  auto later = model.template initial_state<double>();
  run<double>(model, c, {tokens.view().columns(6, 7)}, later, 0);
  CHECK(model.merge(c, state, later) == model.merge(c, loaded, later));
}

TEST_CASE("States of layers and stacks are saved whole, what merging needs included", "[definition][regression]") {
  check_saved_state(PaperLayer<3>());
  check_saved_state(HornerStack(PaperLayer<3>(), 2));
  check_saved_state(AugmentedSsm<LocalAttention<3>, SelectiveRecurrence<3>, Readout<3>, OutputGate<3>>());
}

TEST_CASE("Weights of another model are not loaded, and the weights that are there stay", "[misuse]") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "weights.safetensors";
  const PaperLayer<> layer(3);
  const auto weights = reference_initialization<float>(layer, 1);
  save(path, weights);
  auto same = layer.parameters<float>();
  load(path, same);
  CHECK(identical(weights, same));
  auto other = PaperLayer<>(2).parameters<float>();
  CHECK_THROWS_WITH(load(path, other),
                    path.string() + ": tensor 'recurrence.Lambda': has the shape [3, 3], expected [2, 2]");
  auto precise = layer.parameters<double>();
  CHECK_THROWS_WITH(load(path, precise), path.string() + ": tensor 'attention.A': dtype is F32, expected F64");
  CHECK(count(other) > 0);
  CHECK(other.attention.A.isZero());
}

TEST_CASE("Weights written in the reference's naming are read as they were", "[definition]") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "layer.safetensors";
  const PaperLayer<> layer(3);
  const auto weights = reference_initialization<float>(layer, 1);
  write_reference_weights(path, weights, {"zoh", "vector"});
  const ReferenceWeights file = read_reference_weights(path);
  CHECK(file.discretization() == ReferenceWeights::Discretization::zoh);
  CHECK(file.targets() == ReferenceWeights::Targets::vector);
  auto read = layer.parameters<float>();
  file.read(read);
  CHECK(identical(weights, read));

  const HornerStack stack(PaperLayer<>(3), 3);
  const auto layers = reference_initialization<float>(stack, 1);
  CHECK_THROWS_WITH(write_reference_weights(folder.path() / "no.safetensors", layers, {"zoh", "vector"}),
                    Catch::Matchers::Contains("has 5 layers, expected 1 or 3"));
  CHECK_THROWS_WITH(write_reference_weights(folder.path() / "no.safetensors", weights, {"bilinear", "vector"}),
                    "reference_file: metadata 'discretization' is 'bilinear', expected 'zoh'");
  const auto given = reference_initialization<float>(PaperLayer<2, GivenDecay>(), 1);
  CHECK_THROWS_WITH(write_reference_weights(folder.path() / "no.safetensors", given, {"zoh", "vector"}),
                    "reference_file: metadata 'discretization' is 'zoh', expected 'none'");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "no.safetensors"));
  write_reference_weights(path, given, {"none", "vector"});
  CHECK(read_reference_weights(path).discretization() == ReferenceWeights::Discretization::none);
  using Neighbours = AugmentedSsm<LocalAttention<3, 3, 1>, DiagonalRecurrence<3>, Readout<3>, OutputGate<3>>;
  STATIC_REQUIRE(detail::reference_discretization<Neighbours::Parameters<float>>().empty());
  const NonlinearSsm nonlinear(PaperLayer<>(3));
  const auto parts = reference_initialization<float>(nonlinear, 1);
  write_reference_weights(path, parts, {"zoh", "scalar", "half_glu2"});
  CHECK(read_reference_weights(path).readout() == ReferenceWeights::Readout::half_glu2);
  write_reference_weights(path, layers, {.discretization = "zoh", .targets = "scalar", .stack = "horner"});
  CHECK(read_reference_weights(path).layer_count() == 5);
}

}  // namespace
}  // namespace gdssm::test
