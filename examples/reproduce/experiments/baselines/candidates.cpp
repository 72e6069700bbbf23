// SPDX-License-Identifier: Apache-2.0
#include "reproduce/experiments/baselines/candidates.hpp"

#include <cstdlib>
#include <utility>

#include "gdssm/baselines/attention.hpp"
#include "gdssm/baselines/attention_steps.hpp"
#include "gdssm/baselines/fast_weights.hpp"
#include "gdssm/baselines/gated_linear_rnn.hpp"
#include "gdssm/baselines/rg_lru.hpp"
#include "gdssm/baselines/s5.hpp"
#include "gdssm/baselines/selective_ssm.hpp"
#include "gdssm/baselines/sequence_model.hpp"
#include "gdssm/baselines/whole_context.hpp"
#include "gdssm/io/aggregate.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "reproduce/models/trainer.hpp"

namespace gdssm::reproduce {
namespace {

constexpr Index features = 10, context = 10;

const LinearRegression tasks{.features = features, .outputs = 1, .context = context};

/// A stack of layers, layer(d) for width d, of the width at which its parameters come nearest to the budget.
template <class Input, class MakeLayer>
AnyModel<Lane> fitted(const Input& input, Index depth, Index budget, const MakeLayer& layer) {
  const auto model_of = [&](Index width) { return SequenceModel(input, layer(width), depth); };
  const auto apart = [&](Index width) {
    return std::abs(count(model_of(width).template parameters<float>()) - budget);
  };
  Index width = 2;
  while (apart(width + 1) < apart(width)) ++width;
  return any_model(model_of(width));
}

void add_pairs(Index depth, Index budget, std::vector<Candidate>& all) {
  const auto add = [&](const char* name, const std::string& slug, const auto& layer) {
    all.push_back({name, slug + "-pairs-" + std::to_string(depth), "pairs", depth,
                   fitted(PairInput(features), depth, budget, layer)});
  };
  add("linear self-attention", "linear-attention",
      [](Index d) { return WholeContext(linear_attention(d, d, d), context); });
  add("softmax attention", "softmax-attention", [](Index d) { return SoftmaxAttentionLayer(d, d, d, context); });
  add("DeltaNet", "delta-net", [](Index d) { return delta_net(d, d, d); });
  add("MesaNet", "mesa-net", [](Index d) { return mesa_net(d, d, d); });
}

/// What there is to remember, M, has f numbers: S5 has a pair of states for each, S6 eight for each channel, the others
/// as many as the budget allows for maps between all of them.
void add_recurrences(const char* reads, const std::string& name_of_input, const WindowInput& input, Index depth,
                     Index budget, std::vector<Candidate>& all) {
  const auto add = [&](const char* name, const std::string& slug, const auto& layer) {
    all.push_back({name, slug + "-" + name_of_input + "-" + std::to_string(depth), reads, depth,
                   fitted(input, depth, budget, layer)});
  };
  add("S5", "s5", [](Index d) { return S5Layer(d, features); });
  add("selective SSM (S6)", "s6", [](Index d) { return SelectiveSsmLayer(d, d, 8); });
  add("gated linear RNN", "gated-linear-rnn", [](Index d) { return GatedLinearRnnLayer(d, d, d); });
  add("RG-LRU", "rg-lru", [](Index d) { return RgLruLayer(d, d); });
}

}  // namespace

std::vector<Candidate> all_candidates(Index budget) {
  std::vector<Candidate> all{{"augmented SSM", "augmented-ssm-1", "tokens", 1, any_model(PaperLayer<features>())}};
  for (const Index depth : {1, 2}) add_pairs(depth, budget, all);
  for (const Index depth : {1, 2}) add_recurrences("vec(X)", "windows", WindowInput(features), depth, budget, all);
  for (const Index depth : {1, 2})
    add_recurrences("vec(X), vec(G)", "attended", WindowInput(features, 1), depth, budget, all);
  return all;
}

Outcome run_candidate(const Candidate& candidate, const Job& job) {
  const AnyTrainer trainer{candidate.model, task_source(tasks, candidate.model.window()), ScalarTargets()};
  const Recipe recipe{.updates = job.updates,
                      .optimizer = AdamW{job.rate},
                      .schedule = WarmUpCosine{job.updates / 20, job.updates},
                      .longest_gradient = 1};
  ThreadPool alone;
  const auto [ended, weights] = trainer.train(recipe, job.seed, candidate.model.draw(job.seed), alone, job.checkpoint);
  if (ended.status == TrainingStatus::diverged) return {.diverged = true};
  const auto measure = [&, &trained = weights](const TaskRange& range) {
    Sample sample;
    for (const double loss : trainer.losses(trained, range, alone)) sample.add(loss);
    return sample;
  };
  Outcome outcome{false, measure(job.validation), measure(job.evaluation), {}};
  put_aggregate(outcome.weights, "", weights);
  return outcome;
}

std::vector<double> constructed_attention_losses(const std::vector<double>& a, const std::vector<double>& gamma,
                                                 const TaskRange& range) {
  const SelfAttentionStack model(PairInput(features), {linear_attention(2 * features, features, 2 * features), context},
                                 static_cast<Index>(a.size()));
  const std::vector<float> sizes(a.begin(), a.end()), transforms(gamma.begin(), gamma.end());
  const NamedWeights<float> weights(gd_plus_plus_steps<float>(model, sizes, transforms));
  const AnyModel<Lane> any = any_model(model);
  ThreadPool alone;
  return AnyTrainer{any, task_source(tasks, any.window()), ScalarTargets()}.losses(weights, range, alone);
}

}  // namespace gdssm::reproduce
