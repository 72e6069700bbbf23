// SPDX-License-Identifier: Apache-2.0
// Weights whose type is forgotten: they hold what they were made of, under the same names, and refuse other shapes.

#include "gdssm/core/named_weights.hpp"

#include <cstdint>

#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/training/initialization.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

using test::message_of;

TEST_CASE("Named weights hold what they were made of") {
  const HornerStack stack(PaperLayer<>(3), 2);
  const auto typed = reference_initialization<float>(stack, 1);
  const NamedWeights<float> weights(typed);

  auto back = stack.parameters<float>();
  weights.copy_to(back);
  CHECK(identical(back, typed));
  CHECK(weights.count() == count(typed));
  CHECK(weights.matrix("layers_0.readout.C") == typed.layers[0].readout.C);

  std::size_t at = 0;
  visit(
      [&](const Name& name, const auto& matrix) {
        REQUIRE(at < weights.entries().size());
        const auto& entry = weights.entries()[at++];
        CHECK(entry.name == name.str());
        CHECK(entry.rows == matrix.rows());
        CHECK(entry.cols == matrix.cols());
      },
      typed);
  CHECK(at == weights.entries().size());

  // Sums over a matrix have the same bits wherever it lies: each begins where a vector of any machine may.
  visit([](const Name&, const auto& matrix) { CHECK(reinterpret_cast<std::uintptr_t>(matrix.data()) % 16 == 0); },
        weights);
}

TEST_CASE("A copy of named weights is a value of its own") {
  const NamedWeights<double> weights(reference_initialization<double>(PaperLayer<>(3), 1));
  NamedWeights<double> other = weights;
  CHECK(identical(weights, other));
  other.matrix("gate.d")(1, 0) += 1;
  CHECK(!identical(weights, other));
  CHECK(other.matrix("gate.d")(1, 0) == weights.matrix("gate.d")(1, 0) + 1);
}

TEST_CASE("Named weights convert to their scalar") {
  const auto typed = reference_initialization<float>(PaperLayer<>(3), 1);
  const NamedWeights<double> weights(typed);
  CHECK(weights.matrix("readout.C") == typed.readout.C.cast<double>());
}

TEST_CASE("Names and shapes that named weights do not have are refused") {
  NamedWeights<double> weights(PaperLayer<>(3).parameters<double>());
  CHECK(message_of([&] { weights.matrix("gate.D"); }) ==
        "NamedWeights: there is no \"gate.D\", expected one of attention.A, recurrence.Lambda, recurrence.log_step, "
        "readout.C, gate.d");
  auto larger = PaperLayer<>(4).parameters<double>();
  CHECK(message_of([&] { weights.copy_to(larger); }) ==
        "NamedWeights::copy_to: recurrence.Lambda is 4 x 4, expected 3 x 3");
  CHECK(message_of([&] { weights.assign(larger); }) ==
        "NamedWeights::assign: recurrence.Lambda is 4 x 4, expected 3 x 3");
  const LocalAttention<> attention(3);
  auto fewer = attention.parameters<double>();
  CHECK(message_of([&] { weights.assign(fewer); }) ==
        "NamedWeights::assign: there is no recurrence.Lambda, expected one");
  const NamedWeights<double> alone(fewer);
  auto more = PaperLayer<>(3).parameters<double>();
  CHECK(message_of([&] { alone.copy_to(more); }) ==
        "NamedWeights::copy_to: there is recurrence.Lambda too, expected no more");
}

}  // namespace
}  // namespace gdssm
