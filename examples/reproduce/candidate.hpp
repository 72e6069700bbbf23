// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/baselines/sequence_model.hpp"
#include "gdssm/io/aggregate.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/train.hpp"
#include "reproduce/candidates.hpp"
#include "reproduce/kept_training.hpp"

// How a model becomes a candidate; for the files that make them.
namespace gdssm::reproduce {

inline constexpr Index candidate_features = 10, candidate_context = 10;

/// Adam on fresh tasks at every update, 64 at a time, gradients longer than 1 shortened to it; the rate rises over a
/// twentieth of the run and falls to zero along a cosine.
///     `Start`  seed -> parameters
template <class Model, class Start>
Candidate make_candidate(std::string name, std::string slug, std::string reads, Index depth, const Model& model,
                         const Start& start) {
  const Index parameters = count(model.template parameters<float>());
  return {std::move(name), std::move(slug), std::move(reads), depth, parameters, [model, start](const Job& job) {
            using S = Lanes<float>;
            const LinearRegression tasks{.features = candidate_features, .outputs = 1, .context = candidate_context};
            const ClippedGradient<AdamW> optimizer{AdamW{.groups = {{{}, job.rate}}}};
            ThreadPool alone;
            auto run = begin_run(optimizer, start(job.seed));
            const TrainingResult ended =
                train_kept<S, ScalarTargets>(model, tasks, optimizer, WarmUpCosine{job.updates / 20, job.updates},
                                             {.updates = job.updates, .seed = job.seed}, run, alone, job.checkpoint);
            if (ended.status == TrainingStatus::diverged) return Outcome{.diverged = true};
            const auto measure = [&](const TaskRange& range) {
              Sample sample;
              for (const double loss : query_losses<S, ScalarTargets>(model, run.parameters, tasks, range, alone))
                sample.add(loss);
              return sample;
            };
            Outcome outcome{false, measure(job.validation), measure(job.evaluation), {}};
            put_aggregate(outcome.weights, "", run.parameters);
            return outcome;
          }};
}

/// A stack of layers, layer(d) for width d, of the width at which its parameters come nearest to the budget.
template <class Input, class MakeLayer>
Candidate fitted_candidate(std::string name, std::string slug, std::string reads, Index depth, Index budget,
                           const MakeLayer& layer) {
  const auto model_of = [&](Index width) {
    return SequenceModel(Input(candidate_features), layer(width), candidate_context, depth);
  };
  const auto apart = [&](Index width) {
    return std::abs(count(model_of(width).template parameters<float>()) - budget);
  };
  Index width = 2;
  while (apart(width + 1) < apart(width)) ++width;
  const auto model = model_of(width);
  return make_candidate(std::move(name), std::move(slug), std::move(reads), depth, model,
                        [model](std::uint64_t seed) { return reference_initialization<float>(model, seed); });
}

}  // namespace gdssm::reproduce
