// SPDX-License-Identifier: Apache-2.0
#include "explain/report.hpp"

#include <cmath>
#include <utility>

#include "gdssm/io/reference_weights.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "gdssm/oracle/reference_decays.hpp"

namespace gdssm::programs {
namespace {

using Json = nlohmann::ordered_json;

// One model for all files: double, with the decays as such.
using Layer = PaperLayer<Dynamic, GivenDecay>;
using Stack = HornerStack<Layer>;

Explanation explain(const ReferenceWeights& weights, const ExplainOptions& options, ThreadPool& pool) {
  const Layer layer(weights.feature_count());
  const Stack stack(layer, (weights.layer_count() + 1) / 2);
  const ReferenceDecays<double, Stack> read(weights, stack);
  if (weights.stack() == ReferenceWeights::Stack::reference && weights.layer_count() == 3)
    return gdssm::explain<Targets>(TwoStepStack(layer), read.weights(), options, pool);
  return gdssm::explain<Targets>(stack, read.weights(), options, pool);
}

/// A gated readout makes another learner than those known here.
void refuse_gated_readout(const Safetensors& file, const std::string& where) {
  const auto readout = file.metadata.find("readout");
  if (readout != file.metadata.end() && readout->second == "half_glu2")
    refuse(where, "metadata 'readout' is 'half_glu2', expected 'none': the candidates are learners of linear maps");
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

const char* side_of(const Candidate& candidate) {
  return candidate.rule == LearningRule::output_preconditioned ? "output" : "input";
}

Json json_of(const Candidate& candidate, double decay) {
  Json json{{"algorithm", short_name(candidate)},
            {"description", describe(candidate, decay)},
            {"r2", number(candidate.r2)},
            {"prediction_difference", number(candidate.prediction_difference)},
            {"weight_difference", number(candidate.weight_difference)},
            {"step_sizes", candidate.step_sizes}};
  if (candidate.rule == LearningRule::ridge) json["rho"] = candidate.rho;
  if (candidate.preconditioner.size() > 0) {
    json["side"] = side_of(candidate);
    json["preconditioner"] = rows_of(candidate.preconditioner);
  }
  if (candidate.residual != 0) json["residual"] = candidate.residual;
  return json;
}

}  // namespace

Json json_of(const Explanation& found) {
  const bool explained = found.algorithm != "none";
  Json json{{"verdict", found.verdict}, {"algorithm", found.algorithm}};
  const auto* nearest = found.candidates.empty() ? nullptr : &found.candidates[found.nearest];
  const auto* next = found.candidates.empty() ? nullptr : &found.candidates[found.runner_up];
  json["steps"] = explained && nearest->steps() > 0 ? Json(nearest->steps()) : Json(nullptr);
  json["step_sizes"] = explained ? Json(nearest->step_sizes) : Json::array();
  json["half_life_pairs"] = number(half_life(found.decay));
  json["r2"] = nearest ? nearest->r2 : 0.0;
  json["runner_up"] = next ? Json(describe(*next, found.decay)) : Json(nullptr);
  json["runner_up_r2"] = next ? next->r2 : 0.0;
  if (nearest && nearest->preconditioner.size() > 0) json["preconditioned_side"] = side_of(*nearest);
  json["nearest"] = nearest ? Json(describe(*nearest, found.decay)) : Json(nullptr);
  json["layers"] = Json::array();
  for (const LayerReport& layer : found.layers)
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
  for (const Candidate& candidate : found.candidates) json["candidates"].push_back(json_of(candidate, found.decay));
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

Explanation explain_file(Safetensors file, const std::string& where, ExplainOptions options, ThreadPool& pool) {
  refuse_gated_readout(file, where);
  widen(file.tensors, "F64");
  const ReferenceWeights weights(std::move(file), where);
  if (weights.targets() == ReferenceWeights::Targets::scalar) options.targets = ScalarTargets();
  return explain(weights, options, pool);
}

}  // namespace gdssm::programs
