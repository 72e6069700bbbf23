// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Dense>

#include "gdssm/analysis/candidates.hpp"
#include "gdssm/analysis/explain.hpp"
#include "gdssm/core/compiled.hpp"

// What `explain` does that depends on no model: reports of layers, the verdict, and its words. Included by explain.hpp,
// unless gdssm::compiled holds it.
// Source  docs/theory.md, which algorithm it is

namespace gdssm {

namespace detail {

inline std::string digits(double value, int count = 3) {
  std::ostringstream text;
  text.precision(count);
  text << value;
  return text.str();
}

template <class Numbers>
std::string listed(const Numbers& numbers, int count = 3) {
  std::string text;
  for (const double number : numbers) text += (text.empty() ? "" : ", ") + digits(number, count);
  return text;
}

/// R^2 so that what is left of 1 is seen.
inline std::string share(double r2) {
  const double left = 1 - r2;
  if (std::abs(left) < 1e-12) return "1";
  return left < 5e-4 ? "1 - " + digits(left, 2) : digits(r2, 4);
}

inline Eigen::VectorXd symmetric_eigenvalues(const Eigen::MatrixXd& matrix) {
  return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>((matrix + matrix.transpose()) / 2, Eigen::EigenvaluesOnly)
      .eigenvalues();
}

}  // namespace detail

GDSSM_INLINE std::string short_name(const Candidate& candidate) {
  const std::string discounted = candidate.forgetting == Forgetting::none     ? ""
                                 : candidate.forgetting == Forgetting::fitted ? "decayed-"
                                                                              : "discounted-";
  switch (candidate.rule) {
    case LearningRule::least_squares:
      return discounted + "least-squares";
    case LearningRule::ridge:
      return discounted + "ridge";
    case LearningRule::output_preconditioned:
    case LearningRule::input_preconditioned:
      return discounted + "preconditioned-gradient-descent";
    case LearningRule::gd_plus_plus:
      return discounted + "gd-plus-plus";
    case LearningRule::stochastic:
      return discounted + "delta-rule";
    case LearningRule::implicit:
      return discounted + "implicit-steps";
    case LearningRule::heavy_ball:
      return discounted + "momentum";
    case LearningRule::equal_descent:
    case LearningRule::descent:
      break;
  }
  return discounted + "gradient-descent";
}

GDSSM_INLINE std::string describe(const Candidate& candidate, double decay) {
  using detail::digits;
  const auto sizes = [&](Index shown) {
    std::string text = shown > 1 ? "sizes a = " : "a = ";
    return text +
           detail::listed(std::vector<double>(candidate.step_sizes.begin(), candidate.step_sizes.begin() + shown));
  };
  const auto preconditioned = [&](const char* side) {
    const Eigen::VectorXd values = detail::symmetric_eigenvalues(candidate.preconditioner);
    return std::string("one step of gradient descent preconditioned on the ") + side + " (eigenvalues " +
           digits(values.minCoeff()) + " to " + digits(values.maxCoeff()) + ")";
  };
  std::string text;
  switch (candidate.rule) {
    case LearningRule::least_squares:
      text = "least squares";
      break;
    case LearningRule::ridge:
      text = "ridge regression with rho = " + digits(candidate.rho);
      break;
    case LearningRule::output_preconditioned:
      text = preconditioned("output side");
      break;
    case LearningRule::input_preconditioned:
      text = preconditioned("input side");
      break;
    case LearningRule::equal_descent:
      text = candidate.steps() == 1
                 ? "one step of gradient " + std::string(candidate.step_sizes[0] < 0 ? "ascent" : "descent") + ", " +
                       sizes(1)
                 : std::to_string(candidate.steps()) + " equal steps of gradient descent, " + sizes(1);
      break;
    case LearningRule::descent:
      text = std::to_string(candidate.steps()) + " steps of gradient descent, " + sizes(candidate.steps());
      break;
    case LearningRule::gd_plus_plus:
      text = std::to_string(candidate.steps()) + " equal steps of GD++, " + sizes(1) +
             ", gamma = " + digits(candidate.gamma);
      break;
    case LearningRule::stochastic:
      text = "the delta rule, a step of stochastic gradient descent a pair, " + sizes(1);
      break;
    case LearningRule::implicit:
      text = "an implicit step a pair (Longhorn, normalised least mean squares), " + sizes(1);
      break;
    case LearningRule::heavy_ball:
      text = "a step with momentum a pair (heavy ball, Titans), " + sizes(1) + ", eta = " + digits(candidate.momentum);
      break;
  }
  if (candidate.forgetting == Forgetting::fitted && candidate.decay < 1)
    text += ", with the decay " + digits(candidate.decay) + " at each";
  if (candidate.scale != 1) text += ", its answers times " + digits(candidate.scale);
  if (candidate.forgetting == Forgetting::common)
    text += ", on the loss discounted with a half-life of " + digits(half_life(decay)) + " pairs";
  if (candidate.forgetting == Forgetting::each) text += ", each weight with the forgetting of its own decay";
  if (candidate.residual != 0)
    text += std::string(candidate.residual < 0 ? ", less " : ", plus ") + digits(std::abs(candidate.residual)) +
            " times the query";
  return text;
}

namespace detail {

/// Whether one candidate is the other for a choice of its numbers, forgetting aside.
inline bool contains(const Candidate& one, const Candidate& other) {
  const auto is_descent = [](const Candidate& c) {
    return c.rule == LearningRule::equal_descent || c.rule == LearningRule::descent;
  };
  if (is_online(one)) {
    const bool decays = one.forgetting == Forgetting::fitted, scales = one.scale != 1;
    // With a size near zero and a large scale it is one step on all pairs.
    if (other.rule == LearningRule::equal_descent && other.steps() == 1)
      return scales && (decays || other.forgetting == Forgetting::none);
    const bool wider = (scales || other.scale == 1) && (decays || other.forgetting == Forgetting::none);
    if (one.rule == other.rule) return wider;
    // The heavy ball decays W after its error, the delta rule before: the same but for a scale.
    return one.rule == LearningRule::heavy_ball && other.rule == LearningRule::stochastic &&
           ((wider && other.forgetting == Forgetting::none) || (scales && decays));
  }
  if (one.rule == LearningRule::gd_plus_plus)
    return one.steps() == other.steps() &&
           (other.rule == LearningRule::equal_descent || other.rule == LearningRule::gd_plus_plus);
  if (one.rule == LearningRule::ridge)
    return other.rule == LearningRule::ridge || other.rule == LearningRule::least_squares;
  if (!is_descent(other) || one.rule == LearningRule::least_squares) return one.rule == other.rule;
  if (one.rule == LearningRule::descent) return one.steps() >= other.steps();
  if (one.rule == LearningRule::equal_descent)
    return one.steps() == other.steps() && other.rule == LearningRule::equal_descent;
  return other.steps() == 1;
}

/// Of the candidates that explain enough, the simplest that does as well as any: a further number that it may choose
/// has to lower what it leaves unexplained by a third, and by more than a standard error over the tasks; a matrix of
/// them, a preconditioner's or the decays', by half a percent of the variance, or every trained layer would need one.
/// If none explains enough, the one that explains most.
inline std::size_t nearest(const std::vector<Candidate>& candidates) {
  constexpr double gain = 1.5, rounding = 1e-10, worth_a_matrix = 0.005;
  const auto matrices = [](const Candidate& c) {
    return (c.preconditioner.size() > 0 ? 1 : 0) + (c.forgetting == Forgetting::each ? 1 : 0);
  };
  std::optional<std::size_t> best;
  for (std::size_t k = 0; k < candidates.size(); ++k) {
    const Candidate& next = candidates[k];
    if (next.r2 < least_explained) continue;
    if (!best) best = k;
    const Candidate& now = candidates[*best];
    const Eigen::VectorXd better = now.errors - next.errors;
    const auto n = static_cast<double>(better.size());
    const double by = better.mean(), squares = (better.array() - by).square().sum();
    const double error = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0;
    const double left = (std::max)(next.errors.mean(), rounding) * std::pow(gain, next.numbers - now.numbers);
    const double least = (std::max)(error, worth_a_matrix * (std::max)(0, matrices(next) - matrices(now)));
    if (left < now.errors.mean() && by > least) best = k;
  }
  if (best) return *best;
  const auto worse = [](const Candidate& a, const Candidate& b) { return a.r2 < b.r2; };
  return static_cast<std::size_t>(std::max_element(candidates.begin(), candidates.end(), worse) - candidates.begin());
}

/// The best of the alternatives: candidates that are simpler, or that no choice of numbers makes the nearest one. What
/// is the nearest one and more, explains as much by definition.
inline std::size_t runner_up(const std::vector<Candidate>& candidates, std::size_t nearest) {
  std::optional<std::size_t> best;
  const Candidate& first = candidates[nearest];
  for (std::size_t k = 0; k < candidates.size(); ++k)
    if (k != nearest && (candidates[k].numbers < first.numbers || !contains(candidates[k], first)) &&
        (!best || candidates[k].r2 > candidates[*best].r2))
      best = k;
  return best.value_or(nearest);
}

/// Why the nearest candidate, however near, is no learning: empty if it is.
inline std::string no_descent(const Candidate& candidate) {
  if (candidate.preconditioner.size() > 0) {
    const double least = symmetric_eigenvalues(candidate.preconditioner).minCoeff();
    if (!(least > 0))
      return "the preconditioner's symmetric part has the eigenvalue " + digits(least) +
             ", with which a step can go up the loss";
  } else if (candidate.steps() == 1 && candidate.step_sizes[0] < 0) {
    return "it goes up the loss";
  }
  return {};
}

/// A context as a sentence gives it, and the two answers to its query.
inline std::string told(const Counterexample& example) {
  const auto vector = [](const Eigen::VectorXd& v) {
    constexpr Index most = 12;
    std::string text = "(" + listed(Eigen::VectorXd(v.head((std::min)(v.size(), most))));
    return text + (v.size() > most ? ", ...)" : ")");
  };
  const Observation& seen = example.seen;
  const std::string context = seen.inputs.cols() == 1 ? "after the one pair x = " + vector(seen.inputs.col(0)) +
                                                            ", y = " + vector(seen.targets.col(0))
                                                      : "after " + std::to_string(seen.inputs.cols()) + " pairs";
  return context + " it answers the query " + vector(seen.query) + " with " + vector(seen.prediction) +
         ", the nearest candidate with " + vector(example.expected);
}

/// The input that shows best that a model is not the candidate: one pair of the worst task and a query if that tells
/// them apart by half of the answer, else that whole task.
inline Counterexample counterexample(const Candidate& candidate, const CandidateSetup& setup,
                                     const std::vector<Observation>& seen, const ObserveTokens& observe) {
  const auto compared = [&](Observation of) {
    Eigen::VectorXd expected = predict(candidate, candidate_context(of, setup));
    return Counterexample{std::move(of), std::move(expected)};
  };
  const auto apart = [](const Counterexample& of) { return (of.seen.prediction - of.expected).norm(); };
  Index worst = 0;
  candidate.errors.maxCoeff(&worst);
  const Observation& whole = seen[static_cast<std::size_t>(worst)];
  std::optional<Counterexample> best;
  for (Index t = 0; t < whole.inputs.cols(); ++t) {
    Eigen::MatrixXd tokens = Eigen::MatrixXd::Zero(whole.inputs.rows(), 3);
    tokens.col(0) = whole.inputs.col(t);
    tokens.col(1).tail(whole.targets.rows()) = whole.targets.col(t);
    tokens.col(2) = whole.query;
    Counterexample one = compared(observe(tokens));
    if (!best || apart(one) > apart(*best)) best = std::move(one);
  }
  if (best && apart(*best) > 0.5 * (std::max)(best->seen.prediction.norm(), best->expected.norm())) return *best;
  return compared(whole);
}

GDSSM_INLINE std::optional<LayerReport> layer_report(bool is_curvature, bool one_row, const Eigen::MatrixXd& A,
                                                     const Eigen::VectorXd& d, const Eigen::MatrixXd& C,
                                                     const Eigen::MatrixXd& L) {
  const double sign = A(0, is_curvature ? 0 : 1) < 0 ? -1 : 1, factor_A = sign * A.norm();
  const double factor_d = d[2] < 0 ? -d.norm() : d.norm();
  if (factor_A == 0 || factor_d == 0) return {};
  CanonicalForm<double> form{A / factor_A, d / factor_d, C * (is_curvature ? factor_A : factor_A * factor_d), L};
  StepDistance<double> distance =
      one_row ? distance_from_step(form, ScalarTargets{}) : distance_from_step(form, VectorTargets{});
  if (is_curvature) {
    Eigen::MatrixXd apart = form.A;
    apart(0, 0) -= 1;
    distance.A = apart.norm();
    distance.d = 0;
  }
  const HalfLives of = one_row ? half_lives(L.rightCols(1)) : half_lives(L);
  return LayerReport{is_curvature, std::move(form), distance, of};
}

inline Explanation nothing(Explanation found, const std::string& reason) {
  found.algorithm = "none";
  found.verdict = "None of the candidates: " + reason + ".";
  return found;
}

/// The verdict, from what was observed on tasks to fit to and on tasks to judge on.
inline Explanation explain_observed(Explanation found, const CandidateSetup& setup,
                                    const std::vector<Observation>& to_fit, const std::vector<Observation>& to_judge,
                                    const ObserveTokens& observe, const std::function<void(double)>& done,
                                    ThreadPool& pool) {
  for (const auto* tasks : {&to_fit, &to_judge}) {
    double squares = 0;
    for (const Observation& seen : *tasks)
      squares += seen.weights.allFinite() ? seen.prediction.squaredNorm() : std::nan("");
    if (!std::isfinite(squares)) return nothing(std::move(found), "its predictions are not finite");
    if (!(squares > 0)) return nothing(std::move(found), "it predicts zero whatever the context");
  }
  found.candidates = fit_candidates(setup, to_fit, pool, [&](double share) { done(0.1 + 0.5 * share); });
  judge(found.candidates, setup, to_judge, pool, [&](double share) { done(0.6 + 0.4 * share); });
  found.nearest = nearest(found.candidates);
  found.runner_up = runner_up(found.candidates, found.nearest);
  const Candidate& best = found.candidates[found.nearest];
  const Candidate& next = found.candidates[found.runner_up];
  const std::string description = describe(best, found.decay);
  const std::string shares = "R^2 = " + share(best.r2) + " on " + std::to_string(to_judge.size()) +
                             " fresh tasks; the next, " + describe(next, found.decay) + ", R^2 = " + share(next.r2);
  const bool measured = !setup.online && best.forgetting == Forgetting::none;
  const std::string memory = measured && std::isfinite(half_life(found.decay))
                                 ? " (half-life of its decays: " + digits(half_life(found.decay)) + " pairs)"
                                 : "";
  const std::string flaw = no_descent(best);
  if (best.r2 >= least_explained && flaw.empty()) {
    found.algorithm = short_name(best);
    // Of learners of any kind much may be left unexplained; about as much by the next, or only by it.
    const bool rough = setup.online && best.r2 < 0.99, between = rough && 1 - next.r2 < 2 * (1 - best.r2);
    found.verdict = std::string("This is ") +
                    (between ? "between "
                     : rough ? "roughly "
                             : "") +
                    description + memory + (between ? " and the next: " : ": ") + shares + ".";
    return found;
  }
  if (best.r2 >= least_explained)
    return nothing(std::move(found), "nearest is " + description + ", but " + flaw + " (" + shares + ")");
  found.counterexample = counterexample(best, setup, to_judge, observe);
  const std::string shown = told(*found.counterexample);
  return nothing(std::move(found), "nearest is " + description + " (" + shares + "), but " + shown);
}

GDSSM_INLINE LinearRegression tasks_of(Index f, const Targets& kind, const ExplainOptions& options) {
  const bool scalar = kind == Targets(ScalarTargets());
  if (!scalar && !(kind == Targets()))
    refuse("explain", "targets have ", kind.count, " coordinates that count, expected all or the last alone");
  const Index context = options.context == 0 ? f : options.context;
  if (options.tasks < 1 || context < 1)
    refuse("explain", "tasks and context are ", options.tasks, " and ", options.context, ", expected at least 1 and 0");
  return {.features = f, .outputs = scalar ? 1 : f, .context = context};
}

/// The decay with which sums of the pairs, in one step or in ridge regression, come nearest to a few predictions: where
/// a model's own decays are not known. Golden-section search, from the best of a grid.
inline double fitted_decay(const std::vector<Observation>& all) {
  const std::vector<Observation> seen(all.begin(), all.begin() + (std::min<std::ptrdiff_t>)(20, std::ssize(all)));
  const auto left = [&](double decay) {
    std::vector<SpectralContext> contexts;
    double MM = 0, My = 0, yy = 0, largest = 0;
    for (const Observation& of : seen) {
      contexts.push_back(spectral_context(of, decay));
      const SpectralContext& context = contexts.back();
      const Eigen::VectorXd answer = multiplied(context.moment, context.query);
      MM += answer.squaredNorm();
      My += answer.dot(of.prediction);
      yy += of.prediction.squaredNorm();
      largest = (std::max)(largest, context.spectrum.maxCoeff());
    }
    const double step = MM > 0 ? yy - My * My / MM : yy;
    return (std::min)(step, fit(RidgeFilter{0.1 * largest}, false, contexts, seen).squares);
  };
  constexpr int points = 20;
  int best = points;
  double least = left(1);
  for (int k = 1; k < points; ++k)
    if (const double value = left(static_cast<double>(k) / points); value < least) {
      least = value;
      best = k;
    }
  constexpr double ratio = 0.61803398874989485, width = 1e-10;
  double low = (best - 1.0) / points, high = (std::min)(1.0, (best + 1.0) / points);
  while (high - low > width) {
    const double down = high - ratio * (high - low), up = low + ratio * (high - low);
    if (left(down) < left(up))
      high = up;
    else
      low = down;
  }
  return 1 - high < 1e-6 ? 1 : (low + high) / 2;
}

GDSSM_INLINE Explanation explain_tasks(Explanation found, CandidateSetup setup, const LinearRegression& tasks,
                                       const ObserveTasks& observe_tasks, const ObserveTokens& observe_tokens,
                                       const ExplainOptions& options, ThreadPool& pool) {
  constexpr Index fewest_fitted = 50, most_fitted = 250, outputs_fitted = 2500;
  const Index fitted =
      (std::min)(options.tasks, std::clamp(outputs_fitted / tasks.outputs, fewest_fitted, most_fitted));
  const auto to_fit = observe_tasks({options.seed, fitted});
  const auto to_judge = observe_tasks({options.seed, options.tasks, static_cast<std::uint64_t>(fitted)});
  if (setup.online &&
      std::all_of(to_fit.begin(), to_fit.end(), [](const Observation& of) { return of.prediction.allFinite(); }))
    setup.decay = found.decay = fitted_decay(to_fit);
  return explain_observed(std::move(found), setup, to_fit, to_judge, observe_tokens, options.done, pool);
}

GDSSM_INLINE Explanation explain_reported(std::vector<LayerReport> layers, Index steps, bool residual,
                                          const LinearRegression& tasks, const ObserveTasks& observe_tasks,
                                          const ObserveTokens& observe_tokens, const ExplainOptions& options,
                                          ThreadPool& pool) {
  constexpr Index always_tried = 3;
  Explanation found;
  found.layers = std::move(layers);
  CandidateSetup setup{
      .most_steps = (std::max)(always_tried, steps + 1), .preconditioners = steps == 1, .residual = residual};
  if (!found.layers.empty()) {
    double decay = 0;
    bool equal = true;
    for (const LayerReport& layer : found.layers) {
      decay += layer.half_lives.decay / static_cast<double>(found.layers.size());
      equal = equal && layer.half_lives.equal;
      if (!layer.is_curvature) setup.measured_sizes.push_back(layer.distance.step);
    }
    found.decay = std::abs(decay - 1) <= 1e-12 ? 1 : decay;
    setup.decay = found.decay;
    if (!equal && steps == 1) setup.decays = found.layers[0].form.L.transpose().bottomRows(tasks.outputs);
  }
  return explain_tasks(std::move(found), std::move(setup), tasks, observe_tasks, observe_tokens, options, pool);
}

}  // namespace detail

GDSSM_INLINE Explanation explain(const AnsweredQueries& learner, Index features, const ExplainOptions& options,
                                 ThreadPool& pool) {
  const LinearRegression tasks = detail::tasks_of(features, options.targets, options);
  const ObserveLearner observer{learner, tasks.outputs, tasks.range / std::sqrt(12.0)};
  return detail::explain_tasks(
      {}, {.preconditioners = true, .online = true}, tasks,
      [&](const TaskRange& range) {
        std::vector<Observation> seen(static_cast<std::size_t>(range.count));
        pool.run(range.count, [&](Index i) {
          seen[static_cast<std::size_t>(i)] =
              observer(tasks.sequence(range.seed, range.first + static_cast<std::uint64_t>(i)).tokens);
        });
        return seen;
      },
      observer, options, pool);
}

}  // namespace gdssm
