// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/core/view.hpp"

namespace gdssm {

/// Mean and standard error of values that are added one by one, or merged in parts. The same parts in the same order
/// give the same bits.
/// Source  Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances (1979)
class Sample {
 public:
  /// Adds a value.
  void add(double value) {
    ++count_;
    const double before = value - mean_;
    mean_ += before / static_cast<double>(count_);
    squares_ += before * (value - mean_);
  }

  /// Adds the values of `other`.
  void merge(const Sample& other) {
    if (other.count_ == 0) return;
    const double n = static_cast<double>(count_), m = static_cast<double>(other.count_), apart = other.mean_ - mean_;
    mean_ += apart * m / (n + m);
    squares_ += other.squares_ + apart * apart * n * m / (n + m);
    count_ += other.count_;
  }

  Index count() const { return count_; }  ///< number of values
  double mean() const { return mean_; }   ///< mean of the values

  /// The standard error of the mean; NaN for fewer than two values.
  double standard_error() const {
    const auto n = static_cast<double>(count_);
    return std::sqrt(squares_ / (n - 1) / n);
  }

 private:
  Index count_ = 0;
  double mean_ = 0, squares_ = 0;
};

}  // namespace gdssm
