// SPDX-License-Identifier: Apache-2.0
// explain MODEL [--json FILE]: which learning algorithm the weights of a layer or a stack are.
//     explain results/linear-vector-seed-1.safetensors
// docs/from-jax.md describes both files.
#include <cmath>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "gdssm/analysis/explain.hpp"
#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "gdssm/oracle/reference_decays.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

namespace {

using gdssm::Explanation;
using gdssm::Index;
using gdssm::ReferenceWeights;
using Json = nlohmann::ordered_json;

// One model for all files: double, with the decays as such.
using Layer = gdssm::PaperLayer<gdssm::Dynamic, gdssm::GivenDecay>;
using Stack = gdssm::HornerStack<Layer>;

Explanation explain(const ReferenceWeights& weights, const gdssm::ExplainOptions& options, gdssm::ThreadPool& pool) {
  const Layer layer(weights.feature_count());
  const Stack stack(layer, (weights.layer_count() + 1) / 2);
  const gdssm::ReferenceDecays<double, Stack> read(weights, stack);
  if (weights.stack() == ReferenceWeights::Stack::reference && weights.layer_count() == 3)
    return gdssm::explain<gdssm::Targets>(gdssm::TwoStepStack(layer), read.weights(), options, pool);
  return gdssm::explain<gdssm::Targets>(stack, read.weights(), options, pool);
}

/// A gated readout makes another learner than those known here.
void refuse_gated_readout(const gdssm::Safetensors& file, const std::string& where) {
  const auto readout = file.metadata.find("readout");
  if (readout != file.metadata.end() && readout->second == "half_glu2")
    gdssm::refuse(where,
                  "metadata 'readout' is 'half_glu2', expected 'none': the candidates are learners of linear maps");
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

template <class Derived>
Json rows_of(const Eigen::MatrixBase<Derived>& matrix) {
  Json rows = Json::array();
  for (Index i = 0; i < matrix.rows(); ++i) {
    Json row = Json::array();
    for (Index j = 0; j < matrix.cols(); ++j) row.push_back(number(matrix(i, j)));
    rows.push_back(std::move(row));
  }
  return rows;
}

const char* side_of(const gdssm::Candidate& candidate) {
  return candidate.rule == gdssm::LearningRule::output_preconditioned ? "output" : "input";
}

Json json_of(const gdssm::Candidate& candidate, double decay) {
  Json json{{"algorithm", gdssm::short_name(candidate)},
            {"description", gdssm::describe(candidate, decay)},
            {"r2", number(candidate.r2)},
            {"prediction_difference", number(candidate.prediction_difference)},
            {"weight_difference", number(candidate.weight_difference)},
            {"step_sizes", candidate.step_sizes}};
  if (candidate.rule == gdssm::LearningRule::ridge) json["rho"] = candidate.rho;
  if (candidate.preconditioner.size() > 0) {
    json["side"] = side_of(candidate);
    json["preconditioner"] = rows_of(candidate.preconditioner);
  }
  if (candidate.residual != 0) json["residual"] = candidate.residual;
  return json;
}

Json json_of(const Explanation& found) {
  const bool explained = found.algorithm != "none";
  Json json{{"verdict", found.verdict}, {"algorithm", found.algorithm}};
  const auto* nearest = found.candidates.empty() ? nullptr : &found.candidates[found.nearest];
  const auto* next = found.candidates.empty() ? nullptr : &found.candidates[found.runner_up];
  json["steps"] = explained && nearest->steps() > 0 ? Json(nearest->steps()) : Json(nullptr);
  json["step_sizes"] = explained ? Json(nearest->step_sizes) : Json::array();
  json["half_life_pairs"] = number(gdssm::half_life(found.decay));
  json["r2"] = nearest ? nearest->r2 : 0.0;
  json["runner_up"] = next ? Json(gdssm::describe(*next, found.decay)) : Json(nullptr);
  json["runner_up_r2"] = next ? next->r2 : 0.0;
  if (nearest && nearest->preconditioner.size() > 0) json["preconditioned_side"] = side_of(*nearest);
  json["nearest"] = nearest ? Json(gdssm::describe(*nearest, found.decay)) : Json(nullptr);
  json["layers"] = Json::array();
  for (const gdssm::LayerReport& layer : found.layers)
    json["layers"].push_back({{"accumulates", layer.is_curvature ? "S" : "M"},
                              {"step", number(layer.distance.step)},
                              {"distance_A", number(layer.distance.A)},
                              {"distance_d", layer.is_curvature ? Json(nullptr) : number(layer.distance.d)},
                              {"distance_C", number(layer.distance.C)},
                              {"distance_decay", number(layer.distance.decay)},
                              {"mean_decay", number(layer.half_lives.decay)},
                              {"half_life_shortest", number(layer.half_lives.shortest)},
                              {"half_life_median", number(layer.half_lives.median)},
                              {"half_life_longest", number(layer.half_lives.longest)}});
  json["candidates"] = Json::array();
  for (const gdssm::Candidate& candidate : found.candidates)
    json["candidates"].push_back(json_of(candidate, found.decay));
  if (found.counterexample) {
    const auto& [seen, expected] = *found.counterexample;
    json["counterexample"] = {{"inputs", rows_of(seen.inputs.transpose())},
                              {"targets", rows_of(seen.targets.transpose())},
                              {"query", rows_of(seen.query.transpose())[0]},
                              {"prediction", rows_of(seen.prediction.transpose())[0]},
                              {"nearest", rows_of(expected.transpose())[0]}};
  }
  return json;
}

std::string rounded(double value, int digits = 3) {
  if (!std::isfinite(value)) return "-";
  std::ostringstream text;
  text << std::setprecision(digits) << value;
  return text.str();
}

/// Rows of cells, a column as wide as its widest cell, the last as it is.
void print(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t j = 0; j < row.size(); ++j) widths[j] = std::max(widths[j], row[j].size());
  for (const auto& row : rows) {
    for (std::size_t j = 0; j + 1 < row.size(); ++j)
      std::cout << row[j] << std::string(widths[j] + 2 - row[j].size(), ' ');
    std::cout << row.back() << '\n';
  }
}

void print(const Explanation& found) {
  if (!found.layers.empty()) {
    std::vector<std::vector<std::string>> rows{{"layer", "sum", "step a", "|A - A*|", "|d - e_2|", "|C/a + I|",
                                                "mean decay", "half-life in pairs: shortest, median, longest"}};
    for (std::size_t l = 0; l < found.layers.size(); ++l) {
      const gdssm::LayerReport& layer = found.layers[l];
      rows.push_back({std::to_string(l), layer.is_curvature ? "S" : "M", rounded(layer.distance.step),
                      rounded(layer.distance.A), layer.is_curvature ? "-" : rounded(layer.distance.d),
                      rounded(layer.distance.C), rounded(layer.half_lives.decay, 5),
                      rounded(layer.half_lives.shortest) + ", " + rounded(layer.half_lives.median) + ", " +
                          rounded(layer.half_lives.longest)});
    }
    print(rows);
    std::cout << '\n';
  }
  if (!found.candidates.empty()) {
    std::vector<std::vector<std::string>> rows{{"R^2", "|yhat - yhat'|^2 / m", "|W - W'|^2 / |W|^2", "candidate"}};
    for (const gdssm::Candidate& candidate : found.candidates)
      rows.push_back({rounded(candidate.r2, 5), rounded(candidate.prediction_difference),
                      rounded(candidate.weight_difference), gdssm::describe(candidate, found.decay)});
    print(rows);
    std::cout << '\n';
  }
  std::cout << found.verdict << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  std::string model, json;
  gdssm::ExplainOptions options;
  int threads = 1;
  CLI::App app(
      "Says which learning algorithm weights are: gradient descent of so many steps of such sizes, on the plain or on\n"
      "a discounted loss, ridge regression, least squares, or none of these. The weights, of one layer or a stack, "
      "are\n"
      "in the naming of the paper's JAX code (arXiv:2410.11687v1); docs/from-jax.md describes the file.",
      "explain");
  app.add_option("MODEL", model, "The weights, a safetensors file")->required();
  app.add_option("--json", json, "Write what was found here, as JSON")->type_name("FILE");
  app.add_option("--tasks", options.tasks, "Fresh tasks that candidates are judged on")
      ->transform(gdssm::programs::whole_number(1, 1 << 24))
      ->capture_default_str();
  app.add_option("--context", options.context, "Pairs before the query (default: as many as features)")
      ->transform(gdssm::programs::whole_number(1, 1 << 20));
  app.add_option("--seed", options.seed, "Seed of the tasks")
      ->transform(gdssm::programs::whole_number(0, std::numeric_limits<std::uint64_t>::max()))
      ->capture_default_str();
  gdssm::programs::add_threads_option(app, threads);
  return gdssm::programs::run_program(argc, argv, app, [&] {
    gdssm::programs::expect_different_files({{"MODEL", model}}, {{"--json", json}});
    gdssm::Safetensors file = gdssm::read_safetensors(model);
    refuse_gated_readout(file, model);
    gdssm::widen(file.tensors, "F64");
    const ReferenceWeights weights(std::move(file), model);
    gdssm::ThreadPool pool(threads);
    gdssm::programs::Progress progress("explain", 100);
    options.done = [&](double share) { progress.advance_to([&] { return static_cast<Index>(100 * share); }); };
    if (weights.targets() == ReferenceWeights::Targets::scalar) options.targets = gdssm::ScalarTargets();
    const Explanation found = explain(weights, options, pool);
    if (!json.empty()) gdssm::write_file(json, json_of(found).dump(2) + "\n");
    print(found);
  });
}
