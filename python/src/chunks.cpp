// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "gdssm/blocks/recurrences/rank_one_forms.hpp"
#include "gdssm/oracle/recurrence.hpp"

// Rules of rank one in chunks of steps, as `RuleScan` runs them, on arrays where Python has them.
namespace gdssm::python {
namespace {

/// One matrix for each token, in an array of Python's.
template <class T, Index Rows, Index Cols>
struct TokenArray {
  TokenArray(Index rows, Index cols) : one(nullptr, rows, cols) {}
  View<const T, Rows, Cols> operator[](Index t) const { return {data + t * one.size(), one.rows(), one.cols()}; }

  std::vector<Index> shape(Index length) const {
    std::vector<Index> sizes{length};
    if constexpr (Cols != 1) sizes.push_back(one.cols());
    if constexpr (Rows != 1 || Cols != 1) sizes.push_back(one.rows());
    return sizes;
  }

  View<const T, Rows, Cols> one;
  const T* data = nullptr;
};
template <class T>
struct InPython {
  template <Index Rows, Index Cols>
  using Matrix = TokenArray<T, Rows, Cols>;
};

/// The arrays of one call by name, each of which must be asked for.
template <class T>
class Given {
 public:
  Given(const nb::dict& arrays, std::string where) : arrays_(arrays), where_(std::move(where)) {}

  std::vector<Index> shape(const char* name) const {
    const auto array = find(name, "it");
    std::vector<Index> sizes;
    for (std::size_t axis = 0; axis < array.ndim(); ++axis) sizes.push_back(static_cast<Index>(array.shape(axis)));
    return sizes;
  }
  const T* numbers(const std::string& name, const std::vector<Index>& expected) {
    asked_ += (asked_.empty() ? "" : ", ") + name;
    ++count_;
    const std::string text = detail::shape_text(expected);
    const auto array = find(name, text);
    const std::vector<Index> found = shape(name.c_str());
    if (found != expected)
      refuse(detail::tensor_place(where_, name), "shape is ", detail::shape_text(found), ", expected ", text);
    return array.data();
  }
  void expect_no_others() const {
    if (nb::len(arrays_) != count_) refuse(where_, "has ", nb::len(arrays_), " inputs, expected ", asked_);
  }

 private:
  using Array = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
  Array find(const std::string& name, const std::string& expected) const {
    if (!arrays_.contains(name.c_str())) refuse(where_, "tensor ", in_quotes(name), " is missing, expected ", expected);
    return nb::cast<Array>(nb::object(arrays_[name.c_str()]));
  }

  const nb::dict& arrays_;
  std::string where_, asked_;
  std::size_t count_ = 0;
};

/// The steps of a sequence, whatever the rule: the scan itself is compiled once.
template <class T>
struct Steps {
  virtual ~Steps() = default;
  virtual Index count() const = 0;
  virtual bool reads(Index n) const = 0;
  virtual Index answer(Index n) const = 0;
  virtual void make(Index n, const recurrences::RankOneStep<T>& to) const = 0;
};

template <class Rule, class T>
struct StepsOf final : Steps<T> {
  using Form = recurrences::RankOneForm<Rule>;

  explicit StepsOf(const Rule& of)
      : rule(of),
        constants(rule.template constants<InArrays<T>>()),
        tokens(rule.template token<InPython<T>>()),
        steps(Form::steps(rule)) {}

  Index count() const override { return length * steps; }
  bool reads(Index n) const override { return Form::reads(rule, n % steps); }
  Index answer(Index n) const override { return (n + 1) % steps == 0 ? n / steps : -1; }
  void make(Index n, const recurrences::RankOneStep<T>& to) const override {
    const Index t = n / steps;
    Form::make(rule, constants, token_at<T>(rule, tokens, t), n % steps, to);
    if ((n + 1) % steps != 0) return;
    const T* const query = queries + t * rule.key_count();
    for (Index j = 0; j < rule.key_count(); ++j) to.query[j] = query[j];
  }

  Rule rule;
  typename Rule::template Constants<InArrays<T>> constants;
  typename Rule::template Token<InPython<T>> tokens;
  const T* queries = nullptr;
  Index length = 0, steps;
};

template <class T>
void scan(const Steps<T>& steps, View<T> memory, View<T> outputs) {
  recurrences::RankOneScan<T> chunks(memory.cols(), memory.rows());
  chunks.forward(steps, memory, outputs);
}

template <class T, class Rule>
nb::dict run(const Rule& rule, Index length, Given<T> given) {
  StepsOf<Rule, T> steps(rule);
  steps.length = length;
  visit([&](const Name& name, auto& array) { array.data = given.numbers(name.str(), array.shape(length)); },
        steps.tokens);
  visit(
      [&](const Name& name, auto& member) {
        const T* const numbers = given.numbers(name.str(), {});
        member[0] = numbers[0];
      },
      steps.constants);
  steps.queries = given.numbers("q", {length, rule.key_count()});
  auto state = rule.template initial_state<T>();
  const Index rows = state.memory.rows(), cols = state.memory.cols();
  const T* const first = given.numbers("S0", {rows, cols});
  given.expect_no_others();
  NewArray<T> o({static_cast<std::size_t>(length), static_cast<std::size_t>(rule.value_count())});
  NewArray<T> last({static_cast<std::size_t>(rows), static_cast<std::size_t>(cols)});
  {
    const nb::gil_scoped_release others_run;
    for (Index j = 0; j < cols; ++j)
      for (Index i = 0; i < rows; ++i) state.memory(i, j) = first[i * cols + j];
    scan<T>(steps, View<T>(state.memory.view()), View<T>(o.data, rule.value_count(), length));
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) last.data[i * cols + j] = state.memory(i, j);
  }
  nb::dict results;
  results["o"] = o.array;
  results["S_T"] = last.array;
  return results;
}

template <class T>
nb::dict in_chunks(const std::string& row, const nb::dict& arrays) {
  using namespace recurrences;
  const Given<T> given(arrays, "recurrence " + row);
  const bool several = row == "deltaproduct";
  const std::vector<Index> k = given.shape("k"), v = given.shape("v");
  if (k.size() != (several ? 3 : 2) || v.size() != k.size())
    refuse("recurrence " + row, "k and v have ", k.size(), " and ", v.size(), " axes, expected ", several ? 3 : 2);
  const Index T_ = k.front(), d_k = k.back(), d_v = v.back();
  if (several) return run<T>(DeltaProduct<>(d_k, d_v, k[1]), T_, given);
  if (row == "linear_attention") return run<T>(LinearAttention<>(d_k, d_v), T_, given);
  if (row == "mamba2") return run<T>(Mamba2<>(d_k, d_v), T_, given);
  if (row == "gla") return run<T>(GatedLinearAttention<>(d_k, d_v), T_, given);
  if (row == "delta_rule") return run<T>(DeltaRule<>(d_k, d_v), T_, given);
  if (row == "gated_delta_rule") return run<T>(GatedDeltaRule<>(d_k, d_v), T_, given);
  if (row == "kda") return run<T>(Kda<>(d_k, d_v), T_, given);
  if (row == "gdn2") return run<T>(GatedDeltaNet2<>(d_k, d_v), T_, given);
  if (row == "comba") return run<T>(Comba<>(d_k, d_v), T_, given);
  if (row == "rwkv7") return run<T>(Rwkv7<>(d_k, d_v), T_, given);
  refuse("method",
         "\"chunks\" is there for deltaproduct, linear_attention, mamba2, gla, delta_rule, gated_delta_rule, "
         "kda, gdn2, comba and rwkv7, expected one of them; \"steps\" runs every row");
}

}  // namespace

void bind_chunks(nb::module_& module) {
  module.def(
      "recurrence_in_chunks",
      [](const std::string& row, const nb::dict& inputs, bool wide) {
        return wide ? in_chunks<double>(row, inputs) : in_chunks<float>(row, inputs);
      },
      nb::arg("row"), nb::arg("inputs"), nb::arg("wide"));
}

}  // namespace gdssm::python
