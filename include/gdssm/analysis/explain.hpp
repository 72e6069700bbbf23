// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/analysis/candidate.hpp"
#include "gdssm/analysis/canonical.hpp"
#include "gdssm/analysis/half_lives.hpp"
#include "gdssm/analysis/observation.hpp"
#include "gdssm/core/compiled.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/two_step_stack.hpp"

// Which learning algorithm a model is: its weights layer by layer, and its predictions against those of algorithms.
// Source  docs/theory.md, which algorithm it is

namespace gdssm {

/// One layer's weights in canonical scale. In a stack the gate is the last layer's, so that the layers M_k share its d;
/// the sign of an S_k is that of A_00, and its distance is that from A = e_0 e_0^T.
struct LayerReport {
  bool is_curvature;              ///< an S_k, which accumulates S; otherwise an M_k, or a layer by itself
  CanonicalForm<double> form;     ///< of its weights
  StepDistance<double> distance;  ///< from (7)
  HalfLives half_lives;           ///< of the decays that act
};

/// An input on which a model is not the algorithm that it is nearest to.
struct Counterexample {
  Observation seen;          ///< the context, its query and the answer of the model
  Eigen::VectorXd expected;  ///< the nearest candidate's answer
};

/// What `explain` found.
struct Explanation {
  std::string verdict;                ///< one sentence
  std::string algorithm;              ///< a short name, "none" for none of the candidates
  std::vector<LayerReport> layers;    ///< empty if a layer's A, or the gate's d, is zero, or there is no such form
  double decay = 1;                   ///< the mean of the decays that act; fitted, where they are not known
  std::vector<Candidate> candidates;  ///< fitted and judged, the simplest first; empty if there was nothing to explain
  std::size_t nearest = 0, runner_up = 0;        ///< among the candidates
  std::optional<Counterexample> counterexample;  ///< with "none"
};

/// On what `explain` tries a model: tasks as the paper's, inputs uniform on [-1/2, 1/2], standard normal weights.
struct ExplainOptions {
  Index tasks = 500;       ///< that candidates are judged on; they are fitted to others, at most as many
  Index context = 0;       ///< N; 0 for f
  std::uint64_t seed = 1;  ///< of the tasks
  Targets targets = {};    ///< what of a prediction counts: all of it, or `ScalarTargets`
  int threads = 1;         ///< of the short form, which makes a pool

  std::function<void(double)> done = [](double) {};  ///< is told the share of the work that is done
};

/// The share of the variance that the nearest candidate must explain to be the verdict.
inline constexpr double least_explained = 0.9;

/// The short name of what a candidate is.
std::string short_name(const Candidate& candidate);

/// The same in words, with all that was fitted.
std::string describe(const Candidate& candidate, double decay);

namespace detail {

/// What a model makes of the tokens of a context.
using ObserveTokens = std::function<Observation(const Eigen::MatrixXd&)>;

/// A layer's report, from its A, d and C and the decays L that act; none if A or d is zero. `one_row`: the last row of
/// the output counts.
std::optional<LayerReport> layer_report(bool is_curvature, bool one_row, const Eigen::MatrixXd& A,
                                        const Eigen::VectorXd& d, const Eigen::MatrixXd& C, const Eigen::MatrixXd& L);

/// One report a layer of a stack.
template <class Layer>
std::vector<LayerReport> layer_reports(const HornerStack<Layer>& stack,
                                       const typename HornerStack<Layer>::template Parameters<double>& parameters,
                                       bool scalar) {
  std::vector<LayerReport> reports;
  for (Index l = 0; l < stack.layer_count(); ++l) {
    const auto& p = parameters.layers[static_cast<std::size_t>(l)];
    const bool is_curvature = l % 2 == 1;
    auto report = layer_report(is_curvature, scalar && !is_curvature, p.attention.A, parameters.layers.back().gate.d,
                               p.readout.C, stack.layer().prepare(p).recurrence.decay.matrix().transpose());
    if (!report) return {};
    reports.push_back(std::move(*report));
  }
  return reports;
}

/// What a model makes of the tasks of a range.
using ObserveTasks = std::function<std::vector<Observation>(const TaskRange&)>;

/// The tasks on which a model is tried.        Errors  std::invalid_argument: no task, contexts of no pairs
LinearRegression tasks_of(Index f, const Targets& kind, const ExplainOptions& options);

/// The verdict on a model that is observed on fresh tasks; where its decays are not known, they are fitted.
Explanation explain_tasks(Explanation found, CandidateSetup setup, const LinearRegression& tasks,
                          const ObserveTasks& observe_tasks, const ObserveTokens& observe_tokens,
                          const ExplainOptions& options, ThreadPool& pool);

/// The verdict on a stack of `steps` steps, whose layers were reported.
Explanation explain_reported(std::vector<LayerReport> layers, Index steps, bool residual, const LinearRegression& tasks,
                             const ObserveTasks& observe_tasks, const ObserveTokens& observe_tokens,
                             const ExplainOptions& options, ThreadPool& pool);

template <class Layer>
Explanation explain_stack(const HornerStack<Layer>& stack,
                          const typename HornerStack<Layer>::template Parameters<double>& parameters, double residual,
                          const Targets& kind, const ExplainOptions& options, ThreadPool& pool) {
  const LinearRegression tasks = tasks_of(stack.feature_count(), kind, options);
  const bool scalar = tasks.outputs == 1 && kind == Targets(ScalarTargets());
  expect_equal("explain", "the number of layers", static_cast<Index>(parameters.layers.size()), stack.layer_count());
  return explain_reported(
      layer_reports(stack, parameters, scalar), stack.steps(), residual != 0, tasks,
      [&](const TaskRange& range) { return observe(stack, parameters, tasks, range, pool, residual); },
      [&](const Eigen::MatrixXd& tokens) {
        return Observer(stack, parameters, tasks.outputs, tasks.range, residual)(tokens);
      },
      options, pool);
}

/// A layer whose slots have the canonical form of section 10.
template <class Layer>
concept CanonicalLayer = requires(const Layer& layer, const typename Layer::template Parameters<double>& p) {
  layer.prepare(p).recurrence.decay.matrix();
  p.attention.A(0, 1);
  p.readout.C.trace();
  p.gate.d[2];
};

/// What counts: as the type says, or as the options do.
template <class Kind>
Targets kind_of(const ExplainOptions& options) {
  if constexpr (std::is_same_v<Kind, Targets>)
    return options.targets;
  else
    return Kind();
}

}  // namespace detail

/// Which learning algorithm a stack is: the simplest of the candidates that explains its predictions as well as any, or
/// none, with the input that shows it. Candidates are gradient descent of 1, 2, ..., K + 1 tuned steps (at least 3),
/// ridge regression and least squares, each also on the loss discounted by the measured decay, and for a single layer
/// the step with a preconditioner on either side. Same bits for any number of threads.
///     `Kind`  VectorTargets or ScalarTargets; or Targets, as the options say
/// Errors  std::invalid_argument: no task, parameters of another number of layers
/// Source  docs/theory.md, which algorithm it is
template <class Kind, class Layer>
Explanation explain(const HornerStack<Layer>& stack,
                    const typename HornerStack<Layer>::template Parameters<double>& parameters,
                    const ExplainOptions& options, ThreadPool& pool) {
  return detail::explain_stack(stack, parameters, 0, detail::kind_of<Kind>(options), options, pool);
}

/// Of the reference's stack, whose residual connection subtracts the query: what the rest of it is.
template <class Kind, class Layer>
Explanation explain(const TwoStepStack<Layer>& stack,
                    const typename TwoStepStack<Layer>::template Parameters<double>& parameters,
                    const ExplainOptions& options, ThreadPool& pool) {
  return detail::explain_stack(stack.without_residual(), parameters, -1, detail::kind_of<Kind>(options), options, pool);
}

/// Of one layer. With the paper's slots or their relatives it is as a stack of one; with another rule in the slot of
/// the recurrence, or with slots that have no canonical form, there is no report of its weights, its decay is fitted,
/// and the candidates are also rules that step on every pair (delta rule, implicit steps, momentum, each with a decay
/// and with scaled answers) and GD++.
template <class Kind, class Attention, class Recurrence, class Readout, class Gate>
Explanation explain(
    const AugmentedSsm<Attention, Recurrence, Readout, Gate>& layer,
    const typename AugmentedSsm<Attention, Recurrence, Readout, Gate>::template Parameters<double>& parameters,
    const ExplainOptions& options, ThreadPool& pool) {
  using Layer = AugmentedSsm<Attention, Recurrence, Readout, Gate>;
  const Targets kind = detail::kind_of<Kind>(options);
  if constexpr (detail::CanonicalLayer<Layer>) {
    const HornerStack stack(layer, 1);
    auto p = stack.template parameters<double>();
    p.layers[0] = parameters;
    return detail::explain_stack(stack, p, 0, kind, options, pool);
  } else {
    const LinearRegression tasks = detail::tasks_of(layer.feature_count(), kind, options);
    return detail::explain_tasks(
        {}, {.preconditioners = true, .online = true}, tasks,
        [&](const TaskRange& range) { return observe(layer, parameters, tasks, range, pool); },
        [&](const Eigen::MatrixXd& tokens) { return Observer(layer, parameters, tasks.outputs, tasks.range)(tokens); },
        options, pool);
  }
}

/// Of any learner, on vector or scalar targets as the options say, with all candidates. Threads call it at once.
/// Errors  std::invalid_argument: no task, answers of other sizes
Explanation explain(const AnsweredQueries& learner, Index features, const ExplainOptions& options, ThreadPool& pool);

/// The same by a short call, for weights in float or double.
///     std::cout << explain(layer, run.weights).verdict;
template <class Model, class Parameters>
Explanation explain(const Model& model, const Parameters& weights, const ExplainOptions& options = {}) {
  auto p = model.template parameters<double>();
  visit(
      [](const Name&, const auto& from, auto& to) {
        for (Index i = 0; i < to.size(); ++i) to.data()[i] = static_cast<double>(from.data()[i]);
      },
      weights, p);
  ThreadPool pool(options.threads);
  return explain<Targets>(model, p, options, pool);
}

}  // namespace gdssm

#ifndef GDSSM_COMPILED
#include "gdssm/analysis/verdict.hpp"
#endif
