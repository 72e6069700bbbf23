// SPDX-License-Identifier: Apache-2.0
// evaluate MODEL TOKENS --out OUT: predictions and, given targets, loss and gradient of weights in the reference's
// naming. docs/from-jax.md describes the three files.
// evaluate --recurrence ROW INPUTS --out OUT: a published learning rule on tensors. docs/recurrences.md describes them.
// evaluate --recurrence ROW INPUTS --against OUT: how far another implementation is from it. docs/oracle.md explains
// it.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "evaluate/against.hpp"
#include "evaluate/recurrence.hpp"
#include "gdssm/io/reference_tokens.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/nonlinear_ssm.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "gdssm/oracle/reference_decays.hpp"
#include "gdssm/training/gradient.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

namespace {

using gdssm::Index;
using gdssm::ReferenceTokens;
using gdssm::ReferenceWeights;
using gdssm::programs::Progress;
using Tensors = std::map<std::string, gdssm::Tensor>;

/// The predictions of every context: at every window, or in whatever rows the model has.
template <class T, class Model, class Parameters>
gdssm::Tensor predict(const Model& model, const Parameters& parameters, const ReferenceTokens& contexts,
                      Progress& progress) {
  std::vector<T> numbers;
  Index rows = 0;
  for (Index b = 0; b < contexts.batch(); ++b) {
    const Eigen::MatrixX<T> predictions = model.predict(parameters, contexts.tokens<T>(b));
    rows = predictions.cols();
    numbers.insert(numbers.end(), predictions.data(), predictions.data() + predictions.size());
    progress.advance();
  }
  return {{contexts.batch(), rows, model.output_count()}, std::move(numbers)};
}

/// The loss, a mean over the batch; its gradient is added to `gradient`. A large batch is taken in parts, to bound the
/// memory.
template <class Model, class Parameters, class T>
void differentiate(const Model& model, const Parameters& parameters, const gdssm::Targets& targets,
                   const ReferenceTokens& contexts, T& loss, Parameters& gradient, Progress& progress) {
  using S = gdssm::Lanes<T>;
  constexpr Index limit = 64 * gdssm::lane_count<S>;
  gdssm::BatchGradient<Model, S, gdssm::Targets, gdssm::ForwardSensitivity> of_batch(model, contexts.length() / 2, 1,
                                                                                     targets);
  Parameters share = gradient;
  for (Index first = 0; first < contexts.batch(); first += limit) {
    const Index count = std::min(limit, contexts.batch() - first);
    std::vector<gdssm::Context<T>> part;
    for (Index b = first; b < first + count; ++b)
      part.push_back({contexts.tokens<T>(b), contexts.target<T>(b).bottomRows(model.output_count())});
    const T weight = T(count) / T(contexts.batch());
    loss += weight * of_batch(parameters, gdssm::Batch<S>(model.window(), part), share);
    gdssm::visit([&](const gdssm::Name&, auto& sum, const auto& term) { sum += weight * term; }, gradient, share);
    progress.advance(count);
  }
}

template <class T, class Model>
Tensors evaluate(const Model& model, const ReferenceWeights& weights, const ReferenceTokens& contexts) {
  const gdssm::ReferenceDecays<T, Model> read(weights, model);
  const auto& parameters = read.weights();
  Progress progress("evaluate", contexts.has_target() ? 2 * contexts.batch() : contexts.batch());
  Tensors results{{"predictions", predict<T>(model, parameters, contexts, progress)}};
  if (!contexts.has_target()) return results;

  T loss = T(0);
  auto gradient = model.template parameters<T>();
  // Of a single output the last coordinate is all.
  const bool whole = Model::outputs == 1 || weights.targets() == ReferenceWeights::Targets::vector;
  differentiate(model, parameters, whole ? gdssm::Targets() : gdssm::ScalarTargets(), contexts, loss, gradient,
                progress);
  results["loss"] = {{}, std::vector<T>{loss}};
  for (auto& [name, tensor] : read.tensors(gradient)) results["grad." + name] = tensor;
  return results;
}

template <class T>
Tensors evaluate(const ReferenceWeights& weights, const ReferenceTokens& contexts) {
  const gdssm::PaperLayer<gdssm::Dynamic, gdssm::GivenDecay> layer(weights.feature_count());
  if (weights.readout() == ReferenceWeights::Readout::half_glu2)
    return evaluate<T>(gdssm::NonlinearSsm(layer), weights, contexts);
  if (weights.stack() == ReferenceWeights::Stack::reference && weights.layer_count() == 3)
    return evaluate<T>(gdssm::TwoStepStack(layer), weights, contexts);
  // A single layer too: it is the stack of one step.
  return evaluate<T>(gdssm::HornerStack(layer, (weights.layer_count() + 1) / 2), weights, contexts);
}

}  // namespace

int main(int argc, char** argv) {
  std::string model, tokens, out, row, against, precision, json;
  int threads = 1;
  bool rounding = true;
  CLI::App app(
      "Runs weights in the naming of the paper's JAX code (arXiv:2410.11687v1): predictions and, given targets, loss\n"
      "and gradient, in F64 if any tensor is F64, else in F32. docs/from-jax.md describes the files.\n"
      "With --recurrence: a published learning rule on the tensors of one file. docs/recurrences.md has the rows.\n"
      "With --against: whether what another implementation computed from the same tensors differs from the rule by\n"
      "more than rounding, tensor by tensor; exit status 0 if nothing does, 1 if something does. docs/oracle.md\n"
      "explains the bound.",
      "evaluate");
  app.add_option("MODEL", model, "The weights, a safetensors file; with --recurrence the inputs")->required();
  auto* contexts_option = app.add_option("TOKENS", tokens, "The contexts, a safetensors file");
  auto* row_option = app.add_option("--recurrence", row, "The learning rule to run, by its row's name")
                         ->check(CLI::IsMember(gdssm::programs::recurrence_rows()));
  row_option->excludes(contexts_option);
  app.add_option("--out", out, "The safetensors file to write; required without --against");
  auto* against_option = app.add_option("--against", against,
                                        "Outputs of another implementation, any of those of --out, a safetensors file")
                             ->needs(row_option);
  app.add_option("--precision", precision, "The precision that it computes in (default: that of each tensor)")
      ->check(CLI::IsMember(gdssm::programs::precision_names()))
      ->needs(against_option);
  app.add_option("--json", json, "A file to write the comparison to, too")->needs(against_option);
  gdssm::programs::add_threads_option(app, threads);
  const int status = gdssm::programs::run_program(argc, argv, app, [&] {
    if (row_option->count() == 0 && contexts_option->count() == 0) throw CLI::RequiredError("TOKENS");
    if (out.empty() && against.empty()) throw CLI::RequiredError("--out");
    gdssm::programs::expect_different_files({{"MODEL", model}, {"TOKENS", tokens}, {"--against", against}},
                                            {{"--out", out}, {"--json", json}});
    if (row_option->count() > 0) {
      if (!against.empty()) rounding = gdssm::programs::compare_outputs(row, model, against, precision, json);
      if (!out.empty()) gdssm::programs::evaluate_recurrence(row, model, out);
      return;
    }
    gdssm::Safetensors model_file = gdssm::read_safetensors(model), tokens_file = gdssm::read_safetensors(tokens);
    gdssm::widen(model_file.tensors, gdssm::widest_dtype(tokens_file.tensors));
    const ReferenceWeights weights(std::move(model_file), model);
    const ReferenceTokens contexts(std::move(tokens_file), tokens, weights.token_width(), weights.target_width(),
                                   weights.dtype());
    const bool single = weights.dtype() == "F32";
    gdssm::write_safetensors(out,
                             {{}, single ? evaluate<float>(weights, contexts) : evaluate<double>(weights, contexts)});
  });
  return status != 0 || rounding ? status : 1;
}
