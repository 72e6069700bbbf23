// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/regression.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <Eigen/Dense>

#include "io/support.hpp"
#include "learners/streams.hpp"
#include "support/catch.hpp"
#include "support/exact.hpp"
#include "support/no_heap.hpp"
#include "support/random.hpp"

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/horner_steps.hpp"
#include "gdssm/learners/scaling.hpp"

namespace gdssm {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::difference;
using test::Engine;
using test::ExactContext;
using test::ExactLayer;
using test::integer_stream;
using test::linear_stream;
using test::message_of;
using test::predictions_of;
using test::Rational;
using test::Stream;

MatrixXd predictions_of(const Stream& stream, DescentSettings<> settings = {}) {
  GradientDescentLearner<> learner(stream.x.rows(), stream.y.rows(), settings);
  return predictions_of(learner, stream);
}

/// Standardised rows of the first t pairs, and query t, by the definitions: two passes over the data.
struct Explicit {
  VectorXd mean_target, q;
  MatrixXd S, M;

  Explicit(const Stream& stream, Index t) {
    const auto n = static_cast<double>(t);
    const VectorXd mean = stream.x.leftCols(t).rowwise().mean();
    mean_target = stream.y.leftCols(t).rowwise().mean();
    const MatrixXd all = stream.x.leftCols(t + 1).colwise() - stream.x.leftCols(t + 1).rowwise().mean();
    const VectorXd scale = (all.rowwise().squaredNorm() / (n + 1)).cwiseSqrt();
    const VectorXd inverse = (scale.array() > 0).select(scale.cwiseInverse(), 0.0);
    const MatrixXd z = inverse.asDiagonal() * (stream.x.leftCols(t).colwise() - mean);
    q = inverse.asDiagonal() * (stream.x.col(t) - mean);
    S = z * z.transpose();
    M = (stream.y.leftCols(t).colwise() - mean_target) * z.transpose();
  }
  VectorXd after_steps(Index steps, double rho) const {
    MatrixXd W = MatrixXd::Zero(M.rows(), M.cols());
    const double bound = largest_eigenvalue_bound(S) + rho, a = bound > 0 ? 1 / bound : 0;
    for (Index k = 0; k < steps; ++k) W -= a * (W * S - M + rho * W);
    return mean_target + W * q;
  }
  VectorXd ridge(double rho) const {
    const MatrixXd H = S + rho * MatrixXd::Identity(S.rows(), S.cols());
    return mean_target + M * H.ldlt().solve(q);
  }
};

/// Z_t^T of the layer with the closed form's weights but attention A = e_0 e_row^T.
template <class Layer, class T>
Eigen::MatrixX<T> layer_state(const Layer& layer, Index row, const Eigen::MatrixX<T>& tokens) {
  auto p = gradient_step(layer, T(1));
  p.attention.A.setConstant(T(0));
  p.attention.A(0, row) = T(1);
  const auto c = layer.prepare(p);
  auto state = layer.template initial_state<T>();
  auto ws = layer.template workspace<T>();
  Array<T> prediction(layer.output_count(), 1);
  for (Index i = 0; i < tokens.cols(); ++i)
    layer.step(c, View<const T>(tokens.data() + i * tokens.rows(), tokens.rows(), 1).column(0), state,
               prediction.view().column(0), ws);
  return state.recurrence.memory.matrix();
}

TEST_CASE("Theorem: the learner's sums are the states of the layers with A = e_0 e_0^T and A = e_0 e_1^T",
          "[theorem]") {
  for (const Index f : {1, 3, 6}) {
    const Stream stream = integer_stream(f, f, 20, 1);
    GradientDescentLearner<double, AsGiven> learner(f, f);
    predictions_of(learner, stream);
    MatrixXd inputs(f, 21);
    inputs << stream.x, VectorXd::Ones(f);
    const MatrixXd tokens = interleave(inputs, stream.y);
    const PaperLayer<> layer(f);
    CHECK(learner.state().S == layer_state(layer, 0, tokens));
    CHECK(learner.state().M == layer_state(layer, 1, tokens));
    CHECK(learner.state().S != MatrixXd::Zero(f, f));
  }
}

TEST_CASE("Theorem: standardised, the sums are the same layers' states on centred and weighted pairs", "[theorem]") {
  const Index f = 4, rows = 30;
  const Stream stream = linear_stream(f, f, rows, 2);
  GradientDescentLearner<> learner(f, f);
  predictions_of(learner, stream);
  MatrixXd inputs = MatrixXd::Ones(f, rows + 1), targets = MatrixXd::Zero(f, rows);
  inputs.col(0).setZero();
  for (Index t = 1; t < rows; ++t) {
    const double weight = std::sqrt(static_cast<double>(t) / static_cast<double>(t + 1));
    inputs.col(t) = weight * (stream.x.col(t) - stream.x.leftCols(t).rowwise().mean());
    targets.col(t) = weight * (stream.y.col(t) - stream.y.leftCols(t).rowwise().mean());
  }
  const MatrixXd tokens = interleave(inputs, targets);
  const PaperLayer<> layer(f);
  CHECK(difference(learner.state().S, layer_state(layer, 0, tokens)) < 1e-14);
  CHECK(difference(learner.state().M, layer_state(layer, 1, tokens)) < 1e-14);

  const MatrixXd centred = stream.x.colwise() - stream.x.rowwise().mean();
  CHECK(difference(learner.state().S, centred * centred.transpose()) < 1e-14);
  CHECK(difference(learner.state().M, stream.y * centred.transpose()) < 1e-14);
}

TEST_CASE("Theorem: on pairs as given the learner's predictions are those of the stack of 2K - 1 layers", "[theorem]") {
  Engine engine(3);
  for (const Index f : {1, 2, 4})
    for (const Index K : {1, 2, 3}) {
      const ExactContext context(f, f, 5, engine);
      GradientDescentLearner<Rational, AsGiven> learner(f, f, {.steps = K, .ridge = 0});
      for (Index t = 0; t < 5; ++t) learner.observe(context.x.col(t), context.y.col(t));
      CHECK(learner.state().S == context.S(5));
      CHECK(learner.state().M == context.M(5));
      const HornerStack<ExactLayer<>> stack(ExactLayer<>(f), K);
      const auto p = descent_steps(stack, stable_step(context.S(5)));
      CHECK(learner.predict(context.x.col(5)) == stack.predict(p, context.tokens()).col(4));
    }
}

TEST_CASE("Theorem: predictions are those of K explicit steps on the standardised rows seen so far", "[theorem]") {
  for (const Index targets : {1, 3})
    for (const Index K : {0, 1, 2, 10, 100})
      for (const double rho : {0.0, 1.0, 7.5}) {
        CAPTURE(targets, K, rho);
        const Stream stream = linear_stream(5, targets, 40, 4);
        const MatrixXd predictions = predictions_of(stream, {.steps = K, .ridge = rho});
        CHECK(predictions.col(0).isZero(0));
        for (Index t = 1; t < stream.rows(); ++t) {
          const VectorXd expected = Explicit(stream, t).after_steps(K, rho);
          REQUIRE((predictions.col(t) - expected).norm() < 1e-12 * (1 + expected.norm()));
        }
      }
}

TEST_CASE("Theorem: many steps are ridge regression", "[theorem]") {
  const Stream stream = linear_stream(4, 2, 30, 5);
  for (const double rho : {0.5, 1.0, 20.0}) {
    const MatrixXd predictions = predictions_of(stream, {.steps = 10000, .ridge = rho});
    for (Index t = 1; t < stream.rows(); ++t)
      REQUIRE((predictions.col(t) - Explicit(stream, t).ridge(rho)).norm() < 1e-11);
  }
  const Stream clean = linear_stream(3, 1, 30, 6, 0);
  const MatrixXd exact = predictions_of(clean, {.steps = 100000, .ridge = 0});
  CHECK((exact - clean.y).rightCols(20).cwiseAbs().maxCoeff() < 1e-10);
}

TEST_CASE("Theorem: predictions depend on earlier pairs and their own input alone, to the bit", "[theorem]") {
  const Stream stream = linear_stream(3, 2, 30, 7);
  const MatrixXd predictions = predictions_of(stream);
  for (const Index k : {0, 1, 9, 29}) {
    Stream changed = stream;
    changed.y.col(k).array() += 5;
    CHECK(predictions_of(changed).leftCols(k + 1) == predictions.leftCols(k + 1));
    changed.x.col(k).array() -= 3;
    CHECK(predictions_of(changed).leftCols(k) == predictions.leftCols(k));
    if (k + 1 < stream.rows()) CHECK(predictions_of(changed).col(k + 1) != predictions.col(k + 1));
  }
}

TEST_CASE("Shifting inputs and rescaling columns by powers of two changes no bit of a prediction", "[theorem]") {
  const Stream stream = integer_stream(3, 2, 50, 8);
  const MatrixXd predictions = predictions_of(stream);
  Stream other = stream;
  other.x.row(0).array() += 0x1p45;
  other.x.row(1) *= 0x1p-300;
  other.x.row(2) = (stream.x.row(2).array() - 0x1p40) * 0x1p200;
  CHECK(predictions_of(other) == predictions);
  other = stream;
  other.y.row(0) *= 0x1p300;
  other.y.row(1) *= -0x1p-300;
  CHECK(predictions_of(other).row(0) == predictions.row(0) * 0x1p300);
  CHECK(predictions_of(other).row(1) == predictions.row(1) * -0x1p-300);
}

TEST_CASE("Shifting or rescaling any column changes predictions by rounding alone", "[theorem]") {
  const Stream stream = linear_stream(4, 1, 60, 9);
  const MatrixXd predictions = predictions_of(stream);
  for (const double scale : {-1.0, 1e-3, 3.7e6, 1e90, 1e-90}) {
    CAPTURE(scale);
    for (Index j = 0; j < 4; ++j) {
      Stream other = stream;
      other.x.row(j) *= scale;
      CHECK(difference(predictions_of(other), predictions) < 1e-12);
    }
    Stream other = stream;
    other.y *= scale;
    CHECK(difference(predictions_of(other), scale * predictions) < 1e-12);
  }
  // The data lose digits to the offset; the learner may lose no more.
  for (const double offset : {1e3, -1e6, 1e9}) {
    CAPTURE(offset);
    Stream other = stream;
    other.x.array() += offset;
    other.y.array() += offset;
    const MatrixXd shifted = predictions_of(other).array() - offset;
    CHECK(difference(shifted.rightCols(59), predictions.rightCols(59)) < 1e-14 * std::abs(offset));
  }
}

TEST_CASE("Targets of a vector are predicted as each would be alone", "[theorem]") {
  const Stream stream = linear_stream(4, 3, 30, 10);
  const MatrixXd together = predictions_of(stream);
  for (Index i = 0; i < 3; ++i) CHECK(difference(predictions_of({stream.x, stream.y.row(i)}), together.row(i)) < 1e-14);
}

TEST_CASE("A column that has not varied so far contributes nothing", "[theorem]") {
  const Stream stream = linear_stream(3, 1, 30, 11);
  const MatrixXd predictions = predictions_of(stream);
  for (const double constant : {0.0, 0.1, -1e17}) {
    Stream wider{MatrixXd(4, 30), stream.y};
    wider.x << stream.x.topRows(1), Eigen::RowVectorXd::Constant(30, constant), stream.x.bottomRows(2);
    CHECK(difference(predictions_of(wider), predictions) < 1e-14);
    wider.x(1, 20) += 1e18;  // the first variation meets a coefficient of 0
    CHECK(difference(predictions_of(wider).leftCols(21), predictions.leftCols(21)) < 1e-14);
  }
  const Stream constant{MatrixXd::Constant(2, 5, 3.5), stream.y.leftCols(5)};
  for (const double rho : {0.0, 1.0}) {
    const MatrixXd means = predictions_of(constant, {.steps = 100, .ridge = rho});
    for (Index t = 1; t < 5; ++t) CHECK(std::abs(means(0, t) - stream.y.leftCols(t).mean()) < 1e-15);
  }
}

TEST_CASE("A column that has varied by rounding alone contributes nothing", "[theorem]") {
  const Stream stream = linear_stream(3, 2, 30, 11);
  Stream wider{MatrixXd(4, 30), stream.y};
  for (Index t = 0; t < 30; ++t) wider.x.col(t) << stream.x.col(t), 1e6 + 3e-10 * static_cast<double>(t % 2);
  RidgeLearner<> narrow(3, 2, {.ridge = 0.1}), wide(4, 2, {.ridge = 0.1});
  CHECK(difference(test::predictions_of(wide, wider), test::predictions_of(narrow, stream)) < 1e-14);
}

TEST_CASE("Equal columns share a coefficient, and rows repeated for ever do no harm", "[theorem]") {
  const Stream stream = linear_stream(2, 1, 40, 12);
  Stream doubled{MatrixXd(4, 40), stream.y};
  doubled.x << stream.x, stream.x;
  const MatrixXd ridge = predictions_of(doubled, {.steps = 20000, .ridge = 2});
  CHECK(difference(ridge, predictions_of(stream, {.steps = 20000, .ridge = 1})) < 1e-10);

  for (const double rho : {0.0, 1.0}) {
    GradientDescentLearner<> learner(2, 1, {.steps = 100, .ridge = rho});
    const VectorXd x{{0.1, 1e6}}, y{{0.3}}, elsewhere{{5.0, -1e9}};
    for (int t = 0; t < 100000; ++t) learner.observe(x, y);
    CHECK(learner.predict(x) == y);
    CHECK(learner.predict(elsewhere) == y);
  }
}

TEST_CASE("Rows of 10^6 beside rows of 10^-3 are learned as well as any", "[theorem]") {
  Stream stream = linear_stream(3, 1, 200, 13, 0);
  stream.x.row(0) *= 1e6;
  stream.x.row(1) *= 1e-3;
  stream.x.row(2).array() += 1e9;
  const MatrixXd errors = predictions_of(stream, {.steps = 2000, .ridge = 1e-6}) - stream.y;
  CHECK(errors.rightCols(100).cwiseAbs().maxCoeff() < 1e-5);
}

TEST_CASE("Finite inputs have finite predictions", "[theorem]") {
  const double most = GradientDescentLearner<>::largest_input;
  const std::vector<double> extremes{0,     1,      -1,    most,   -most, most / 3, 1e-100, -1e-100,
                                     1e-99, 5e-324, 1e-50, -1e50,  1e99,  1e-160,   1,      3,
                                     1e6,   -1e-3,  2,     1e-300, 1e75,  -1e-75,   1e15,   1e16};
  Engine engine(14);
  const auto any = [&] { return extremes[engine() % extremes.size()]; };
  for (const double rho : {0.0, 1e-300, 1.0, 1e300})
    for (const Index K : {1, 100, 3000})
      for (int seed = 0; seed < 40; ++seed) {
        const Index f = 1 + static_cast<Index>(engine() % 4);
        Stream stream{MatrixXd(f, 12), MatrixXd(2, 12)};
        for (Index t = 0; t < 12; ++t) {
          for (Index j = 0; j < f; ++j) stream.x(j, t) = any();
          for (Index i = 0; i < 2; ++i) stream.y(i, t) = any();
        }
        REQUIRE(predictions_of(stream, {.steps = K, .ridge = rho}).allFinite());
        RidgeLearner<> ridge(f, 2, {.ridge = rho});
        REQUIRE(test::predictions_of(ridge, stream).allFinite());
      }
}

TEST_CASE("The state is a value: a learner goes on from a copy of another's, bit for bit", "[theorem]") {
  const Stream stream = linear_stream(3, 2, 30, 15);
  const Stream first{stream.x.leftCols(12), stream.y.leftCols(12)},
      second{stream.x.rightCols(18), stream.y.rightCols(18)};
  const MatrixXd predictions = predictions_of(stream);
  GradientDescentLearner<> one(3, 2), other(3, 2);
  predictions_of(one, first);
  const auto state = one.state();
  CHECK(predictions_of(one, second) == predictions.rightCols(18));
  CHECK_FALSE(one.state() == state);
  other.set_state(state);
  CHECK(other.state() == state);
  CHECK(predictions_of(other, second) == predictions.rightCols(18));
  CHECK(other.state() == one.state());
}

TEST_CASE("Predicting leaves the state alone", "[theorem]") {
  const Stream stream = linear_stream(3, 1, 10, 16);
  GradientDescentLearner<> learner(3, 1);
  predictions_of(learner, stream);
  const auto state = learner.state();
  const VectorXd q = VectorXd::Constant(3, 1e5), before = learner.predict(q);
  CHECK(learner.state() == state);
  CHECK(learner.predict(q) == before);
}

TEST_CASE("Single precision learns too", "[theorem]") {
  const Stream stream = linear_stream(4, 1, 200, 17);
  GradientDescentLearner<float> learner(4, 1);
  MatrixXd predictions(1, 200);
  for (Index t = 0; t < 200; ++t) {
    predictions(0, t) = static_cast<double>(learner.predict(stream.x.col(t).cast<float>())[0]);
    learner.observe(stream.x.col(t).cast<float>(), stream.y.col(t).cast<float>());
  }
  CHECK(difference(predictions, predictions_of(stream)) < 1e-5);
}

TEST_CASE("A pair costs no allocation, a prediction neither", "[no_heap]") {
  for (const Index f : {1, 9, 200}) {
    CAPTURE(f);
    const Stream stream = linear_stream(f, 3, 4, 18);
    GradientDescentLearner<> learner(f, 3, {.steps = 3, .ridge = 1});
    GradientDescentLearner<double, AsGiven> plain(f, 3, {.steps = 3, .ridge = 1});
    double sum = 0;
    CHECK(test::allocations_of([&] {
            for (Index t = 0; t < 4; ++t) {
              sum += learner.predict(stream.x.col(t))[0] + plain.predict(stream.x.col(t))[0];
              learner.observe(stream.x.col(t), stream.y.col(t));
              plain.observe(stream.x.col(t), stream.y.col(t));
            }
          }) == 0);
    CHECK(test::allocations_of([&] { sum += VectorXd(learner.predict(stream.x.col(0)))[0]; }) > 0);
    CHECK(std::isfinite(sum));
  }
}

TEST_CASE("What a learner can't take is refused with its place, and changes nothing", "[misuse]") {
  CHECK(message_of([] { GradientDescentLearner<>(0, 1); }) ==
        "RegressionLearner: there are 0 inputs and 1 targets, expected at least 1 and 1");
  CHECK(message_of([] { GradientDescentLearner<>(1, 0); }) ==
        "RegressionLearner: there are 1 inputs and 0 targets, expected at least 1 and 1");
  CHECK(message_of([] { GradientDescentLearner<>(1, 1, {.steps = -1, .ridge = 1}); }) ==
        "RegressionLearner: steps is -1, expected at least 0");
  for (const double rho : {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    CHECK(message_of([&] {
            GradientDescentLearner<>(1, 1, {.steps = 1, .ridge = rho});
          }).starts_with("RegressionLearner: ridge is "));

  GradientDescentLearner<> learner(2, 1);
  learner.observe(VectorXd{{1, 2}}, VectorXd{{3}});
  const auto state = learner.state();
  const VectorXd x{{1, 2}}, y{{3}};
  CHECK(message_of([&] { learner.predict(y); }) == "RegressionLearner: predict: the input has 1 entries, expected 2");
  CHECK(message_of([&] { learner.observe(x, x); }) ==
        "RegressionLearner: observe: the target has 2 entries, expected 1");
  for (const double bad :
       {1.1e100, -1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    const VectorXd bad_x{{1, bad}}, bad_y{{bad}};
    const std::string expected = ", expected a number of magnitude at most 1e+100";
    CHECK(message_of([&] { learner.predict(bad_x); }).starts_with("RegressionLearner: predict: the input entry 1 is "));
    CHECK(message_of([&] { learner.observe(bad_x, y); }).ends_with(expected));
    CHECK(message_of([&] {
            learner.observe(x, bad_y);
          }).starts_with("RegressionLearner: observe: the target entry 0 is "));
  }
  CHECK(message_of([&] { learner.set_state(GradientDescentLearner<>(3, 1).state()); }) ==
        "RegressionLearner: set_state: first_input is 3 x 1, expected 2 x 1");
  auto broken = state;
  broken.S(1, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of([&] { learner.set_state(broken); }).starts_with("RegressionLearner: set_state: S "));
  CHECK(learner.state() == state);
}

/// The largest difference on the last rows between the predictions of two learners, one of which saw an extra row
/// first.
template <class Learner>
double difference_after(const Learner& start, double first_input, double first_target, Index rows) {
  using T = typename Learner::Scalar;
  Learner plain = start, disturbed = start;
  Eigen::VectorX<T> x = Eigen::VectorX<T>::Constant(3, T(first_input)), y(1);
  y[0] = T(first_target);
  disturbed.observe(x, y);
  test::Random random(5);
  double largest = 0;
  for (Index t = 0; t < rows; ++t) {
    for (T& entry : x) entry = T(random());
    y[0] = x[0] - 2 * x[1] + T(0.1 * random());
    if (t > rows - 100)
      largest = std::max(largest, std::abs(double(plain.predict(x)[0]) - double(disturbed.predict(x)[0])));
    plain.observe(x, y);
    disturbed.observe(x, y);
  }
  return largest;
}

TEST_CASE("A first row that is an outlier is forgotten like any other", "[regression]") {
  const RidgeLearner<> ridge(3, 1, {.ridge = 0.1, .decay = 0.9});
  CHECK(difference_after(ridge, 1e12, 1, 1500) < 1e-12);
  CHECK(difference_after(ridge, 1, 1e20, 1500) < 1e-12);
  const RidgeLearner<float> single(3, 1, {.ridge = 0.1f, .decay = 0.9f});
  CHECK(difference_after(single, 1e7, 1, 1500) < 1e-4);
  CHECK(difference_after(single, 1, 1e7, 1500) < 1e-4);
  const WithScaling<RidgeLearner<double, AsGiven>> scaled(RidgeLearner<double, AsGiven>(3, 1, {.decay = 0.9}), 0.9);
  CHECK(difference_after(scaled, 1e12, 1, 1500) < 1e-12);
  CHECK(difference_after(scaled, 1, 1e20, 1500) < 1e-12);
}

}  // namespace
}  // namespace gdssm
