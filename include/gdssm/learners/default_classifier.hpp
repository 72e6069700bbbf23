// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/learners/class_frequencies.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/learner_bank.hpp"
#include "gdssm/learners/log_loss_mixing.hpp"
#include "gdssm/learners/online_newton.hpp"
#include "gdssm/learners/scaling.hpp"
#include "gdssm/learners/softmax_learner.hpp"

namespace gdssm {

/// The type that `default_classifier` returns.
template <class T = double>
using DefaultClassifier = Bank<LogLossMixing<T>, ClassFrequencies<T>, ClassFrequencies<T>, ClassTransitions<T>,
                               WithScaledInputs<SoftmaxStep<T>>, std::vector<WithScaledInputs<OnlineNewton<T>>>,
                               WithBends<WithScaledInputs<OnlineNewton<T>>>>;

/// A classifier without anything to tune, for f inputs in any units and c classes, the last of which stands for all
/// that have not come yet, see classes.hpp. On any stream its log loss exceeds that of its best member by at most (65).
/// Members: frequencies of all rows and of recent ones, frequencies given the last class, one step on the
/// cross-entropy, online Newton steps on the inputs and on the inputs with bends.
/// Errors  std::invalid_argument: f or c below 1
template <class T = double>
DefaultClassifier<T> default_classifier(Index inputs, Index classes) {
  detail::expect_sizes("default_classifier", inputs, classes);
  const Index f = inputs, c = classes;
  using Newton = OnlineNewton<T>;
  using Settings = typename Newton::Settings;
  std::vector<WithScaledInputs<Newton>> newton;
  for (const T ridge : {T(0.3), T(3)}) newton.emplace_back(f, c, Settings{.ridge = ridge});
  return DefaultClassifier<T>(LogLossMixing<T>(T(0.001)), ClassFrequencies<T>(f, c), ClassFrequencies<T>(f, c, T(0.97)),
                              ClassTransitions<T>(f, c), WithScaledInputs<SoftmaxStep<T>>(f, c), std::move(newton),
                              WithBends<WithScaledInputs<Newton>>(f, c, Settings{.ridge = T(1)}));
}

}  // namespace gdssm
