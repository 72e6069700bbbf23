// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <type_traits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/learners/learner.hpp"

// Classifiers are learners whose targets are labels: y in R^c has a 1 at its class and 0 elsewhere, or probabilities
// that add up to 1. A prediction has the probability of each class. The loss of a prediction p is -sum_k y_k ln p_k.
// Banks, adaptors for inputs, states and files are those of other learners.
//
// Classes need not be known beforehand. The last entry of y stands for all classes that have not come yet, which the
// learner has never seen. When a row of a new class comes, it takes this entry, and the learner gets a new one:
//
//     auto learner = default_classifier(f, 2);              // no class is known: the first to come, and all others
//     ...
//     auto wide = default_classifier(f, 3);                 // the first class, the second, and all others
//     widen_classes(wide, learner);

namespace gdssm {

/// The label of a class: 1 at its place, 0 elsewhere.
/// Errors  std::invalid_argument: a class that is not among them
template <class T = double>
Eigen::VectorX<T> one_hot(Index label, Index classes) {
  if (label < 0 || label >= classes) refuse("one_hot", "class ", label, " of ", classes, ", expected one of them");
  return Eigen::VectorX<T>::Unit(classes, label);
}

namespace detail {

/// Refuses a target that is not a label: entries below 0, or a sum other than 1.
template <class T>
void expect_label(const char* name, const Eigen::VectorX<T>& y) {
  if (!(y.minCoeff() >= T(0)) || !(std::abs(y.sum() - T(1)) <= T(1e-6)))
    refuse(name, "observe: the target has entries from ", y.minCoeff(), " and the sum ", y.sum(),
           ", expected a label: 1 at its class and 0 elsewhere, or probabilities");
}

}  // namespace detail

/// Hands what a classifier has learned to one with one class more, made alike but for their number. The new entry is
/// the last one, of all classes that have not come yet. It continues as the last one of before did, which has not been
/// seen either.
/// Errors  std::invalid_argument: learners with other members, not one class more
template <Learner L>
void widen_classes(L& wide, const L& narrow) {
  const Index c = narrow.target_count();
  expect_equal("widen_classes", "the number of classes", wide.target_count(), c + 1);
  auto state = wide.state();
  const auto learned = narrow.state();
  visit(
      [&](const Name& name, auto& target, const auto& source) {
        const auto is_wider = [&](Index narrow_size, Index wide_size) {
          if (wide_size == narrow_size) return false;
          if (narrow_size != c || wide_size != c + 1)
            refuse("widen_classes", name.str(), " has ", narrow_size, " and ", wide_size, " entries, expected ", c,
                   " and ", c + 1);
          return true;
        };
        const bool rows = is_wider(source.rows(), target.rows()), cols = is_wider(source.cols(), target.cols());
        for (Index j = 0; j < target.cols(); ++j)
          for (Index i = 0; i < target.rows(); ++i)
            target(i, j) = source(rows && i == c ? c - 1 : i, cols && j == c ? c - 1 : j);
      },
      state, learned);
  wide.set_state(state);
}

}  // namespace gdssm
