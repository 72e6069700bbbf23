// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/lanes.hpp"

#include <cmath>
#include <limits>
#include <type_traits>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace gdssm {
namespace {

static_assert(sizeof(Lanes<float>) == detail::native_bytes && sizeof(Lanes<double>) == detail::native_bytes);
static_assert(sizeof(Lanes<float, 16>) == 64 && std::is_trivially_copyable_v<Lanes<float, 16>>);
static_assert(alignof(Lanes<float, 64>) == detail::native_bytes);  // never more than the processor's own
static_assert(lane_count<Lanes<double, 8>> == 8 && lane_count<double> == 1);
static_assert(std::is_same_v<LaneScalar<Lanes<double>>, double> && std::is_same_v<LaneScalar<int>, int>);

template <class T>
bool same_bits(T a, T b) {
  return a == b && std::signbit(a) == std::signbit(b);
}

template <class S>
S random_lanes(test::Random& random) {
  Array<S> one(1, 1);
  random.fill(one);
  return one[0];
}

TEMPLATE_TEST_CASE("every operation acts lane by lane, as on plain numbers", "[lanes]", Lanes<float>, Lanes<double>,
                   (Lanes<float, 32>)) {
  using S = TestType;
  using T = typename S::Scalar;
  test::Random random(1);
  for (int repeat = 0; repeat < 50; ++repeat) {
    const S a = random_lanes<S>(random), b = random_lanes<S>(random), c = random_lanes<S>(random);
    S mask = random_lanes<S>(random), sum = a, difference = a, product = a;
    for (Index i = 0; i < S::count; i += 2) mask.set(i, i % 4 == 0 ? T(0) : -T(0));
    sum += b;
    difference -= b;
    product *= b;
    bool same = true;
    for (Index i = 0; i < S::count; ++i) {
      same = same && same_bits<T>((a + b)[i], a[i] + b[i]) && same_bits<T>(sum[i], a[i] + b[i]);
      same = same && same_bits<T>((a - b)[i], a[i] - b[i]) && same_bits<T>(difference[i], a[i] - b[i]);
      same = same && same_bits<T>((a * b)[i], a[i] * b[i]) && same_bits<T>(product[i], a[i] * b[i]);
      same = same && same_bits<T>((a / b)[i], a[i] / b[i]) && same_bits<T>((-a)[i], -a[i]);
      same = same && same_bits<T>(multiply_add(a, b, c)[i], multiply_add(a[i], b[i], c[i]));
      same = same && same_bits<T>(select(mask, a, b)[i], i % 2 == 0 ? b[i] : a[i]);
    }
    CHECK(same);
  }
}

TEMPLATE_TEST_CASE("a plain number becomes lanes that all hold it, signed zeros and infinities too", "[lanes]",
                   Lanes<float>, Lanes<double>) {
  using S = TestType;
  using T = typename S::Scalar;
  for (const T value :
       {T(0), -T(0), T(1.5), std::numeric_limits<T>::infinity(), std::numeric_limits<T>::denorm_min()}) {
    const S lanes = value;
    for (Index i = 0; i < S::count; ++i) CHECK(same_bits(lanes[i], value));
  }
  const S nan = std::numeric_limits<T>::quiet_NaN();
  CHECK(std::isnan(nan[S::count - 1]));
}

TEST_CASE("select takes the other side where the mask is zero, whatever the sign, and passes NaN by", "[lanes]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(select(0.0, nan, 2.0) == 2);
  CHECK(select(-0.0, 1.0, 2.0) == 2);
  CHECK(select(1.0, 1.0, nan) == 1);
  CHECK(select(Lanes<double>(0.0), Lanes<double>(nan), Lanes<double>(2.0)) == Lanes<double>(2.0));
}

TEST_CASE("lanes are equal when every lane is", "[lanes]") {
  Lanes<float, 16> a = 1, b = 1;
  CHECK(a == b);
  b.set(15, 2);
  CHECK(!(a == b));
  a.set(15, std::numeric_limits<float>::quiet_NaN());
  CHECK(!(a == a));
}

TEST_CASE("a lane is read and written, and all are added up in halves", "[lanes]") {
  Lanes<float, 16> lanes = 0;
  for (Index i = 0; i < 16; ++i) set_lane(lanes, i, static_cast<float>(i));
  CHECK(lane(lanes, 3) == 3);
  CHECK(sum_lanes(lanes) == 120);
  lanes = 0;
  lanes.set(0, 1);
  lanes.set(8, 0x1p24F);
  lanes.set(1, -0x1p24F);
  CHECK(sum_lanes(lanes) == 0);  // 1 is lost in 1 + 2^24, which come first; from first to last it would be 1

  double plain = 4;
  CHECK(lane(plain, 0) == 4);
  set_lane(plain, 0, 5.0);
  CHECK(sum_lanes(plain) == 5);
}

TEMPLATE_TEST_CASE("many sums over parts and lanes are the sums one by one, bit for bit", "[lanes]", float,
                   Lanes<float>, Lanes<double>, (Lanes<float, 32>)) {
  using S = TestType;
  const Index n = 37;
  Array<S> values[3] = {{n, 1}, {n, 1}, {n, 1}};
  for (Index p = 0; p < 3; ++p)
    for (Index i = 0; i < n; ++i)
      for (Index l = 0; l < lane_count<S>; ++l)
        set_lane(values[p][i], l, LaneScalar<S>(1) / static_cast<LaneScalar<S>>(3 * i + 7 * l + 11 * p + 1));
  Array<LaneScalar<S>> sums(n, 1);
  const S* const parts[] = {values[0].data(), values[1].data(), values[2].data()};
  sum_lanes(parts, 1, n, sums.data());
  for (Index i = 0; i < n; ++i) CHECK(sums[i] == sum_lanes(values[0][i]));
  sum_lanes(parts, 3, n, sums.data());
  for (Index i = 0; i < n; ++i) CHECK(sums[i] == sum_lanes(values[0][i] + values[1][i] + values[2][i]));
}

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
TEST_CASE("a product is added with one rounding where the processor can", "[lanes]") {
  const double a = 1 + 0x1p-30;
  CHECK(multiply_add(a, a, -1 - 0x1p-29) == 0x1p-60);
}
#endif

}  // namespace
}  // namespace gdssm
