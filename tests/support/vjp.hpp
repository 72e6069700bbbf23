// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/analysis/check_vjp.hpp"

namespace gdssm::test {

/// `check_vjp` as a test of a function or a block.
template <class Checked>
void expect_vjp(const Checked& checked, std::uint64_t seed = 1) {
  const VjpReport report = check_vjp(checked, seed);
  INFO(report.message);
  CHECK(report.passed);
}

/// `check_vjp_at` as a test.
template <class Function, class Point>
void expect_vjp_at(const Function& f, const Point& point, std::uint64_t seed = 1) {
  const VjpReport report = check_vjp_at(f, point, seed);
  INFO(report.message);
  CHECK(report.passed);
}

}  // namespace gdssm::test
