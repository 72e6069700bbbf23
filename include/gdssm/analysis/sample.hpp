// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/core/view.hpp"

namespace gdssm {

/// Mean and standard error of numbers seen one by one, or in parts: merged in a fixed order they give the same bits.
/// Source  Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances (1979)
class Sample {
 public:
  /// Takes one more value in.
  void add(double value) {
    ++count_;
    const double before = value - mean_;
    mean_ += before / static_cast<double>(count_);
    squares_ += before * (value - mean_);
  }

  /// Takes in the values that `other` has seen.
  void merge(const Sample& other) {
    if (other.count_ == 0) return;
    const double n = static_cast<double>(count_), m = static_cast<double>(other.count_), apart = other.mean_ - mean_;
    mean_ += apart * m / (n + m);
    squares_ += other.squares_ + apart * apart * n * m / (n + m);
    count_ += other.count_;
  }

  Index count() const { return count_; }  ///< values so far
  double mean() const { return mean_; }   ///< of the values so far

  /// Of the mean; NaN of fewer than two numbers.
  double standard_error() const {
    const auto n = static_cast<double>(count_);
    return std::sqrt(squares_ / (n - 1) / n);
  }

 private:
  Index count_ = 0;
  double mean_ = 0, squares_ = 0;
};

}  // namespace gdssm
