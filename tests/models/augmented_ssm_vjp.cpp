// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "models/pass.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::Pass;

template <Index Features>
void check_paper_layer() {
  const Index f = Features == Dynamic ? 4 : Features;
  CAPTURE(f);
  const PaperLayer<Features> model(f);
  for (const Index k : {0, 1, 2, 4}) {
    CAPTURE(k);
    expect_vjp(Pass<PaperLayer<Features>>{model, 4, k});
    expect_vjp(Pass<PaperLayer<Features>, ForwardSensitivity>{model, 4, k});
  }
}

TEST_CASE("the paper's layer pulls back to parameters, tokens and first state, at every size", "[vjp]") {
  check_paper_layer<1>();
  check_paper_layer<2>();
  check_paper_layer<3>();
  check_paper_layer<5>();
  check_paper_layer<Dynamic>();
}

TEST_CASE("one window is enough for a pull-back", "[vjp]") {
  expect_vjp(Pass<PaperLayer<3>>{{}, 1, 1});
  expect_vjp(Pass<PaperLayer<3>, ForwardSensitivity>{{}, 1, 1});
}

TEST_CASE("a first state's tokens get their cotangents", "[vjp]") {
  for (const Index held : {1, 2}) {
    CAPTURE(held);
    expect_vjp(Pass<PaperLayer<3>>{{}, 1, 1, held});
    expect_vjp(Pass<PaperLayer<3>>{{}, 3, 2, held});
    expect_vjp(Pass<PaperLayer<3>, ForwardSensitivity>{{}, 3, 2, held});
  }
}

TEST_CASE("masked windows pull nothing back", "[vjp]") {
  for (const auto& mask : std::vector<std::vector<int>>{{0, 0, 1, 1}, {1, 0, 1, 1}, {1, 1, 1, 0}, {0, 0, 0, 0}}) {
    CAPTURE(mask);
    expect_vjp(Pass<PaperLayer<3>>{{}, 4, 3, 0, mask});
    expect_vjp(Pass<PaperLayer<3>, ForwardSensitivity>{{}, 4, 3, 0, mask});
  }
}

}  // namespace
}  // namespace gdssm
