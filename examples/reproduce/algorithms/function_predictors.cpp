// SPDX-License-Identifier: Apache-2.0
#include "reproduce/algorithms/function_predictors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include <Eigen/Cholesky>

#include "gdssm/algorithms/least_squares.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/learners/features.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/tokens.hpp"

namespace gdssm::reproduce {
namespace {

using Kind = FunctionPredictor::Kind;
using Tasks = std::vector<FunctionRegressionTask>;
using Row = Eigen::RowVectorXd;

constexpr Index fourier_count = 256, nearest = 3;

// All predictions of a context, entry t - 1 of label t + 1 from the first t, from the inner products of its inputs'
// features, gram ((N+1) x (N+1)), and its labels (N+1), of which the last is not looked at.

Row one_step_predictions(const Eigen::MatrixXd& gram, const Row& labels) {
  Row predictions(labels.size() - 1);
  for (Index t = 1; t < labels.size(); ++t) predictions[t - 1] = labels.head(t).dot(gram.col(t).head(t));
  return predictions;
}

// With gram + rho I = L L^T and L z = y, the prediction from the first t labels is L(t+1, 1..t) z(1..t): the leading
// blocks of L and of z are those of the shorter contexts, so one decomposition answers for all.
Row ridge_predictions(const Eigen::MatrixXd& gram, const Row& labels, double rho) {
  Eigen::MatrixXd penalised = gram;
  penalised.diagonal().array() += rho;
  const Eigen::LLT<Eigen::MatrixXd> decomposition(penalised);
  const Eigen::MatrixXd L = decomposition.matrixL();
  const Eigen::VectorXd z = decomposition.matrixL().solve(labels.transpose());
  Row predictions(labels.size() - 1);
  for (Index t = 1; t < labels.size(); ++t) predictions[t - 1] = L.row(t).head(t).dot(z.head(t));
  return predictions;
}

Row least_squares_predictions(const Eigen::MatrixXd& inputs, const Row& labels) {
  Row predictions(labels.size() - 1);
  for (Index t = 1; t < labels.size(); ++t)
    predictions[t - 1] = (least_squares(inputs.leftCols(t), labels.head(t)) * inputs.col(t))[0];
  return predictions;
}

Row neighbour_predictions(const Eigen::MatrixXd& inputs, const Row& labels, Index k) {
  Row predictions(labels.size() - 1);
  std::vector<Index> order;
  for (Index t = 1; t < labels.size(); ++t) {
    const Eigen::VectorXd distances = (inputs.leftCols(t).colwise() - inputs.col(t)).colwise().squaredNorm();
    order.resize(static_cast<std::size_t>(t));
    std::iota(order.begin(), order.end(), Index(0));
    const auto used = static_cast<std::ptrdiff_t>(std::min(k, t));
    std::partial_sort(order.begin(), order.begin() + used, order.end(),
                      [&](Index i, Index j) { return distances[i] < distances[j]; });
    double sum = 0;
    for (auto i = order.begin(); i != order.begin() + used; ++i) sum += labels[*i];
    predictions[t - 1] = sum / static_cast<double>(used);
  }
  return predictions;
}

double layer_difference(const Eigen::MatrixXd& features, const Row& labels, double step) {
  const PaperLayer<> layer(features.rows());
  const Row layers = layer.predict(gradient_step(layer, step), interleave(features, labels.head(labels.size() - 1)))
                         .row(features.rows() - 1);
  return (layers - step * one_step_predictions(features.transpose() * features, labels)).cwiseAbs().maxCoeff();
}

Eigen::MatrixXd fourier_features(const RandomFourier<>& map, const Eigen::MatrixXd& inputs) {
  Eigen::MatrixXd phi(map.output_count(), inputs.cols());
  for (Index t = 0; t < inputs.cols(); ++t) map(inputs.col(t), phi.col(t));
  return phi;
}

Eigen::MatrixXd gram_of(const FunctionRegression& tasks, Features by, const RandomFourier<>& map,
                        const Eigen::MatrixXd& inputs) {
  if (by == Features::inputs) return inputs.transpose() * inputs;
  if (by == Features::fourier) {
    const Eigen::MatrixXd phi = fourier_features(map, inputs);
    return phi.transpose() * phi;
  }
  Eigen::MatrixXd gram(inputs.cols(), inputs.cols());
  for (Index i = 0; i < gram.cols(); ++i)
    for (Index j = 0; j <= i; ++j) gram(i, j) = gram(j, i) = tasks.covariance(inputs.col(i), inputs.col(j));
  return gram;
}

Row predict(const FunctionPredictor& predictor, const FunctionSetting& setting, const Eigen::MatrixXd& gram,
            const FunctionRegressionTask& task) {
  switch (predictor.kind) {
    case Kind::one_step:
      return setting.number * one_step_predictions(gram, task.labels);
    case Kind::ridge:
      return ridge_predictions(gram, task.labels, setting.number);
    case Kind::least_squares:
      return least_squares_predictions(task.inputs, task.labels);
    case Kind::neighbours:
      break;
  }
  return neighbour_predictions(task.inputs, task.labels, nearest);
}

// The step is best in closed form, sum k y / sum k^2 with k the predictions of step 1; a penalty is best of a grid.
FunctionSetting tune(const FunctionRegression& of, const FunctionPredictor& predictor, const Tasks& tasks,
                     std::uint64_t seed) {
  if (predictor.kind == Kind::neighbours || predictor.kind == Kind::least_squares) return {};
  if (predictor.kind == Kind::ridge && predictor.features == Features::own)
    return {of.label_noise * of.label_noise + 1e-9};  // exact covariances can be singular
  std::vector<double> widths{1}, penalties;
  if (predictor.features == Features::fourier) widths = {1, 2, 4, 8, 16, 32};
  for (int i = -8; i <= 6; ++i) penalties.push_back(std::pow(10, i / 2.0));
  FunctionSetting best;
  double least = std::numeric_limits<double>::infinity();
  for (const double width : widths) {
    const RandomFourier<> map(of.features, fourier_count, width, seed);
    std::vector<double> numbers = penalties, losses(penalties.size(), 0);
    double with_label = 0, with_itself = 0, of_labels = 0;
    for (const FunctionRegressionTask& task : tasks) {
      const Eigen::MatrixXd gram = gram_of(of, predictor.features, map, task.inputs);
      const Row y = task.values.tail(of.context);
      if (predictor.kind == Kind::ridge) {
        for (std::size_t i = 0; i < penalties.size(); ++i)
          losses[i] += (ridge_predictions(gram, task.labels, penalties[i]) - y).squaredNorm();
      } else {
        const Row k = one_step_predictions(gram, task.labels);
        with_label += k.dot(y);
        with_itself += k.squaredNorm();
        of_labels += y.squaredNorm();
      }
    }
    if (predictor.kind == Kind::one_step) {
      numbers = {with_label / with_itself};
      losses = {of_labels - with_label * with_label / with_itself};
    }
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (losses[i] < least) {
        least = losses[i];
        best = {numbers[i], width};
      }
  }
  return best;
}

Tasks draw(const FunctionRegression& of, const TaskRange& range) {
  Tasks tasks;
  for (Index i = 0; i < range.count; ++i)
    tasks.push_back(of.draw(range.seed, range.first + static_cast<std::uint64_t>(i)));
  return tasks;
}

}  // namespace

std::string FunctionPredictor::name() const {
  constexpr std::array names{"inputs", "Fourier features", "own features"};
  const std::string on = std::string(" on ") + names[static_cast<std::size_t>(features)];
  switch (kind) {
    case Kind::one_step:
      return "one step" + on;
    case Kind::ridge:
      return "ridge" + on;
    case Kind::least_squares:
      return "least squares";
    case Kind::neighbours:
      break;
  }
  return "three nearest neighbours";
}

std::vector<FunctionScore> score_predictors(const FunctionRegression& tasks, bool linear, const TaskRange& tuning,
                                            const TaskRange& tested) {
  std::vector<FunctionPredictor> predictors;
  for (const Kind kind : {Kind::one_step, Kind::ridge}) {
    predictors.push_back({kind, Features::inputs});
    predictors.push_back({kind, Features::fourier});
    if (!linear) predictors.push_back({kind, Features::own});
  }
  if (linear) predictors.push_back({Kind::least_squares, Features::inputs});
  predictors.push_back({Kind::neighbours, Features::inputs});

  const Tasks to_tune = draw(tasks, tuning), drawn = draw(tasks, tested);
  std::vector<FunctionScore> scores;
  for (const FunctionPredictor& predictor : predictors) {
    FunctionScore score{predictor, tune(tasks, predictor, to_tune, tuning.seed)};
    const RandomFourier<> map(tasks.features, fourier_count, score.setting.width, tuning.seed);
    std::vector<Sample> samples(static_cast<std::size_t>(tasks.context));
    for (const FunctionRegressionTask& task : drawn) {
      const Row errors = predict(predictor, score.setting, gram_of(tasks, predictor.features, map, task.inputs), task) -
                         task.values.tail(tasks.context);
      for (Index t = 0; t < tasks.context; ++t) samples[static_cast<std::size_t>(t)].add(errors[t] * errors[t] / 2);
    }
    for (const Sample& sample : samples) score.losses.push_back({sample.mean(), sample.standard_error()});
    if (predictor.kind == Kind::one_step && predictor.features == Features::fourier)
      score.layer_difference =
          layer_difference(fourier_features(map, drawn.front().inputs), drawn.front().labels, score.setting.number);
    scores.push_back(std::move(score));
  }
  return scores;
}

}  // namespace gdssm::reproduce
