// SPDX-License-Identifier: Apache-2.0
#include "evaluate/weights.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "gdssm/io/reference_tokens.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/nonlinear_ssm.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "gdssm/oracle/reference_decays.hpp"
#include "gdssm/training/gradient.hpp"
#include "support/progress.hpp"

namespace gdssm::programs {
namespace {

using TensorsByName = std::map<std::string, Tensor>;

/// The predictions of every context: at every window, or in whatever rows the model has.
template <class T, class Model, class Parameters>
Tensor predict(const Model& model, const Parameters& parameters, const ReferenceTokens& contexts, Progress& progress) {
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
void differentiate(const Model& model, const Parameters& parameters, const Targets& targets,
                   const ReferenceTokens& contexts, T& loss, Parameters& gradient, Progress& progress) {
  using S = Lanes<T>;
  constexpr Index limit = 64 * lane_count<S>;
  BatchGradient<Model, S, Targets, ForwardSensitivity> of_batch(model, contexts.length() / 2, 1, targets);
  Parameters share = gradient;
  for (Index first = 0; first < contexts.batch(); first += limit) {
    const Index count = std::min(limit, contexts.batch() - first);
    std::vector<Context<T>> part;
    for (Index b = first; b < first + count; ++b)
      part.push_back({contexts.tokens<T>(b), contexts.target<T>(b).bottomRows(model.output_count())});
    const T weight = T(count) / T(contexts.batch());
    loss += weight * of_batch(parameters, Batch<S>(model.window(), part), share);
    visit([&](const Name&, auto& sum, const auto& term) { sum += weight * term; }, gradient, share);
    progress.advance(count);
  }
}

template <class T, class Model>
TensorsByName evaluate(const Model& model, const ReferenceWeights& weights, const ReferenceTokens& contexts) {
  const ReferenceDecays<T, Model> read(weights, model);
  const auto& parameters = read.weights();
  Progress progress("evaluate", contexts.has_target() ? 2 * contexts.batch() : contexts.batch());
  TensorsByName results{{"predictions", predict<T>(model, parameters, contexts, progress)}};
  if (!contexts.has_target()) return results;

  T loss = T(0);
  auto gradient = model.template parameters<T>();
  // Of a single output the last coordinate is all.
  const bool whole = Model::outputs == 1 || weights.targets() == ReferenceWeights::Targets::vector;
  differentiate(model, parameters, whole ? Targets() : ScalarTargets(), contexts, loss, gradient, progress);
  results["loss"] = {{}, std::vector<T>{loss}};
  for (auto& [name, tensor] : read.tensors(gradient)) results["grad." + name] = tensor;
  return results;
}

template <class T>
TensorsByName evaluate(const ReferenceWeights& weights, const ReferenceTokens& contexts) {
  const PaperLayer<Dynamic, GivenDecay> layer(weights.feature_count());
  if (weights.readout() == ReferenceWeights::Readout::half_glu2)
    return evaluate<T>(NonlinearSsm(layer), weights, contexts);
  if (weights.stack() == ReferenceWeights::Stack::reference && weights.layer_count() == 3)
    return evaluate<T>(TwoStepStack(layer), weights, contexts);
  // A single layer too: it is the stack of one step.
  return evaluate<T>(HornerStack(layer, (weights.layer_count() + 1) / 2), weights, contexts);
}

}  // namespace

TensorsByName evaluate_weights(Safetensors model, const std::string& model_place, Safetensors tokens,
                               const std::string& tokens_place) {
  widen(model.tensors, widest_dtype(tokens.tensors));
  const ReferenceWeights weights(std::move(model), model_place);
  const ReferenceTokens contexts(std::move(tokens), tokens_place, weights.token_width(), weights.target_width(),
                                 weights.dtype());
  return weights.dtype() == "F32" ? evaluate<float>(weights, contexts) : evaluate<double>(weights, contexts);
}

}  // namespace gdssm::programs
