// SPDX-License-Identifier: Apache-2.0
#include "gdssm/construction/gradient_step.hpp"

#include <limits>

#include "support/catch.hpp"
#include "support/exact.hpp"
#include "support/random.hpp"

#include "gdssm/algorithms/descent.hpp"

namespace gdssm {
namespace {

using test::Engine;
using test::ExactContext;
using test::ExactLayer;
using test::ExactMatrix;
using test::Random;
using test::random_fraction;
using test::random_rational_matrix;
using test::Rational;

/// Calls check(f, N) for every size in turn.
template <class Check>
void for_all_sizes(Check&& check, Index largest_f = 5, Index largest_n = 8) {
  for (Index f = 1; f <= largest_f; ++f)
    for (Index n = 1; n <= largest_n; ++n) {
      CAPTURE(f, n);
      check(f, n);
    }
}

/// Pushes tokens one by one and calls check(t, state, prediction) after each window, t = 1..N.
template <class Layer, class Check>
void stream(const Layer& layer, const typename Layer::template Coefficients<Rational>& c, const ExactMatrix& tokens,
            Check&& check) {
  auto state = layer.template initial_state<Rational>();
  auto ws = layer.template workspace<Rational>();
  Array<Rational, Layer::outputs, 1> prediction(layer.output_count(), 1);
  Index t = 0;
  for (Index i = 0; i < tokens.cols(); ++i)
    if (layer.step(c, View<const Rational, Layer::features, 1>(view_of(tokens).column(i)), state, prediction.view(),
                   ws))
      check(++t, state, prediction);
  CHECK(t == state.recurrence.windows[0]);
}

TEST_CASE("Theorem: the state is minus the gradient of the loss at zero, at every t", "[theorem]") {
  Engine engine(1);
  for_all_sizes([&](Index f, Index n) {
    const ExactContext context(f, f, n, engine);
    const ExactLayer<> layer(f);
    const auto c = layer.prepare(gradient_step(layer, random_fraction(engine)));
    const ExactMatrix zero = ExactMatrix::Zero(f, f), tokens = context.tokens();
    ExactMatrix sum = zero;
    Index windows = 0;
    stream(layer, c, tokens, [&](Index t, const auto& state, const auto&) {
      sum += context.y.col(t - 1) * context.x.col(t - 1).transpose();
      const ExactMatrix memory = state.recurrence.memory.matrix();
      CHECK(memory == sum);
      CHECK(memory == -gradient(zero, context.S(t), context.M(t)));
      if (f <= 4) CHECK(memory == -context.loss_gradient(zero, t));
      windows = t;
    });
    CHECK(windows == n);
  });
}

/// Predictions at every t are those of W_1 = W_0 - a grad ell_t(W_0), W_0 = 0.
template <Index Features>
void check_one_step(const ExactLayer<Features>& layer, Index m, Index n, Engine& engine) {
  const Index f = layer.feature_count();
  const ExactContext context(f, m, n, engine);
  const Rational a = random_fraction(engine);
  const auto p = gradient_step(layer, a);
  const ExactMatrix zero = ExactMatrix::Zero(f, f), tokens = context.tokens(), predictions = layer.predict(p, tokens);
  REQUIRE(predictions.cols() == n);
  stream(layer, layer.prepare(p), tokens, [&](Index t, const auto& state, const auto& prediction) {
    const ExactMatrix W_1 = zero - a * gradient(zero, context.S(t), context.M(t)), expected = W_1 * context.x.col(t);
    CHECK(predictions.col(t - 1) == expected);
    CHECK(prediction.matrix() == expected);
    CHECK(layer.implicit_weights(layer.prepare(p), state) == W_1);
  });
}

TEST_CASE("Theorem: one layer is one step of gradient descent", "[theorem]") {
  Engine engine(2);
  for_all_sizes([&](Index f, Index n) { check_one_step(ExactLayer<>(f), f, n, engine); });
  for (const Index n : {1, 2, 5, 8}) {
    CAPTURE(n);
    check_one_step(ExactLayer<1>(), 1, n, engine);
    check_one_step(ExactLayer<3>(), 3, n, engine);
    check_one_step(ExactLayer<5>(), 5, n, engine);
  }
}

TEST_CASE("Theorem: with scalar targets only the last coordinate moves", "[theorem]") {
  Engine engine(3);
  for_all_sizes([&](Index f, Index n) {
    check_one_step(ExactLayer<>(f), 1, n, engine);
    const ExactContext context(f, 1, n, engine);
    const ExactLayer<> layer(f);
    const ExactMatrix predictions = layer.predict(gradient_step(layer, Rational(1)), context.tokens());
    CHECK(predictions.topRows(f - 1) == ExactMatrix::Zero(f - 1, n));
  });
}

template <class Layer>
void check_constructed_tokens(const Layer& layer, Index n, Engine& engine) {
  const Index f = layer.row_count();
  const ExactContext context(f, 1, n, engine);
  const Rational a = random_fraction(engine);
  const auto p = gradient_step(layer, a);
  const ExactMatrix zero = ExactMatrix::Zero(1, f), tokens = constructed_tokens(context.x, context.y);
  const ExactMatrix predictions = layer.predict(p, tokens);
  const ExactLayer<> attending(f);
  const ExactMatrix by_attention = attending.predict(gradient_step(attending, a), context.tokens()).bottomRows(1);
  stream(layer, layer.prepare(p), tokens, [&](Index t, const auto& state, const auto& prediction) {
    const ExactMatrix M = context.y.leftCols(t) * context.x.leftCols(t).transpose();
    const ExactMatrix W_1 = zero - a * gradient(zero, context.S(t), M), expected = W_1 * context.x.col(t);
    CHECK(state.recurrence.memory.matrix() == M);
    CHECK(ExactMatrix(a * state.recurrence.memory.matrix()) == W_1);
    CHECK(prediction.matrix() == expected);
    CHECK(predictions.col(t - 1) == expected);
  });
  CHECK(predictions == by_attention);
}

TEST_CASE("Theorem: on constructed tokens a layer without attention takes the same step", "[theorem]") {
  Engine engine(4);
  for_all_sizes([&](Index f, Index n) { check_constructed_tokens(constructed_layer<GivenDecay>(f), n, engine); });
  check_constructed_tokens(ConstructedLayer<1, GivenDecay>(), 4, engine);
  check_constructed_tokens(ConstructedLayer<3, GivenDecay>(), 6, engine);
}

template <Index Features>
void check_start(const ExactLayer<Features>& layer, Index n, Engine& engine) {
  const Index f = layer.feature_count();
  const ExactContext context(f, f, n, engine);
  const Rational a = random_fraction(engine);
  const ExactMatrix W_0 = random_rational_matrix(f, f, engine);
  const ExactMatrix predictions = predict_from(layer, gradient_step(layer, a), context.tokens(), W_0);
  for (Index t = 1; t <= n; ++t) {
    CAPTURE(t);
    const ExactMatrix W_1 = descent_step(W_0, context.S(t), context.M(t), a);
    CHECK(predictions.col(t - 1) == W_1 * context.x.col(t));
    if (f <= 3) CHECK(W_1 == W_0 - a * context.loss_gradient(W_0, t));
  }
}

TEST_CASE("Theorem: a start other than zero is a shift of the targets", "[theorem]") {
  Engine engine(5);
  for_all_sizes([&](Index f, Index n) { check_start(ExactLayer<>(f), n, engine); });
  check_start(ExactLayer<2>(), 5, engine);
}

template <Index Features = Dynamic>
using PreconditionedLayer = AugmentedSsm<LocalAttention<Features>, DiagonalRecurrence<Features, Features, GivenDecay>,
                                         Readout<Features>, PreconditionedGate<Features>>;

template <Index Features>
void check_preconditioner(const PreconditionedLayer<Features>& layer, Index n, Engine& engine) {
  const Index f = layer.feature_count();
  const ExactContext context(f, f, n, engine);
  const ExactMatrix P = random_rational_matrix(f, f, engine), tokens = context.tokens();
  const auto p = preconditioned_step(layer, P);
  const ExactMatrix predictions = layer.predict(p, tokens);
  stream(layer, layer.prepare(p), tokens, [&](Index t, const auto& state, const auto& prediction) {
    const ExactMatrix W_1 = context.M(t) * P, expected = W_1 * context.x.col(t);
    CHECK(predictions.col(t - 1) == expected);
    CHECK(prediction.matrix() == expected);
    CHECK(layer.implicit_weights(layer.prepare(p), state) == W_1);
  });

  const Rational a = random_fraction(engine);
  const ExactLayer<> plain(f);
  CHECK(layer.predict(gradient_step(layer, a), tokens) == plain.predict(gradient_step(plain, a), tokens));
}

TEST_CASE("Theorem: a matrix in the gate preconditions the inputs", "[theorem]") {
  Engine engine(6);
  for_all_sizes([&](Index f, Index n) { check_preconditioner(PreconditionedLayer<>(f), n, engine); }, 4, 6);
  check_preconditioner(PreconditionedLayer<3>(), 5, engine);
}

/// Each prediction within t + f + 2 roundings (of half an epsilon) of a sum_i |y_i| |x_i|^T |x_{t+1}|: t of the state,
/// f of its product with the query, one of the step, and one to spare. The reference runs in twice the precision.
template <class T, class Layer>
void check_rounding(const Layer& layer, Index n, Random& random) {
  using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;
  const Index f = layer.feature_count();
  CAPTURE(f, n, sizeof(T));
  Eigen::MatrixX<T> x(f, n + 1), y(f, n);
  random.fill(x);
  random.fill(y);
  const T a = T(0.3);
  const Eigen::MatrixX<T> predictions = layer.predict(gradient_step(layer, a), interleave(x, y));
  const Eigen::MatrixX<Wide> X = x.template cast<Wide>(), Y = y.template cast<Wide>();
  Eigen::MatrixX<Wide> M = Eigen::MatrixX<Wide>::Zero(f, f), scale = M;
  Wide worst = 0;
  for (Index t = 1; t <= n; ++t) {
    M += Y.col(t - 1) * X.col(t - 1).transpose();
    scale += (Y.col(t - 1) * X.col(t - 1).transpose()).cwiseAbs();
    const Eigen::VectorX<Wide> expected = Wide(a) * (M * X.col(t)), bound = Wide(a) * (scale * X.col(t).cwiseAbs());
    const Wide roundings = Wide(t + f + 2) * Wide(std::numeric_limits<T>::epsilon()) / 2;
    for (Index i = 0; i < f; ++i) {
      const Wide ratio = std::abs(Wide(predictions(i, t - 1)) - expected[i]) / (roundings * bound[i]);
      if (!(ratio <= worst)) worst = ratio;
    }
  }
  CHECK(worst <= 1);
}

TEST_CASE("Theorem: in float and double one layer is one step up to the rounding of its sums", "[theorem]") {
  Random random(7);
  for (const Index f : {1, 2, 3, 5, 8, 10, 16, 31, 32})
    for (const Index n : {1, 2, 7, 10, 33, 64}) {
      check_rounding<float>(PaperLayer<>(f), n, random);
      check_rounding<double>(PaperLayer<>(f), n, random);
      check_rounding<double>(PaperLayer<Dynamic, Bilinear>(f), n, random);
    }
  check_rounding<float>(PaperLayer<4, Bilinear>(), 20, random);
  check_rounding<float>(PaperLayer<10>(), 64, random);
  check_rounding<double>(PaperLayer<10, GivenDecay>(), 64, random);
}

TEST_CASE("the construction has unit decay under every discretization", "[theorem]") {
  const auto decay = [](const auto& layer) {
    const auto c = layer.prepare(gradient_step(layer, 0.5));
    return Eigen::MatrixXd(c.recurrence.decay.matrix());
  };
  CHECK(decay(PaperLayer<>(4)) == Eigen::MatrixXd::Ones(4, 4));
  CHECK(decay(PaperLayer<Dynamic, Bilinear>(4)) == Eigen::MatrixXd::Ones(4, 4));
  CHECK(decay(PaperLayer<Dynamic, GivenDecay>(4)) == Eigen::MatrixXd::Ones(4, 4));
  CHECK(decay(constructed_layer(4)) == Eigen::MatrixXd::Ones(1, 4));
}

TEST_CASE("constructions refuse what does not fit the layer", "[misuse]") {
  const PreconditionedLayer<> layer(3);
  CHECK_THROWS_WITH(preconditioned_step(layer, Eigen::MatrixXd::Identity(2, 3)),
                    "preconditioned_step: the number of rows of P is 2, expected 3");
  CHECK_THROWS_WITH(preconditioned_step(layer, Eigen::MatrixXd::Identity(3, 4)),
                    "preconditioned_step: the number of columns of P is 4, expected 3");

  const ConstructedLayer<Dynamic, GivenDecay> odd(
      TokenProjection<>(3, 5), DiagonalRecurrence<Dynamic, 1, GivenDecay>(3, 1), Readout<1>(), ProjectionGate<>(3, 5));
  CHECK_THROWS_WITH(gradient_step(odd, 0.5), "TokenProjection: the size of a constructed token is 5, expected 6");

  const PaperLayer<> plain(2);
  const auto p = gradient_step(plain, 0.5);
  CHECK_THROWS_WITH(predict_from(plain, p, Eigen::MatrixXd::Zero(2, 5), Eigen::MatrixXd::Zero(3, 2)),
                    "residual_tokens: the number of rows of W_0 is 3, expected 2");
  CHECK_THROWS_WITH(predict_from(plain, p, Eigen::MatrixXd::Zero(2, 4), Eigen::MatrixXd::Zero(2, 2)),
                    "residual_tokens: the sequence has 4 tokens, expected an odd number");
}

}  // namespace
}  // namespace gdssm
