// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/tasks/targets.hpp"

namespace gdssm {

/// The canonical form of a layer. A and C can exchange a factor without a change of the layer's function, and so can d
/// and C. In canonical form A is A / (|A|_F sgn A_01), d is d / (|d| sgn d_2), and C is multiplied by both divisors.
/// Shapes  A (Width x Width), d (Width), C and L (f x f)
/// Source  docs/theory.md, canonical form
template <class T>
struct CanonicalForm {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

  Matrix A;  ///< |A|_F = 1, A_01 >= 0
  Vector d;  ///< |d| = 1, d_2 >= 0
  Matrix C;  ///< C times both divisors
  Matrix L;  ///< the decays, which do not change
};

/// The distance of a canonical form from the gradient step (7), and its effective step a = eta / f. For vector targets
/// a = -tr(C) / f. For scalar targets a = -C_{ff}, and only C's last row and L's last column are compared, because the
/// other entries have no effect.
template <class T>
struct StepDistance {
  T step;   ///< a
  T A;      ///< |A - e_0 e_1^T|_F
  T d;      ///< |d - e_2|
  T C;      ///< vector: |C / a + I|_F / sqrt(f); scalar: |C_f / a + e_f^T|
  T decay;  ///< max |L - 1|
};

/// Weights of the same function in canonical form. The recurrence's weights do not change.
/// Errors  std::invalid_argument: A or d is zero, windows of other than three tokens
template <class Parameters>
Parameters canonicalised(Parameters p) {
  using T = typename std::remove_cvref_t<decltype(p.readout.C)>::Scalar;
  if (p.attention.A.rows() != 3 || p.gate.d.size() != 3)
    refuse("canonical_form", "windows have ", p.gate.d.size(), " tokens, expected 3: x_t, y_t and x_{t+1}");
  const T norm_A = p.attention.A.norm(), norm_d = p.gate.d.norm();
  if (!(norm_A > T(0)) || !(norm_d > T(0)))
    refuse("canonical_form", "|A| is ", norm_A, " and |d| is ", norm_d, ", expected both positive");
  const T factor_A = p.attention.A(0, 1) < T(0) ? -norm_A : norm_A;
  const T factor_d = p.gate.d[2] < T(0) ? -norm_d : norm_d;
  p.attention.A /= factor_A;
  p.gate.d /= factor_d;
  p.readout.C *= factor_A * factor_d;
  return p;
}

/// The canonical form of a layer's weights.
/// Errors  std::invalid_argument: A or d is zero; static_assert: windows of other than three tokens
template <class Layer, class Parameters>
auto canonical_form(const Layer& layer, const Parameters& p) {
  static_assert(Layer::Window::width == 3, "canonical_form: the window must have three tokens, x_t, y_t and x_{t+1}");
  using T = typename std::remove_cvref_t<decltype(p.readout.C)>::Scalar;
  const Parameters canonical = canonicalised(p);
  const auto c = layer.prepare(p);
  return CanonicalForm<T>{canonical.attention.A, canonical.gate.d, canonical.readout.C,
                          c.recurrence.decay.matrix().transpose()};
}

namespace detail {

template <class T>
StepDistance<T> step_distance(const CanonicalForm<T>& form, const T& step, const T& C, const T& decay) {
  auto A = form.A;
  auto d = form.d;
  A(0, 1) -= T(1);
  d[2] -= T(1);
  return {step, A.norm(), d.norm(), C, decay};
}

}  // namespace detail

/// Distances from the gradient step for vector targets.
template <class T>
StepDistance<T> distance_from_step(const CanonicalForm<T>& form, VectorTargets) {
  using std::sqrt;
  const T f = T(form.C.rows()), step = -form.C.trace() / f;
  const auto identity = CanonicalForm<T>::Matrix::Identity(form.C.rows(), form.C.cols());
  return detail::step_distance(form, step, T((form.C / step + identity).norm() / sqrt(f)),
                               (form.L.array() - T(1)).abs().maxCoeff());
}

/// Distances from the gradient step for scalar targets.
template <class T>
StepDistance<T> distance_from_step(const CanonicalForm<T>& form, ScalarTargets) {
  const Index last = form.C.rows() - 1;
  const T step = -form.C(last, last);
  typename CanonicalForm<T>::Vector row = form.C.row(last).transpose() / step;
  row[last] += T(1);
  return detail::step_distance(form, step, T(row.norm()), (form.L.col(last).array() - T(1)).abs().maxCoeff());
}

}  // namespace gdssm
