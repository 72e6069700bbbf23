// SPDX-License-Identifier: Apache-2.0
#include "gdssm/oracle/rounded_inputs.hpp"

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace gdssm::detail {
namespace {

/// An array of a token's numbers, that owns them.
struct Owned {
  std::vector<Rounded> numbers;
  std::vector<Index> shape;

  Owned(std::vector<Index> sizes, const std::vector<double>& values)
      : numbers(values.begin(), values.end()), shape(std::move(sizes)) {}
  BoundTensor<Rounded> bound(TokenRole role, bool of_tokens = true) {
    BoundTensor<Rounded> result{"", shape, {}, of_tokens, role};
    for (Rounded& one : numbers) result.entries.push_back(&one);
    return result;
  }
};

TEST_CASE("inputs are rounded once, decays as sums of their logarithms along a chunk, (45c)", "[rounding]") {
  Owned k({3}, {0.5, -2, 0}), alpha({3, 2}, {0.5, 1, 0.25, 0.125, 0, 1}), gamma({}, {0.5});
  round_inputs({k.bound(TokenRole::key), alpha.bound(TokenRole::decay), gamma.bound(TokenRole::decay, false)});
  CHECK(k.numbers[0].spread() == Approx(0.5));
  CHECK(k.numbers[1].spread() == Approx(2));
  CHECK(k.numbers[2].spread() < 1e-30);
  const double log_2 = std::log(2.0);
  CHECK(alpha.numbers[0].spread() == Approx(0.5 * (2 + log_2)));
  CHECK(alpha.numbers[1].spread() == Approx(2));
  CHECK(alpha.numbers[2].spread() == Approx(0.25 * (2 + 3 * log_2)));
  CHECK(alpha.numbers[3].spread() == Approx(0.125 * (2 + 3 * log_2)));
  CHECK(alpha.numbers[4].spread() < 1e-30);  // a decay of 0 is exact, whatever its logarithm
  CHECK(alpha.numbers[5].spread() == Approx(2 + 3 * log_2));
  CHECK(gamma.numbers[0].spread() == Approx(0.5 * (2 + 64 * log_2)));

  Owned long_one({100}, std::vector<double>(100, 0.5));
  round_inputs({long_one.bound(TokenRole::decay)});
  CHECK(long_one.numbers[99].spread() == Approx(0.5 * (2 + 64 * log_2)));
}

TEST_CASE("gradients of decays have the errors of the products that sum to them, (45d)", "[rounding]") {
  const std::vector<double> zeros(3, 0);
  Owned q({3, 2}, {1, 2, 3, 4, 5, 6}), alpha({3, 2}, {0.5, 1, 1, 0.25, 1, 0}), number({3}, {1, 0.5, 1});
  Owned q_bar({3, 2}, {-1, 1, 1, 1, 1, -1}), alpha_bar({3, 2}, std::vector<double>(6, 0)), number_bar({3}, zeros);
  round_gradients(
      {q.bound(TokenRole::value), alpha.bound(TokenRole::decay), number.bound(TokenRole::decay)},
      {q_bar.bound(TokenRole::value), alpha_bar.bound(TokenRole::decay), number_bar.bound(TokenRole::decay)});
  const std::vector<double> by_channel{(1 + 3 + 5) / 0.5, 2 + 4 + 6, 3 + 5, (4 + 6) / 0.25, 5, 0};
  for (std::size_t e = 0; e < by_channel.size(); ++e)
    CHECK(alpha_bar.numbers[e].spread() == Approx(by_channel[e]).margin(1e-30));
  CHECK(number_bar.numbers[0].spread() == Approx(21));
  CHECK(number_bar.numbers[1].spread() == Approx((3 + 4 + 5 + 6) / 0.5));
  CHECK(number_bar.numbers[2].spread() == Approx(11));
  CHECK(q_bar.numbers[0].spread() == 0);

  Owned dt({3}, {0.1, 0.2, 0.3}), dt_bar({3}, zeros), A({}, {-2}), A_bar({}, {0});
  round_gradients(
      {q.bound(TokenRole::value), dt.bound(TokenRole::step), A.bound(TokenRole::continuous_decay, false)},
      {q_bar.bound(TokenRole::value), dt_bar.bound(TokenRole::step), A_bar.bound(TokenRole::continuous_decay, false)});
  CHECK(dt_bar.numbers[0].spread() == Approx(2 * 21));
  CHECK(A_bar.numbers[0].spread() == Approx(0.1 * 21 + 0.2 * 18 + 0.3 * 11));
}

}  // namespace
}  // namespace gdssm::detail
