// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/tasks/function_regression.hpp"
#include "reproduce/report/statistics.hpp"

// What the layer is compared with on classes of functions: predictors of every label of a context from the labels
// before it, by inner products of features phi(x) . phi(x').
namespace gdssm::reproduce {

/// What a predictor's inner products are of.
enum class Features {
  inputs,   ///< x itself
  fourier,  ///< random Fourier features
  own,      ///< features whose inner products are the covariance of the class
};

struct FunctionPredictor {
  enum class Kind {
    one_step,       ///< of gradient descent from zero, a sum_i y_i phi(x_i) . phi(q)
    ridge,          ///< ridge regression
    least_squares,  ///< of minimal norm, on inputs
    neighbours,     ///< the mean label of the three nearest inputs
  } kind;
  Features features;

  std::string name() const;
};

/// The number that a predictor is left to choose, a step or a penalty, and the width of Fourier features.
struct FunctionSetting {
  double number = 0, width = 1;
};

/// How a predictor does: its losses after t = 1..N examples.
struct FunctionScore {
  FunctionPredictor predictor;
  FunctionSetting setting{};
  std::vector<Estimate> losses{};
  /// Of one step on Fourier features: how far the layer (7) with these features for its tokens is from the sums by
  /// which it is computed here, at the most over a task's predictions.
  double layer_difference = 0;
};

/// Each predictor's setting, chosen on `tuning` tasks, one for all numbers of examples, as a layer has one C; and its
/// losses on `tested` ones. Functions that are linear in x have no own features but the inputs. Ridge regression on the
/// own features has the noise's variance for its penalty and no choice.
std::vector<FunctionScore> score_predictors(const FunctionRegression& tasks, bool linear, const TaskRange& tuning,
                                            const TaskRange& tested);

}  // namespace gdssm::reproduce
