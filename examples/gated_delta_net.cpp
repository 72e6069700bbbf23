// SPDX-License-Identifier: Apache-2.0
// Gated DeltaNet (arXiv:2412.06464) as a layer: trained, run a token at a time, its state saved and taken up again.
#include <cstdio>
#include <iostream>

#include <gdssm/gdssm.hpp>
#include <gdssm/io/checkpoint.hpp>

int main() {
  using Rule = gdssm::recurrences::GatedDeltaRule<5>;  // S <- alpha S, then S <- S + beta (v - S k) k^T, (30)
  const gdssm::AugmentedSsm<gdssm::FactoredAttention<5>, gdssm::LearningRecurrence<Rule>, gdssm::Readout<5>,
                            gdssm::OutputGate<5>>
      layer;  // keys, values and query are mixtures of neighbouring tokens; alpha and beta functions of the key, (45)
  const gdssm::LinearRegression tasks{.features = 5, .outputs = 5, .context = 20};
  const auto run = gdssm::train(layer, tasks, {.rate = 3e-3, .updates = 6000});

  gdssm::Stream stream(layer, run.weights), later(layer, run.weights);
  const auto [tokens, target] = tasks.sequence(7, 0);  // x_1, y_1, ..., x_20, y_20 and the query
  for (int i = 0; i < 30; ++i) stream.step(tokens.col(i));
  gdssm::save("gated_delta_net.safetensors", stream.state());

  auto state = layer.initial_state<float>();
  gdssm::load("gated_delta_net.safetensors", state);  // in another process, say
  later.set_state(state);
  std::remove("gated_delta_net.safetensors");
  bool same = true;
  for (int i = 30; i < 41; ++i) same = same && stream.step(tokens.col(i)) == later.step(tokens.col(i));

  const double one_step = gdssm::expected_loss(tasks, gdssm::best_step(tasks));
  std::cout << "loss " << run.loss << ", of one step of gradient descent " << one_step << "\n"
            << "from the saved state: " << (same ? "the same bits" : "other predictions") << "\n";
  return same && run.loss < one_step / 2 ? 0 : 1;
}
