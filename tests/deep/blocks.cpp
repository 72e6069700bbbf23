// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/rms_norm.hpp"

#include <array>
#include <cmath>

#include "support/message_of.hpp"
#include "support/random.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/cross_entropy.hpp"
#include "gdssm/blocks/short_convolution.hpp"
#include "gdssm/blocks/swi_glu.hpp"
#include "gdssm/blocks/token_embedding.hpp"

namespace gdssm {
namespace {

using test::message_of;

template <class T, class Block, class Weights>
auto read(const Block& block, const Weights& w) {
  return views_of(block.template weights<InViews<const T>>(), w);
}
template <class T, class Block, class Weights>
auto write(const Block& block, Weights& w) {
  return views_of(block.template weights<InViews<T>>(), w);
}

struct NormFunction {
  const RmsNorm& norm;
  Index rows;

  template <class T>
  auto input() const {
    return bundle({"weights", "x"}, norm.coefficients<T>(), Array<T>(rows, 3));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [w, x] = in.parts;
    Array<T> y(rows, 3);
    norm.forward(read<T>(norm, w), x.view(), y.view());
    return bundle({"y"}, y);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [w, x] = in.parts;
    auto in_bar = input<T>();
    auto& [w_bar, x_bar] = in_bar.parts;
    norm.vjp(read<T>(norm, w), x.view(), std::get<0>(out_bar.parts).view(), write<T>(norm, w_bar), x_bar.view());
    return in_bar;
  }
};

TEST_CASE("the root mean square of a normalised part is one, and the norm has its derivative", "[vjp]") {
  const RmsNorm plain(5), heads(3, 2);
  test::expect_vjp(NormFunction{plain, 5});
  test::expect_vjp(NormFunction{heads, 6});

  auto w = heads.coefficients<double>();
  w.gain.fill(1);
  Array<double> x(6, 4), y(6, 4);
  test::Random(1).fill(x);
  heads.forward(read<double>(heads, w), std::as_const(x).view(), y.view());
  for (Index t = 0; t < 4; ++t)
    for (Index h = 0; h < 2; ++h) {
      const Eigen::Vector3d part = x.matrix().block<3, 1>(3 * h, t);
      const double mean = part.squaredNorm() / 3;
      CHECK(std::abs(y.matrix().block<3, 1>(3 * h, t).squaredNorm() / 3 - mean / (mean + 1e-6)) < 1e-14);
    }
}

struct ConvolutionFunction {
  const ShortConvolution& convolution;

  template <class T>
  auto input() const {
    return bundle({"weights", "z"}, convolution.coefficients<T>(), Array<T>(2, 4 + convolution.tail()));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [w, z] = in.parts;
    Array<T> y(2, 4);
    convolution.forward(read<T>(convolution, w), z.view(), y.view());
    return bundle({"y"}, y);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [w, z] = in.parts;
    auto in_bar = input<T>();
    auto& [w_bar, z_bar] = in_bar.parts;
    convolution.vjp(read<T>(convolution, w), z.view(), std::get<0>(out_bar.parts).view(), write<T>(convolution, w_bar),
                    z_bar.view());
    return in_bar;
  }
};

TEST_CASE("the last tap of a short convolution is the current token's, and it has its derivative", "[vjp]") {
  for (const Index taps : {1, 2, 4}) test::expect_vjp(ConvolutionFunction{ShortConvolution(2, taps)});
  const ShortConvolution convolution(1, 3);
  auto w = convolution.coefficients<double>();
  w.taps[0] = 100, w.taps[1] = 10, w.taps[2] = 1;
  Array<double> z(1, 5), y(1, 3);
  for (Index t = 0; t < 5; ++t) z[t] = static_cast<double>(t);
  convolution.forward(read<double>(convolution, w), std::as_const(z).view(), y.view());
  CHECK(y[0] == 12);
  CHECK(y[1] == 123);
  CHECK(y[2] == 234);
}

struct UnitFunction {
  const SwiGlu& unit;

  template <class T>
  auto input() const {
    return bundle({"weights", "x", "y"}, unit.coefficients<T>(), Array<T>(3, 2), Array<T>(3, 2));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [w, x, before] = in.parts;
    auto y = before;
    auto ws = unit.workspace<T>(2);
    unit.forward(read<T>(unit, w), x.view(), y.view(), ws);
    return bundle({"y"}, y);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [w, x, before] = in.parts;
    auto in_bar = input<T>();
    auto& [w_bar, x_bar, before_bar] = in_bar.parts;
    auto y = before;
    auto ws = unit.workspace<T>(2);
    unit.forward(read<T>(unit, w), x.view(), y.view(), ws);
    before_bar = std::get<0>(out_bar.parts);
    unit.vjp(read<T>(unit, w), x.view(), std::as_const(before_bar).view(), write<T>(unit, w_bar), x_bar.view(), ws);
    return in_bar;
  }
};

TEST_CASE("the gated unit adds W_2 (silu(W_1 x) * (W_3 x)) and has its derivative", "[vjp]") {
  test::expect_vjp(UnitFunction{SwiGlu(3, 5)});
  const SwiGlu unit(2, 3);
  auto w = unit.coefficients<double>();
  test::Random(3).fill(w);
  Array<double> x(2, 1), y(2, 1);
  x[0] = 0.5, x[1] = -2;
  y.fill(1);
  auto ws = unit.workspace<double>(4);
  unit.forward(read<double>(unit, w), std::as_const(x).view(), y.view(), ws);
  const Eigen::Vector3d a = w.w1.matrix() * x.matrix(), b = w.w3.matrix() * x.matrix();
  const Eigen::Vector3d p = (a.array() / (1 + (-a.array()).exp()) * b.array()).matrix();
  CHECK((y.matrix() - Eigen::Vector2d::Ones() - w.w2.matrix() * p).cwiseAbs().maxCoeff() < 1e-15);
}

struct EmbeddedLoss {
  const TokenEmbedding& embedding;
  static constexpr std::array<Index, 4> ids{2, 0, 2, 1}, targets{0, 2, 1, 2};

  template <class T>
  auto input() const {
    return bundle({"weights"}, embedding.coefficients<T>());
  }
  template <class T>
  auto output(const auto& in) const {
    Array<T> h(3, 4), loss(1, 1);
    embedding.forward(read<T>(embedding, std::get<0>(in.parts)), ids, h.view());
    loss[0] = static_cast<T>(
        cross_entropy(std::as_const(h).view(), std::span<const Index>(targets), T(1), View<T>::absent()));
    return bundle({"loss"}, loss);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    auto in_bar = input<T>();
    Array<T> h(3, 4), h_bar(3, 4);
    embedding.forward(read<T>(embedding, std::get<0>(in.parts)), ids, h.view());
    cross_entropy(std::as_const(h).view(), std::span<const Index>(targets), std::get<0>(out_bar.parts)[0],
                  h_bar.view());
    embedding.vjp(ids, std::as_const(h_bar).view(), write<T>(embedding, std::get<0>(in_bar.parts)));
    return in_bar;
  }
};

TEST_CASE("embedding and cross-entropy have their derivatives, and equal logits cost log V", "[vjp]") {
  test::expect_vjp(EmbeddedLoss{TokenEmbedding(3, 3)});
  Array<float> logits(7, 2);
  logits.fill(1e30f);
  const std::array<Index, 2> targets{0, 6};
  CHECK(std::abs(
            cross_entropy(std::as_const(logits).view(), std::span<const Index>(targets), 1.0f, View<float>::absent()) -
            2 * std::log(7.0)) < 1e-6);
}

TEST_CASE("blocks of deep models refuse sizes below one, and tokens that there are not", "[misuse]") {
  CHECK(message_of([] { RmsNorm(0); }) == "RmsNorm: size and parts are 0 and 1, expected at least 1 each");
  CHECK(message_of([] { ShortConvolution(2, 0); }) ==
        "ShortConvolution: channels and taps are 2 and 0, expected at least 1 each");
  CHECK(message_of([] { SwiGlu(3, 0); }) == "SwiGlu: width and hidden units are 3 and 0, expected at least 1 each");
  CHECK(message_of([] { TokenEmbedding(0, 2); }) ==
        "TokenEmbedding: vocabulary and width are 0 and 2, expected at least 1 each");
  const TokenEmbedding embedding(3, 2);
  auto w = embedding.coefficients<float>();
  Array<float> h(2, 2);
  const std::array<Index, 2> ids{2, 3};
  CHECK(message_of([&] { embedding.forward(read<float>(embedding, w), ids, h.view()); }) ==
        "TokenEmbedding: id 1 is 3, expected 0 to 2");
  CHECK(message_of([&] {
          cross_entropy(std::as_const(h).view(), std::span<const Index>(ids), 1.0f, View<float>::absent());
        }) == "cross_entropy: target 0 is 2, expected 0 to 1");
}

}  // namespace
}  // namespace gdssm
