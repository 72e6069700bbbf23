// SPDX-License-Identifier: Apache-2.0
#include "models/golden.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using test::Comparisons;
using test::Golden;
using test::golden;
using test::golden_files;

/// The layer with the discretisation and targets of the file.
template <class P, Index Features>
void compare_layer(const Golden& figures, Comparisons& compare) {
  const Index f = figures.value<Index>("/features");
  const bool scalar = figures.file().find("_scalar_") != std::string::npos;
  if (figures.value<std::string>("/discretization") == "bilinear")
    test::compare_everything<P, VectorTargets>(figures, PaperLayer<Features, Bilinear>(f), compare);
  else if (scalar)
    test::compare_everything<P, ScalarTargets>(figures, PaperLayer<Features>(f), compare);
  else
    test::compare_everything<P, VectorTargets>(figures, PaperLayer<Features>(f), compare);
}

template <class P>
void compare_layers() {
  const auto files = golden_files("trained_");
  CHECK(files.size() >= 4);
  for (const std::string& name : files) {
    const Golden figures = golden(name);
    CAPTURE(name);
    REQUIRE(figures.value<int>("/n_layers") == 1);
    Comparisons compare;
    compare_layer<P, Dynamic>(figures, compare);
    // Two contexts' outputs in two forms, loss and five gradients in four.
    CHECK(compare.count() == 2 * 2 + 4 * 6);
  }
}

TEST_CASE("one layer gives the reference's outputs, losses and gradients in double", "[golden]") {
  compare_layers<double>();
}

TEST_CASE("one layer gives the reference's outputs, losses and gradients in float", "[golden]") {
  compare_layers<float>();
}

}  // namespace
}  // namespace gdssm
