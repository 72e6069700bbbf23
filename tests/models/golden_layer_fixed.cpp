// SPDX-License-Identifier: Apache-2.0
#include "models/golden.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using test::Comparisons;
using test::golden;

template <class P, class Kind, class Model>
void compare_fixed(const std::string& name, const Model& model) {
  Comparisons compare;
  test::compare_everything<P, Kind>(golden(name), model, compare);
  CHECK(compare.count() == 2 * 2 + 4 * 6);
}

TEST_CASE("one layer of fixed size gives the reference's figures", "[golden]") {
  compare_fixed<double, VectorTargets>("trained_vector_f3.json", PaperLayer<3>());
  compare_fixed<float, VectorTargets>("trained_vector_f3.json", PaperLayer<3>());
  compare_fixed<double, VectorTargets>("trained_vector_f10.json", PaperLayer<10>());
  compare_fixed<double, ScalarTargets>("trained_scalar_f10.json", PaperLayer<10>());
  compare_fixed<double, VectorTargets>("trained_vector_bilinear_f4.json", PaperLayer<4, Bilinear>());
}

}  // namespace
}  // namespace gdssm
