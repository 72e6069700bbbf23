// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/parameters.hpp"

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {
namespace {

std::vector<std::string> names(const auto& aggregate) {
  std::vector<std::string> all;
  visit([&](const Name& name, const auto&) { all.push_back(name.str()); }, aggregate);
  return all;
}

TEST_CASE("a model names its parameters by slot and letter, always in the same order", "[parameters]") {
  using Names = std::vector<std::string>;
  CHECK(names(PaperLayer<3>().parameters<float>()) ==
        Names{"attention.A", "recurrence.Lambda", "recurrence.log_step", "readout.C", "gate.d"});
  CHECK(names(PaperLayer<3, GivenDecay>().parameters<float>()) ==
        Names{"attention.A", "recurrence.Lambda", "readout.C", "gate.d"});
  CHECK(names(PaperLayer<3>().coefficients<float>()) ==
        Names{"attention.A", "recurrence.decay", "readout.C", "gate.d"});
  CHECK(names(PreconditionedGate<3>().parameters<float>()) == Names{"d", "P"});
  CHECK(names(PreconditionedGate<3>().coefficients<float>()) == Names{"d", "P"});
}

TEST_CASE("a name is as long as its parts are deep", "[parameters]") {
  const Name leaf{"d"}, part{"gate", &leaf}, layer{"second", &part};
  CHECK(leaf.str() == "d");
  CHECK(layer.str() == "second.gate.d");
}

TEST_CASE("aggregates of one shape are visited side by side", "[parameters]") {
  const PaperLayer<> model(2);
  auto weights = model.parameters<float>();
  auto doubles = model.parameters<double>();
  fill(weights, 2.0F);
  visit(
      [](const Name&, const auto& from, auto& to) {
        for (Index i = 0; i < from.size(); ++i) to.data()[i] = from.data()[i] / 4;
      },
      weights, doubles);
  CHECK(doubles.gate.d[2] == 0.5);
  CHECK(doubles.readout.C.sum() == 2);
}

TEST_CASE("count and identical see every entry", "[parameters]") {
  const PaperLayer<> model(2);
  const auto a = model.parameters<double>();
  CHECK(count(a) == 9 + 4 + 2 + 4 + 3);
  CHECK(identical(a, a));
  auto b = a;
  b.gate.d[2] = std::numeric_limits<double>::denorm_min();
  CHECK(!identical(a, b));
  b.gate.d[2] = std::numeric_limits<double>::quiet_NaN();
  CHECK(!identical(b, b));
  CHECK(!identical(a, PaperLayer<>(3).parameters<double>()));
}

}  // namespace
}  // namespace gdssm
