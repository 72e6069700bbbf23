// SPDX-License-Identifier: Apache-2.0
#include "recurrences/extremes.hpp"

#include "gdssm/blocks/recurrences/gated_oja.hpp"
#include "gdssm/blocks/recurrences/longhorn.hpp"
#include "gdssm/blocks/recurrences/longhorn_diagonal.hpp"
#include "gdssm/blocks/recurrences/ttt_linear.hpp"

using namespace gdssm;
using namespace gdssm::test;
using namespace gdssm::recurrences;

TEST_CASE("Oja, Longhorn and TTT: decays of 0 and 1 and keys of length 0 and 1e4 are nothing special", "[theorem]") {
  expect_exact_at_extremes(GatedOja<>(3, 2));
  expect_exact_at_extremes(Longhorn<>(3, 2));
  expect_exact_at_extremes(LonghornDiagonal<>(3, 2));
  expect_exact_at_extremes(TttLinear<>(3, 2, 2));
}

TEST_CASE("Oja, Longhorn and TTT: a neutral token leaves the state alone, bit for bit") {
  expect_neutral(GatedOja<>(3, 2), [](auto& x) { set_all(x.alpha, 1), set_all(x.beta, 0); });
  expect_neutral(Longhorn<>(3, 2), [](auto& x) { set_all(x.beta, 0); });
  expect_neutral(LonghornDiagonal<>(3, 2), [](auto& x) { set_all(x.beta, 0); });
}
