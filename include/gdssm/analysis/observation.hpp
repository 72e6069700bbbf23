// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/linear_regression.hpp"

namespace gdssm {

/// A context of pairs, a query, and a model's answer to them.
/// Shapes  inputs (f x N), targets (m x N), query (f), prediction (m), weights (m x f); scalar targets have m = 1, the
/// last
///         of the model's outputs
struct Observation {
  Eigen::MatrixXd inputs;      ///< x_i as columns
  Eigen::MatrixXd targets;     ///< y_i as columns
  Eigen::VectorXd query;       ///< x_{N+1}
  Eigen::VectorXd prediction;  ///< the model's
  Eigen::MatrixXd weights;     ///< W, the linear map fitted to the model's answers to many queries
};

/// Any learner as a function: from pairs, one a column, and queries to its answers, one a column.
/// Shapes  inputs (f x N), targets (m x N), queries (f x k)  ->  (m x k)
using AnsweredQueries = std::function<Eigen::MatrixXd(const Eigen::MatrixXd& inputs, const Eigen::MatrixXd& targets,
                                                      const Eigen::MatrixXd& queries)>;

/// Observes a learner on the pairs and the query of normal tokens. The implicit weights W are those of Akyurek et al.,
/// a regression on the answers to queries. The queries are s e_j and -s e_j for each j; they are orthogonal, so that
///     W e_j = (yhat(s e_j) - yhat(-s e_j)) / (2 s).
/// W = -E_N if the answer is linear in the query.
/// Source  arXiv:2211.15661; docs/theory.md, which algorithm it is
struct ObserveLearner {
  AnsweredQueries learner;  ///< what answers
  Index outputs;            ///< m
  double probe;             ///< s

  /// Shapes  tokens (f x (2N+1)), N >= 1        Errors  std::invalid_argument: answers of another shape
  Observation operator()(const Eigen::MatrixXd& tokens) const {
    const Index f = tokens.rows(), pairs = tokens.cols() / 2;
    Observation seen{Eigen::MatrixXd(f, pairs),
                     Eigen::MatrixXd(outputs, pairs),
                     tokens.col(2 * pairs),
                     {},
                     Eigen::MatrixXd(outputs, f)};
    for (Index t = 0; t < pairs; ++t) {
      seen.inputs.col(t) = tokens.col(2 * t);
      seen.targets.col(t) = tokens.col(2 * t + 1).tail(outputs);
    }
    Eigen::MatrixXd queries = Eigen::MatrixXd::Zero(f, 1 + 2 * f);
    queries.col(0) = seen.query;
    for (Index j = 0; j < f; ++j) {
      queries(j, 1 + j) = probe;
      queries(j, 1 + f + j) = -probe;
    }
    const Eigen::MatrixXd answers = learner(seen.inputs, seen.targets, queries);
    expect_equal("explain", "the number of rows of a learner's answers", answers.rows(), outputs);
    expect_equal("explain", "the number of a learner's answers", answers.cols(), queries.cols());
    seen.prediction = answers.col(0);
    for (Index j = 0; j < f; ++j) seen.weights.col(j) = (answers.col(1 + j) - answers.col(1 + f + j)) / (2 * probe);
    return seen;
  }
};

/// Observes a model as `ObserveLearner` does a learner: as a function from tokens to the last prediction.
template <class Model>
class Observer {
  static_assert(Model::Window::width == 3 && Model::Window::stride == 2,
                "Observer: the model must read normal tokens, windows of width 3 and stride 2");

 public:
  /// `outputs` is m and `probe` is s. `residual` times the query is added to every answer: -1 turns the answer of
  /// `TwoStepStack::without_residual` into that of the `TwoStepStack`.
  /// Errors  std::invalid_argument: more outputs than the model or a token has, or none; a probe of 0
  Observer(const Model& model, const typename Model::template Parameters<double>& parameters, Index outputs,
           double probe, double residual = 0)
      : model_(model),
        c_(model.prepare(parameters)),
        workspace_(model.template workspace<double>()),
        outputs_(outputs),
        probe_(probe),
        residual_(residual) {
    const Index most = model.output_count() < model.feature_count() ? model.output_count() : model.feature_count();
    if (outputs < 1 || outputs > most) refuse("Observer", "there are ", outputs, " outputs, expected 1 to ", most);
    if (!(probe > 0 || probe < 0)) refuse("Observer", "the probe is ", probe, ", expected a number other than 0");
  }

  /// Shapes  tokens (f x (2N+1)), N >= 1
  /// Errors  std::invalid_argument: tokens of another shape
  Observation operator()(const Eigen::MatrixXd& tokens) {
    expect_equal("Observer", "the number of features of a token", tokens.rows(), model_.feature_count());
    if (tokens.cols() < 3 || tokens.cols() % 2 == 0)
      refuse("Observer", "the sequence has ", tokens.cols(), " tokens, expected an odd number from 3 on");
    const auto answers = [&](const Eigen::MatrixXd&, const Eigen::MatrixXd&, const Eigen::MatrixXd& queries) {
      return answered(tokens, queries);
    };
    return ObserveLearner{answers, outputs_, probe_}(tokens);
  }

 private:
  // The answers after all but the last of the tokens; the tokens of the last window but the query are read again.
  Eigen::MatrixXd answered(const Eigen::MatrixXd& tokens, const Eigen::MatrixXd& queries) {
    const Index m = model_.output_count(), head = tokens.cols() > 3 ? tokens.cols() - 2 : 0;
    auto before = model_.template initial_state<double>();
    if (head > 0)
      model_.forward(c_, Sequence<double, Model::features>{view_of(tokens).columns(0, head)}, before,
                     View<double, Model::outputs>(nullptr, m, 0), workspace_);
    Eigen::MatrixXd last = tokens.rightCols(tokens.cols() - head), predictions(m, queries.cols());
    for (Index q = 0; q < queries.cols(); ++q) {
      auto state = before;
      last.col(last.cols() - 1) = queries.col(q);
      model_.forward(c_, Sequence<double, Model::features>{view_of(std::as_const(last))}, state,
                     View<double, Model::outputs>(predictions.col(q).data(), m, 1), workspace_);
    }
    return predictions.bottomRows(outputs_) + residual_ * queries.bottomRows(outputs_);
  }

  const Model& model_;
  typename Model::template Coefficients<double> c_;
  typename Model::template Workspace<double> workspace_;
  Index outputs_;
  double probe_, residual_;
};

/// Observes a model on the tasks of a range, with the `residual` of `Observer`. Gives the same bits on any number of
/// threads.
/// Errors  std::invalid_argument: an empty range, tasks that do not fit the model
template <class Model>
std::vector<Observation> observe(const Model& model, const typename Model::template Parameters<double>& parameters,
                                 const LinearRegression& tasks, const TaskRange& range, ThreadPool& pool,
                                 double residual = 0) {
  if (range.count < 1) refuse("observe", "there are ", range.count, " tasks, expected at least one");
  expect_equal("observe", "the number of features of a task", tasks.features, model.feature_count());
  const double deviation = tasks.range / std::sqrt(12.0);  // of an input coordinate
  std::vector<Observation> seen(static_cast<std::size_t>(range.count));
  const Index parts = std::min<Index>(range.count, 64);
  pool.run(parts, [&](Index piece) {
    Observer observer(model, parameters, tasks.outputs, deviation, residual);
    for (Index i = piece * range.count / parts; i < (piece + 1) * range.count / parts; ++i)
      seen[static_cast<std::size_t>(i)] =
          observer(tasks.sequence(range.seed, range.first + static_cast<std::uint64_t>(i)).tokens);
  });
  return seen;
}

}  // namespace gdssm
