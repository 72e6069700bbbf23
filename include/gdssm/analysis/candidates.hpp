// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include <Eigen/Dense>

#include "gdssm/analysis/candidate.hpp"
#include "gdssm/analysis/online_rules.hpp"
#include "gdssm/analysis/spectral_learner.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/thread_pool.hpp"

// The learning algorithms that a model's predictions are held against: each is fitted on some tasks and judged on
// others.
// Source  Akyurek et al., arXiv:2211.15661; docs/theory.md, which algorithm it is

namespace gdssm {

/// A context under every forgetting.
struct CandidateContext {
  Eigen::VectorXd query;              ///< q
  SpectralContext plain, discounted;  ///< the sums as they are, and discounted by the decay
  Eigen::MatrixXd each;               ///< sum_i L^(N-i) * y_i x_i^T, elementwise (m x f)
  Eigen::MatrixXd inputs, targets;    ///< the pairs, where rules step on each
};

/// Whether the decay that was measured discounts anything: it is known and below one.
inline bool forgets(const CandidateSetup& setup) { return setup.decay >= 0 && setup.decay < 1; }

/// What candidates need to know of one task: its sums, decomposed, and its query.
inline CandidateContext candidate_context(const Observation& seen, const CandidateSetup& setup) {
  CandidateContext context{seen.query, spectral_context(seen, 1), {}, {}, {}, {}};
  if (setup.online) {
    context.inputs = seen.inputs;
    context.targets = seen.targets;
  }
  if (forgets(setup)) context.discounted = spectral_context(seen, setup.decay);
  if (setup.decays.size() > 0) {
    context.each.setZero(seen.targets.rows(), seen.inputs.rows());
    for (Index i = 0; i < seen.inputs.cols(); ++i)
      context.each = (context.each.cwiseProduct(setup.decays) + seen.targets.col(i) * seen.inputs.col(i).transpose());
  }
  return context;
}

namespace detail {

inline const SpectralContext& spectral(const CandidateContext& context, Forgetting forgetting) {
  return forgetting == Forgetting::common ? context.discounted : context.plain;
}

/// M under a forgetting.
inline Eigen::MatrixXd moment(const CandidateContext& context, Forgetting forgetting) {
  if (forgetting == Forgetting::each) return context.each;
  const SpectralContext& of = spectral(context, forgetting);
  return multiplied(of.moment, of.basis.transpose());
}

/// Whether a candidate steps on every pair.
inline bool is_online(const Candidate& candidate) {
  return candidate.rule == LearningRule::stochastic || candidate.rule == LearningRule::implicit ||
         candidate.rule == LearningRule::heavy_ball;
}

/// The rule that such a candidate is.
inline OnlineRule online_rule(const Candidate& candidate) {
  const OnlineStep step = candidate.rule == LearningRule::stochastic ? OnlineStep::stochastic
                          : candidate.rule == LearningRule::implicit ? OnlineStep::implicit
                                                                     : OnlineStep::heavy_ball;
  return {step, candidate.step_sizes[0], candidate.momentum, candidate.decay, candidate.scale};
}

}  // namespace detail

/// The W that a candidate makes of a context.        Shapes  (m x f)
inline Eigen::MatrixXd implicit_weights(const Candidate& candidate, const CandidateContext& context) {
  const SpectralContext& of = detail::spectral(context, candidate.forgetting);
  if (detail::is_online(candidate))
    return implicit_weights(detail::online_rule(candidate), context.inputs, context.targets);
  switch (candidate.rule) {
    case LearningRule::least_squares:
      return implicit_weights(LeastSquaresFilter{}, of);
    case LearningRule::ridge:
      return implicit_weights(RidgeFilter{candidate.rho}, of);
    case LearningRule::output_preconditioned:
      return detail::multiplied(candidate.preconditioner, detail::moment(context, candidate.forgetting));
    case LearningRule::input_preconditioned:
      return detail::multiplied(detail::moment(context, candidate.forgetting), candidate.preconditioner);
    case LearningRule::gd_plus_plus:
      return implicit_weights(GdPlusPlusFilter{candidate.step_sizes[0], candidate.gamma, candidate.steps()}, of);
    default:
      break;
  }
  if (candidate.forgetting == Forgetting::each) return candidate.step_sizes[0] * context.each;
  return implicit_weights(DescentFilter{Eigen::Map<const Eigen::VectorXd>(
                              candidate.step_sizes.data(), static_cast<Index>(candidate.step_sizes.size()))},
                          of);
}

/// The candidate's answer to a context's query.      Shapes  (m)
inline Eigen::VectorXd predict(const Candidate& candidate, const CandidateContext& context) {
  const Eigen::VectorXd answer = implicit_weights(candidate, context) * context.query;
  return answer + candidate.residual * context.query.tail(answer.size());
}

namespace detail {

/// The candidates of a setup, fitted.
class CandidateFits {
 public:
  /// Calls done(share) as shares of the work are done.
  CandidateFits(const CandidateSetup& setup, const std::vector<Observation>& seen, ThreadPool& pool,
                const std::function<void(double)>& done)
      : setup_(setup), seen_(seen), contexts_(seen.size()) {
    pool.run(static_cast<Index>(seen.size()), [&](Index i) {
      const auto task = static_cast<std::size_t>(i);
      contexts_[task] = candidate_context(seen[task], setup);
    });
    const double share = forgets(setup) ? 0.5 : 1.0;
    add_spectral(Forgetting::none, [&](double of) { done(share * of); });
    if (forgets(setup)) add_spectral(Forgetting::common, [&](double of) { done(share * (1 + of)); });
    if (setup.decays.size() > 0) add_single(Forgetting::each);
    if (setup.online) add_online();
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [](const Candidate& a, const Candidate& b) { return a.numbers < b.numbers; });
  }

  /// The simplest first.
  std::vector<Candidate> take() { return std::move(candidates_); }

 private:
  // What forgetting adds to the numbers chosen: a common decay is measured, not fitted, but it is a choice; entries
  // with decays of their own are many, and so are those of a preconditioner.
  static double numbers_of(Forgetting forgetting) {
    return forgetting == Forgetting::none ? 0 : forgetting == Forgetting::each ? 3 : 1;
  }
  static constexpr double numbers_of_preconditioner = 6;

  void add(Candidate candidate, double numbers) {
    candidate.numbers = numbers + numbers_of(candidate.forgetting);
    candidates_.push_back(std::move(candidate));
  }

  /// One step, and the two preconditioned ones: linear in what is fitted.
  double add_single(Forgetting forgetting) {
    double MM = 0, My = 0, qq = 0, qy = 0, Mq = 0;
    const Index f = seen_[0].query.size(), m = seen_[0].prediction.size();
    Eigen::MatrixXd MMt = Eigen::MatrixXd::Zero(m, m), MtM = Eigen::MatrixXd::Zero(f, f), WMt = MMt, MtW = MtM;
    for (std::size_t i = 0; i < seen_.size(); ++i) {
      const Eigen::MatrixXd M = detail::moment(contexts_[i], forgetting);
      const Eigen::VectorXd answer = M * seen_[i].query;
      MM += answer.squaredNorm();
      My += answer.dot(seen_[i].prediction);
      if (setup_.residual) {
        const Eigen::VectorXd passed = seen_[i].query.tail(m);
        qq += passed.squaredNorm();
        qy += passed.dot(seen_[i].prediction);
        Mq += passed.dot(answer);
      }
      if (!setup_.preconditioners) continue;
      const Eigen::MatrixXd Mt = M.transpose();
      MMt += detail::multiplied(M, Mt);
      WMt += detail::multiplied(seen_[i].weights, Mt);
      MtM += detail::multiplied(Mt, M);
      MtW += detail::multiplied(Mt, seen_[i].weights);
    }
    Candidate step{LearningRule::equal_descent, forgetting, {MM > 0 ? My / MM : 0.0}};
    if (setup_.residual && MM * qq > Mq * Mq) {
      const double below = MM * qq - Mq * Mq;
      step.step_sizes[0] = (qq * My - Mq * qy) / below;
      step.residual = (MM * qy - Mq * My) / below;
    }
    const double size = step.step_sizes[0];
    add(std::move(step), 1);
    if (!setup_.preconditioners || !(MM > 0)) return size;
    const auto add_preconditioned = [&](LearningRule rule, const Eigen::MatrixXd& matrix) {
      Candidate candidate{rule, forgetting, {matrix.trace() / static_cast<double>(matrix.rows())}};
      candidate.preconditioner = matrix;
      add(std::move(candidate), numbers_of_preconditioner);
    };
    if (m > 1)
      add_preconditioned(LearningRule::output_preconditioned, detail::solved(MMt, WMt.transpose()).transpose());
    if (f > 1) add_preconditioned(LearningRule::input_preconditioned, detail::solved(MtM, MtW));
    return size;
  }

  /// All of one forgetting.
  void add_spectral(Forgetting forgetting, const std::function<void(double)>& done) {
    std::vector<SpectralContext> contexts;
    double largest = 0;
    for (const CandidateContext& context : contexts_) {
      contexts.push_back(detail::spectral(context, forgetting));
      largest = (std::max)(largest, contexts.back().spectrum.maxCoeff());
    }
    const auto fitted = [&](const auto& start) { return fit(start, setup_.residual, contexts, seen_); };
    const auto best_of = [&](const auto& starts) {
      auto best = fitted(starts.front());
      for (std::size_t i = 1; i < starts.size(); ++i)
        if (const auto next = fitted(starts[i]); next.squares < best.squares) best = next;
      return best;
    };

    add({.rule = LearningRule::least_squares,
         .forgetting = forgetting,
         .residual = fitted(LeastSquaresFilter{}).residual},
        0);
    const auto ridge = best_of(std::vector<RidgeFilter>{{0.01 * largest}, {0.3 * largest}});
    add({.rule = LearningRule::ridge, .forgetting = forgetting, .rho = ridge.filter.rho, .residual = ridge.residual},
        1);
    const double single = add_single(forgetting), one = single > 0 ? single : 1 / largest;
    for (Index K = 2; K <= setup_.most_steps; ++K) {
      done(static_cast<double>(K - 1) / static_cast<double>(setup_.most_steps));
      const auto equal = best_of(std::vector<EqualDescentFilter>{{one, K}, {one / static_cast<double>(K), K}});
      add({.rule = LearningRule::equal_descent,
           .forgetting = forgetting,
           .step_sizes = std::vector<double>(static_cast<std::size_t>(K), equal.filter.size),
           .residual = equal.residual},
          1);
      if (setup_.online) {
        const auto transformed = best_of(std::vector<GdPlusPlusFilter>{
            {equal.filter.size, 0.1 * equal.filter.size, K}, {equal.filter.size / 2, equal.filter.size / 2, K}});
        Candidate candidate{LearningRule::gd_plus_plus, forgetting,
                            std::vector<double>(static_cast<std::size_t>(K), transformed.filter.size)};
        candidate.gamma = transformed.filter.gamma;
        candidate.residual = transformed.residual;
        add(std::move(candidate), 2);
      }
      std::vector<DescentFilter> starts;
      const std::vector<double>& measured = setup_.measured_sizes;
      if (static_cast<Index>(measured.size()) == K &&
          std::all_of(measured.begin(), measured.end(), [](double a) { return a > 0; }))
        starts.push_back({Eigen::Map<const Eigen::VectorXd>(measured.data(), K)});
      if (K <= most_unequal)
        for (const double spread : {1.3, 3.0}) {
          DescentFilter start{Eigen::VectorXd(K)};
          for (Index k = 0; k < K; ++k)
            start.sizes[k] =
                equal.filter.size * std::pow(spread, 1 - 2 * static_cast<double>(k) / static_cast<double>(K - 1));
          starts.push_back(start);
        }
      if (starts.empty()) continue;
      const auto unequal = best_of(starts);
      const std::vector<double> sizes = ordered(unequal.filter.sizes);
      const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
      if (*least < nothing * *most) continue;  // one step fewer
      add({.rule = LearningRule::descent, .forgetting = forgetting, .step_sizes = sizes, .residual = unequal.residual},
          static_cast<double>(K));
    }
  }

  /// The rules that step on every pair: as they are, with a decay, and each with answers that are scaled.
  void add_online() {
    double length = 0, pairs = 0;
    for (const Observation& seen : seen_) {
      length += seen.inputs.squaredNorm();
      pairs += static_cast<double>(seen.inputs.cols());
    }
    const double normal = pairs / length;  // the rate that meets a pair of mean length exactly
    constexpr std::pair<LearningRule, OnlineStep> kinds[] = {{LearningRule::stochastic, OnlineStep::stochastic},
                                                             {LearningRule::implicit, OnlineStep::implicit},
                                                             {LearningRule::heavy_ball, OnlineStep::heavy_ball}};
    for (const auto& [rule, step] : kinds)
      for (const OpenNumbers open : {OpenNumbers{false, false}, {true, false}, {false, true}, {true, true}}) {
        Candidate best{rule, open.decay ? Forgetting::fitted : Forgetting::none};
        double least = 0;
        for (const double share : {0.2, 1.0}) {
          const double momentum = step == OnlineStep::heavy_ball ? 0.3 : 0.0, decay = open.decay ? 0.9 : 1.0;
          const OnlineRule found = fit(OnlineRule{step, share * normal, momentum, decay}, open, seen_);
          const double squares = squares_of(found);
          if (!best.step_sizes.empty() && !(squares < least)) continue;
          least = squares;
          best.step_sizes = {found.size};
          best.momentum = found.momentum;
          best.decay = found.decay;
          best.scale = found.scale;
        }
        const double numbers = (step == OnlineStep::heavy_ball ? 2 : 1) + (open.scale ? 1 : 0);
        add(std::move(best), numbers);
      }
  }
  double squares_of(const OnlineRule& rule) const {
    double squares = 0;
    for (const Observation& seen : seen_)
      squares += (seen.prediction - implicit_weights(rule, seen.inputs, seen.targets) * seen.query).squaredNorm();
    return squares;
  }

  /// Predictions don't tell the order of the steps: that of the layers' own sizes, or the largest first.
  std::vector<double> ordered(Eigen::VectorXd sizes) const {
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    std::vector<std::size_t> order(static_cast<std::size_t>(sizes.size()));
    std::iota(order.begin(), order.end(), std::size_t{0});
    const std::vector<double>& measured = setup_.measured_sizes;
    if (measured.size() == order.size())
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return measured[a] > measured[b]; });
    std::vector<double> placed(order.size());
    for (std::size_t k = 0; k < order.size(); ++k) placed[order[k]] = sizes[static_cast<Index>(k)];
    return placed;
  }

  static constexpr Index most_unequal = 4;  // beyond, the sizes are hardly to be told from predictions
  static constexpr double nothing = 1e-4;   // of the largest step, a step that does nothing

  const CandidateSetup& setup_;
  const std::vector<Observation>& seen_;
  std::vector<CandidateContext> contexts_;
  std::vector<Candidate> candidates_;
};

}  // namespace detail

/// Every candidate that a setup allows, fitted to what was observed, the simplest first. `done` is called with the
/// shares of the work that are done.
/// Errors  std::invalid_argument: no observation
inline std::vector<Candidate> fit_candidates(const CandidateSetup& setup, const std::vector<Observation>& seen,
                                             ThreadPool& pool, const std::function<void(double)>& done) {
  if (seen.empty()) refuse("fit_candidates", "there is no task, expected at least one");
  return detail::CandidateFits(setup, seen, pool, done).take();
}

/// Fills in how near every candidate is to what was observed. `done` as in `fit_candidates`.
/// Errors  std::invalid_argument: no observation, a prediction that is not finite, predictions that are all zero
inline void judge(std::vector<Candidate>& candidates, const CandidateSetup& setup, const std::vector<Observation>& seen,
                  ThreadPool& pool, const std::function<void(double)>& done) {
  const auto count = static_cast<Index>(seen.size());
  if (count < 1) refuse("judge", "there is no task, expected at least one");
  const auto number = static_cast<Index>(candidates.size());
  Eigen::MatrixXd errors(count, number), weight_errors(count, number);
  Eigen::VectorXd squares(count), weight_squares(count);
  const auto judge_task = [&](Index i) {
    const Observation& of = seen[static_cast<std::size_t>(i)];
    const CandidateContext context = candidate_context(of, setup);
    squares[i] = of.prediction.squaredNorm();
    weight_squares[i] = of.weights.squaredNorm();
    for (Index k = 0; k < number; ++k) {
      const Candidate& candidate = candidates[static_cast<std::size_t>(k)];
      Eigen::MatrixXd W = implicit_weights(candidate, context);
      W.rightCols(W.rows()).diagonal().array() += candidate.residual;
      errors(i, k) = (of.prediction - W * of.query).squaredNorm();
      weight_errors(i, k) = (of.weights - W).squaredNorm();
    }
  };
  constexpr Index parts = 16;
  for (Index part = 0; part < parts; ++part) {
    const Index first = part * count / parts, last = (part + 1) * count / parts;
    pool.run(last - first, [&](Index i) { judge_task(first + i); });
    done(static_cast<double>(part + 1) / static_cast<double>(parts));
  }
  if (!squares.allFinite() || !(squares.sum() > 0))
    refuse("judge", "the predictions' sum of squares is ", squares.sum(), ", expected a finite number above 0");
  for (Index k = 0; k < number; ++k) {
    Candidate& candidate = candidates[static_cast<std::size_t>(k)];
    candidate.errors = errors.col(k) / squares.mean();
    candidate.r2 = 1 - candidate.errors.mean();
    candidate.prediction_difference = errors.col(k).mean() / static_cast<double>(seen[0].prediction.size());
    candidate.weight_difference = weight_errors.col(k).mean() / weight_squares.mean();
  }
}

}  // namespace gdssm
