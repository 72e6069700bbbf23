// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <optional>

#include <Eigen/Core>

#include "gdssm/construction/step_size.hpp"
#include "gdssm/core/error.hpp"

namespace gdssm {

/// The weights of the paper's layer on which the prediction's agreement with vector targets depends to first order.
struct PlateauWeights {
  Eigen::Matrix3d A;  ///< attention
  Eigen::Vector3d d;  ///< gate
  Eigen::VectorXd C;  ///< diagonal of C (f)
};

/// The expected loss of the paper's layer near zero, with its decays fixed:
///     loss = f w2 s2 / 2 + 1/f sum_i C_ii T_i + a^2 / (2 f) sum_i e_i C_ii^2,   a = A_01 d_2          (13c)
///     T_i = w2 s2^2 [ d_2 (A_01 sum_k lambda_ki + A_10 lambda_ii) + d_0 (f A_21 + A_12) + d_1 (A_02 + A_20) ]
/// The terms of third order in A, C and d are all there, of those of sixth order the one that ends the descent.
/// Gradient descent on it predicts how long training stays near zero, where the loss is flat to second order.
/// Source  docs/theory.md, (13c)
class PlateauLoss {
 public:
  /// Shapes  decays L (f x f), as in the canonical form
  /// Errors  std::invalid_argument: decays of another size or not finite; impossible moments; noise or distractors,
  ///         which (13c) does not have
  PlateauLoss(const LinearTask<>& task, const Eigen::MatrixXd& decays)
      : features_(static_cast<double>(task.features)),
        zero_(expected_loss(task, 0.0)),
        correlation_(task.weight_variance * task.inputs.variance * task.inputs.variance),
        sums_(task.features),
        own_(task.features),
        e_(task.features) {
    detail::expect_square("PlateauLoss", "the matrix of decays", decays, task.features);
    if (task.noise_variance != 0 || task.distractors != 0)
      refuse("PlateauLoss", "the noise's variance is ", task.noise_variance, " and distractors are ", task.distractors,
             ", expected 0 and 0");
    const auto [s2, m4] = task.inputs;
    const double one = m4 + (features_ - 1) * s2 * s2;
    for (Index i = 0; i < task.features; ++i) {
      sums_[i] = e_[i] = 0;
      for (Index k = 0; k < task.features; ++k) {
        double sum = 0, squares = 0, power = 1;
        for (Index age = 0; age < task.context; ++age, power *= decays(k, i)) {
          sum += power;
          squares += power * power;
        }
        sums_[i] += sum;
        if (k == i) own_[i] = sum;
        e_[i] += task.weight_variance * s2 * (one * squares + s2 * s2 * (sum * sum - squares));
      }
    }
  }

  /// (13c) at given weights.
  double operator()(const PlateauWeights& at) const {
    const double a = at.A(0, 1) * at.d[2];
    return zero_ + (at.C.dot(agreement(at)) + a * a * at.C.cwiseAbs2().dot(e_) / 2) / features_;
  }

  /// Its gradient.
  PlateauWeights gradient(const PlateauWeights& at) const {
    const double a = at.A(0, 1) * at.d[2], trace = correlation_ / features_ * at.C.sum();
    const double sums = correlation_ / features_ * at.C.dot(sums_), own = correlation_ / features_ * at.C.dot(own_);
    const double of_a = a * at.C.cwiseAbs2().dot(e_) / features_;
    PlateauWeights slope{Eigen::Matrix3d::Zero(), Eigen::Vector3d::Zero(),
                         (agreement(at) + a * a * at.C.cwiseProduct(e_)) / features_};
    slope.A(0, 1) = at.d[2] * (sums + of_a);
    slope.A(1, 0) = at.d[2] * own;
    slope.A(2, 1) = at.d[0] * features_ * trace;
    slope.A(1, 2) = at.d[0] * trace;
    slope.A(0, 2) = slope.A(2, 0) = at.d[1] * trace;
    slope.d[0] = (features_ * at.A(2, 1) + at.A(1, 2)) * trace;
    slope.d[1] = (at.A(0, 2) + at.A(2, 0)) * trace;
    slope.d[2] = at.A(0, 1) * (sums + of_a) + at.A(1, 0) * own;
    return slope;
  }

  /// The number of updates at a rate after which gradient descent from a start has a loss below `level`; none if it
  /// takes more than `most`.        Errors  std::invalid_argument: a diagonal of another length
  std::optional<Index> updates_until(double level, PlateauWeights start, double rate, Index most) const {
    expect_equal("PlateauLoss", "the length of C's diagonal", start.C.size(), sums_.size());
    for (Index n = 0; n <= most; ++n) {
      if ((*this)(start) < level) return n;
      const PlateauWeights slope = gradient(start);
      start.A -= rate * slope.A;
      start.d -= rate * slope.d;
      start.C -= rate * slope.C;
    }
    return std::nullopt;
  }

 private:
  /// T_i.
  Eigen::VectorXd agreement(const PlateauWeights& at) const {
    const double last = at.d[0] * (features_ * at.A(2, 1) + at.A(1, 2)) + at.d[1] * (at.A(0, 2) + at.A(2, 0));
    return correlation_ * ((at.d[2] * (at.A(0, 1) * sums_ + at.A(1, 0) * own_)).array() + last).matrix();
  }

  double features_, zero_, correlation_;  // f, f w2 s2 / 2, w2 s2^2
  Eigen::VectorXd sums_, own_, e_;        // sum_k lambda_ki, lambda_ii, e_i
};

}  // namespace gdssm
