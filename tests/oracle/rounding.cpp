// SPDX-License-Identifier: Apache-2.0
// Other implementations of every row are rounding, in every precision and order of summation, and mistakes are bugs.
#include "gdssm/oracle/rounding.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "oracle/draws.hpp"
#include "oracle/narrow.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

using test::Draw;
using test::draw_inputs;
using test::Drawing;
using test::message_of;
using test::Narrow;
using test::reordered;
using test::Tensors;

using Comparisons = std::map<std::string, Comparison>;

/// What an implementation in the precision of S computes, in double.
template <class S>
Tensors computed(const std::string& row, const Tensors& inputs) {
  Tensors out;
  for (const auto& [name, result] : detail::recurrence_of<S>(row, inputs, "inputs")) {
    std::vector<double> numbers;
    for (const S& x : result.numbers) numbers.push_back(static_cast<double>(x));
    out[name] = {result.shape, std::move(numbers)};
  }
  return out;
}

Comparisons compared(const std::string& row, const Tensors& inputs, const Tensors& outputs,
                     std::string_view precision = "f32") {
  return compare_with_recurrence(row, inputs, {{}, outputs}, precision_of(precision));
}

double most_units(const Comparisons& comparisons) {
  double most = 0;
  for (const auto& [name, one] : comparisons) most = std::max(most, one.units);
  return most;
}

/// Random sizes, no two of which are equal, and no other axis of a row has.
Draw random_draw(Drawing& random, double least_decay) {
  Draw draw;
  draw.d_k = 2 * random.whole(2, 5), draw.d_v = 2 * random.whole(2, 5) + 1, draw.T = 12 + random.whole(0, 40);
  draw.least_decay = least_decay, draw.starts_at_zero = random.whole(0, 2) == 0;
  return draw;
}

/// Random inputs with a cotangent for every output.
Tensors with_cotangents(const std::string& row, Tensors inputs, Drawing& random) {
  for (const auto& [name, output] : computed<float>(row, inputs))
    inputs["cotangent." + name] = random.normal(1, output.shape);
  return inputs;
}
Tensors draw_all(const std::string& row, const Draw& draw, Drawing& random, bool turning = false) {
  return with_cotangents(row, draw_inputs(row, draw, random, turning), random);
}

/// All tensors with their channels in another order.
Tensors reordered(const Tensors& tensors, const Draw& draw, const std::vector<std::size_t>& keys,
                  const std::vector<std::size_t>& values) {
  Tensors result;
  for (const auto& [name, tensor] : tensors)
    result[name] = reordered(reordered(tensor, draw.d_k, keys), draw.d_v, values);
  return result;
}
std::vector<std::size_t> inverse(const std::vector<std::size_t>& order) {
  std::vector<std::size_t> places(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) places[order[i]] = i;
  return places;
}

/// What an implementation says that sums over channels in another order.
template <class S>
Tensors computed_in_another_order(const std::string& row, const Draw& draw, const Tensors& inputs, Drawing& random) {
  const auto keys = random.order(draw.d_k), values = random.order(draw.d_v);
  return reordered(computed<S>(row, reordered(inputs, draw, keys, values)), draw, inverse(keys), inverse(values));
}

/// The largest difference, in units of the bound, over `runs` correct float runs of a row.
double most_units_of_float_runs(const std::string& row, int runs, unsigned seed) {
  Drawing random(seed);
  double most = 0;
  for (int run = 0; run < runs; ++run) {
    const double decays[] = {0.99, 0.9, 0.5, 0.1, 0.001};
    const Draw draw = random_draw(random, decays[run % 5]);
    const bool turning = row == "mamba3" && run % 2 == 1;
    const Tensors inputs = draw_all(row, draw, random, turning);
    most = std::max(most, most_units(compared(row, inputs, computed<float>(row, inputs))));
    if (turning) continue;  // which pairs channels
    const Tensors outputs = computed_in_another_order<float>(row, draw, inputs, random);
    most = std::max(most, most_units(compared(row, inputs, outputs)));
  }
  return most;
}

template <int Bits>
double most_units_of_narrow_runs(const std::string& row, std::string_view precision) {
  Drawing random(5);
  double most = 0;
  for (int run = 0; run < 3; ++run) {
    const double decays[] = {0.99, 0.9, 0.5};
    const Draw draw = random_draw(random, decays[run]);
    const Tensors inputs = draw_all(row, draw, random);
    const Tensors outputs = computed_in_another_order<Narrow<Bits>>(row, draw, inputs, random);
    most = std::max(most, most_units(compared(row, inputs, outputs, precision)));
    Tensors rounded = inputs;  // and no more than that: the rest in float
    for (auto& [name, tensor] : rounded)
      for (double& entry : tensor.template as<double>()) entry = Narrow<Bits>::rounded(entry);
    most = std::max(most, most_units(compared(row, inputs, computed<float>(row, rounded), precision)));
  }
  return most;
}

}  // namespace

TEST_CASE("correct implementations in float, in any order of summation, are rounding, for every row", "[rounding]") {
  for (const std::string_view row : detail::recurrence_rows) {
    INFO(row);
    const double most = most_units_of_float_runs(std::string(row), 5, 1);
    CHECK(most > 0.02);  // the bound is no more than it has to be
    CHECK(most < 1);
  }
}

TEST_CASE("10,000 correct runs in float, in two orders each, are rounding", "[.long]") {
  for (const std::string_view row : detail::recurrence_rows) {
    INFO(row);
    CHECK(most_units_of_float_runs(std::string(row), 460, 2) < 1);
  }
}

TEST_CASE("correct implementations that keep everything in BF16, or inputs only, are rounding in it and not in float",
          "[rounding]") {
  for (const std::string row :
       {"linear_attention", "delta_rule", "kda", "longhorn", "titans", "ttt_linear", "mamba3"}) {
    INFO(row);
    CHECK(most_units_of_narrow_runs<8>(row, "bf16") < 1);
    CHECK(most_units_of_narrow_runs<8>(row, "f32") > 1);
  }
}

namespace {

// Mistakes. Each is what public implementations have been seen to do, made by running the right rule on other inputs.

/// Tokens first, ..., last - 1 of those tensors that have tokens.
Tensors cut(const Tensors& inputs, Index T, Index first, Index last) {
  Tensors part;
  for (const auto& [name, tensor] : inputs) {
    const bool windows = name == "tokens" && tensor.shape[0] == 2 * T + 1;
    const bool tokens = windows || (!tensor.shape.empty() && tensor.shape[0] == T);
    part[name] = tensor;
    if (!tokens) continue;
    const Index begin = windows ? 2 * first : first, end = windows ? 2 * last + 1 : last;
    const Index size = static_cast<Index>(tensor.as<double>().size()) / tensor.shape[0];
    const auto numbers = tensor.as<double>();
    part[name].shape[0] = end - begin;
    part[name].data = std::vector<double>(numbers.begin() + begin * size, numbers.begin() + end * size);
  }
  return part;
}

Tensor transposed(const Tensor& square) {
  Tensor result = square;
  const Index n = square.shape[0];
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      result.as<double>()[static_cast<std::size_t>(i * n + j)] =
          square.as<double>()[static_cast<std::size_t>(j * n + i)];
  return result;
}

std::string state_of(const std::string& row) { return row == "mesa" ? "M" : "S"; }

/// Names of a row's decays.
std::vector<std::string> decays_of(const std::string& row) {
  static const std::map<std::string, std::vector<std::string>> names{
      {"retnet", {"gamma"}},       {"mamba2", {"A"}},     {"gla", {"alpha"}},
      {"paper_layer", {"L"}},      {"mamba3", {"alpha"}}, {"gated_delta_rule", {"alpha"}},
      {"kda", {"alpha"}},          {"gdn2", {"alpha"}},   {"comba", {"alpha"}},
      {"deltaproduct", {"alpha"}}, {"rwkv7", {"w"}},      {"precond_gated_delta_rule", {"alpha", "alpha_A"}},
      {"gated_oja", {"alpha"}},    {"mesa", {"alpha"}},   {"titans", {"alpha", "eta"}},
      {"omega", {"alpha", "eta"}}};
  const auto found = names.find(row);
  return found == names.end() ? std::vector<std::string>{} : found->second;
}

struct Case {
  std::string row;
  Draw draw;
  Tensors inputs, outputs;  // the right ones, as of float

  explicit Case(const std::string& name, Draw sizes = {}) : row(name), draw(sizes) {
    Drawing random(7);
    inputs = draw_all(row, draw, random);
    outputs = computed<float>(row, inputs);
  }
  /// The comparison with these outputs in place of the right ones.
  Comparisons with(const Tensors& wrong) const {
    Tensors all = outputs;
    for (const auto& [name, tensor] : wrong)
      if (all.at(name).shape == tensor.shape) all[name] = tensor;
    return compared(row, inputs, all);
  }
  Tensors without_cotangents() const {
    Tensors all;
    for (const auto& [name, tensor] : inputs)
      if (!name.starts_with("cotangent.")) all[name] = tensor;
    return all;
  }
};

}  // namespace

TEST_CASE("a gradient without the decay's is a bug", "[rounding]") {
  for (const std::string_view row : detail::recurrence_rows)
    for (const std::string& decay : decays_of(std::string(row))) {
      INFO(row << ", " << decay);
      const Case one{std::string(row)};
      const std::string name = "grad." + decay;
      Tensor nothing = one.outputs.at(name);
      for (double& entry : nothing.as<double>()) entry = 0;
      const auto comparisons = one.with({{name, nothing}});
      for (const auto& [tensor, comparison] : comparisons) CHECK(comparison.is_rounding() == (tensor != name));
    }
}

TEST_CASE("a decay that a padded token applies once more is a bug in the last state", "[rounding]") {
  int rows = 0;
  for (const std::string_view row_name : detail::recurrence_rows) {
    const std::string row(row_name);
    if (decays_of(row).empty() || row == "retnet" || row == "paper_layer") continue;
    INFO(row);
    ++rows;
    const Case one(row);
    Tensors padded = one.without_cotangents();
    for (auto& [name, tensor] : padded) {
      if (tensor.shape.empty() || tensor.shape[0] != one.draw.T) continue;
      auto numbers = std::get<std::vector<double>>(tensor.data);
      const std::size_t size = numbers.size() / static_cast<std::size_t>(one.draw.T);
      const bool key = name == "k" || name == "v" || name == "p" || name == "kappa";
      for (std::size_t i = 0; i < size; ++i)
        numbers.push_back(key ? 0 : name == "lambda" && row == "mamba3" ? 1 : numbers[numbers.size() - size]);
      ++tensor.shape[0];
      tensor.data = std::move(numbers);
    }
    const std::string state = state_of(row) + "_T";
    const auto comparisons = one.with({{state, computed<float>(row, padded).at(state)}});
    for (const auto& [tensor, comparison] : comparisons) CHECK(comparison.is_rounding() == (tensor != state));
  }
  CHECK(rows == 14);
}

TEST_CASE("a decay that a constant applies once more is a bug in the last state", "[rounding]") {
  for (const std::string row : {"retnet", "paper_layer"}) {
    INFO(row);
    const Case one(row);
    Tensor state = one.outputs.at("S_T");
    const auto decays = one.inputs.at(row == "retnet" ? "gamma" : "L").as<double>();
    for (std::size_t i = 0; i < state.as<double>().size(); ++i)
      state.as<double>()[i] *= decays[row == "retnet" ? 0 : i];
    CHECK(!one.with({{"S_T", state}}).at("S_T").is_rounding());
  }
}

TEST_CASE("outputs read before their token's update are a bug from the token on that they are read at", "[rounding]") {
  for (const std::string_view row_name : detail::recurrence_rows) {
    const std::string row(row_name);
    if (row == "paper_layer") continue;  // has no query of its own
    INFO(row);
    const Case one(row);
    Tensors moved = one.without_cotangents();
    const auto width = static_cast<std::ptrdiff_t>(moved.at("q").shape[1]);
    auto& queries = std::get<std::vector<double>>(moved.at("q").data);
    std::rotate(queries.begin(), queries.begin() + width, queries.end());  // token t gets the query of t + 1
    Tensor o = computed<float>(row, moved).at("o");
    auto& outputs = std::get<std::vector<double>>(o.data);
    std::rotate(outputs.begin(), outputs.end() - static_cast<std::ptrdiff_t>(o.shape[1]), outputs.end());
    const auto right = one.outputs.at("o").as<double>();
    std::copy(right.begin(), right.begin() + static_cast<std::ptrdiff_t>(o.shape[1]), outputs.begin());
    if (row == "ttt_linear_ln") {  // adds the query to what it reads, and so does the mistake
      CHECK(!one.with({{"o", o}}).at("o").is_rounding());
      continue;
    }
    const Comparison comparison = one.with({{"o", o}}).at("o");
    CHECK(!comparison.is_rounding());
    CHECK(comparison.first == 1);
  }
}

TEST_CASE("1e-5 added to a denominator is a bug", "[rounding]") {
  for (const std::string row : {"longhorn", "longhorn_diagonal", "mesa", "precond_gated_delta_rule", "ttt_linear_ln"})
    for (const bool starts_at_zero : {true, false}) {
      INFO(row << (starts_at_zero ? " from 0" : ""));
      const Case one(row, {.d_k = 32, .d_v = 8, .starts_at_zero = starts_at_zero});
      Tensors inputs = one.inputs;
      // beta / (1 + 1e-5 + beta |k|^2) is the rate of beta / (1 + 1e-5).
      if (row == "longhorn" || row == "longhorn_diagonal")
        for (double& beta : inputs.at("beta").as<double>()) beta /= 1 + 1e-5;
      if (row == "mesa")
        for (double& lambda : inputs.at("lambda").as<double>()) lambda += 1e-5;
      if (row == "precond_gated_delta_rule" || row == "ttt_linear_ln") inputs["eps"].as<double>()[0] += 1e-5;
      Tensors outputs = computed<double>(row, inputs);
      CHECK(!compared(row, one.inputs, {{"o", outputs.at("o")}}).at("o").is_rounding());
      CHECK(most_units(compared(row, one.inputs, outputs)) > 1);
    }
}

TEST_CASE("a state read or written transposed is a bug", "[rounding]") {
  for (const std::string_view row_name : detail::recurrence_rows) {
    const std::string row(row_name);
    INFO(row);
    const Case one(row, {.d_k = 6, .d_v = 6});
    const std::string letter = state_of(row), last = letter + "_T";
    CHECK(!one.with({{last, transposed(one.outputs.at(last))}}).at(last).is_rounding());
    Tensors inputs = one.inputs;
    inputs[letter + "0"] = transposed(inputs.at(letter + "0"));
    const Comparison comparison = one.with({{"o", computed<float>(row, inputs).at("o")}}).at("o");
    CHECK(!comparison.is_rounding());
    CHECK(comparison.first == 0);
  }
}

TEST_CASE("a state that is not carried from one chunk of 16 to the next is a bug from there on", "[rounding]") {
  for (const std::string_view row_name : detail::recurrence_rows) {
    const std::string row(row_name);
    INFO(row);
    const Case one(row);
    const Tensors inputs = one.without_cotangents();
    Tensors outputs = computed<float>(row, cut(inputs, one.draw.T, 0, 16));
    const Tensors stale = computed<float>(row, cut(inputs, one.draw.T, 16, one.draw.T));
    auto& o = outputs.at("o");
    auto numbers = std::get<std::vector<double>>(o.data);
    const auto more = stale.at("o").as<double>();
    numbers.insert(numbers.end(), more.begin(), more.end());
    const Comparison comparison = one.with({{"o", {one.outputs.at("o").shape, numbers}}}).at("o");
    CHECK(!comparison.is_rounding());
    CHECK(comparison.first == 16);
    const std::string last = state_of(row) + "_T";
    CHECK(!one.with({{last, stale.at(last)}}).at(last).is_rounding());
  }
}

TEST_CASE("a comparison says where, what was expected, and which precision would be rounding", "[rounding]") {
  const Case one("delta_rule");
  const auto right = compared("delta_rule", one.inputs, one.outputs);
  CHECK(right.at("o").entry.size() == 2);
  CHECK(right.at("o").units > 0);
  CHECK(!right.at("o").first);
  CHECK(!right.at("o").coarser);
  CHECK(right.at("o").resolution > 1e-8);
  CHECK(right.at("o").resolution < 1e-4);

  Tensor o = one.outputs.at("o");
  o.as<double>()[5 * 4 + 2] += 1;
  o.as<double>()[3 * 4 + 1] += 1e-3;
  const Comparison wrong = one.with({{"o", o}}).at("o");
  CHECK(wrong.entry == std::vector<Index>{5, 2});
  CHECK(std::abs(wrong.found - wrong.expected - 1) < 1e-5);
  CHECK(wrong.first == 3);

  Tensor beta = one.outputs.at("grad.beta");
  for (const std::size_t t : {3u, 9u}) beta.as<double>()[t] += 100;
  CHECK(one.with({{"grad.beta", beta}}).at("grad.beta").first == 9);  // of tokens run through backwards

  const Tensors narrow = computed<Narrow<11>>("delta_rule", one.inputs);
  const Comparison in_float = compared("delta_rule", one.inputs, {{"o", narrow.at("o")}}).at("o");
  CHECK(!in_float.is_rounding());
  REQUIRE(in_float.coarser);
  CHECK(in_float.coarser->name == "tf32");
}

TEST_CASE("a tensor without a precision named is compared in its own", "[rounding]") {
  const Case one("delta_rule");
  const auto as_floats = [](const Tensor& tensor) {
    const auto numbers = tensor.as<double>();
    return Tensor{tensor.shape, std::vector<float>(numbers.begin(), numbers.end())};
  };
  const Safetensors file{{},
                         {{"o", as_floats(one.outputs.at("o"))},
                          {"S_T", one.outputs.at("S_T")},
                          {"grad.k", as_floats(one.outputs.at("grad.k"))}},
                         {{"grad.k", "BF16"}}};
  const auto comparisons = compare_with_recurrence("delta_rule", one.inputs, file);
  CHECK(comparisons.at("o").precision.name == "f32");
  CHECK(comparisons.at("S_T").precision.name == "f64");
  CHECK(comparisons.at("grad.k").precision.name == "bf16");
  CHECK(comparisons.at("o").is_rounding());
  CHECK(!comparisons.at("S_T").is_rounding());  // float's rounding is none of double's
  CHECK(comparisons.at("grad.k").is_rounding());
  CHECK(most_units(compared("delta_rule", one.inputs, computed<double>("delta_rule", one.inputs), "f64")) <= 1);
}

TEST_CASE("NaN and infinity are bugs, but for an overflow that the precision has", "[rounding]") {
  const Case one("delta_rule");
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {infinity, -infinity, std::nan("")}) {
    Tensor o = one.outputs.at("o");
    o.as<double>()[9] = value;
    const Comparison comparison = one.with({{"o", o}}).at("o");
    CHECK(comparison.units == infinity);
    CHECK(comparison.first == 2);
  }
  Tensors large = one.without_cotangents();
  for (const char* name : {"v", "S0"})
    for (double& entry : large.at(name).as<double>()) entry *= 1e6;
  Tensor o = computed<double>("delta_rule", large).at("o");
  for (double& entry : o.as<double>())
    if (std::abs(entry) > 65504) entry = std::copysign(infinity, entry);
  CHECK(compared("delta_rule", large, {{"o", o}}, "f16").at("o").is_rounding());
  CHECK(!compared("delta_rule", large, {{"o", o}}, "bf16").at("o").is_rounding());
}

TEST_CASE("what cannot be compared is refused by name", "[rounding][misuse]") {
  const Case one("delta_rule");
  const auto said = [&](const Tensors& inputs, const Tensors& outputs) {
    return message_of([&] { compared("delta_rule", inputs, outputs); });
  };
  CHECK(said(one.inputs, {}) == "outputs: has no tensor, expected some of the recurrence's outputs, as o");
  CHECK(said(one.inputs, {{"out", one.outputs.at("o")}}) ==
        "outputs: tensor 'out': is unknown, expected some of S_T, grad.S0, grad.beta, grad.k, grad.q, grad.v, o");
  CHECK(said(one.inputs, {{"o", one.outputs.at("grad.k")}}) ==
        "outputs: tensor 'o': shape is [40, 5], expected [40, 4]");
  CHECK(said(one.without_cotangents(), {{"grad.k", one.outputs.at("grad.k")}}) ==
        "outputs: tensor 'grad.k': is a gradient, expected one only where the inputs have cotangents");
  Tensors inputs = one.without_cotangents();
  inputs.at("v").as<double>()[4] = std::nan("");
  CHECK(said(inputs, {{"o", one.outputs.at("o")}}) ==
        "inputs: the recurrence makes of them the tensor 'S_T' whose entry [0, 0] is nan, expected inputs on which it "
        "stays finite");
  CHECK(message_of([&] {
          compared("delta", one.inputs, one.outputs);
        }).starts_with("recurrence: there is no row 'delta'"));
}

}  // namespace gdssm
