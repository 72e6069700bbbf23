// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include <Eigen/Core>

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

// Predictions for a query q from the accumulators S and M: yhat = M v with v near (S + rho I)^{-1} q. A method is a
// type. Let H = S + rho I. The first three methods iterate on H v = q from v = 0, with one product of H with a vector a
// step. Their residual r = q - H v is p(H) q for a polynomial p with p(0) = 1, and they differ in the polynomial. Let
// the eigenvalues of H lie in [m, u]; u = `largest_eigenvalue_bound`(S) + rho and m >= rho are cheap to know. Heavy
// ball and Chebyshev are made for an interval [l, u], whose lower end l they estimate as they go, (61).
//
//     Descent             v <- v + r / u                                 |r_k| <= (1 - m/u)^k |q|
//     HeavyBall           v <- v + a r + b (v - v_before)                the same, and p <= b^(k/2) (1 + k (1-b)/(1+b))
//                         a = 4 / (sqrt u + sqrt l)^2                    on [l, u] over k steps with one l
//                         b = ((sqrt u - sqrt l) / (sqrt u + sqrt l))^2
//     Chebyshev           the smallest polynomial on [l, u]              the same, and p <= 1 / T_k((u + l) / (u - l))
//                                                                        on [l, u] over k steps with one l
//     ConjugateGradients  on H w = M_i, for each row of M the polynomial of least loss; at most f steps
//     Elimination         no iteration: f steps of Gauss on a bordered matrix, (10d)
//
//     (10d)  [ H  q ]                             [ .       .     ]
//            [ M  0 ]   -- eliminate H's rows ->  [ 0   -M H^-1 q ]
//
// A method offers Settings<T>, Scratch<T> (sized once) and the function
//     solve(S, M, q, settings, scratch, prediction, rows) -> Answer<T>
// which allocates nothing. `rows` (default 1) is the number of products in each entry of S: rounding grows with its
// square root, and numbers below the level of rounding count as zero.
//
// Source  docs/theory.md, K steps; Saad, Iterative Methods for Sparse Linear Systems, 12.3; Polyak, USSR Computational
//         Mathematics and Mathematical Physics 4, 1964; Golub, Varga, Numerische Mathematik 3, 1961; Hestenes, Stiefel,
//         J. Res. NBS 49, 1952

namespace gdssm {

/// The test that ended a solution.
enum class Ending {
  steps_taken,  ///< took all K steps without meeting a test below
  converged,    ///< |q - H v| <= tolerance |q|, or the same of M_i
  stalled,      ///< conjugate gradients: the remainder is lost in rounding
  eliminated    ///< solved directly; residual and bound are 0 up to rounding and not measured
};

/// How a solution went.
template <class T>
struct Answer {
  Ending ending = Ending::steps_taken;  ///< the test that ended it
  Index steps = 0;                      ///< steps taken
  T residual = T(0);                    ///< |q - H v| (conjugate gradients: |M_i - H w|), for types with a square root
  /// Bounds the distance of every entry of the prediction from ridge regression's: max_i |M_i| |q - H v| / rho
  /// (infinite at rho = 0 unless the residual or M is 0), from |M H^{-1} r| and H >= rho; for conjugate gradients
  /// |q| |M_i - H w| / rho.
  T error_bound = T(0);
};

/// Steps, penalty and tolerance of an iterative solver.
template <class T = double>
struct DescentSettings {
  Index steps = 100;   ///< K, the largest number of steps, at least 0
  T ridge = T(1);      ///< rho, at least 0; weighs as much as rho rows of slope 0 on standardised inputs
  T decay = T(1);      ///< L of the sums, in (0, 1]
  T tolerance = T(0);  ///< stops early where |q - H v| <= tolerance |q|; 0: takes K steps unless the answer is exact
};

/// Penalty and decay of the direct solver.
template <class T = double>
struct RidgeSettings {
  T ridge = T(1);  ///< rho, at least 0; weighs as much as rho rows of slope 0 on standardised inputs
  T decay = T(1);  ///< L of the sums, in (0, 1]
};

namespace detail {

/// The vectors of an iteration. After `solve` they hold v and the residual r = q - H v.
template <class T>
struct IterationScratch {
  IterationScratch(Index inputs, Index /*targets*/) : v(Eigen::VectorX<T>::Constant(inputs, T(0))), r(v), d(v), Hd(v) {}

  Eigen::VectorX<T> v, r, d, Hd;
};

/// The relative size that rounding may give to a sum of this many rows whose exact value is 0.
template <class T>
T rounding_left(Index f, const T& rows) {
  return std::numeric_limits<T>::epsilon() * (T(8 * f) + T(2) * std::sqrt(rows));
}

/// Whether |r| is within the tolerance.
template <class T>
bool is_small(const Eigen::VectorX<T>& r, const T& squared_query, const T& tolerance) {
  return r.squaredNorm() <= tolerance * tolerance * squared_query;
}

/// Calls `step(k)`, which updates v and r, until r is small, K steps are taken or a step returns false; measures r.
template <class S_, class M_, class Q, class T, class Step>
Answer<T> iterate(const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M, const Eigen::MatrixBase<Q>& q,
                  const DescentSettings<T>& settings, IterationScratch<T>& scratch, Step&& step) {
  Answer<T> answer;
  scratch.v.setConstant(T(0));
  scratch.r = q;
  const T squared_query = q.squaredNorm();
  for (;; ++answer.steps) {
    if (is_small(scratch.r, squared_query, settings.tolerance)) {
      answer.ending = Ending::converged;
      break;
    }
    if (answer.steps == settings.steps) break;
    if (!step(answer.steps)) {
      answer.ending = Ending::stalled;
      break;
    }
  }
  if constexpr (std::is_floating_point_v<T>) {
    scratch.r = q;  // the recurrences' r may have drifted from the residual
    scratch.r.noalias() -= S * scratch.v;
    scratch.r -= settings.ridge * scratch.v;
    answer.residual = scratch.r.norm();
    const T slope = std::sqrt(M.rowwise().squaredNorm().maxCoeff());
    answer.error_bound = answer.residual == T(0) || slope == T(0) ? T(0) : slope * (answer.residual / settings.ridge);
  }
  return answer;
}

/// The common part of iterations on q. A `Method` offers `start(S, settings, scratch)`, which returns the step.
template <class Method>
struct Iteration {
  template <class T>
  using Settings = DescentSettings<T>;
  template <class T>
  using Scratch = IterationScratch<T>;

  /// The prediction for S, M and q after the steps given by the settings.
  template <class S_, class M_, class Q, class T>
  static Answer<T> solve(const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M, const Eigen::MatrixBase<Q>& q,
                         const Settings<T>& settings, Scratch<T>& ws, Eigen::VectorX<T>& prediction, const T& = T(1)) {
    const Answer<T> answer = iterate(S, M, q, settings, ws, Method::start(S, settings, ws));
    prediction.noalias() = M * ws.v;
    return answer;
  }
};

}  // namespace detail

/// K steps of (10) of size 1 / u, like `predict_by_descent` from W_0 = 0. Errors shrink, well determined ones first.
struct Descent : detail::Iteration<Descent> {
  /// Returns the step that `solve` repeats.
  template <class S_, class T>
  static auto start(const S_& S, const DescentSettings<T>& settings, Scratch<T>& ws) {
    const T a = T(1) / (largest_eigenvalue_bound(S) + settings.ridge);
    return [&, a](Index) {
      detail::step_on_query(S, settings.ridge, a, ws.v, ws.r, ws.Hd);
      return true;
    };
  }
};

namespace detail {

/// The common part of iterations with momentum, d <- c d + a r, v <- v + d, whose coefficients are made for eigenvalues
/// in [l, u]. They run in stretches, of ceil(2 sqrt(u / l)) steps each. At the beginning of a stretch
///     (61)  l <- min(l, r^T H r / r^T r),     d <- 2 r / (u + l),
/// the first time from l = u. A stretch diminishes what r has in [l, u] and leaves what it has below l, so that l falls
/// until nothing is left there. Whatever l is, K steps leave at most (1 - m/u)^K |q|, as `Descent` does.
/// A `Method` offers Momentum<T>(l, u), and its next(): the c and a of each later step of a stretch.
template <class Method>
struct Stretches : Iteration<Method> {
  /// Returns the step that `solve` repeats.
  template <class S_, class T>
  static auto start(const S_& S, const DescentSettings<T>& settings, IterationScratch<T>& ws) {
    const T u = largest_eigenvalue_bound(S) + settings.ridge;
    return [&, u, l = u, left = Index(0), momentum = typename Method::template Momentum<T>(u, u)](Index) mutable {
      if (left == 0) {
        multiply_hessian(S, settings.ridge, ws.r, ws.Hd);
        const T rr = ws.r.squaredNorm(), quotient = rr > T(0) ? T(ws.r.dot(ws.Hd) / rr) : l;
        l = (std::max)((std::min)(l, quotient), (std::max)(settings.ridge, std::numeric_limits<T>::epsilon() * u));
        left = static_cast<Index>(std::ceil(T(2) * std::sqrt(u / l)));
        momentum = typename Method::template Momentum<T>(l, u);
        const T a = T(2) / (u + l);
        ws.d = a * ws.r;
        ws.Hd *= a;
      } else {
        const auto [c, a] = momentum.next();
        ws.d = c * ws.d + a * ws.r;
        multiply_hessian(S, settings.ridge, ws.d, ws.Hd);
      }
      --left;
      ws.v += ws.d;
      ws.r -= ws.Hd;
      return true;
    };
  }
};

/// The coefficients of a step d <- c d + a r.
template <class T>
struct MomentumStep {
  T c, a;
};

}  // namespace detail

/// K steps of Chebyshev semi-iteration: no polynomial of a stretch's degree has a smaller maximum on [l, u].
struct Chebyshev : detail::Stretches<Chebyshev> {
  /// The coefficients of a stretch on [l, u].
  template <class T>
  class Momentum {
   public:
    Momentum(const T& l, const T& u) : middle_((u + l) / T(2)), half_((u - l) / T(2)), ratio_(half_ / middle_) {}
    /// The next step's.
    detail::MomentumStep<T> next() {
      const T denominator = T(2) * middle_ - half_ * ratio_, before = ratio_;
      ratio_ = half_ / denominator;
      return {ratio_ * before, T(2) / denominator};
    }

   private:
    T middle_, half_, ratio_;  // T_{k-1}(middle / half) / T_k(middle / half), finite even for half = 0
  };
};

/// K steps of gradient descent with Polyak's momentum, with constant coefficients over a stretch. The first step of a
/// stretch is 2 / (u + l), not a: no eigenvalue is then amplified on the way (Golub, Varga, 1961).
struct HeavyBall : detail::Stretches<HeavyBall> {
  /// The coefficients of a stretch on [l, u].
  template <class T>
  class Momentum {
   public:
    Momentum(const T& l, const T& u) {
      const T sum = std::sqrt(u) + std::sqrt(l), difference = std::sqrt(u) - std::sqrt(l);
      step_ = {difference / sum * (difference / sum), T(4) / (sum * sum)};
    }
    /// The next step's.
    detail::MomentumStep<T> next() const { return step_; }

   private:
    detail::MomentumStep<T> step_;
  };
};

/// At most K steps of conjugate gradients on H w = M_i for each row of M. After k steps W = M p(H), with the polynomial
/// of degree below k that minimises the penalised loss; the iteration ends after as many steps as H has distinct
/// eigenvalues. The prediction is W q. The rows of M lie in the range of H, though q need not: where H is singular, W
/// becomes the smallest one that fits. Residual and tolerance are of M_i, |M_i - H w| <= tolerance |M_i|, and every
/// entry of the prediction is within |q| |M_i - H w| / rho of ridge regression's.
struct ConjugateGradients {
  template <class T>
  using Settings = DescentSettings<T>;
  template <class T>
  using Scratch = detail::IterationScratch<T>;

  /// The prediction for S, M and q after the steps given by the settings; steps and ending are the slowest row's.
  template <class S_, class M_, class Q, class T>
  static Answer<T> solve(const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M, const Eigen::MatrixBase<Q>& q,
                         const DescentSettings<T>& settings, Scratch<T>& ws, Eigen::VectorX<T>& prediction,
                         const T& rows = T(1)) {
    Answer<T> answer;
    for (Index i = 0; i < M.rows(); ++i) {
      const auto row = M.row(i).transpose();
      const Answer<T> one = detail::iterate(S, q.transpose(), row, settings, ws, start(S, row, settings, ws, rows));
      prediction[i] = q.dot(ws.v);
      if (i == 0 || one.steps > answer.steps) {
        answer.ending = one.ending;
        answer.steps = one.steps;
      }
      if (one.residual > answer.residual) answer.residual = one.residual;
      if (one.error_bound > answer.error_bound) answer.error_bound = one.error_bound;
    }
    return answer;
  }

 private:
  template <class S_, class Row, class T>
  static auto start(const S_& S, const Row& row, const DescentSettings<T>& settings, Scratch<T>& ws, const T& rows) {
    T lost(0), negligible(0);
    if constexpr (std::is_floating_point_v<T>) {
      const T most = largest_eigenvalue_bound(S) + settings.ridge, left = detail::rounding_left(row.size(), rows);
      if (!(settings.ridge > left * most)) {  // otherwise H is not singular
        negligible = left * most;
        lost = left * left * row.squaredNorm();
      }
    }
    ws.d.setConstant(T(0));
    return [&, lost, negligible, before = T(1)](Index) mutable {
      const T rr = ws.r.squaredNorm();
      if (!(rr > lost)) return false;
      ws.d = ws.r + rr / before * ws.d;
      before = rr;
      detail::multiply_hessian(S, settings.ridge, ws.d, ws.Hd);
      const T curvature = ws.d.dot(ws.Hd);
      if (!(curvature > negligible * ws.d.squaredNorm())) return false;
      const T a = rr / curvature;
      ws.v += a * ws.d;
      ws.r -= a * ws.Hd;
      return true;
    };
  }
};

/// Ridge regression itself, M (S + rho I)^{-1} q, by elimination without pivoting on the bordered matrix (10d): f^3 / 6
/// multiplications. A column whose pivot is lost in rounding depends on the columns before it. H = S + rho I is then
/// singular, and the prediction is that of the least W that fits, M H^+ q, the limit of ever smaller penalties: q is
/// projected onto the remaining columns, then eliminated. A pivot is the least w^T H w over combinations w of its
/// column, with weight 1, and those before it. It is lost at (8 f + 2 sqrt(rows)) epsilon sum_i w_i^2 H_ii.
///
/// Of fewer pairs than inputs S has a factor L of that many columns, S = L L^T and M = C L^T, and
///     (72)  M (S + rho I)^{-1} q = C (L^T L + rho I)^{-1} L^T q,
/// which takes r^2 f multiplications for r pairs, and neither more than r columns of S nor the pairs themselves.
struct Elimination {
  template <class T>
  using Settings = RidgeSettings<T>;

  template <class T>
  struct Scratch {
    Scratch(Index inputs, Index targets)
        : bordered(Eigen::MatrixX<T>::Constant((inputs + 1 + targets + chunk - 1) / chunk * chunk, inputs, T(0))),
          multiples(Eigen::VectorX<T>::Constant(bordered.rows(), T(0))),
          basis(Eigen::MatrixX<T>::Constant(inputs, inputs, T(0))),
          projection(Eigen::VectorX<T>::Constant(inputs, T(0))),
          rest(projection) {}

    /// The columns of H, each followed by its entries of q and M and padded to whole chunks. Entries above the diagonal
    /// are not used. After the elimination the diagonal holds the pivots, 0 where a column is left out.
    Eigen::MatrixX<T> bordered;
    Eigen::VectorX<T> multiples;  // of the current column
    Eigen::MatrixX<T> basis;
    Eigen::VectorX<T> projection, rest;
  };

  /// The prediction for S, M and q by elimination, (10d).
  template <class S_, class M_, class Q, class T>
  static Answer<T> solve(const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M, const Eigen::MatrixBase<Q>& q,
                         const RidgeSettings<T>& settings, Scratch<T>& ws, Eigen::VectorX<T>& prediction,
                         const T& rows = T(1)) {
    return solve(S, M, q, Eigen::VectorX<T>::Constant(q.size(), T(1)), settings, ws, prediction, rows);
  }

  /// Solves in units for each coordinate, given as squares s^2: the answer for D S D, M D and D q with D = diag(1 / s),
  /// which is that for S + rho D^{-2}, M and q. Coordinates with s = 0 are left out.
  /// `rank` bounds the rank of S, as the number of pairs in it does; where it is far below f, (72) is used.
  template <class S_, class M_, class Q, class U, class T>
  static Answer<T> solve(const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M, const Eigen::MatrixBase<Q>& q,
                         const Eigen::MatrixBase<U>& squared_units, const RidgeSettings<T>& settings, Scratch<T>& ws,
                         Eigen::VectorX<T>& prediction, const T& rows = T(1),
                         Index rank = (std::numeric_limits<Index>::max)()) {
    const Index f = q.size(), m = M.rows(), height = ws.bordered.rows();
    if constexpr (std::is_floating_point_v<T>)
      if (f >= least_wide && rank <= f / 4 &&
          solve_by_factor(S, M, q, squared_units, settings, ws, prediction, rows, rank))
        return {.ending = Ending::eliminated, .steps = 0, .residual = T(0), .error_bound = T(0)};
    for (Index k = 0; k < f; ++k) {
      T* const column = ws.bordered.col(k).data();
      for (Index i = k / chunk * chunk; i < f; ++i) column[i] = S(i, k);
      column[f] = q[k];
      for (Index i = 0; i < m; ++i) column[f + 1 + i] = M(i, k);
      column[k] += settings.ridge * squared_units[k];
    }
    T* const multiples = ws.multiples.data();
    bool is_singular = false;
    prediction.setConstant(T(0));
    for (Index j = 0; j < f; ++j) {
      T* const column = ws.bordered.col(j).data();
      const bool has_unit = squared_units[j] > T(0);
      const auto H = [&](Index i) { return T(S(i, i) + settings.ridge * squared_units[i]); };
      if (!has_unit || is_lost(j, H, rows, ws)) {
        is_singular |= has_unit;
        column[j] = T(0);
        continue;
      }
      const T inverse = T(1) / column[j];
      for (Index i = j / chunk * chunk; i < height; i += chunk) multiply(multiples + i, inverse, column + i);
      for (Index i = (j + 1) / chunk * chunk; i < height; i += chunk)
        subtract(ws.bordered.col(0).data() + i, height, column + i, multiples, j + 1, (std::min)(f, i + chunk));
      for (Index i = 0; i < m; ++i) prediction[i] += multiples[f] * column[f + 1 + i];
    }
    if (is_singular) answer_projection(q, squared_units, ws, prediction);
    return {.ending = Ending::eliminated, .steps = 0, .residual = T(0), .error_bound = T(0)};
  }

 private:
  // Rows processed at once: one or two vectors of the processor.
  static constexpr Index chunk = 4;
  // Below this number of inputs a factor saves nothing.
  static constexpr Index least_wide = 32;

  /// (72): S = L L^T in the given units with r <= rank columns, each the column of S with the largest remainder, and
  /// M = C L^T. Returns false where more than `rank` columns are left. ws.bordered holds L and beside it the matrix
  /// L^T L + rho I, its factor, and C.
  template <class S_, class M_, class Q, class U, class T>
  static bool solve_by_factor(const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M,
                              const Eigen::MatrixBase<Q>& q, const Eigen::MatrixBase<U>& squared_units,
                              const RidgeSettings<T>& settings, Scratch<T>& ws, Eigen::VectorX<T>& prediction,
                              const T& rows, Index rank) {
    const Index f = q.size(), m = M.rows();
    auto L = ws.bordered.topLeftCorner(f, rank), H = ws.bordered.block(0, rank, rank, rank);
    auto C = ws.bordered.block(0, 2 * rank, rank, 1);
    auto &inverse_units = ws.multiples, &left = ws.rest, &u = ws.projection;
    for (Index j = 0; j < f; ++j) {
      inverse_units[j] = squared_units[j] > T(0) ? T(1) / std::sqrt(squared_units[j]) : T(0);
      left[j] = S(j, j) * inverse_units[j] * inverse_units[j];
    }
    const T lost = detail::rounding_left(f, rows) * left.maxCoeff();
    Index r = 0, pivot = 0;
    for (; left.maxCoeff(&pivot) > lost; ++r) {
      if (r == rank) return false;
      const T root = std::sqrt(left[pivot]);
      for (Index j = 0; j < f; ++j) L(j, r) = S(j, pivot) * inverse_units[pivot] * inverse_units[j];
      for (Index k = 0; k < r; ++k) L.col(r) -= L(pivot, k) * L.col(k);
      L.col(r) /= root;
      left -= L.col(r).cwiseAbs2();
      left[pivot] = T(0);
      ws.basis(0, r) = static_cast<T>(pivot);
    }
    // H = L^T L + rho I = R R^T, and R^-1 L^T q.
    for (Index j = 0; j < r; ++j) {
      for (Index i = j; i < r; ++i) H(i, j) = L.col(i).dot(L.col(j));
      H(j, j) += settings.ridge;
      u[j] = T(0);
      for (Index k = 0; k < f; ++k) u[j] += L(k, j) * inverse_units[k] * q[k];
    }
    for (Index j = 0; j < r; ++j) {
      H.col(j).segment(j, r - j) /= std::sqrt(H(j, j));
      for (Index k = j + 1; k < r; ++k) H.col(k).segment(k, r - k) -= H(k, j) * H.col(j).segment(k, r - k);
      u[j] /= H(j, j);
      u.segment(j + 1, r - j - 1) -= u[j] * H.col(j).segment(j + 1, r - j - 1);
    }
    for (Index j = r; j-- > 0;)
      u[j] = (u[j] - H.col(j).segment(j + 1, r - j - 1).dot(u.segment(j + 1, r - j - 1))) / H(j, j);
    for (Index i = 0; i < m; ++i) {
      prediction[i] = T(0);
      for (Index j = 0; j < r; ++j) {
        const auto p = static_cast<Index>(ws.basis(0, j));
        C(j, 0) = (M(i, p) * inverse_units[p] - L.row(p).head(j).dot(C.col(0).head(j))) / L(p, j);
        prediction[i] += C(j, 0) * u[j];
      }
    }
    return true;
  }

  /// Whether pivot j is lost in rounding; diagonal(i) is H_ii. w is 1 at j, 0 at columns left out, and
  /// w_i = -sum_(k>i) L_ki w_k elsewhere. It is computed only where much has cancelled.
  template <class Diagonal, class T>
  static bool is_lost(Index j, const Diagonal& diagonal, const T& rows, Scratch<T>& ws) {
    const T pivot = ws.bordered(j, j);
    if constexpr (std::is_floating_point_v<T>) {
      T cancelled = diagonal(j);
      if (pivot > std::sqrt(std::sqrt(std::numeric_limits<T>::epsilon())) * cancelled) return false;
      auto& w = ws.projection;
      w[j] = T(1);
      for (Index i = j; i-- > 0;) {
        const T before = ws.bordered(i, i);
        w[i] = before == T(0) ? T(0) : -ws.bordered.col(i).segment(i + 1, j - i).dot(w.segment(i + 1, j - i)) / before;
        cancelled += w[i] * w[i] * diagonal(i);
      }
      return !(pivot > detail::rounding_left(w.size(), rows) * cancelled);
    } else {
      return !(pivot > T(0));
    }
  }

  /// y <- a x, one chunk.
  template <class T>
  static void multiply(T* __restrict y, const T& a, const T* __restrict x) {
    for (Index l = 0; l < chunk; ++l) y[l] = a * x[l];
  }

  /// y_k <- y_k - a_k x for one chunk of each column in [begin, end); columns are `stride` apart.
  template <class T>
  static void subtract(T* y, Index stride, const T* x, const T* a, Index begin, Index end) {
    T kept[chunk];
    for (Index l = 0; l < chunk; ++l) kept[l] = x[l];
    y += begin * stride;
    for (Index k = begin; k < end; ++k, y += stride) {
      const T a_k = a[k];
      for (Index l = 0; l < chunk; ++l) y[l] -= a_k * kept[l];
    }
  }

  /// Runs after an elimination that left out columns. The other columns, below their pivots, span the range of H.
  /// Answers for the projection of q onto this range, in the given units, since the least W has no part outside it.
  template <class Q, class U, class T>
  static void answer_projection(const Eigen::MatrixBase<Q>& q, const Eigen::MatrixBase<U>& squared_units,
                                Scratch<T>& ws, Eigen::VectorX<T>& prediction) {
    const Index f = q.size();
    const auto product = [&](const auto& a, const auto& b) {
      T sum(0);
      for (Index k = 0; k < f; ++k)
        if (squared_units[k] > T(0)) sum += a[k] / squared_units[k] * b[k];
      return sum;
    };
    const auto is_left_out = [&](Index j) { return ws.bordered(j, j) == T(0); };
    ws.projection.setConstant(T(0));
    ws.rest = q;
    for (Index j = 0; j < f; ++j) {
      if (is_left_out(j)) continue;
      auto e = ws.basis.col(j);
      for (Index k = 0; k < f; ++k) e[k] = k < j ? T(0) : ws.bordered(k, j);
      for (int round = 0; round < 2; ++round)  // the second round removes the rounding of the first
        for (Index i = 0; i < j; ++i)
          if (!is_left_out(i)) e -= product(ws.basis.col(i), e) / ws.multiples[i] * ws.basis.col(i);
      ws.multiples[j] = product(e, e);
      const T share = product(e, ws.rest) / ws.multiples[j];
      ws.projection += share * e;
      ws.rest -= share * e;
    }
    prediction.setConstant(T(0));
    for (Index j = 0; j < f; ++j) {
      if (is_left_out(j)) continue;
      const T share = ws.projection[j] / ws.bordered(j, j);
      for (Index k = j + 1; k < f; ++k) ws.projection[k] -= share * ws.bordered(k, j);
      for (Index i = 0; i < prediction.size(); ++i) prediction[i] += share * ws.bordered(f + 1 + i, j);
    }
  }
};

}  // namespace gdssm
