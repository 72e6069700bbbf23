// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <Eigen/Core>

#include "gdssm/core/view.hpp"

// A learning algorithm that a model's predictions are held against, with the numbers that were fitted of it.
// Source  Akyurek et al., arXiv:2211.15661; docs/theory.md, which algorithm it is

namespace gdssm {

/// What W is made of, S and M being sums over the context.
enum class LearningRule {
  least_squares,          ///< M S^+
  ridge,                  ///< M (S + rho I)^-1
  equal_descent,          ///< K steps of one size, (10)
  descent,                ///< K steps of different sizes, (10)
  output_preconditioned,  ///< Q M, one step
  input_preconditioned,   ///< M P, one step
  gd_plus_plus,           ///< K equal steps of GD++, (10b)
  stochastic,             ///< a step on every pair, as the other two below: the delta rule, (29)
  implicit,               ///< implicit steps, (38)
  heavy_ball,             ///< steps with momentum, (43)
};

/// How much a pair counts for in S and M once it is k pairs back.
enum class Forgetting {
  none,    ///< 1
  common,  ///< L^k, the same for all entries: a discounted loss
  each,    ///< L_ij^k, each entry of M with the decay that the layer has there
  fitted,  ///< W decays before every pair, by a fitted factor; of rules that step on every pair
};

/// One algorithm, what was fitted of it, and how near it is to the model, over tasks that the fit has not seen.
struct Candidate {
  LearningRule rule;                         ///< what becomes of the sums
  Forgetting forgetting = Forgetting::none;  ///< how the sums discount
  std::vector<double> step_sizes = {};       ///< effective, a = eta / f
  double rho = 0;                            ///< of ridge
  Eigen::MatrixXd preconditioner = {};       ///< Q (m x m) or P (f x f)
  double gamma = 0;                          ///< of GD++
  double momentum = 0;                       ///< eta, of the heavy ball
  double decay = 1;                          ///< with `fitted`
  double scale = 1;                          ///< that answers of a rule which steps on every pair are multiplied by
  double residual = 0;                       ///< multiple of the query's last m entries that is added to the answer
  double numbers = 0;                        ///< how many numbers it could choose, for parsimony

  double r2 = 0;                     ///< 1 - E |yhat - yhat'|^2 / E |yhat|^2
  double prediction_difference = 0;  ///< E |yhat - yhat'|^2 / m
  double weight_difference = 0;      ///< E |W - W'|_F^2 / E |W|_F^2
  Eigen::VectorXd errors = {};       ///< |yhat - yhat'|^2 of every task over the mean of |yhat|^2

  Index steps() const {
    return static_cast<Index>(step_sizes.size());
  }  ///< taken, 0 for ridge regression and least squares
};

/// What is known of a model before any candidate is fitted: it says which are worth trying.
struct CandidateSetup {
  Index most_steps = 3;                     ///< K = 1, ..., most_steps
  std::vector<double> measured_sizes = {};  ///< of the model's layers: K steps of these are tried first
  double decay = 1;                         ///< the decay of the discounted loss, if in [0, 1)
  Eigen::MatrixXd decays = {};              ///< L^T, the part that acts (m x f), or empty: not to be tried
  bool preconditioners = false;             ///< whether Q M and M P are among the candidates
  bool online = false;                      ///< whether rules that step on every pair are, and GD++
  bool residual = false;                    ///< the model adds a multiple of the query to its answers
};

}  // namespace gdssm
