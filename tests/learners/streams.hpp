// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <Eigen/Core>

#include "gdssm/core/view.hpp"
#include "support/exact.hpp"
#include "support/random.hpp"

namespace gdssm::test {

/// A stream of pairs, one a column.
struct Stream {
  Eigen::MatrixXd x, y;

  Index rows() const { return x.cols(); }
};

/// y = W x + noise, columns correlated.
inline Stream linear_stream(Index inputs, Index targets, Index rows, std::uint64_t seed, double noise = 0.1) {
  Random random(seed);
  Eigen::MatrixXd W(targets, inputs), mix(inputs, inputs), z(inputs, rows), errors(targets, rows);
  for (Eigen::MatrixXd* matrix : {&W, &mix, &z, &errors}) random.fill(*matrix);
  const Eigen::MatrixXd x = z + mix * z;
  return {x, W * x + noise * errors};
}

/// Small integers, in which sums, products and shifts by powers of two are exact.
inline Stream integer_stream(Index inputs, Index targets, Index rows, std::uint64_t seed) {
  Engine engine(seed);
  Stream stream{Eigen::MatrixXd(inputs, rows), Eigen::MatrixXd(targets, rows)};
  for (double& x : stream.x.reshaped()) x = random_integer(engine, 9);
  for (double& y : stream.y.reshaped()) y = random_integer(engine, 9);
  return stream;
}

/// The predictions, each made before its target is observed.
template <class Learner>
Eigen::MatrixXd predictions_of(Learner& learner, const Stream& stream) {
  Eigen::MatrixXd predictions(stream.y.rows(), stream.rows());
  for (Index t = 0; t < stream.rows(); ++t) {
    predictions.col(t) = learner.predict(stream.x.col(t));
    learner.observe(stream.x.col(t), stream.y.col(t));
  }
  return predictions;
}

/// Largest difference, in units of the largest entry of the second.
inline double difference(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b) {
  return (a - b).cwiseAbs().maxCoeff() / b.cwiseAbs().maxCoeff();
}

}  // namespace gdssm::test
