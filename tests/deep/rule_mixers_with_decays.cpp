// SPDX-License-Identifier: Apache-2.0
#include "gdssm/deep/rule_mixer.hpp"

#include "deep/mixer_function.hpp"

namespace gdssm {
namespace {

TEMPLATE_TEST_CASE("heads with decays of channels, or with steps, have the derivatives of their steps", "[vjp]",
                   recurrences::Kda<>, recurrences::Mamba2<>) {
  for (const Index taps : {0, 1, 3}) {
    const RuleMixer<TestType> mixer(3, 2, 2, taps);
    test::expect_mixer_vjp(test::MixerFunction<RuleMixer<TestType>>{mixer, 3, 4, 3});
  }
  const RuleMixer<TestType> one_head(2, 1, 3, 2);
  test::expect_mixer_vjp(test::MixerFunction<RuleMixer<TestType>>{one_head, 2, 3, 10});
}

}  // namespace
}  // namespace gdssm
