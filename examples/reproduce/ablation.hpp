// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/train.hpp"
#include "reproduce/ablations.hpp"
#include "reproduce/trainer.hpp"
#include "reproduce/weights.hpp"

// How a model becomes an ablation; for the files that make them.
namespace gdssm::reproduce {

inline const LinearRegression ablation_tasks{
    .features = ablation_features, .outputs = ablation_features, .context = ablation_context};

/// The same tasks read from one token earlier on: 0, x_1, y_1, ..., x_N, y_N, x_{N+1}, 0. Windows then are
/// [y_{t-1}; x_t; y_t], and in the last the query stands where the inputs stand, with zero for its target.
struct ShiftedRegression {
  LinearRegression regression{};

  Index length() const { return regression.length() + 2; }
  template <class S>
  using Workspace = LinearRegression::Workspace<S>;
  template <class S>
  Workspace<S> workspace() const {
    return regression.workspace<S>();
  }
  template <class S>
  void sequence(std::uint64_t seed, std::uint64_t index, View<S> tokens, View<S> targets, Workspace<S>& ws) const {
    tokens.columns(0, 1).fill(S(0));
    tokens.columns(length() - 1, 1).fill(S(0));
    regression.sequence(seed, index, tokens.columns(1, regression.length()), targets, ws);
  }
};

/// Where x_1 is among the tokens.
inline Index first_input(const LinearRegression&) { return 0; }
inline Index first_input(const ShiftedRegression&) { return 1; }

/// The mean over tasks and outputs of the cosine between rows of J = d yhat / d q and of M, to which one gradient
/// step's derivative is proportional. J is a difference quotient that is exact for polynomials of degree four in the
/// query, and every layer without exponentials of the tokens is one of three.
template <class Model, class Tasks>
double cosine_with_step(const Model& model, const typename Model::template Parameters<float>& parameters,
                        const Tasks& tasks, const TaskRange& range) {
  using S = Lanes<float>;
  const auto c = model.prepare(parameters);
  auto ws = model.template workspace<S>();
  auto scratch = tasks.template workspace<S>();
  const Index f = model.feature_count(), m = model.output_count(), first = first_input(tasks);
  const Index query = first + 2 * ablation_context;
  Array<S> tokens(f, tasks.length()), targets(m, 1), moved(m, 1), J(m, f), M(m, f);
  const auto add_prediction = [&](float weight, Index j) {
    auto state = model.template initial_state<S>();
    model.forward(c, Sequence<S, Model::features>{tokens.view()}, state, View<S, Model::outputs>(moved.view()), ws);
    for (Index i = 0; i < m; ++i) J(i, j) += S(weight) * moved[i];
  };
  double sum = 0;
  for (Index task = 0; task < range.count; task += lane_count<S>) {
    tasks.sequence(range.seed, range.first + static_cast<std::uint64_t>(task), tokens.view(), targets.view(), scratch);
    M.fill(S(0));
    for (Index t = first; t < query; t += 2)
      kernels::add_outer(View<const S, Dynamic, 1>(tokens.view().column(t + 1)),
                         View<const S, Dynamic, 1>(tokens.view().column(t)), M.view());
    J.fill(S(0));
    for (Index j = 0; j < f; ++j) {
      constexpr float h = 0.125f;
      const S at = tokens(j, query);
      for (const auto& [steps, weight] : {std::pair{1, 8.0f}, std::pair{-1, -8.0f}, {2, -1.0f}, {-2, 1.0f}}) {
        tokens(j, query) = at + S(h * static_cast<float>(steps));
        add_prediction(weight / (12 * h), j);
      }
      tokens(j, query) = at;
    }
    for (Index l = 0; l < std::min(lane_count<S>, range.count - task); ++l)
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

/// Trained as the paper's layer is, from the reference's start with the readout at zero, on fresh tasks at every
/// update, 64 at a time, the rates falling to zero along a cosine.
///     `Start`  seed -> parameters
template <class Attention, class Recurrence, class Readout, class Gate, class Tasks, class Start>
Ablation make_ablation(std::string name, std::string slug, double closed_form,
                       const AugmentedSsm<Attention, Recurrence, Readout, Gate>& model, const Tasks& tasks,
                       const Start& start) {
  using Model = AugmentedSsm<Attention, Recurrence, Readout, Gate>;
  using Method = std::conditional_t<SensitiveRecurrence<Recurrence>, ForwardSensitivity, StoredHistory>;
  const Index parameters = count(model.template parameters<float>());
  return {std::move(name), slug, closed_form, parameters, [slug, model, tasks, start](const AblationJob& job) {
            using S = Lanes<float>;
            const Recipe recipe = falling_rates(job.updates, job.factor);
            ThreadPool alone;
            auto run = begin_run(recipe.optimizer, with_zero_readout(start(job.seed)));
            const TrainingResult ended = train_kept<S, VectorTargets, Method>(
                model, tasks, recipe.optimizer, recipe.schedule, {.updates = job.updates, .seed = job.seed}, run, alone,
                job.checkpoint);
            if (ended.status == TrainingStatus::diverged) return AblationOutcome{.diverged = true};
            const auto losses = [&](const TaskRange& range) {
              return query_losses<S, VectorTargets>(model, run.parameters, tasks, range, alone);
            };
            double validation = 0;
            for (const double loss : losses(job.validation))
              validation += loss / static_cast<double>(job.validation.count);
            return AblationOutcome{false, validation, losses(job.evaluation),
                                   cosine_with_step<Model, Tasks>(model, run.parameters, tasks, job.alignment),
                                   own_weights_file(run.parameters, slug)};
          }};
}
template <class Model>
Ablation make_ablation(std::string name, std::string slug, double closed_form, const Model& model) {
  return make_ablation(std::move(name), std::move(slug), closed_form, model, ablation_tasks,
                       [model](std::uint64_t seed) { return reference_initialization<float>(model, seed); });
}

/// A start with decays drawn evenly from [0.05, 0.95], each entry its own, and steps of 1.
template <class Model>
auto far_start(const Model& model) {
  return [model](std::uint64_t seed) {
    auto start = reference_initialization<float>(model, seed);
    RandomStream<> stream(seed, 1);
    for (float& Lambda : start.recurrence.Lambda.reshaped())
      Lambda = static_cast<float>(std::log(0.05 + 0.9 * stream.uniform()));
    start.recurrence.log_step.setZero();
    return start;
  };
}

}  // namespace gdssm::reproduce
