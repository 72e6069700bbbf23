// SPDX-License-Identifier: Apache-2.0
#include "models/golden.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using test::Comparisons;
using test::golden;
using test::golden_files;

template <class P, class Layer>
void compare_stack(const std::string& name, const Layer& layer) {
  CAPTURE(name);
  const auto figures = golden(name);
  REQUIRE(figures.value<int>("/n_layers") == 3);
  Comparisons compare;
  test::compare_everything<P, VectorTargets>(figures, TwoStepStack<Layer>(layer), compare);
  // Outputs of every context in two forms, loss and three layers' five gradients in four.
  CHECK(compare.count() == 2 * figures.value<int>("/batch") + 4 * 16);
}

TEST_CASE("the two-step stack gives the reference's rows, losses and gradients", "[golden]") {
  const auto files = golden_files("two_step_");
  CHECK(files.size() >= 2);
  for (const std::string& name : files) {
    const PaperLayer<> layer(golden(name).value<Index>("/features"));
    compare_stack<double>(name, layer);
    compare_stack<float>(name, layer);
  }
}

TEST_CASE("the two-step stack of fixed size gives the reference's figures", "[golden]") {
  compare_stack<double>("two_step_vector_f3.json", PaperLayer<3>());
}

}  // namespace
}  // namespace gdssm
