// SPDX-License-Identifier: Apache-2.0
#include "models/golden.hpp"
#include "support/catch.hpp"

#include "gdssm/models/nonlinear_ssm.hpp"

namespace gdssm {
namespace {

TEST_CASE("the nonlinear model gives the reference's outputs, loss and gradients", "[golden]") {
  const auto figures = test::golden("nonlinear_sine_f8.json");
  REQUIRE(figures.value<Index>("/features") == 8);
  const auto compare = [&](auto zero, const auto& model) {
    test::Comparisons comparisons;
    test::compare_everything<decltype(zero), VectorTargets>(figures, model, comparisons);
    // Two contexts' outputs in two forms, loss and eleven gradients in four.
    CHECK(comparisons.count() == 2 * 2 + 4 * 12);
  };
  compare(0.0, NonlinearSsm<>(PaperLayer<>(8)));
  compare(0.0f, NonlinearSsm<>(PaperLayer<>(8)));
}

}  // namespace
}  // namespace gdssm
