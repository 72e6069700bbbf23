// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "gdssm/blocks/recurrences/all.hpp"
#include "gdssm/io/tensors.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/oracle/named_arrays.hpp"
#include "gdssm/oracle/rounded_inputs.hpp"

// Any learning rule by its name, on tensors by theirs: what other implementations are compared with.
namespace gdssm {

namespace detail {

/// Entries as they lie.
template <class S, class Matrix>
std::vector<S*> entries_of(Matrix& matrix) {
  std::vector<S*> entries;
  for (Index i = 0; i < matrix.size(); ++i) entries.push_back(matrix.data() + i);
  return entries;
}
/// Entries of a matrix row by row.
template <class S, Index Rows, Index Cols>
BoundTensor<S> bound(const std::string& name, Array<S, Rows, Cols>& matrix) {
  BoundTensor<S> all{name, {}, {}};
  if constexpr (Rows != 1 || Cols != 1) all.shape.push_back(matrix.rows());
  if constexpr (Cols != 1) all.shape.push_back(matrix.cols());
  for (Index i = 0; i < matrix.rows(); ++i)
    for (Index j = 0; j < matrix.cols(); ++j) all.entries.push_back(&matrix(i, j));
  return all;
}
/// A token's matrices column by column, token by token.
template <class S, Index Rows, Index Cols>
BoundTensor<S> bound(const std::string& name, Series<S, Rows, Cols>& series, View<const S, Rows, Cols> one) {
  BoundTensor<S> all{name, {series.cols()}, entries_of<S>(series), true};
  if constexpr (Cols != 1) all.shape.push_back(one.cols());
  if constexpr (Rows != 1 || Cols != 1) all.shape.push_back(one.rows());
  return all;
}

/// All that a rule reads along a sequence, or the cotangents of it.
template <class Rule, class S>
struct RecurrenceInputs {
  typename Rule::template Token<InSeries<S>> tokens;
  Array<S, Rule::keys> queries;
  typename Rule::template State<S> state;
  typename Rule::template Constants<InArrays<S>> constants;
};

/// What files call a part of a state before the sequence and after it; where it is no output, the second is empty, and
/// where it begins anew with every file, both.
template <class State>
std::pair<std::string, std::string> names_in_files(std::string_view member) {
  constexpr bool has_covariance = requires(State & state) { state.covariance; };
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> letters{
      {{"memory", has_covariance ? "M" : "S"},
       {"momentum", "B"},
       {"second_moment", "A"},
       {"covariance", "H"},
       {"bias", "c"},
       {"angle", "phi"}}};
  for (const auto& [name, letter] : letters)
    if (member == name) return {std::string(letter) + "0", std::string(letter) + "_T"};
  if (member == "key") return {"k_before", "k_T"};
  if (member == "value") return {"v_before", "v_T"};
  return {};
}

/// The parts of a state under their names at one of the two ends.
template <class S, class State>
std::vector<BoundTensor<S>> bound_state(State& state, bool after, Index pairs_before) {
  std::vector<BoundTensor<S>> all;
  visit(
      [&](const Name& name, auto& member) {
        const auto [first, last] = names_in_files<State>(name.head);
        if (!(after ? last : first).empty()) all.push_back(bound<S>(after ? last : first, member));
        // The last pairs of a window, in files the oldest first, and only those that there are.
        if (after || (name.head != "keys" && name.head != "values")) return;
        BoundTensor<S> pairs{name.head == "keys" ? "k_before" : "v_before", {pairs_before, member.rows()}, {}};
        for (Index j = pairs_before - 1; j >= 0; --j)
          for (Index i = 0; i < member.rows(); ++i) pairs.entries.push_back(&member(i, j));
        all.push_back(std::move(pairs));
      },
      state);
  return all;
}

/// All that a rule reads under its names.
template <class S, class Rule>
std::vector<BoundTensor<S>> bound_inputs(const Rule& rule, RecurrenceInputs<Rule, S>& inputs, Index pairs_before) {
  auto all = bound_state<S>(inputs.state, false, pairs_before);
  const auto one = rule.template token<InViews<const S>>();
  const auto take = [&](const Name& name, BoundTensor<S> input) {
    input.role = Rule::role(name.head);
    all.push_back(std::move(input));
  };
  visit([&](const Name& name, auto& series, const auto& matrix) { take(name, bound(name.str(), series, matrix)); },
        inputs.tokens, one);
  visit([&](const Name& name, auto& member) { take(name, bound<S>(name.str(), member)); }, inputs.constants);
  all.push_back({"q", {inputs.queries.cols(), inputs.queries.rows()}, entries_of<S>(inputs.queries), true});
  return all;
}

/// A rule along the sequence in `given`, and back if there are cotangents.
template <class S, class Rule>
Results<S> run_recurrence(const Rule& rule, Index length, AskedTensors<S> given, AskedTensors<S> cotangents,
                          bool backward, Index pairs_before = 0) {
  const RecurrenceInputs<Rule, S> zeros{tokens_of<S>(rule, length), Array<S, Rule::keys>(rule.key_count(), length),
                                        rule.template initial_state<S>(), rule.template constants<InArrays<S>>()};
  auto inputs = zeros, inputs_bar = zeros;
  const auto given_inputs = bound_inputs<S>(rule, inputs, pairs_before);
  for (const auto& input : given_inputs) given.read(input);
  given.expect_no_others();
  round_inputs(given_inputs);

  Array<S, Rule::values> o(rule.value_count(), length), o_bar = o;
  const auto outputs = [&](auto& of_tokens, auto& state) {
    auto all = bound_state<S>(state, true, 0);
    all.push_back({"o", {of_tokens.cols(), of_tokens.rows()}, entries_of<S>(of_tokens), true});
    return all;
  };
  if (backward) {
    const auto given_cotangents = outputs(o_bar, inputs_bar.state);
    for (const auto& cotangent : given_cotangents) cotangents.read(cotangent);
    cotangents.expect_no_others();
    round_inputs(given_cotangents);
  }

  SequencePass<Rule, S> pass(rule, length);
  auto state = inputs.state;
  pass.forward(inputs.constants, inputs.tokens, inputs.queries.view(), state, o.view());
  Results<S> results;
  write_tensors(outputs(o, state), "", results);
  if (!backward) return results;
  pass.vjp(inputs.constants, inputs.tokens, inputs.queries.view(), inputs.state, o_bar.view(), inputs_bar.state,
           inputs_bar.constants, inputs_bar.tokens, inputs_bar.queries.view());
  const auto gradients = bound_inputs<S>(rule, inputs_bar, pairs_before);
  round_gradients(given_inputs, gradients);
  write_tensors(gradients, "grad.", results);
  return results;
}

/// The paper's layer (1)-(4) on normal tokens, all windows; its L is transposed, as the state lies.
template <class S>
Results<S> run_paper_layer(AskedTensors<S> given, AskedTensors<S> cotangents, bool backward, const std::string& where) {
  const auto sizes = given.shape("tokens", "[2 T + 1, f]", 2);
  const Index length = sizes[0], f = sizes[1], windows = length / 2;
  if (length % 2 == 0) refuse(tensor_place(where, "tokens"), "shape is ", shape_text(sizes), ", expected [2 T + 1, f]");
  const PaperLayer<Dynamic, GivenDecay> layer(f);
  struct Inputs {
    Array<S> tokens;
    typename PaperLayer<Dynamic, GivenDecay>::template Coefficients<S> c;
    typename PaperLayer<Dynamic, GivenDecay>::template State<S> state;
  };
  const Inputs zeros{Array<S>(f, length), layer.template coefficients<S>(), layer.template initial_state<S>()};
  Inputs inputs = zeros, inputs_bar = zeros;
  const auto bound_inputs = [](Inputs& x) {
    auto L = bound<S>("L", x.c.recurrence.decay);
    L.role = TokenRole::decay;
    return std::vector<BoundTensor<S>>{{"tokens", {x.tokens.cols(), x.tokens.rows()}, entries_of<S>(x.tokens), true},
                                       bound<S>("A", x.c.attention.A),
                                       std::move(L),
                                       bound<S>("C", x.c.readout.C),
                                       bound<S>("d", x.c.gate.d),
                                       bound<S>("S0", x.state.recurrence.memory)};
  };
  const auto given_inputs = bound_inputs(inputs);
  for (const auto& input : given_inputs) given.read(input);
  given.expect_no_others();
  round_inputs(given_inputs);

  Array<S> o(f, windows), o_bar = o;
  const auto outputs = [](Array<S>& of_windows, Inputs& x) {
    return std::vector<BoundTensor<S>>{{"o", {of_windows.cols(), of_windows.rows()}, entries_of<S>(of_windows), true},
                                       bound<S>("S_T", x.state.recurrence.memory)};
  };
  if (backward) {
    const auto given_cotangents = outputs(o_bar, inputs_bar);
    for (const auto& cotangent : given_cotangents) cotangents.read(cotangent);
    cotangents.expect_no_others();
    round_inputs(given_cotangents);
  }

  auto ws = layer.template gradient_workspace<S>(windows, windows);
  const auto copy_prediction = [&](Index t, View<const S, Dynamic, 1> prediction, View<S, Dynamic, 1> g) {
    copy(prediction, o.view().column(t));
    copy(o_bar.view().as_const().column(t), g);
  };
  layer.vjp(inputs.c, Sequence<S>{inputs.tokens.view()}, inputs.state, windows, copy_prediction, inputs_bar.c,
            inputs_bar.state, inputs_bar.tokens.view(), ws);
  Results<S> results;
  write_tensors(outputs(o, inputs), "", results);
  if (backward) write_tensors(bound_inputs(inputs_bar), "grad.", results);
  return results;
}

/// The rows, in the order of docs/theory.md.
inline constexpr std::array<std::string_view, 22> recurrence_rows{"linear_attention",
                                                                  "retnet",
                                                                  "mamba2",
                                                                  "gla",
                                                                  "paper_layer",
                                                                  "mamba3",
                                                                  "delta_rule",
                                                                  "gated_delta_rule",
                                                                  "kda",
                                                                  "gdn2",
                                                                  "deltaproduct",
                                                                  "comba",
                                                                  "precond_gated_delta_rule",
                                                                  "rwkv7",
                                                                  "gated_oja",
                                                                  "longhorn",
                                                                  "longhorn_diagonal",
                                                                  "mesa",
                                                                  "ttt_linear",
                                                                  "ttt_linear_ln",
                                                                  "titans",
                                                                  "omega"};

template <class S>
Results<S> recurrence_in(std::string_view row, const NamedTensors& inputs, const NamedTensors& cotangents,
                         bool backward, const std::string& where) {
  AskedTensors<S> given(inputs, where), bars(cotangents, where, "cotangent.");
  if (row == "paper_layer") return run_paper_layer<S>(given, bars, backward, where);

  const bool several = row == "deltaproduct";
  const auto k = several ? given.shape("k", "[T, n_h, d_k]", 3) : given.shape("k", "[T, d_k]", 2);
  const auto v = several ? given.shape("v", "[T, n_h, d_v]", 3) : given.shape("v", "[T, d_v]", 2);
  const Index T = k.front(), d_k = k.back(), d_v = v.back();
  const auto run = [&](const auto& rule, Index pairs_before = 0) {
    return run_recurrence<S>(rule, T, given, bars, backward, pairs_before);
  };
  if (several) return run(recurrences::DeltaProduct<>(d_k, d_v, k[1]));
  if (row == "linear_attention") return run(recurrences::LinearAttention<>(d_k, d_v));
  if (row == "retnet") return run(recurrences::RetNet<>(d_k, d_v));
  if (row == "mamba2") return run(recurrences::Mamba2<>(d_k, d_v));
  if (row == "gla") return run(recurrences::GatedLinearAttention<>(d_k, d_v));
  if (row == "mamba3" && (given.has("omega") || given.has("phi0"))) return run(recurrences::TurningMamba3<>(d_k, d_v));
  if (row == "mamba3") return run(recurrences::Mamba3<>(d_k, d_v));
  if (row == "delta_rule") return run(recurrences::DeltaRule<>(d_k, d_v));
  if (row == "gated_delta_rule") return run(recurrences::GatedDeltaRule<>(d_k, d_v));
  if (row == "kda") return run(recurrences::Kda<>(d_k, d_v));
  if (row == "gdn2") return run(recurrences::GatedDeltaNet2<>(d_k, d_v));
  if (row == "comba") return run(recurrences::Comba<>(d_k, d_v));
  if (row == "precond_gated_delta_rule") {
    const double eps = given.number("eps"), base = given.number("base");
    return run(recurrences::PreconditionedGatedDeltaRule<>(d_k, d_v, eps, base));
  }
  if (row == "rwkv7") return run(recurrences::Rwkv7<>(d_k, d_v));
  if (row == "gated_oja") return run(recurrences::GatedOja<>(d_k, d_v));
  if (row == "longhorn") return run(recurrences::Longhorn<>(d_k, d_v));
  if (row == "longhorn_diagonal") return run(recurrences::LonghornDiagonal<>(d_k, d_v));
  if (row == "mesa") return run(recurrences::Mesa<>(d_k, d_v));
  if (row == "ttt_linear") return run(recurrences::TttLinear<>(d_k, d_v, given.whole_number("batch")));
  if (row == "ttt_linear_ln") {
    const Index batch = given.whole_number("batch");
    return run(recurrences::TttLinearNormed<>(d_k, batch, given.number("eps")));
  }
  if (row == "titans") return run(recurrences::Titans<>(d_k, d_v));
  const Index window = given.shape("gamma", "[T, c]", 2)[1];
  const Index before = given.shape("k_before", "[at most c - 1, d_k]", 2)[0];
  if (before >= window) refuse(where, "tensor 'k_before' has ", before, " rows, expected at most ", window - 1);
  return run(recurrences::OmegaRule<>(d_k, d_v, window), before);
}

/// Refuses rows that there are not.
inline void expect_row(std::string_view row) {
  if (std::find(recurrence_rows.begin(), recurrence_rows.end(), row) != recurrence_rows.end()) return;
  std::string rows;
  for (const std::string_view one : recurrence_rows) rows += (rows.empty() ? "" : ", ") + std::string(one);
  refuse("recurrence", "there is no row ", in_quotes(row), ", expected one of ", rows);
}

/// The recurrence of a row on a file's inputs and, where there are cotangents, back.
template <class S>
Results<S> recurrence_of(std::string_view row, const NamedTensors& tensors, const std::string& where) {
  static constexpr std::string_view prefix = "cotangent.";
  NamedTensors inputs, cotangents;
  for (const auto& [name, tensor] : tensors) (name.starts_with(prefix) ? cotangents : inputs)[name] = tensor;
  return recurrence_in<S>(row, inputs, cotangents, !cotangents.empty(), where);
}

template <class S>
NamedTensors tensors_of_recurrence(std::string_view row, const NamedTensors& tensors, const std::string& where) {
  NamedTensors out;
  for (auto& [name, result] : recurrence_of<S>(row, tensors, where))
    out[name] = {std::move(result.shape), std::move(result.numbers)};
  return out;
}

}  // namespace detail

/// A learning rule along a sequence, by its row's name: from a file's inputs (numbers have shape []) its outputs and,
/// where each of these has its cotangent among the inputs as cotangent.<output>, the cotangents of all inputs as
/// grad.<input>. Sizes are those of the tensors. Computes in F64 where any tensor is, else in F32.
///     auto out = recurrence("delta_rule", read_safetensors(path).tensors);  // k, v, q, beta, S0 -> o, S_T
/// Shapes  a token's vectors (T, d), its numbers (T), states and constants as they are written: S0 (d_v, d_k)
/// Errors  std::invalid_argument: an unknown row, with a list of all; or, naming `where` and the tensor, one that is
///         missing, unknown or of another shape, or the only cotangent that is not there
inline std::map<std::string, Tensor> recurrence(std::string_view row, const std::map<std::string, Tensor>& tensors,
                                                const std::string& where = "recurrence") {
  detail::expect_row(row);
  return widest_dtype(tensors) == "F64" ? detail::tensors_of_recurrence<double>(row, tensors, where)
                                        : detail::tensors_of_recurrence<float>(row, tensors, where);
}

}  // namespace gdssm
