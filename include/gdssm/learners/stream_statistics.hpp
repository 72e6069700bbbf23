// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <Eigen/Core>

#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Means and variances of a stream with weights L^(t-i): with w_t = L w_{t-1} + 1 and d = x_t - mean_{t-1},
//
//     mean_t = mean_{t-1} + d / w_t,     squares_t = L squares_{t-1} + (L w_{t-1} / w_t) d^2
//
// (Welford, Technometrics 4, 1962, for L = 1). Two stretches of rows join in the same way, with d the difference of
// their means (Chan, Golub, LeVeque, The American Statistician 37, 1983). Last targets and ranges follow.

namespace gdssm {

/// The number of rows and their weight.
template <class T>
struct RowWeights {
  Count<T> rows = Count<T>::Zero();    ///< so far
  Count<T> weight = Count<T>::Zero();  ///< w = sum_i L^(t-i)

  /// Counts a row. Returns the remaining weight of the earlier rows, L w.
  Counter<T> absorb(const T& decay) {
    const Counter<T> before = Counter<T>(decay) * weight[0];
    rows[0] += Counter<T>(1);
    weight[0] = before + Counter<T>(1);
    return before;
  }

  /// The result of joining two stretches of rows.
  struct Joined {
    T L;                ///< the factor applied to the earlier rows
    Counter<T> before;  ///< the remaining weight of the earlier rows
    Counter<T> share;   ///< the later rows' share of the total weight; 0 without rows
  };

  /// Appends the rows of `later`.
  Joined merge(const RowWeights& later, const T& decay) {
    const T L = detail::power(decay, later.rows[0]);
    const Counter<T> before = Counter<T>(L) * weight[0];
    rows += later.rows;
    weight[0] = before + later.weight[0];
    return {L, before, later.rows[0] > Counter<T>(0) ? Counter<T>(later.weight[0] / weight[0]) : Counter<T>(0)};
  }

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{"weight"}, self.weight...);
  }
};

/// The mean of vectors, stored relative to a base: the first vector, or a later mean if the vectors have moved far from
/// it. A large common offset then costs no digits.
template <class T>
struct RunningOffset {
  Eigen::VectorX<T> first;  ///< the base: x_1 or an earlier mean
  Eigen::VectorX<T> mean;   ///< the weighted mean minus the base

  explicit RunningOffset(Index size = 0) : first(Eigen::VectorX<T>::Zero(size)), mean(first) {}

  /// x <- x - mean, in two subtractions: the sum of both parts would have the offset's rounding.
  void subtract_from(Eigen::VectorX<T>& x) const {
    x -= first;
    x -= mean;
  }

  /// Takes in a vector that differs from the mean by d, when the total weight is w.
  void absorb(const Eigen::VectorX<T>& d, const T& w) {
    mean += d / w;
    for (Index j = 0; j < d.size(); ++j) follow(first[j], mean[j], d[j]);
  }

  /// The mean of `later` minus this mean.
  Eigen::VectorX<T> difference(const RunningOffset& later) const { return later.first - first + later.mean - mean; }

 private:
  /// Moves the base to the mean, base + `mean`, without changing that sum, once the newest deviation from the mean is
  /// below a hundredth of the distance between mean and base: the old base would cost digits.
  static void follow(T& base, T& mean, const T& deviation) {
    if constexpr (std::is_floating_point_v<T>) {
      if (!(std::abs(mean) > T(100) * std::abs(deviation))) return;
      const T moved = base + mean, part = moved - base;
      mean = (base - (moved - part)) + (mean - part);  // the rounding error of the sum, exactly
      base = moved;
    }
  }
};

/// Running means and variances of vectors.
template <class T>
struct Moments : RowWeights<T> {
  RunningOffset<T> offset;    ///< the mean
  Eigen::VectorX<T> squares;  ///< sum_i L^(t-i) (x_i - mean)^2

  explicit Moments(Index size = 0) : offset(size), squares(offset.mean) {}

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    RowWeights<T>::visit(visitor, self...);
    visitor(Name{.head = "first", .degree = 1}, self.offset.first...);
    visitor(Name{.head = "mean", .degree = 1}, self.offset.mean...);
    visitor(Name{"squares"}, self.squares...);
  }
  friend bool operator==(const Moments& a, const Moments& b) { return identical(a, b); }

  /// x <- x - mean; 0 for the first vector.
  void centre(Eigen::VectorX<T>& x) const {
    if (this->rows[0] > 0)
      offset.subtract_from(x);
    else
      x.setZero();
  }

  /// x_j <- (x_j - mean_j) / deviation_j, where the deviation includes x; 0 where nothing has varied.
  void scale(Eigen::VectorX<T>& x) const {
    centre(x);
    const T w = T(this->weight[0]);
    for (Index j = 0; j < x.size(); ++j) {
      const T deviation = std::sqrt((squares[j] + w / (w + T(1)) * x[j] * x[j]) / (w + T(1)));
      x[j] = deviation * T(largest_input<T>) >= T(1) ? x[j] / deviation : T(0);
    }
  }

  /// Takes in a vector and multiplies earlier weights by L. Afterwards x holds its difference from the earlier mean.
  void absorb(Eigen::VectorX<T>& x, const T& decay) {
    if (this->rows[0] == 0) offset.first = x;
    const Counter<T> before = RowWeights<T>::absorb(decay), w = this->weight[0];
    offset.subtract_from(x);
    for (Index j = 0; j < x.size(); ++j) squares[j] = decay * squares[j] + T(before / w) * x[j] * x[j];
    offset.absorb(x, T(w));
  }

  /// The moments of the rows so far, with their weights multiplied by L^(rows of `later`), and the rows of `later`.
  void merge(const Moments& later, const T& decay) {
    if (later.rows[0] == 0) return;
    if (this->rows[0] == 0) {
      *this = later;
      return;
    }
    const Eigen::VectorX<T> d = offset.difference(later.offset);
    const auto [L, before, share] = RowWeights<T>::merge(later, decay);
    squares = L * squares + later.squares + T(before * share) * d.cwiseAbs2();
    offset.mean += T(share) * d;
  }
};

/// The last target of a stream.
template <class T>
struct LastTarget {
  static constexpr auto inner_name = "learner";

  Count<T> rows = Count<T>::Zero();  ///< targets observed
  Eigen::VectorX<T> last;            ///< y_{t-1} (m)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{.head = "last", .degree = 1}, self.last...);
  }
  friend bool operator==(const LastTarget& a, const LastTarget& b) { return identical(a, b); }

  /// Takes in a target.
  void absorb(const Eigen::VectorX<T>& y) {
    rows[0] += Counter<T>(1);
    last = y;
  }
  void merge(const LastTarget& later) {
    if (later.rows[0] > Counter<T>(0)) last = later.last;
    rows += later.rows;
  }
};

/// The range of a stream's targets.
template <class T>
struct TargetRange {
  static constexpr auto inner_name = "learner";

  Count<T> rows = Count<T>::Zero();  ///< targets observed
  Eigen::VectorX<T> least, most;     ///< per target (m)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{.head = "least", .degree = 1}, self.least...);
    visitor(Name{.head = "most", .degree = 1}, self.most...);
  }

  /// Takes in a target.
  void absorb(const Eigen::VectorX<T>& y) {
    for (Index i = 0; i < y.size(); ++i) {
      least[i] = rows[0] > 0 ? (std::min)(least[i], y[i]) : y[i];
      most[i] = rows[0] > 0 ? (std::max)(most[i], y[i]) : y[i];
    }
    rows[0] += 1;
  }
  void merge(const TargetRange& later) {
    if (later.rows[0] > 0) {
      least = rows[0] > 0 ? Eigen::VectorX<T>(least.cwiseMin(later.least)) : later.least;
      most = rows[0] > 0 ? Eigen::VectorX<T>(most.cwiseMax(later.most)) : later.most;
    }
    rows += later.rows;
  }

  /// The prediction of target i, clamped to its range widened by `room` times its length.
  T clamped(const T& prediction, Index i, const T& room) const {
    const T margin = room * (most[i] - least[i]);
    return (std::min)((std::max)(prediction, detail::saturated(T(least[i] - margin))),
                      detail::saturated(T(most[i] + margin)));
  }
};

}  // namespace gdssm
