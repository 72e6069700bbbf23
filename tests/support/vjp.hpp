// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/core/dual.hpp"
#include "gdssm/core/parameters.hpp"

// One harness for every hand-written VJP. A case is a differentiable function of named arrays to named arrays,
//
//     struct Case {
//       template <class T> auto input() const;                                        // a bundle of the right sizes
//       template <class T> auto output(const auto& in) const;                         // a bundle
//       template <class T> auto pull_back(const auto& in, const auto& out_bar) const; // a bundle like input()
//     };
//
// for T float, double and their dual numbers, and `check_vjp(Case{...})` is its test.
namespace gdssm::test {

/// Named arrays, and aggregates of them, as one that can be visited; `auto& [a, b] = bundle.parts` names them again.
template <class... Part>
struct Bundle {
  std::array<std::string_view, sizeof...(Part)> names;
  std::tuple<Part...> parts;

  template <class Visitor, class First, class... More>
  static void visit(Visitor&& visitor, First&& first, More&&... more) {
    [&]<std::size_t... I>(std::index_sequence<I...>) { (visit_one<I>(visitor, first, more...), ...); }
    (std::index_sequence_for<Part...>());
  }

 private:
  template <std::size_t I, class Visitor, class First, class... More>
  static void visit_one(Visitor&& visitor, First& first, More&... more) {
    if constexpr (requires { std::get<I>(first.parts).data(); })
      visitor(Name{first.names[I]}, std::get<I>(first.parts), std::get<I>(more.parts)...);
    else
      visit_part(first.names[I], visitor, std::get<I>(first.parts), std::get<I>(more.parts)...);
  }
};

template <class... Part>
Bundle<Part...> bundle(const std::array<std::string_view, sizeof...(Part)>& names, Part... parts) {
  return {names, {std::move(parts)...}};
}

namespace detail {

/// The entries of all arrays, one after the other.
template <class T, class Aggregate>
std::vector<T> entries(const Aggregate& aggregate) {
  std::vector<T> all;
  visit([&](const Name&, const auto& array) { all.insert(all.end(), array.data(), array.data() + array.size()); },
        aggregate);
  return all;
}

template <class T, class Aggregate>
void assign(const std::vector<T>& all, Aggregate& aggregate) {
  std::size_t next = 0;
  visit(
      [&](const Name&, auto& array) {
        for (Index i = 0; i < array.size(); ++i) array.data()[i] = all[next++];
      },
      aggregate);
}

/// For every entry the place of its array's first entry and last, and how to call it.
struct Place {
  std::ptrdiff_t begin, end;
  std::string name;
};
template <class Aggregate>
std::vector<Place> places(const Aggregate& aggregate) {
  std::vector<Place> all;
  visit(
      [&](const Name& name, const auto& array) {
        const auto begin = static_cast<std::ptrdiff_t>(all.size()), end = begin + array.size();
        for (std::ptrdiff_t i = begin; i < end; ++i)
          all.push_back({begin, end, name.str() + "[" + std::to_string(i - begin) + "]"});
      },
      aggregate);
  return all;
}

template <class T>
T dot(const std::vector<T>& a, const std::vector<T>& b) {
  T sum = T(0);
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
std::vector<T> random_vector(std::size_t size, Random& random) {
  std::vector<T> v(size);
  for (T& entry : v) entry = static_cast<T>(random());
  return v;
}

/// One entry's check: the worst of all is what a failure shows.
template <class T>
class Worst {
 public:
  explicit Worst(std::string what) : what_(std::move(what)) {}

  void compare(const std::string& name, T got, T expected, T tolerance) {
    // Below the smallest normal number rounding is no longer relative.
    const T ratio = std::abs(got - expected) / (tolerance + 64 * std::numeric_limits<T>::min());
    if (!(ratio <= ratio_)) ratio_ = ratio, name_ = name, got_ = got, expected_ = expected;
  }
  void check() const {
    INFO(what_ << ": " << name_ << " is " << got_ << ", expected " << expected_);
    CHECK(ratio_ <= 1);
  }

 private:
  std::string what_, name_;
  T got_ = 0, expected_ = 0, ratio_ = 0;
};

/// A case with its types erased, so that what follows is compiled once.
template <class T>
struct Function {
  std::function<std::vector<T>(const std::vector<T>&)> output;
  std::function<std::vector<Dual<T>>(const std::vector<Dual<T>>&)> dual_output;
  std::function<std::vector<T>(const std::vector<T>&, const std::vector<T>&)> pull_back;
  std::vector<Place> places;
};

template <class T, class Case>
std::vector<T> output(const Case& c, const std::vector<T>& x) {
  auto in = c.template input<T>();
  assign(x, in);
  return entries<T>(c.template output<T>(std::as_const(in)));
}

template <class T, class Case>
std::vector<T> pull_back(const Case& c, const std::vector<T>& x, const std::vector<T>& v) {
  auto in = c.template input<T>();
  assign(x, in);
  auto out_bar = c.template output<T>(std::as_const(in));
  assign(v, out_bar);
  return entries<T>(c.template pull_back<T>(std::as_const(in), std::as_const(out_bar)));
}

template <class T, class Case>
Function<T> function(const Case& c) {
  return {[&c](const auto& x) { return output<T>(c, x); }, [&c](const auto& x) { return output<Dual<T>>(c, x); },
          [&c](const auto& x, const auto& v) { return pull_back<T>(c, x, v); }, places(c.template input<T>())};
}

template <class T>
void check_vjp_at(const Function<T>& f, const std::vector<double>& point, Random& random) {
  constexpr bool precise = std::is_same_v<T, double>;
  const T tolerance = precise ? T(1e-12) : T(1e-4);
  INFO("scalar of " << sizeof(T) << " bytes");

  std::vector<T> x(point.size());
  std::transform(point.begin(), point.end(), x.begin(), [](double value) { return static_cast<T>(value); });
  const std::vector<T> v = random_vector<T>(f.output(x).size(), random), u = random_vector<T>(x.size(), random);
  const std::vector<T> gradient = f.pull_back(x, v);
  REQUIRE(gradient.size() == x.size());

  // J times a direction, by dual numbers.
  const auto push_forward = [&](const std::vector<T>& direction) {
    std::vector<Dual<T>> moving;
    for (std::size_t i = 0; i < x.size(); ++i) moving.push_back({x[i], direction[i]});
    std::vector<T> Ju;
    for (const Dual<T>& y : f.dual_output(moving)) Ju.push_back(y.derivative);
    return Ju;
  };

  // Every entry of J^T v. What rounding is relative to: the largest in its array, before terms cancel.
  std::vector<T> expected, terms, scale;
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::vector<T> unit(x.size());
    unit[i] = 1;
    const std::vector<T> column = push_forward(unit);
    expected.push_back(dot(v, column));
    terms.push_back(T(0));
    for (std::size_t o = 0; o < v.size(); ++o) terms.back() += std::abs(v[o] * column[o]);
  }
  for (const Place& place : f.places)
    scale.push_back(*std::max_element(terms.begin() + place.begin, terms.begin() + place.end));
  Worst<T> by_duals("gradient against dual numbers");
  for (std::size_t i = 0; i < x.size(); ++i)
    by_duals.compare(f.places[i].name, gradient[i], expected[i], tolerance * scale[i]);
  by_duals.check();

  // <v, J u> = <J^T v, u>
  Worst<T> adjoint("adjoint identity");
  T size = T(0);
  for (std::size_t i = 0; i < x.size(); ++i) size += std::abs(scale[i] * u[i]);
  adjoint.compare("<J^T v, u>", dot(gradient, u), dot(v, push_forward(u)), tolerance * size);
  adjoint.check();

  // Central differences: coarse, but they know nothing of duals.
  if constexpr (precise) {
    const auto value = [&](std::size_t i, T step) {
      std::vector<T> moved = x;
      moved[i] += step;
      return dot(v, f.output(moved));
    };
    const T h = 1e-5;
    Worst<T> by_differences("gradient against central differences");
    for (std::size_t i = 0; i < x.size(); ++i)
      by_differences.compare(f.places[i].name, gradient[i], (value(i, h) - value(i, -h)) / (2 * h),
                             1e-6 * std::max(T(1), scale[i]));
    by_differences.check();
  }
}

}  // namespace detail

/// Checks a case's pull-back at a point, a bundle like `c.input<double>()`, in float and double: every entry of the
/// gradient against dual numbers, the adjoint identity <v, J u> = <J^T v, u>, and central differences.
template <class Case, class Point>
void check_vjp_at(const Case& c, const Point& point, std::uint64_t seed = 1) {
  Random random(seed);
  const std::vector<double> x = detail::entries<double>(point);
  detail::check_vjp_at(detail::function<double>(c), x, random);
  detail::check_vjp_at(detail::function<float>(c), x, random);
}

/// The same at zero, at a tiny point and at a random one.
template <class Case>
void check_vjp(const Case& c, std::uint64_t seed = 1) {
  Random random(seed);
  auto point = c.template input<double>();
  for (const double size : {0.0, 1e-8, 1.0}) {
    random.fill(point);
    visit(
        [&](const Name&, auto& array) {
          for (Index i = 0; i < array.size(); ++i) array.data()[i] *= size;
        },
        point);
    INFO("point of size " << size);
    check_vjp_at(c, point, seed);
  }
}

}  // namespace gdssm::test
