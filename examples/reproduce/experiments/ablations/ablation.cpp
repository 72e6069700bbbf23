// SPDX-License-Identifier: Apache-2.0
// How an ablation is trained and measured.

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "reproduce/experiments/ablations/ablations.hpp"
#include "reproduce/models/shifted_regression.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/weights.hpp"

namespace gdssm::reproduce {
namespace {

using Weights = AnyTrainer::Weights;

const LinearRegression plain_tasks{
    .features = ablation_features, .outputs = ablation_features, .context = ablation_context};
const ShiftedRegression shifted_tasks{plain_tasks};

/// The mean over tasks and outputs of the cosine between rows of J = d yhat / d q and of M, to which one gradient
/// step's derivative is proportional. J is a difference quotient that is exact for polynomials of degree four in the
/// query, and every layer without exponentials of the tokens is one of three.
///     `first`  where x_1 is among the tokens
double cosine_with_step(Predictor<Lane> predict, const TaskSource<Lane>& tasks, Index first, const TaskRange& range) {
  const Index f = predict.feature_count(), m = predict.output_count(), query = first + 2 * ablation_context;
  Batch<Lane> batch(predict.window(), lane_count<Lane>, tasks.length(), m, 1);
  Array<Lane> tokens(f, tasks.length()), moved(m, 1), J(m, f), M(m, f);
  double sum = 0;
  for (Index task = 0; task < range.count; task += lane_count<Lane>) {
    tasks.draw(range.seed, range.first + static_cast<std::uint64_t>(task), 0, batch);
    tokens = batch.groups().front().tokens;
    M.fill(Lane(0));
    for (Index t = first; t < query; t += 2)
      for (Index j = 0; j < f; ++j)
        for (Index i = 0; i < m; ++i) M(i, j) = multiply_add(tokens(i, t + 1), tokens(j, t), M(i, j));
    J.fill(Lane(0));
    for (Index j = 0; j < f; ++j) {
      constexpr float h = 0.125f;
      const Lane at = tokens(j, query);
      for (const auto& [steps, weight] : {std::pair{1, 8.0f}, std::pair{-1, -8.0f}, {2, -1.0f}, {-2, 1.0f}}) {
        tokens(j, query) = at + Lane(h * static_cast<float>(steps));
        predict({tokens.view()}, moved.view());
        for (Index i = 0; i < m; ++i) J(i, j) += Lane(weight / (12 * h)) * moved[i];
      }
      tokens(j, query) = at;
    }
    for (Index l = 0; l < std::min(lane_count<Lane>, range.count - task); ++l)
      for (Index i = 0; i < m; ++i) {
        double ab = 0, aa = 0, bb = 0;
        for (Index j = 0; j < f; ++j) {
          const auto a = static_cast<double>(lane(J(i, j), l)), b = static_cast<double>(lane(M(i, j), l));
          ab += a * b;
          aa += a * a;
          bb += b * b;
        }
        if (aa > 0) sum += ab / std::sqrt(aa * bb);  // else it doesn't depend on the query
      }
  }
  return sum / static_cast<double>(range.count * m);
}

/// The reference's start with the readout at zero; far decays are drawn evenly from [0.05, 0.95], each entry its own,
/// with steps of 1.
Weights start_of(const Ablation& ablation, std::uint64_t seed) {
  Weights start = ablation.model.draw(seed);
  for (const auto& entry : start.entries())
    if (entry.name.starts_with("readout.")) start.matrix(entry.name).setZero();
  if (ablation.far_decays) {
    RandomStream<> stream(seed, 1);
    for (float& Lambda : start.matrix("recurrence.Lambda").reshaped())
      Lambda = static_cast<float>(std::log(0.05 + 0.9 * stream.uniform()));
    start.matrix("recurrence.log_step").setZero();
  }
  return start;
}

}  // namespace

AblationOutcome run_ablation(const Ablation& ablation, const AblationJob& job) {
  const WindowSizes& window = ablation.model.window();
  const AnyTrainer trainer{ablation.model,
                           ablation.shifted ? task_source(shifted_tasks, window) : task_source(plain_tasks, window),
                           VectorTargets()};
  ThreadPool alone;
  const auto [ended, weights] = trainer.train(falling_rates(job.updates, job.factor), job.seed,
                                              start_of(ablation, job.seed), alone, job.checkpoint);
  if (ended.status == TrainingStatus::diverged) return {.diverged = true};
  double validation = 0;
  for (const double loss : trainer.losses(weights, job.validation, alone))
    validation += loss / static_cast<double>(job.validation.count);
  return {false, validation, trainer.losses(weights, job.evaluation, alone),
          cosine_with_step(ablation.model.predictor(weights), trainer.tasks, ablation.shifted ? 1 : 0, job.alignment),
          own_weights_file(weights, ablation.slug)};
}

}  // namespace gdssm::reproduce
