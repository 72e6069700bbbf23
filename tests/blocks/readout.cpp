// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/readout.hpp"

#include "blocks/prepare.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::bundle;
using test::check_vjp;

/// Coefficients, states Z_t^T and gated tokens -> predictions.
template <class Block, Index Rows>
struct Sequence {
  Block readout;
  Index rows, windows;

  template <class T>
  auto input() const {
    return bundle({"coefficients", "memories", "o"}, readout.template coefficients<T>(),
                  Array<T, Block::cols>(readout.col_count(), rows * windows), Array<T, Rows>(rows, windows));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, memories, o] = in.parts;
    Array<T, Block::outputs> predictions(readout.output_count(), windows);
    auto ws = readout.template workspace<T>();
    readout.forward(c, memories.view(), o.view(), predictions.view(), ws);
    return bundle({"predictions"}, predictions);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, memories, o] = in.parts;
    auto in_bar = input<T>();
    auto& [c_bar, memories_bar, o_bar] = in_bar.parts;
    auto ws = readout.template workspace<T>();
    readout.vjp(c, memories.view(), o.view(), std::get<0>(out_bar.parts).view(), c_bar, memories_bar.view(),
                o_bar.view(), ws);
    return in_bar;
  }
};

TEST_CASE("the readout pulls back to C, to the state and to the gated token", "[vjp]") {
  check_vjp(test::Prepare<Readout<2, 3>>{});
  check_vjp(Sequence<Readout<1>, 1>{{}, 1, 1});
  check_vjp(Sequence<Readout<2, 3>, 5>{{}, 5, 3});
  check_vjp(Sequence<Readout<5>, 5>{{}, 5, 2});
  check_vjp(Sequence<Readout<>, Dynamic>{Readout<>(3), 3, 2});
}

TEST_CASE("the readout is -C Z^T o, and C Z^T where it is asked for", "[definition]") {
  test::Random random(3);
  const Readout<> readout(2, 3);
  auto c = readout.coefficients<double>();
  Array<double> memory(3, 4);
  Array<double, Dynamic, 1> o(4, 1), prediction(2, 1);
  random.fill(c);
  random.fill(memory);
  random.fill(o);
  auto ws = readout.workspace<double>();
  const View<const double> Z = memory.view();
  readout.step(c, Z, View<const double, Dynamic, 1>(o.view()), prediction.view(), ws);
  const Eigen::MatrixXd E = c.C.matrix() * memory.matrix();
  CHECK((prediction.matrix() + E * o.matrix()).norm() < 1e-15);

  Array<double> sum(2, 4);
  sum.fill(1);
  readout.add_readout(c, Z, sum.view());
  CHECK((sum.matrix() - E - Eigen::MatrixXd::Ones(2, 4)).norm() < 1e-15);
}

}  // namespace
}  // namespace gdssm
