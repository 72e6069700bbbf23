// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/tasks/linear_regression.hpp"

// The best step size of gradient descent and its expected loss, without a scan.
//
// One step of size a from W_0 = 0 predicts a task W* by yhat = a M q, where S = sum x_i x_i^T, M = sum y_i x_i^T and
// y_i = W* x_i plus noise. Averaged over tasks, contexts and queries, the loss 1/2 |yhat - W* q|^2 is a parabola in a,
// whose coefficients depend only on E S and E S^2:
//
//     per output   1/2 [ w2 tr Sigma - 2 a w2 tr(E S Sigma) + a^2 tr(D Sigma) ],     D = w2 E S^2 + e2 E S
//
// with Sigma = E q q^T, w2 the variance of the entries of W* and e2 that of the labels' noise. A matrix P between M and
// q may replace a; dividing by a number then becomes multiplying by D^-1. Two types give these moments: `LinearTask`
// describes inputs whose coordinates are all alike by scalars, `ContextMoments` any inputs by matrices.
//
//     best_step(LinearTask<>{.features = 10, .context = 10, .inputs = uniform_inputs(1.0)})     // 0.606
//
// Step sizes are effective ones, a = eta / f for the paper's learning rate eta. T defaults to double; exact rationals
// work too, since nothing here takes a root.

namespace gdssm {

/// The moments E x^2 and E x^4 of one input coordinate of mean zero. The third moment cancels.
template <class T = double>
struct InputMoments {
  T variance;  ///< s2
  T fourth;    ///< m4, at least s2^2
};

/// Tasks y_i = W* x_i + noise_i, i = 1..N, with a noiseless query W* x_{N+1}. All input coordinates are independent
/// with the same moments. The entries of W*, the labels' noise and the distractors are independent with mean zero.
template <class T = double>
struct LinearTask {
  Index features;                ///< f
  Index context;                 ///< N, pairs before the query
  InputMoments<T> inputs;        ///< of every coordinate of every x_i, the query's too
  T weight_variance = T(1);      ///< w2, of the entries of W*
  T noise_variance = T(0);       ///< e2, of the noise on each label that is not a distractor
  Index distractors = 0;         ///< k of the N labels, at uniformly drawn positions, are pure noise ...
  T distractor_variance = T(1);  ///< ... of this variance v
};

template <class T>
LinearTask(Index, Index, InputMoments<T>) -> LinearTask<T>;

/// Moments of a context whose input coordinates differ or depend on each other, all f x f and symmetric. For your own
/// data, use averages over contexts.
template <class T = double>
struct ContextMoments {
  Eigen::MatrixX<T> input_covariance;  ///< Sigma = E x x^T
  Eigen::MatrixX<T> mean_S;            ///< E S
  Eigen::MatrixX<T> mean_S2;           ///< E S^2
};

namespace detail {

template <class T>
bool is_finite(const T& value) {
  return value - value == T(0);
}

template <class T>
void expect_variance(const char* where, const char* what, const T& value) {
  if (!(value >= T(0)) || !is_finite(value)) refuse(where, what, " is ", value, ", expected a finite number >= 0");
}

template <class T>
void expect_moments(const char* where, const InputMoments<T>& inputs) {
  expect_variance(where, "variance", inputs.variance);
  expect_variance(where, "fourth moment", inputs.fourth);
  // Jensen: E x^4 >= (E x^2)^2. The slack allows for moments from rounded arithmetic; for rationals it is 0.
  const T least = inputs.variance * inputs.variance * (T(1) - T(8) * Eigen::NumTraits<T>::epsilon());
  if (inputs.fourth < least) {
    refuse(where, "fourth moment is ", inputs.fourth, ", expected at least the squared variance, ",
           inputs.variance * inputs.variance);
  }
}

inline void expect_positive(const char* where, const char* what, Index size) {
  if (size < 1) refuse(where, what, " is ", size, ", expected at least 1");
}

template <class T>
void expect_task(const char* where, const LinearTask<T>& task) {
  expect_positive(where, "features", task.features);
  expect_positive(where, "context", task.context);
  expect_moments(where, task.inputs);
  expect_variance(where, "weight variance", task.weight_variance);
  expect_variance(where, "noise variance", task.noise_variance);
  expect_variance(where, "distractor variance", task.distractor_variance);
  if (task.distractors < 0 || task.distractors > task.context) {
    refuse(where, "distractors is ", task.distractors, ", expected 0 to the context's ", task.context);
  }
}

template <class T>
void expect_square(const char* where, const char* what, const Eigen::MatrixX<T>& matrix, Index size) {
  if (matrix.rows() != size || matrix.cols() != size) {
    refuse(where, what, " is ", matrix.rows(), " x ", matrix.cols(), ", expected ", size, " x ", size);
  }
  expect_finite(where, what, matrix);
}

template <class T>
void expect_moments(const char* where, const ContextMoments<T>& moments) {
  const Index f = moments.input_covariance.rows();
  expect_positive(where, "features", f);
  expect_square(where, "input_covariance", moments.input_covariance, f);
  expect_square(where, "mean_S", moments.mean_S, f);
  expect_square(where, "mean_S2", moments.mean_S2, f);
}

/// Refuses a matrix that is not symmetric or has a correlation above one: checks the 2 x 2 minors of a covariance.
template <class T>
void expect_covariance(const char* where, const Eigen::MatrixX<T>& covariance) {
  expect_positive(where, "features", covariance.rows());
  expect_square(where, "covariance", covariance, covariance.rows());
  const T slack = Eigen::NumTraits<T>::dummy_precision();
  for (Index i = 0; i < covariance.rows(); ++i) expect_variance(where, "variance", covariance(i, i));
  for (Index i = 0; i < covariance.rows(); ++i) {
    for (Index j = 0; j < i; ++j) {
      const T lower = covariance(i, j), upper = covariance(j, i), most = covariance(i, i) * covariance(j, j);
      const T difference = lower - upper;
      if (difference * difference > slack * slack * most) {
        refuse(where, "covariance (", i, ", ", j, ") is ", lower, " and (", j, ", ", i, ") is ", upper,
               ", expected a symmetric matrix");
      }
      if (lower * lower > most * (T(1) + slack)) {
        refuse(where, "covariance (", i, ", ", j, ") is ", lower, ", too large for variances ", covariance(i, i),
               " and ", covariance(j, j));
      }
    }
  }
}

/// The loss as a function of the step, 1/2 (constant - 2 a linear + a^2 quadratic).
template <class T>
struct StepLoss {
  T constant, linear, quadratic;

  T at(const char* where, const T& a) const {
    if (!is_finite(a)) refuse(where, "step is ", a, ", expected a finite number");
    return (constant - T(2) * a * linear + a * a * quadratic) / T(2);
  }
  T best(const char* where) const {
    if (!(quadratic > T(0))) refuse(where, "no step loses less than all others, expected inputs and labels that vary");
    return linear / quadratic;
  }
};

/// The positions of a context as far as the loss depends on them, as expected numbers.
template <class T>
struct Positions {
  T clean;        ///< labels that are not distractors
  T clean_pairs;  ///< ordered pairs of two of them
  T distractors;
};

/// All N positions.
template <class T>
Positions<T> whole_context(const LinearTask<T>& task) {
  const Index clean = task.context - task.distractors;
  return {static_cast<T>(clean), static_cast<T>(clean) * static_cast<T>(clean - 1), static_cast<T>(task.distractors)};
}

/// The first t positions, averaged over t = 1..N. They contain a label with probability t / N, on average (N + 1) / 2N,
/// and two labels with probability t (t - 1) / (N (N - 1)), on average (N + 1) / 3N.
template <class T>
Positions<T> mean_prefix(const LinearTask<T>& task) {
  const Positions<T> whole = whole_context(task);
  const T share = static_cast<T>(task.context + 1) / static_cast<T>(task.context);
  return {whole.clean * share / T(2), whole.clean_pairs * share / T(3), whole.distractors * share / T(2)};
}

/// E S = clean s2 I and E S^2 = clean (m4 + (f - 1) s2^2) I + clean_pairs s2^2 I; distractors count as noise.
template <class T>
StepLoss<T> step_loss(const LinearTask<T>& task, const Positions<T>& positions) {
  const T s2 = task.inputs.variance, w2 = task.weight_variance;
  const T query = static_cast<T>(task.features) * s2;                              // E |q|^2
  const T one = task.inputs.fourth + static_cast<T>(task.features - 1) * s2 * s2;  // (E (x x^T)^2)_jj
  const T noise = (positions.clean * task.noise_variance + positions.distractors * task.distractor_variance) * s2;
  return {.constant = w2 * query,
          .linear = w2 * query * positions.clean * s2,
          .quadratic = query * (w2 * (positions.clean * one + positions.clean_pairs * s2 * s2) + noise)};
}

/// tr(A B) for symmetric B.
template <class A, class B>
typename A::Scalar trace_of_product(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
  return a.cwiseProduct(b).sum();
}

/// D = w2 E S^2 + e2 E S
template <class T>
Eigen::MatrixX<T> noisy_mean_S2(const char* where, const ContextMoments<T>& moments, const T& weight_variance,
                                const T& noise_variance) {
  expect_moments(where, moments);
  expect_variance(where, "weight variance", weight_variance);
  expect_variance(where, "noise variance", noise_variance);
  return weight_variance * moments.mean_S2 + noise_variance * moments.mean_S;
}

/// The loss of yhat = a M P q as a parabola in a.
template <class T>
StepLoss<T> step_loss(const char* where, const ContextMoments<T>& moments, const Eigen::MatrixX<T>& P,
                      const T& weight_variance, const T& noise_variance) {
  const Eigen::MatrixX<T> D = noisy_mean_S2(where, moments, weight_variance, noise_variance);
  expect_square(where, "P", P, D.rows());
  const Eigen::MatrixX<T> P_Sigma = P * moments.input_covariance, D_P = D * P;
  return {.constant = weight_variance * moments.input_covariance.trace(),
          .linear = weight_variance * trace_of_product(P_Sigma, moments.mean_S),
          .quadratic = D_P.cwiseProduct(P_Sigma).sum()};
}

template <class T>
StepLoss<T> step_loss(const char* where, const ContextMoments<T>& moments, const T& weight_variance,
                      const T& noise_variance) {
  const Eigen::MatrixX<T> D = noisy_mean_S2(where, moments, weight_variance, noise_variance);
  return {.constant = weight_variance * moments.input_covariance.trace(),
          .linear = weight_variance * trace_of_product(moments.mean_S, moments.input_covariance),
          .quadratic = trace_of_product(D, moments.input_covariance)};
}

/// Solves A X = B by elimination, for A symmetric positive semidefinite and the columns of B in A's range. What is left
/// of a diagonal entry is measured relative to the entry itself, so units do not matter. When nothing above rounding is
/// left, the remaining coordinates depend on the eliminated ones, and their rows of X are zero; continuing would divide
/// by rounding. Exact over rationals.
template <class T>
Eigen::MatrixX<T> solve_semidefinite(const char* where, const Eigen::MatrixX<T>& A, Eigen::MatrixX<T> B) {
  const Index f = A.rows();
  const T largest = A.cwiseAbs().maxCoeff();
  Eigen::MatrixX<T> left = A.template selfadjointView<Eigen::Lower>(), L(f, f), X = B;
  X.setZero();
  if (largest == T(0)) return X;
  Eigen::VectorX<T> unit = A.diagonal();
  for (T& u : unit)
    if (!(u > T(0))) u = largest;

  const T rounding = T(2) * static_cast<T>(f) * Eigen::NumTraits<T>::epsilon();
  std::vector<Index> pivots;
  for (;;) {
    const Eigen::VectorX<T> share = left.diagonal().cwiseQuotient(unit);
    const T most = share.maxCoeff();
    if (!(most > rounding)) break;
    // Of the shares within a factor of 4 of the largest, which hardly spreads rounding, takes the largest entry.
    Index k = 0;
    (T(4) * share.array() >= most).select(left.diagonal(), T(0)).maxCoeff(&k);
    const Eigen::RowVectorX<T> row = left.row(k), b = B.row(k);
    auto column = L.col(static_cast<Index>(pivots.size()));
    column = row.transpose() / row[k];
    left.noalias() -= column * row;
    B.noalias() -= column * b;
    X.row(k) = b / row[k];
    left.row(k).setZero();
    left.col(k).setZero();
    column[k] = T(0);
    pivots.push_back(k);
  }
  // Where A is semidefinite, the diagonal of the remainder bounds its other entries.
  const T slack = (std::max)(Eigen::NumTraits<T>::dummy_precision(), T(64) * rounding);
  for (Index j = 0; j < f; ++j)
    for (Index i = j; i < f; ++i)
      if (!((left(i, j) / unit[i]) * (left(i, j) / unit[j]) <= slack * slack))
        refuse(where, "mean_S2 has a negative eigenvalue, expected a positive semidefinite matrix");

  for (auto n = static_cast<Index>(pivots.size()); n-- > 0;) {
    const Eigen::RowVectorX<T> later = L.col(n).transpose() * X;
    X.row(pivots[static_cast<std::size_t>(n)]) -= later;
  }
  return X;
}

}  // namespace detail

/// Uniform on [-range/2, range/2]: s2 = range^2 / 12, m4 = range^4 / 80.
/// Errors  std::invalid_argument, here and below: a range or variance that is negative or not finite
template <class T = double>
InputMoments<T> uniform_inputs(const std::type_identity_t<T>& range) {
  detail::expect_variance("uniform_inputs", "range", range);
  const T square = range * range;
  return {square / T(12), square * square / T(80)};
}

/// Normal: m4 = 3 s2^2.
template <class T = double>
InputMoments<T> normal_inputs(const std::type_identity_t<T>& variance) {
  detail::expect_variance("normal_inputs", "variance", variance);
  return {variance, T(3) * variance * variance};
}

/// Laplace: m4 = 6 s2^2.
template <class T = double>
InputMoments<T> laplace_inputs(const std::type_identity_t<T>& variance) {
  detail::expect_variance("laplace_inputs", "variance", variance);
  return {variance, T(6) * variance * variance};
}

/// Exponential, shifted to mean zero: m4 = 9 s2^2.
template <class T = double>
InputMoments<T> exponential_inputs(const std::type_identity_t<T>& variance) {
  detail::expect_variance("exponential_inputs", "variance", variance);
  return {variance, T(9) * variance * variance};
}

/// (8)  a* = n w2 s2 / ( n w2 (m4 + (f + n - 2) s2^2) + (n e2 + k v) s2 ),   n = N - k
/// The step of least loss after the whole context; without noise and distractors s2 / (m4 + (f + N - 2) s2^2).
/// Errors  std::invalid_argument: sizes below 1, impossible moments (a negative variance, a fourth moment below the
///         squared variance, NaN or infinity), k outside 0..N, tasks on which every step loses the same
/// Source  arXiv:2410.11687v1 scans for this step; f = N = 10 on [-1/2, 1/2]: a* = 0.60606
template <class T>
T best_step(const LinearTask<T>& task) {
  detail::expect_task("best_step", task);
  return detail::step_loss(task, detail::whole_context(task)).best("best_step");
}

/// (9)  1/2 f s2 ( w2 (1 - 2 a n s2 + a^2 n (m4 + (f + n - 2) s2^2)) + a^2 (n e2 + k v) s2 ),   n = N - k
/// The loss per output of one step of size a, expected over tasks, contexts and queries.
/// Errors  as `best_step`'s, and a step that is not finite
template <class T>
T expected_loss(const LinearTask<T>& task, const std::type_identity_t<T>& step) {
  detail::expect_task("expected_loss", task);
  return detail::step_loss(task, detail::whole_context(task)).at("expected_loss", step);
}

/// (8) for a loss at every position: the single step that minimises the sum over t = 1..N of the losses of predicting
/// W* x_{t+1} from the first t pairs. Without noise and distractors s2 sum t / sum t (m4 + (f + t - 2) s2^2).
/// Errors  as `best_step`'s
template <class T>
T best_step_all_positions(const LinearTask<T>& task) {
  detail::expect_task("best_step_all_positions", task);
  return detail::step_loss(task, detail::mean_prefix(task)).best("best_step_all_positions");
}

/// The mean over t = 1..N of (9) after t pairs, which `best_step_all_positions` minimises; per output and position.
/// Errors  as `expected_loss`'s
template <class T>
T expected_loss_all_positions(const LinearTask<T>& task, const std::type_identity_t<T>& step) {
  detail::expect_task("expected_loss_all_positions", task);
  return detail::step_loss(task, detail::mean_prefix(task)).at("expected_loss_all_positions", step);
}

/// Contexts of N independent normal x_i ~ N(0, Sigma):  E S = N Sigma,  E S^2 = N ((N + 1) Sigma^2 + tr(Sigma) Sigma),
/// since E x x^T x x^T = 2 Sigma^2 + tr(Sigma) Sigma (Isserlis) and E x_i x_i^T x_j x_j^T = Sigma^2.
/// Errors  std::invalid_argument: Sigma empty, not square, not finite, not symmetric, with a negative variance or a
///         correlation above 1; N below 1
template <class Derived>
ContextMoments<typename Derived::Scalar> gaussian_context(const Eigen::MatrixBase<Derived>& Sigma, Index context) {
  using T = typename Derived::Scalar;
  ContextMoments<T> moments{.input_covariance = Sigma, .mean_S = {}, .mean_S2 = {}};
  const Eigen::MatrixX<T>& C = moments.input_covariance;
  detail::expect_covariance("gaussian_context", C);
  detail::expect_positive("gaussian_context", "context", context);
  const T N = static_cast<T>(context);
  moments.mean_S = N * C;
  moments.mean_S2.noalias() = C * C;
  moments.mean_S2 = N * (N + T(1)) * moments.mean_S2 + N * C.trace() * C;
  return moments;
}

/// Contexts of N independent x_i with independent coordinates, of which coordinate j has the moments inputs[j]:
/// E S = N Sigma,  E S^2 = N (diag(m4_j + s2_j (tr Sigma - s2_j)) + (N - 1) Sigma^2),  Sigma = diag(s2_j).
/// (E (x x^T)^2 has the entries sum_l E x_j x_l^2 x_k: m4_j for l = j = k, s2_j s2_l for j = k != l, and 0 otherwise,
/// since coordinates have mean zero.)
/// Errors  std::invalid_argument: no inputs, impossible moments, N below 1
template <class T>
ContextMoments<T> independent_context(const std::vector<InputMoments<T>>& inputs, Index context) {
  const auto f = static_cast<Index>(inputs.size());
  detail::expect_positive("independent_context", "features", f);
  detail::expect_positive("independent_context", "context", context);
  Eigen::VectorX<T> s2(f), m4(f);
  for (Index j = 0; j < f; ++j) {
    const InputMoments<T>& coordinate = inputs[static_cast<std::size_t>(j)];
    detail::expect_moments("independent_context", coordinate);
    s2[j] = coordinate.variance;
    m4[j] = coordinate.fourth;
  }
  const T N = static_cast<T>(context);
  const Eigen::VectorX<T> one = m4 + s2.sum() * s2 - s2.cwiseProduct(s2);
  const Eigen::VectorX<T> mean_S = N * s2, mean_S2 = N * (one + (N - T(1)) * s2.cwiseProduct(s2));
  return {.input_covariance = s2.asDiagonal(), .mean_S = mean_S.asDiagonal(), .mean_S2 = mean_S2.asDiagonal()};
}

/// The same from vectors of variances and fourth moments.
/// Errors  as above, and vectors of different lengths
template <class Variances, class Fourths>
ContextMoments<typename Variances::Scalar> independent_context(const Eigen::MatrixBase<Variances>& variances,
                                                               const Eigen::MatrixBase<Fourths>& fourth_moments,
                                                               Index context) {
  EIGEN_STATIC_ASSERT_VECTOR_ONLY(Variances)
  EIGEN_STATIC_ASSERT_VECTOR_ONLY(Fourths)
  expect_equal("independent_context", "number of fourth moments", fourth_moments.size(), variances.size());
  std::vector<InputMoments<typename Variances::Scalar>> inputs;
  for (Index j = 0; j < variances.size(); ++j) inputs.push_back({variances[j], fourth_moments[j]});
  return independent_context(inputs, context);
}

/// (8a)  a* = w2 tr(E S Sigma) / tr(D Sigma),   D = w2 E S^2 + e2 E S
/// The step of yhat = a M q with the least loss after contexts of these moments.
/// Errors  std::invalid_argument: matrices that are empty, not f x f or not finite, negative variances, moments for
///         which every step loses the same
template <class T>
T best_step(const ContextMoments<T>& moments, const std::type_identity_t<T>& weight_variance = T(1),
            const std::type_identity_t<T>& noise_variance = T(0)) {
  return detail::step_loss("best_step", moments, weight_variance, noise_variance).best("best_step");
}

/// (8a)  P* = D^{-1} w2 E S,   D = w2 E S^2 + e2 E S
/// The matrix P (f x f) of yhat = M P q with the least loss; without noise (E S^2)^{-1} E S, and for normal inputs
/// ((N + 1) Sigma + tr(Sigma) I)^{-1}. It does not depend on the query's Sigma. D is singular where inputs never span
/// some direction (a constant feature, collinear features); then every solution of D P = w2 E S has the same loss, and
/// this returns one of them. In floating point D counts as singular where 2 f epsilon or less is left of it, relative
/// to its own diagonal entries.
/// Errors  std::invalid_argument: as `best_step`'s but the last, and an E S^2 that is not positive semidefinite
template <class T>
Eigen::MatrixX<T> best_preconditioner(const ContextMoments<T>& moments,
                                      const std::type_identity_t<T>& weight_variance = T(1),
                                      const std::type_identity_t<T>& noise_variance = T(0)) {
  const Eigen::MatrixX<T> D = detail::noisy_mean_S2("best_preconditioner", moments, weight_variance, noise_variance);
  return detail::solve_semidefinite<T>("best_preconditioner", D, weight_variance * moments.mean_S);
}

/// The diagonal p (f) of yhat = M diag(p) q with the least loss: the solution of
///     (D * Sigma) p = w2 diag(Sigma E S),     * elementwise,
/// since tr(E S P Sigma) = p . diag(Sigma E S) and tr(P D P Sigma) = p^T (D * Sigma) p. Unlike P* it depends on Sigma.
/// For independent coordinates both are diagonal and equal.
/// Errors  as `best_preconditioner`'s
template <class T>
Eigen::VectorX<T> best_diagonal_preconditioner(const ContextMoments<T>& moments,
                                               const std::type_identity_t<T>& weight_variance = T(1),
                                               const std::type_identity_t<T>& noise_variance = T(0)) {
  const Eigen::MatrixX<T> D =
      detail::noisy_mean_S2("best_diagonal_preconditioner", moments, weight_variance, noise_variance);
  const Eigen::MatrixX<T> D_Sigma = D.cwiseProduct(moments.input_covariance);
  const Eigen::MatrixX<T> b = weight_variance * moments.input_covariance.cwiseProduct(moments.mean_S).rowwise().sum();
  return detail::solve_semidefinite("best_diagonal_preconditioner", D_Sigma, b);
}

/// (9) for these moments:  1/2 [ w2 tr Sigma - 2 a w2 tr(E S Sigma) + a^2 tr(D Sigma) ],   D = w2 E S^2 + e2 E S
/// The loss per output of yhat = a M q, expected over tasks, contexts and queries.
/// Errors  as `best_step`'s but the last, and a step that is not finite
template <class T>
T expected_loss(const ContextMoments<T>& moments, const std::type_identity_t<T>& step,
                const std::type_identity_t<T>& weight_variance = T(1),
                const std::type_identity_t<T>& noise_variance = T(0)) {
  return detail::step_loss("expected_loss", moments, weight_variance, noise_variance).at("expected_loss", step);
}

/// (9) for yhat = M P q, P f x f:  1/2 [ w2 tr Sigma - 2 w2 tr(E S P Sigma) + tr(P^T D P Sigma) ]
/// A diagonal p is passed as p.asDiagonal().
/// Errors  as above, and a P that is not f x f or not finite
template <class T>
T expected_loss(const ContextMoments<T>& moments, const std::type_identity_t<Eigen::MatrixX<T>>& P,
                const std::type_identity_t<T>& weight_variance = T(1),
                const std::type_identity_t<T>& noise_variance = T(0)) {
  return detail::step_loss("expected_loss", moments, P, weight_variance, noise_variance).at("expected_loss", T(1));
}

// The same for task distributions, which need to be declared only once. These are templates, so that nothing is
// compiled unless it is used.
namespace detail {

template <class Tasks>
concept RegressionTasks = std::is_same_v<Tasks, LinearRegression>;

}  // namespace detail

/// The moments of one input coordinate of a regression's tasks, (9): its law's, with variance range^2 / 12, times
/// `scale`.
inline InputMoments<double> input_moments(const LinearRegression& tasks, double scale = 1) {
  const double variance = tasks.range * tasks.range * scale * scale / 12;
  switch (tasks.inputs) {
    case InputLaw::uniform:
      return uniform_inputs(tasks.range * scale);
    case InputLaw::normal:
      return normal_inputs(variance);
    case InputLaw::laplace:
      return laplace_inputs(variance);
    case InputLaw::exponential:
      return exponential_inputs(variance);
  }
  refuse("input_moments", "the law of the inputs is unknown");
}

/// The theory's description of a regression's tasks.
/// Errors  std::invalid_argument: tasks that refuse their own options, inputs of unequal scales (use `moments_of`)
template <detail::RegressionTasks Tasks>
LinearTask<double> theory_of(const Tasks& tasks) {
  tasks.check();
  if (tasks.scales.size() > 0) refuse("theory_of", "inputs have scales of their own, expected inputs that are alike");
  return {tasks.features,
          tasks.context,
          input_moments(tasks),
          tasks.weight_scale * tasks.weight_scale,
          tasks.label_noise * tasks.label_noise,
          tasks.distractors,
          1.0};
}

/// The same for inputs of any scales, (8a).
/// Errors  std::invalid_argument: tasks that refuse their own options, distractors
template <detail::RegressionTasks Tasks>
ContextMoments<double> moments_of(const Tasks& tasks) {
  tasks.check();
  expect_equal("moments_of", "the number of distractors", tasks.distractors, Index(0));
  std::vector<InputMoments<double>> inputs;
  for (Index j = 0; j < tasks.features; ++j)
    inputs.push_back(input_moments(tasks, tasks.scales.size() > 0 ? tasks.scales[j] : 1.0));
  return independent_context(inputs, tasks.context);
}

/// The step of least loss on these tasks: (8), or (8a) for inputs of unequal scales.
/// Errors  those of `theory_of` and `moments_of`
template <detail::RegressionTasks Tasks>
double best_step(const Tasks& tasks) {
  if (tasks.scales.size() == 0) return best_step(theory_of(tasks));
  return best_step(moments_of(tasks), tasks.weight_scale * tasks.weight_scale, tasks.label_noise * tasks.label_noise);
}

/// (9): the loss per output of one step of size a on these tasks.
/// Errors  those of `theory_of` and `moments_of`
template <detail::RegressionTasks Tasks>
double expected_loss(const Tasks& tasks, double step) {
  if (tasks.scales.size() == 0) return expected_loss(theory_of(tasks), step);
  return expected_loss(moments_of(tasks), step, tasks.weight_scale * tasks.weight_scale,
                       tasks.label_noise * tasks.label_noise);
}

}  // namespace gdssm
