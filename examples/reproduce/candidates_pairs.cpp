// SPDX-License-Identifier: Apache-2.0
#include "gdssm/baselines/attention.hpp"
#include "gdssm/baselines/attention_steps.hpp"
#include "gdssm/baselines/delta_net.hpp"
#include "gdssm/baselines/mesa.hpp"
#include "reproduce/candidate.hpp"

namespace gdssm::reproduce {

std::vector<Candidate> pair_candidates(Index budget) {
  std::vector<Candidate> candidates;
  for (const Index depth : {1, 2}) {
    const std::string layers = "-pairs-" + std::to_string(depth);
    const auto add = [&](const char* name, const std::string& slug, const auto& layer) {
      candidates.push_back(fitted_candidate<PairInput>(name, slug + layers, "pairs", depth, budget, layer));
    };
    add("linear self-attention", "linear-attention", [](Index d) { return LinearAttentionLayer(d, d, d); });
    add("softmax attention", "softmax-attention", [](Index d) { return SoftmaxAttentionLayer(d, d, d); });
    add("DeltaNet", "delta-net", [](Index d) { return DeltaNetLayer<>(d, d, d); });
    add("MesaNet", "mesa-net", [](Index d) { return MesaLayer(d, d, d); });
  }
  return candidates;
}

std::vector<double> constructed_attention_losses(const std::vector<double>& a, const std::vector<double>& gamma,
                                                 const TaskRange& tasks) {
  constexpr Index f = candidate_features;
  const SequenceModel model(PairInput(f), LinearAttentionLayer(2 * f, f, 2 * f), candidate_context,
                            static_cast<Index>(a.size()));
  const std::vector<float> sizes(a.begin(), a.end()), transforms(gamma.begin(), gamma.end());
  const auto parameters = gd_plus_plus_steps<float>(model, sizes, transforms);
  const LinearRegression regression{.features = f, .outputs = 1, .context = candidate_context};
  ThreadPool alone;
  return query_losses<Lanes<float>, ScalarTargets>(model, parameters, regression, tasks, alone);
}

}  // namespace gdssm::reproduce
