// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include <Eigen/Core>

#include "gdssm/algorithms/solvers.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/sufficient_statistics.hpp"

// A tree whose leaves are ridge regressions, for relations that switch or branch. A leaf keeps the sums
//
//     B = sum_i v_i v_i^T,     v = [1; y - y_1; x - x_1]
//
// over its rows, in which S, M, means and the targets' squares are contained, and the same sums over the rows with
// x_j <= c for some *cuts* (j, c). With L(B) the least of sum_i |y_i - W x_i|^2 + rho |W|^2 over centred rows,
//
//     (70)  t = (L(B) - l) / l,     l = L(B_low) + L(B - B_low)
//
// compares what two regressions explain more than one with what they leave. A leaf of n rows splits at the cut with the
// largest E, once
//
//     (71)  E = 1/2 ( n' ln(1 + t) - d ln t + v ln(v / n') + d ln(d / n') )  >  u = ln( C m k (k + 1) / delta ),
//           t > d / v,     d = f + 1,   v = n - 2 d,   n' = d + v
//
// for a target, at its k-th test of C cuts. Both new leaves begin with their sums, so that no row is lost. If a leaf's
// relation is linear with normal errors, t is at rho = 0 the quotient of independent chi-square variables of d and v
// degrees of freedom, which is as large with a probability of at most exp(-E) (Chernoff). The leaf splits with a
// probability of at most delta, however long the stream is.
//
// Source  Quinlan 1992 (model trees); Ikonomovska, Gama, Dzeroski, DMKD 23, 2011 (in streams); docs/theory.md, other
//         learners

namespace gdssm {

/// The state of `ModelTree`. Node 0 is the root. Nodes k and k + 1 are the children of one node. w = 17 + m.
template <class T>
struct ModelTreeState {
  Count<T> rows = Count<T>::Zero();              ///< pairs observed
  Count<double> leaves = Count<double>::Ones();  ///< so far
  Eigen::VectorXd split_inputs;                  ///< of each node: the input it splits by; -1 for a leaf
  Eigen::VectorXd links;                         ///< of each node: its first child; of a leaf: its place below
  Eigen::VectorX<T> thresholds;                  ///< of each node: c; rows with x_j <= c go to the first child
  Eigen::VectorX<T> first_input, first_target;   ///< x_1 (16), y_1 (m)
  Eigen::MatrixX<T> totals;                      ///< B of each leaf, side by side (w x w)
  Eigen::MatrixX<T> begun;                       ///< B when the leaf's cuts began
  Eigen::MatrixX<T> lows;                        ///< B_low of each cut of each leaf
  Eigen::MatrixXd cut_inputs;                    ///< (C x leaves); -1: none
  Eigen::MatrixX<T> cuts;                        ///< (C x leaves)
  Eigen::VectorXd tests, next;  ///< of each leaf: tests so far, rows at which the next is due; 0: no cuts

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{"leaves"}, self.leaves...);
    visitor(Name{"split_inputs"}, self.split_inputs...);
    visitor(Name{"links"}, self.links...);
    visitor(Name{.head = "thresholds", .degree = 1}, self.thresholds...);
    visitor(Name{.head = "first_input", .degree = 1}, self.first_input...);
    visitor(Name{.head = "first_target", .degree = 1}, self.first_target...);
    visitor(Name{"totals"}, self.totals...);
    visitor(Name{"begun"}, self.begun...);
    visitor(Name{"lows"}, self.lows...);
    visitor(Name{"cut_inputs"}, self.cut_inputs...);
    visitor(Name{.head = "cuts", .degree = 1}, self.cuts...);
    visitor(Name{"tests"}, self.tests...);
    visitor(Name{"next"}, self.next...);
  }
  friend bool operator==(const ModelTreeState& a, const ModelTreeState& b) { return identical(a, b); }
};

/// A tree of ridge regressions that grows from the root, (70) and (71). Its cuts are, for each input, two to seven
/// values around the mean in the leaf, more while inputs are few. It reads the first 16 inputs.
/// Shapes  x (f), y (m), memory 16 leaves of 34 sums (17 + m)^2; cost of a pair C f^2 / 2, of a prediction one
///         elimination, f^3 / 6; of a test, as rare as a fifth more rows, 2 C of these
/// Errors  those of `RegressionLearner`; a risk outside (0, 1); states with links that are no tree's
/// Merging  has no meaning for two trees: the one that has seen more rows is kept
template <class T = double>
class ModelTree : public LearnerBase<ModelTree<T>, T>, public StateBase<ModelTree<T>, ModelTreeState<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  using Matrix = Eigen::MatrixX<T>;
  using State = ModelTreeState<T>;
  static constexpr auto name = "ModelTree";
  static constexpr Index most_inputs = 16;  ///< inputs that are split at, the first ones
  static constexpr Index most_leaves = 16;  ///< of the tree
  static constexpr Index most_cuts = 32;    ///< candidate thresholds of a leaf

  struct Settings {
    T ridge = T(1);      ///< rho, at least 0
    double risk = 0.01;  ///< delta, between 0 and 1
  };

  ModelTree(Index inputs, Index targets, Settings settings = {})
      : LearnerBase<ModelTree, T>(inputs, targets),
        settings_(settings),
        f_((std::min)(inputs, most_inputs)),
        m_(targets),
        w_(1 + targets + most_inputs),
        scratch_(f_, targets) {
    detail::expect_at_least_zero(name, "ridge", settings.ridge);
    if (!(settings.risk > 0) || !(settings.risk < 1))
      refuse(name, "risk is ", settings.risk, ", expected between 0 and 1");
    const Index nodes = 2 * most_leaves - 1;
    state_.split_inputs.setConstant(nodes, -1.0);
    state_.links.setConstant(nodes, 0.0);
    state_.thresholds.setConstant(nodes, T(0));
    state_.first_input.setConstant(most_inputs, T(0));
    state_.first_target.setConstant(m_, T(0));
    state_.totals.setConstant(w_, w_ * most_leaves, T(0));
    state_.begun = state_.totals;
    state_.lows.setConstant(w_, w_ * most_leaves * most_cuts, T(0));
    state_.cut_inputs.setConstant(most_cuts, most_leaves, -1.0);
    state_.cuts.setConstant(most_cuts, most_leaves, T(0));
    state_.tests.setConstant(most_leaves, 0.0);
    state_.next = state_.tests;
    whole_ = high_ = Matrix::Constant(w_, w_, T(0));
    S_ = Matrix::Constant(f_, f_, T(0));
    M_ = Matrix::Constant(m_, f_, T(0));
    q_ = units_ = means_ = Vector::Constant(f_, T(0));
    v_ = Vector::Constant(w_, T(0));
    squares_ = prediction_ = change_ = losses_ = low_losses_ = high_losses_ = Vector::Constant(m_, T(0));
  }

  Index leaf_count() const { return static_cast<Index>(state_.leaves[0]); }  ///< leaves so far, at most `most_leaves`

  /// The place of the leaf of x, from 0.
  Index leaf_of(const Vector& x) const {
    Index node = 0;
    while (!(state_.split_inputs[node] < 0.0)) {
      const auto j = static_cast<Index>(state_.split_inputs[node]);
      node = static_cast<Index>(state_.links[node]) + (j >= f_ || x[j] <= state_.thresholds[node] ? 0 : 1);
    }
    return static_cast<Index>(state_.links[node]);
  }

  const Vector& predict_valid(const Vector& x) {
    const auto B = sums(state_.totals, leaf_of(x));
    const T n = B(0, 0);
    prediction_ = state_.first_target;
    if (!(n > T(0))) return prediction_;
    centre(B);
    const T inverse = T(1) / (n + T(1));
    bool says_something = false;
    for (Index j = 0; j < f_; ++j) {
      q_[j] = x[j] - state_.first_input[j] - means_[j];
      units_[j] = detail::squared_unit(S_(j, j), T(n * inverse * q_[j] * q_[j]), inverse, least(B, j));
      says_something |= units_[j] > T(0);
    }
    for (Index i = 0; i < m_; ++i) prediction_[i] = detail::saturated(T(prediction_[i] + B(1 + i, 0) / n));
    if (!says_something) return prediction_;
    Elimination::solve(S_, M_, q_, units_, RidgeSettings<T>{.ridge = settings_.ridge}, scratch_, change_, n);
    for (Index i = 0; i < m_; ++i) prediction_[i] = detail::saturated(T(prediction_[i] + change_[i]), prediction_[i]);
    return prediction_;
  }

  void observe_valid(const Vector& x, const Vector& y) {
    if (!(state_.rows[0] > Counter<T>(0))) {
      state_.first_input.head(f_) = x.head(f_);
      state_.first_target = y;
    }
    state_.rows[0] += Counter<T>(1);
    v_[0] = T(1);
    for (Index i = 0; i < m_; ++i) v_[1 + i] = y[i] - state_.first_target[i];
    for (Index j = 0; j < f_; ++j) v_[1 + m_ + j] = x[j] - state_.first_input[j];
    const Index leaf = leaf_of(x);
    add(sums(state_.totals, leaf));
    if (leaf_count() == most_leaves) return;
    const auto n = static_cast<double>(sums(state_.totals, leaf)(0, 0));
    if (!(state_.next[leaf] > 0.0)) {
      if (!(n < least_rows())) begin(leaf);
      return;
    }
    for (Index c = 0; c < most_cuts; ++c) {
      if (state_.cut_inputs(c, leaf) < 0.0) continue;
      const auto j = static_cast<Index>(state_.cut_inputs(c, leaf));
      if (j < f_ && x[j] <= state_.cuts(c, leaf)) add(low(leaf, c));
    }
    if (!(n < state_.next[leaf])) test(leaf);
  }

  void merge_valid(const State& later) {
    const Count<T> rows = state_.rows + later.rows;
    if (later.rows[0] > state_.rows[0]) state_ = later;
    state_.rows = rows;
  }

  /// Refuses links and inputs that no tree has.
  static void expect_valid(const State& state) {
    const auto whole = [](const char* member, const auto& entries, Index begin, Index least, Index most) {
      const auto number = entries[begin];
      if (!(number >= static_cast<double>(least)) || !(number <= static_cast<double>(most)) ||
          number != std::floor(number))
        refuse(name, "set_state: ", member, " entry ", begin, " is ", number, ", expected a whole number from ", least,
               " to ", most);
    };
    whole("leaves", state.leaves, 0, 1, most_leaves);
    const Index nodes = 2 * static_cast<Index>(state.leaves[0]) - 1;
    for (Index k = 0; k < state.split_inputs.size(); ++k) {
      whole("split_inputs", state.split_inputs, k, -1, k < nodes ? most_inputs - 1 : -1);
      if (state.split_inputs[k] < 0.0)
        whole("links", state.links, k, 0, most_leaves - 1);
      else
        whole("links", state.links, k, k + 1, nodes - 2);
    }
    for (Index i = 0; i < state.cut_inputs.size(); ++i)
      whole("cut_inputs", state.cut_inputs.reshaped(), i, -1, most_inputs - 1);
  }

 private:
  using StateBase<ModelTree, State, T>::state_;

  auto sums(Matrix& all, Index leaf) const { return all.middleCols(leaf * w_, w_); }
  auto low(Index leaf, Index cut) { return state_.lows.middleCols((leaf * most_cuts + cut) * w_, w_); }

  /// Rows at which a leaf's cuts begin, and after which its first test is due.
  double least_rows() const { return static_cast<double>(2 * (f_ + 2)); }

  /// B <- B + v v^T, below the diagonal.
  template <class Sums>
  void add(Sums B) const {
    const Index size = 1 + m_ + f_;
    for (Index j = 0; j < size; ++j) {
      T* const column = B.col(j).data();
      const T right = v_[j];
      for (Index i = j; i < size; ++i) column[i] += v_[i] * right;
    }
  }

  /// means_, S_, M_ and squares_ of the rows in B, centred. Sums of squares are negative by rounding alone.
  template <class Sums>
  void centre(const Sums& B) {
    const T n = B(0, 0);
    for (Index j = 0; j < f_; ++j) means_[j] = B(1 + m_ + j, 0) / n;
    for (Index k = 0; k < f_; ++k) {
      for (Index j = k; j < f_; ++j) S_(j, k) = S_(k, j) = B(1 + m_ + j, 1 + m_ + k) - means_[j] * B(1 + m_ + k, 0);
      S_(k, k) = (std::max)(S_(k, k), T(0));
      for (Index i = 0; i < m_; ++i) M_(i, k) = B(1 + m_ + k, 1 + i) - means_[k] * B(1 + i, 0);
    }
    for (Index i = 0; i < m_; ++i) squares_[i] = (std::max)(T(B(1 + i, 1 + i) - B(1 + i, 0) / n * B(1 + i, 0)), T(0));
  }

  /// What rounding leaves of a centred sum of squares that is 0.
  template <class Sums>
  T least(const Sums& B, Index j) const {
    if constexpr (std::is_floating_point_v<T>)
      return T(16) * std::numeric_limits<T>::epsilon() * B(1 + m_ + j, 1 + m_ + j);
    else
      return T(0);
  }

  /// The least penalised loss of each target over the rows in B.
  template <class Sums>
  void find_losses(const Sums& B, Vector& losses) {
    centre(B);
    const T n = B(0, 0);
    for (Index j = 0; j < f_; ++j) units_[j] = S_(j, j) > least(B, j) ? T(S_(j, j) / n) : T(0);
    for (Index i = 0; i < m_; ++i) {
      q_ = M_.row(i).transpose();
      Elimination::solve(S_, M_, q_, units_, RidgeSettings<T>{.ridge = settings_.ridge}, scratch_, change_, n);
      losses[i] = (std::max)(T(squares_[i] - change_[i]), T(0));
    }
  }

  /// Chooses the leaf's cuts from its rows.
  void begin(Index leaf) {
    const auto B = sums(state_.totals, leaf);
    state_.begun.middleCols(leaf * w_, w_) = B;
    state_.lows.middleCols(leaf * most_cuts * w_, most_cuts * w_).setConstant(T(0));
    state_.cut_inputs.col(leaf).setConstant(-1.0);
    state_.tests[leaf] = 0.0;
    state_.next[leaf] = static_cast<double>(B(0, 0)) + least_rows();
    centre(B);
    const Index kinds = std::clamp<Index>(most_cuts / f_, 1, 7);
    for (Index j = 0; j < f_; ++j) {
      if (!(S_(j, j) > least(B, j))) continue;
      const double deviation = std::sqrt(static_cast<double>(T(S_(j, j) / B(0, 0))));
      for (Index k = 0; k < kinds; ++k) {
        const double offset = 1.2 * (static_cast<double>(2 * k + 1) / static_cast<double>(kinds) - 1);
        state_.cut_inputs(j * kinds + k, leaf) = static_cast<double>(j);
        state_.cuts(j * kinds + k, leaf) =
            detail::saturated(T(state_.first_input[j] + means_[j] + T(offset * deviation)));
      }
    }
  }

  /// E of (71); 0 where t is not above d / v.
  static double evidence(double t, double d, double v) {
    if (!(t > d / v)) return 0;
    if (!(t < 1e300)) return std::numeric_limits<double>::infinity();
    const double n = d + v;
    return (n * std::log1p(t) - d * std::log(t) + v * std::log(v / n) + d * std::log(d / n)) / 2;
  }

  /// Splits the leaf at its best cut, if that passes (71).
  void test(Index leaf) {
    const double k = static_cast<double>(state_.tests[leaf] += 1.0);
    const auto due = static_cast<double>(state_.next[leaf]);
    state_.next[leaf] = static_cast<double>(std::ceil(due * 1.2));
    whole_ = sums(state_.totals, leaf) - sums(state_.begun, leaf);
    find_losses(whole_, losses_);
    const double n = static_cast<double>(whole_(0, 0)), d = static_cast<double>(f_ + 1), v = n - 2 * d;
    if (!(v > 0)) return;
    double most = std::log(static_cast<double>(most_cuts * m_) * k * (k + 1) / settings_.risk);
    Index best = -1;
    for (Index c = 0; c < most_cuts; ++c) {
      if (state_.cut_inputs(c, leaf) < 0.0) continue;
      const auto B_low = low(leaf, c);
      high_ = whole_ - B_low;
      if (!(static_cast<double>(B_low(0, 0)) > d) || !(static_cast<double>(high_(0, 0)) > d)) continue;
      find_losses(B_low, low_losses_);
      find_losses(high_, high_losses_);
      for (Index i = 0; i < m_; ++i) {
        const double left = static_cast<double>(T(low_losses_[i] + high_losses_[i])),
                     E = evidence((static_cast<double>(losses_[i]) - left) / left, d, v);
        if (E > most) {
          most = E;
          best = c;
        }
      }
    }
    if (best >= 0) split(leaf, best);
  }

  void split(Index leaf, Index cut) {
    Index node = 0;
    while (!(state_.split_inputs[node] < 0.0) || state_.links[node] != static_cast<double>(leaf)) ++node;
    const Index other = leaf_count(), child = 2 * other - 1;
    state_.leaves[0] += 1.0;
    state_.split_inputs[node] = state_.cut_inputs(cut, leaf);
    state_.thresholds[node] = state_.cuts(cut, leaf);
    state_.links[node] = static_cast<double>(child);
    state_.links[child] = static_cast<double>(leaf);
    state_.links[child + 1] = static_cast<double>(other);
    state_.totals.middleCols(other * w_, w_) = whole_ - low(leaf, cut);
    state_.totals.middleCols(leaf * w_, w_) = low(leaf, cut);
    begin(leaf);
    begin(other);
  }

  Settings settings_;
  Index f_, m_, w_;
  Elimination::Scratch<T> scratch_;
  Matrix whole_, high_, S_, M_;
  Vector q_, units_, means_, v_, squares_, prediction_, change_, losses_, low_losses_, high_losses_;
};

}  // namespace gdssm
