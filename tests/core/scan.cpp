// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/scan.hpp"

#include <cmath>
#include <utility>

#include "gdssm/core/random.hpp"
#include "support/catch.hpp"

namespace gdssm::test {
namespace {

template <class T>
Array<T> random_matrix(Index rows, Index cols, std::uint32_t part) {
  Array<T> matrix(rows, cols);
  RandomStream<T> stream(23, 0, part);
  for (Index i = 0; i < matrix.size(); ++i) matrix[i] = stream.uniform() - T(0.5);
  return matrix;
}

}  // namespace

TEMPLATE_TEST_CASE("A scan is its steps, bit for bit, for any number of channels and threads, and either kind of store",
                   "[definition]", float, double) {
  using T = TestType;
  for (const Index channels : {1, 3, 4, 16, 20, 64, 100})
    for (const Index n : {1, 5, 130}) {
      CAPTURE(channels, n);
      Array<T, Dynamic, 1> decay(channels, 1), first(channels, 1);
      const auto inputs = random_matrix<T>(channels, n, 1);
      for (Index i = 0; i < channels; ++i) {
        decay[i] = T(1) - T(i) / T(2 * channels);
        first[i] = T(0.1) * T(i);
      }
      Array<T> expected(channels, n);
      for (Index t = 0; t < n; ++t)
        for (Index i = 0; i < channels; ++i)
          expected(i, t) = multiply_add(decay[i], t > 0 ? expected(i, t - 1) : first[i], inputs(i, t));
      for (const int threads : {1, 3})
        for (const auto stores : {kernels::Stores::cached, kernels::Stores::streaming}) {
          ThreadPool pool(threads);
          auto state = first;
          Array<T> states(channels, n);
          kernels::diagonal_scan(std::as_const(decay).view(), inputs.view(), state.view(), states.view(), stores, pool);
          CHECK(states == expected);
          CHECK(state.matrix() == expected.matrix().col(n - 1));
        }
    }
}

TEST_CASE("The gradient of a scan is that of its definition, by difference quotients", "[vjp]") {
  for (const Index n : {1, 64, 65, 150}) {
    const Index channels = 11;
    Array<double, Dynamic, 1> decay(channels, 1), state(channels, 1), decay_bar(channels, 1);
    auto inputs = random_matrix<double>(channels, n, 1);
    for (Index i = 0; i < channels; ++i) {
      decay[i] = 1 - 0.05 * double(i);
      state[i] = 0.3;
    }
    const auto loss = [&] {
      double sum = 0;
      for (Index i = 0; i < channels; ++i) {
        double z = state[i];
        for (Index t = 0; t < n; ++t) {
          z = decay[i] * z + inputs(i, t);
          sum += z * z;
        }
      }
      return sum;
    };
    for (const int threads : {1, 2})
      for (const auto stores : {kernels::Stores::cached, kernels::Stores::streaming}) {
        ThreadPool pool(threads);
        Array<double> inputs_bar(channels, n);
        kernels::diagonal_scan_gradient(
            std::as_const(decay).view(), std::as_const(inputs).view(), std::as_const(state).view(),
            [](const auto& z) { return z * 2.0; }, inputs_bar.view(), decay_bar.view(), stores, pool);
        const double h = 1e-5;
        const auto quotient = [&](double& x) {
          const double before = x;
          x = before + h;
          const double up = loss();
          x = before - h;
          const double down = loss();
          x = before;
          return (up - down) / (2 * h);
        };
        for (const Index i : {0, 4, 10}) {
          CHECK(decay_bar[i] == Approx(quotient(decay[i])).epsilon(1e-6).margin(1e-6));
          for (const Index t : {Index(0), n / 2, n - 1})
            CHECK(inputs_bar(i, t) == Approx(quotient(inputs(i, t))).epsilon(1e-6).margin(1e-6));
        }
      }
  }
}

TEST_CASE("Scans of sizes that differ are refused", "[misuse]") {
  ThreadPool pool;
  Array<float, Dynamic, 1> decay(3, 1), state(3, 1);
  Array<float> inputs(3, 4), states(3, 5);
  CHECK_THROWS_WITH(kernels::diagonal_scan(std::as_const(decay).view(), std::as_const(inputs).view(), state.view(),
                                           states.view(), kernels::Stores::cached, pool),
                    "diagonal_scan: the number of states is 5, expected 4");
}

}  // namespace gdssm::test
