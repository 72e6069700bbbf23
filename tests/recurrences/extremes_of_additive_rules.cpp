// SPDX-License-Identifier: Apache-2.0
#include "recurrences/extremes.hpp"

#include "gdssm/blocks/recurrences/gated_linear_attention.hpp"
#include "gdssm/blocks/recurrences/linear_attention.hpp"
#include "gdssm/blocks/recurrences/mamba2.hpp"
#include "gdssm/blocks/recurrences/mamba3.hpp"
#include "gdssm/blocks/recurrences/mesa.hpp"
#include "gdssm/blocks/recurrences/omega_rule.hpp"
#include "gdssm/blocks/recurrences/ret_net.hpp"
#include "gdssm/blocks/recurrences/titans.hpp"

using namespace gdssm;
using namespace gdssm::test;
using namespace gdssm::recurrences;

TEST_CASE("Additive rules: decays of 0 and 1 and keys of length 0 and 1e4 are nothing special", "[theorem]") {
  expect_exact_at_extremes(LinearAttention<>(3, 2));
  expect_exact_at_extremes(RetNet<>(3, 2));
  expect_exact_at_extremes(GatedLinearAttention<>(3, 2));
  expect_exact_at_extremes(Mamba3<>(3, 2));
  expect_exact_at_extremes(Mesa<>(3, 2));
  expect_exact_at_extremes(Titans<>(3, 2));
  expect_exact_at_extremes(OmegaRule<>(3, 2, 3));
}

TEST_CASE("Additive rules: a neutral token leaves the state alone, bit for bit") {
  expect_neutral(Mamba2<>(3, 2), [](auto& x) { set_all(x.dt, 0); });
  expect_neutral(GatedLinearAttention<>(3, 2), [](auto& x) { set_all(x.alpha, 1), set_all(x.v, 0); });
  expect_neutral(Mesa<>(3, 2), [](auto& x) { set_all(x.alpha, 1), set_all(x.beta, 0); });
}
