// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/blocks/concepts.hpp"
#include "gdssm/core/dual.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/random.hpp"

// Checks of hand-written derivatives: of a block, or of any function from named arrays to named arrays,
//
//     struct Function {
//       template <class T> auto input() const;                                        // a bundle of the right sizes
//       template <class T> auto output(const auto& in) const;                         // a bundle
//       template <class T> auto pull_back(const auto& in, const auto& out_bar) const; // a bundle like input()
//     };
//
// where T is float, double or their dual numbers. The calls are `check_vjp(Function{...})` and `check_vjp(block)`.

namespace gdssm {

/// Named arrays, and aggregates of them, as one aggregate with `visit`. `auto& [a, b] = bundle.parts` unpacks it.
template <class... Part>
struct Bundle {
  std::array<std::string_view, sizeof...(Part)> names;  ///< a name for each part
  std::tuple<Part...> parts;                            ///< arrays, or aggregates of them

  template <class Visitor, class First, class... More>
  static void visit(Visitor&& visitor, First&& first, More&&... more) {
    [&]<std::size_t... K>(std::index_sequence<K...>) { (visit_one<K>(visitor, first, more...), ...); }
    (std::index_sequence_for<Part...>());
  }

 private:
  template <std::size_t K, class Visitor, class First, class... More>
  static void visit_one(Visitor&& visitor, First& first, More&... more) {
    if constexpr (requires { std::get<K>(first.parts).data(); })
      visitor(Name{first.names[K]}, std::get<K>(first.parts), std::get<K>(more.parts)...);
    else
      visit_part(first.names[K], visitor, std::get<K>(first.parts), std::get<K>(more.parts)...);
  }
};

/// A bundle of these parts.
template <class... Part>
Bundle<Part...> bundle(const std::array<std::string_view, sizeof...(Part)>& names, Part... parts) {
  return {names, {std::move(parts)...}};
}

/// The result of a check. Converts to bool: true if the check passed.
struct VjpReport {
  bool passed = true;   ///< no difference was above its tolerance
  double worst = 0;     ///< the largest ratio of a difference to its tolerance; the check fails above 1
  std::string message;  ///< on this difference: what was compared, the entry, and both numbers

  explicit operator bool() const { return passed; }  ///< `passed`

  /// Merges the result of another check.
  void add(const VjpReport& other, const std::string& where = {}) {
    passed = passed && other.passed;
    if (other.message.empty() || !(message.empty() || other.worst > worst || std::isnan(other.worst))) return;
    worst = other.worst;
    message = where.empty() ? other.message : where + ": " + other.message;
  }
};

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

/// For every entry the positions of its array's first and last entries, and its name, such as "coefficients.A(0, 1)".
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
        for (Index j = 0; j < array.cols(); ++j)
          for (Index i = 0; i < array.rows(); ++i)
            all.push_back({begin, end, name.str() + "(" + std::to_string(i) + ", " + std::to_string(j) + ")"});
      },
      aggregate);
  return all;
}

/// Fills every entry with a number uniform on [-size/2, size/2).
template <class Aggregate>
void fill_uniform(Aggregate& aggregate, double size, RandomStream<>& stream) {
  visit(
      [&](const Name&, auto& array) {
        for (Index i = 0; i < array.size(); ++i)
          array.data()[i] =
              static_cast<std::remove_cvref_t<decltype(array.data()[i])>>(size * (stream.uniform() - 0.5));
      },
      aggregate);
}

template <class T>
T dot(const std::vector<T>& a, const std::vector<T>& b) {
  T sum = T(0);
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
std::vector<T> random_vector(std::size_t size, RandomStream<>& stream) {
  std::vector<T> v(size);
  for (T& entry : v) entry = static_cast<T>(stream.uniform() - 0.5);
  return v;
}

/// A report of the worst of many comparisons.
template <class T>
class DerivativeComparison {
 public:
  explicit DerivativeComparison(std::string what) : what_(std::move(what)) {}

  void compare(const std::string& name, T got, T expected, T tolerance) {
    // Below the smallest normal number rounding is no longer relative.
    const T ratio = std::abs(got - expected) / (tolerance + 64 * (std::numeric_limits<T>::min)());
    if (!(ratio <= ratio_) || name_.empty()) ratio_ = ratio, name_ = name, got_ = got, expected_ = expected;
  }
  VjpReport report() const {
    std::ostringstream text;
    text.precision(std::numeric_limits<T>::max_digits10);
    text << what_ << " in " << (sizeof(T) == sizeof(float) ? "float" : "double") << ": " << name_ << " is " << got_
         << ", expected " << expected_;
    return {ratio_ <= 1, static_cast<double>(ratio_), std::move(text).str()};
  }

 private:
  std::string what_, name_;
  T got_ = 0, expected_ = 0, ratio_ = 0;
};

/// A function with its types erased, so that the checks are compiled once.
template <class T>
struct ErasedFunction {
  std::function<std::vector<T>(const std::vector<T>&)> output;
  std::function<std::vector<Dual<T>>(const std::vector<Dual<T>>&)> dual_output;
  std::function<std::vector<T>(const std::vector<T>&, const std::vector<T>&)> pull_back;
  std::vector<Place> places;
};

template <class T, class Function>
std::vector<T> output_of(const Function& f, const std::vector<T>& x) {
  auto in = f.template input<T>();
  assign(x, in);
  return entries<T>(f.template output<T>(std::as_const(in)));
}

template <class T, class Function>
std::vector<T> pulled_back(const Function& f, const std::vector<T>& x, const std::vector<T>& v) {
  auto in = f.template input<T>();
  assign(x, in);
  auto out_bar = f.template output<T>(std::as_const(in));
  assign(v, out_bar);
  return entries<T>(f.template pull_back<T>(std::as_const(in), std::as_const(out_bar)));
}

template <class T, class Function>
ErasedFunction<T> erased(const Function& f) {
  return {[&f](const auto& x) { return output_of<T>(f, x); }, [&f](const auto& x) { return output_of<Dual<T>>(f, x); },
          [&f](const auto& x, const auto& v) { return pulled_back<T>(f, x, v); }, places(f.template input<T>())};
}

template <class T>
VjpReport check_vjp_at(const ErasedFunction<T>& f, const std::vector<double>& point, RandomStream<>& stream) {
  constexpr bool precise = std::is_same_v<T, double>;
  const T tolerance = precise ? T(1e-12) : T(1e-4);

  std::vector<T> x(point.size());
  std::transform(point.begin(), point.end(), x.begin(), [](double value) { return static_cast<T>(value); });
  const std::vector<T> v = random_vector<T>(f.output(x).size(), stream), u = random_vector<T>(x.size(), stream);
  const std::vector<T> gradient = f.pull_back(x, v);
  if (gradient.size() != x.size())
    return {false, std::numeric_limits<double>::infinity(),
            "the pull-back has " + std::to_string(gradient.size()) + " entries, expected " + std::to_string(x.size())};

  // J times a direction, by dual numbers.
  const auto push_forward = [&](const std::vector<T>& direction) {
    std::vector<Dual<T>> moving;
    for (std::size_t i = 0; i < x.size(); ++i) moving.push_back({x[i], direction[i]});
    std::vector<T> Ju;
    for (const Dual<T>& y : f.dual_output(moving)) Ju.push_back(y.derivative);
    return Ju;
  };

  // Every entry of J^T v. Rounding errors are relative to the largest entry of the array, before terms cancel.
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
  VjpReport report;
  DerivativeComparison<T> by_duals("the gradient against dual numbers");
  for (std::size_t i = 0; i < x.size(); ++i)
    by_duals.compare(f.places[i].name, gradient[i], expected[i], tolerance * scale[i]);
  report.add(by_duals.report());

  // <v, J u> = <J^T v, u>
  DerivativeComparison<T> adjoint("the adjoint identity");
  T size = T(0);
  for (std::size_t i = 0; i < x.size(); ++i) size += std::abs(scale[i] * u[i]);
  adjoint.compare("<J^T v, u>", dot(gradient, u), dot(v, push_forward(u)), tolerance * size);
  report.add(adjoint.report());

  // Central differences: less precise, but independent of dual numbers.
  if constexpr (precise) {
    const auto value = [&](std::size_t i, T step) {
      std::vector<T> moved = x;
      moved[i] += step;
      return dot(v, f.output(moved));
    };
    const T h = 1e-5;
    DerivativeComparison<T> by_differences("the gradient against central differences");
    for (std::size_t i = 0; i < x.size(); ++i)
      by_differences.compare(f.places[i].name, gradient[i], (value(i, h) - value(i, -h)) / (2 * h),
                             1e-6 * (std::max)(T(1), scale[i]));
    report.add(by_differences.report());
  }
  return report;
}

/// A block's parameters -> its coefficients.
template <class Block>
struct PrepareFunction {
  const Block& block;

  template <class T>
  auto input() const {
    return bundle({"parameters"}, block.template parameters<T>());
  }
  template <class T>
  auto output(const auto& in) const {
    auto c = block.template coefficients<T>();
    block.prepare(std::get<0>(in.parts), c);
    return bundle({"coefficients"}, c);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto out = output<T>(in);
    auto in_bar = input<T>();
    block.prepare_vjp(std::get<0>(in.parts), std::get<0>(out.parts), std::get<0>(out_bar.parts),
                      std::get<0>(in_bar.parts));
    return in_bar;
  }
};

/// Coefficients and a window -> both factors.
template <class Block>
struct AttentionFunction {
  const Block& attention;

  template <class T>
  auto input() const {
    using Window = typename Block::Window;
    return bundle({"coefficients", "window"}, attention.template coefficients<T>(),
                  Array<T, Window::size, Window::width>(attention.window().features(), Window::width));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, window] = in.parts;
    auto ws = attention.template workspace<T>();
    const auto G = attention.step(c, window.view(), ws);
    Array<T, Block::rows, Block::rank> left(attention.row_count(), Block::rank);
    Array<T, Block::cols, Block::rank> right(attention.col_count(), Block::rank);
    copy(G.left, left.view());
    copy(G.right, right.view());
    return bundle({"left", "right"}, left, right);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, window] = in.parts;
    const auto& [left_bar, right_bar] = out_bar.parts;
    auto in_bar = input<T>();
    auto& [c_bar, window_bar] = in_bar.parts;
    attention.step_vjp(c, window.view(), left_bar.view(), right_bar.view(), c_bar, window_bar.view());
    return in_bar;
  }
};

/// Coefficients, factors and Z_{t-1}^T -> Z_t^T, with or without a `mask`.
template <class Block>
struct RecurrenceFunction {
  static constexpr Index rank = rank_taken<Block>;
  const Block& recurrence;
  int mask = -1;

  template <class T>
  auto input() const {
    const Index rows = recurrence.row_count(), cols = recurrence.col_count();
    return bundle({"coefficients", "left", "right", "memory"}, recurrence.template coefficients<T>(),
                  Array<T, Block::rows, rank>(rows, rank), Array<T, Block::cols, rank>(cols, rank),
                  Array<T, Block::cols, Block::rows>(cols, rows));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, left, right, memory] = in.parts;
    const Factors<const T, Block::rows, Block::cols, rank> G{left.view(), right.view()};
    const T m = mask > 0 ? T(1) : T(0);
    auto state = recurrence.template initial_state<T>();
    state.memory = memory;
    auto ws = recurrence.template workspace<T>();
    recurrence.step(c, G, mask < 0 ? nullptr : &m, state, ws);
    return bundle({"memory"}, state.memory);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, left, right, memory] = in.parts;
    const Factors<const T, Block::rows, Block::cols, rank> G{left.view(), right.view()};
    const T m = mask > 0 ? T(1) : T(0);
    auto in_bar = input<T>();
    auto& [c_bar, left_bar, right_bar, memory_bar] = in_bar.parts;
    memory_bar = std::get<0>(out_bar.parts);
    auto ws = recurrence.template workspace<T>();
    recurrence.step_vjp(c, G, mask < 0 ? nullptr : &m, memory.view(), memory_bar.view(), c_bar,
                        Factors<T, Block::rows, Block::cols, rank>{left_bar.view(), right_bar.view()}, ws);
    return in_bar;
  }
};

/// Coefficients, Z_t^T and o -> the prediction. The state has one row more than columns, unless the readout says how
/// many.
template <class Block>
struct ReadoutFunction {
  const Block& readout;

  template <class T>
  auto input() const {
    Index rows = readout.col_count() + 1;
    if constexpr (requires { readout.row_count(); }) rows = readout.row_count();
    return bundle({"coefficients", "memory", "o"}, readout.template coefficients<T>(),
                  Array<T, Block::cols>(readout.col_count(), rows), Array<T, Dynamic, 1>(rows, 1));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, memory, o] = in.parts;
    Array<T, Block::outputs, 1> prediction(readout.output_count(), 1);
    auto ws = readout.template workspace<T>();
    readout.step(c, memory.view(), o.view(), prediction.view(), ws);
    return bundle({"prediction"}, prediction);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, memory, o] = in.parts;
    auto in_bar = input<T>();
    auto& [c_bar, memory_bar, o_bar] = in_bar.parts;
    Array<T, Block::outputs, 1> prediction(readout.output_count(), 1);
    auto ws = readout.template workspace<T>();
    readout.step(c, memory.view(), o.view(), prediction.view(), ws);
    readout.step_vjp(c, memory.view(), std::get<0>(out_bar.parts).view(), c_bar, o_bar.view(), ws);
    const auto x = read_by(ws, o.view());
    for (Index i = 0; i < memory.cols(); ++i)
      for (Index j = 0; j < memory.rows(); ++j) memory_bar(j, i) = ws.v[j] * x[i];
    return in_bar;
  }
};

/// Coefficients and a window -> o.
template <class Block>
struct GateFunction {
  const Block& gate;

  template <class T>
  auto input() const {
    return bundle({"coefficients", "window"}, gate.template coefficients<T>(),
                  Array<T, Block::features, Block::width>(gate.feature_count(), Block::width));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, window] = in.parts;
    Array<T, Block::rows, 1> o(gate.row_count(), 1);
    auto ws = gate.template workspace<T>();
    gate.step(c, window.view(), o.view(), ws);
    return bundle({"o"}, o);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, window] = in.parts;
    auto in_bar = input<T>();
    auto& [c_bar, window_bar] = in_bar.parts;
    auto ws = gate.template workspace<T>();
    gate.step_vjp(c, window.view(), std::get<0>(out_bar.parts).view(), c_bar, window_bar.view(), ws);
    return in_bar;
  }
};

template <class F>
concept DifferentiableFunction = requires(const F& f) {
  f.template input<double>();
  f.template output<double>(f.template input<double>());
};

}  // namespace detail

/// Checks a function's pull-back at one point, a bundle like `f.input<double>()`, in float and double. Compares every
/// entry of the gradient with dual numbers, to 1e-4 (float) or 1e-12 (double) of the largest entry of its array. Checks
/// the adjoint identity <v, J u> = <J^T v, u>, and compares with central differences.
template <detail::DifferentiableFunction Function, class Point>
VjpReport check_vjp_at(const Function& f, const Point& point, std::uint64_t seed = 1) {
  RandomStream<> stream(seed);
  const std::vector<double> x = detail::entries<double>(point);
  VjpReport report = detail::check_vjp_at(detail::erased<double>(f), x, stream);
  report.add(detail::check_vjp_at(detail::erased<float>(f), x, stream));
  return report;
}

/// The same at zero, at a tiny point and at a random point.
template <detail::DifferentiableFunction Function>
VjpReport check_vjp(const Function& f, std::uint64_t seed = 1) {
  RandomStream<> stream(seed, 1);
  auto point = f.template input<double>();
  VjpReport report;
  for (const auto& [size, where] : {std::pair(0.0, "at zero"), {1e-8, "near zero"}, {1.0, "at a random point"}}) {
    detail::fill_uniform(point, size, stream);
    report.add(check_vjp_at(f, point, seed), where);
  }
  return report;
}

/// Checks every derivative of a block: `prepare_vjp`, and `step_vjp` by weights, inputs and state, with and without a
/// mask.
///     if (const auto report = check_vjp(block); !report) std::cerr << report.message << "\n";
template <Block B>
VjpReport check_vjp(const B& block, std::uint64_t seed = 1) {
  VjpReport report = check_vjp(detail::PrepareFunction<B>{block}, seed);
  if constexpr (AttentionBlock<B>) report.add(check_vjp(detail::AttentionFunction<B>{block}, seed), "step");
  if constexpr (RecurrenceBlock<B>) {
    report.add(check_vjp(detail::RecurrenceFunction<B>{block}, seed), "step");
    for (const int mask : {0, 1})
      report.add(check_vjp(detail::RecurrenceFunction<B>{block, mask}, seed), "step with mask " + std::to_string(mask));
  }
  if constexpr (ReadoutBlock<B>) report.add(check_vjp(detail::ReadoutFunction<B>{block}, seed), "step");
  if constexpr (GateBlock<B>) report.add(check_vjp(detail::GateFunction<B>{block}, seed), "step");
  return report;
}

}  // namespace gdssm
