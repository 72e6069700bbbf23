// SPDX-License-Identifier: Apache-2.0
#include "gdssm/deep/rule_mixer.hpp"

#include "deep/mixer_function.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

TEMPLATE_TEST_CASE("heads of a learning rule have the derivatives of their steps, with any convolution", "[vjp]",
                   recurrences::LinearAttention<>, recurrences::GatedDeltaRule<>) {
  for (const Index taps : {0, 1, 3}) {
    const RuleMixer<TestType> mixer(3, 2, 2, taps);
    test::expect_mixer_vjp(test::MixerFunction<RuleMixer<TestType>>{mixer, 3, 4, 3});
  }
  const RuleMixer<TestType> one_head(2, 1, 3, 2);
  test::expect_mixer_vjp(test::MixerFunction<RuleMixer<TestType>>{one_head, 2, 3, 10});
}

TEST_CASE("a mixer of a rule refuses sizes below one", "[misuse]") {
  using Mixer = RuleMixer<recurrences::LinearAttention<>>;
  CHECK(test::message_of([] { Mixer(0, 1, 2, 3); }) ==
        "RuleMixer: width, heads and convolution are 0, 1 and 3, expected at least 1, 1 and 0");
}

}  // namespace
}  // namespace gdssm
