// SPDX-License-Identifier: Apache-2.0
// evaluate MODEL TOKENS --out OUT: predictions, and given targets loss and gradient, of weights in the reference's
// naming. docs/from-jax.md describes the three files.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "gdssm/training/gradient.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

namespace gdssm::programs {
namespace {

using Tensors = std::map<std::string, Tensor>;

/// The contexts of a file of tokens, checked against the weights.
/// Shapes  tokens (batch, 2N+1, f), target (batch, f)
struct Contexts {
  Tensor tokens;
  std::optional<Tensor> target;

  Index batch() const { return tokens.shape[0]; }
  Index length() const { return tokens.shape[1]; }
  Index features() const { return tokens.shape[2]; }

  /// Context b, a token a column: the same memory as the file's rows.
  template <class T>
  Context<T> context(Index b) const {
    using Columns = Eigen::Map<const Eigen::MatrixX<T>>;
    const T* const first = tokens.as<T>().data() + b * features() * length();
    Context<T> context{Columns(first, features(), length()), {}};
    if (target) context.targets = Columns(target->as<T>().data() + b * features(), features(), 1);
    return context;
  }
};

Contexts read_contexts(const std::filesystem::path& path, const ReferenceWeights& weights) {
  const std::string file = path.string();
  Tensors tensors = read_safetensors(path).tensors;
  for (const auto& [name, tensor] : tensors) {
    const std::string place = file + ": tensor " + in_quotes(name, 200);
    if (name != "tokens" && name != "target") refuse(place, "is unknown, expected 'tokens' and, for a loss, 'target'");
    if (tensor.dtype() != weights.dtype())
      refuse(place, "dtype is ", tensor.dtype(), ", expected ", weights.dtype(), ", that of ", weights.where());
  }
  if (!tensors.contains("tokens")) refuse(file, "tensor 'tokens' is missing, expected one of shape (batch, 2N+1, f)");

  const auto expect = [&](const Tensor& tensor, const char* name, bool fits, const auto&... expected) {
    const std::string place = file + ": tensor '" + name + "'";
    if (!fits) refuse(place, "shape is ", detail::shape_text(tensor.shape), ", expected ", expected...);
  };
  Contexts contexts{std::move(tensors.at("tokens")), {}};
  const std::vector<Index>& shape = contexts.tokens.shape;
  const Index f = weights.feature_count();
  expect(contexts.tokens, "tokens", shape.size() == 3, "[batch, 2N+1, ", f, "]");
  expect(contexts.tokens, "tokens", shape[0] >= 1, "a batch of at least 1");
  expect(contexts.tokens, "tokens", shape[1] >= 3 && shape[1] % 2 == 1, "an odd number of tokens, at least 3");
  expect(contexts.tokens, "tokens", shape[2] == f, "the width ", f, ", that of ", weights.where());
  require_finite(contexts.tokens, file + ": tensor 'tokens'");
  if (tensors.contains("target")) {
    contexts.target = std::move(tensors.at("target"));
    expect(*contexts.target, "target", contexts.target->shape == std::vector<Index>{shape[0], f}, "[", shape[0], ", ",
           f, "]");
    require_finite(*contexts.target, file + ": tensor 'target'");
  }
  return contexts;
}

/// The predictions of every context, (batch, N, f) or what rows the model has.
template <class T, class Model, class Parameters>
Tensor predict(const Model& model, const Parameters& parameters, const Contexts& contexts, Progress& progress) {
  std::vector<T> numbers;
  Index rows = 0;
  for (Index b = 0; b < contexts.batch(); ++b) {
    const Eigen::MatrixX<T> predictions = model.predict(parameters, contexts.context<T>(b).tokens);
    rows = predictions.cols();
    numbers.insert(numbers.end(), predictions.data(), predictions.data() + predictions.size());
    progress.advance();
  }
  return {{contexts.batch(), rows, contexts.features()}, std::move(numbers)};
}

/// The loss, mean over the batch, and its gradient. A batch of many contexts is taken in parts, to bound the memory.
template <class T, class Kind, class Model, class Parameters>
T differentiate(const Model& model, const Parameters& parameters, const Contexts& contexts, Parameters& gradient,
                Progress& progress) {
  using S = Lanes<T>;
  constexpr Index part = 64 * lane_count<S>;
  BatchGradient<Model, S, Kind, ForwardSensitivity> batch_gradient(model, contexts.length() / 2, 1);
  Parameters part_gradient = model.template parameters<T>();
  T loss = T(0);
  fill(gradient, T(0));
  for (Index first = 0; first < contexts.batch(); first += part) {
    const Index last = std::min(first + part, contexts.batch());
    std::vector<Context<T>> of_part;
    for (Index b = first; b < last; ++b) of_part.push_back(contexts.context<T>(b));
    const T weight = T(last - first) / T(contexts.batch());
    loss += weight * batch_gradient(parameters, Batch<S>(model.window(), of_part), part_gradient);
    visit([&](const Name&, auto& sum, const auto& share) { sum += weight * share; }, gradient, part_gradient);
    progress.advance(last - first);
  }
  return loss;
}

template <class T, class Model>
Tensors evaluate(const Model& model, const ReferenceWeights& weights, const Contexts& contexts) {
  auto parameters = model.template parameters<T>();
  weights.read(parameters);
  Progress progress("evaluate", contexts.target ? 2 * contexts.batch() : contexts.batch());
  Tensors out{{"predictions", predict<T>(model, parameters, contexts, progress)}};
  if (!contexts.target) return out;

  auto gradient = model.template parameters<T>();
  const T loss = weights.targets() == ReferenceWeights::Targets::scalar
                     ? differentiate<T, ScalarTargets>(model, parameters, contexts, gradient, progress)
                     : differentiate<T, VectorTargets>(model, parameters, contexts, gradient, progress);
  out["loss"] = {{}, std::vector<T>{loss}};
  for (auto& [name, tensor] : weights.tensors(gradient)) out["grad." + name] = std::move(tensor);
  return out;
}

/// One layer is the stack of one step.
template <class T, class Discretization>
Tensors evaluate_stack(const ReferenceWeights& weights, const Contexts& contexts) {
  const PaperLayer<Dynamic, Discretization> layer(weights.feature_count());
  if (weights.stack() == ReferenceWeights::Stack::reference && weights.layer_count() == 3)
    return evaluate<T>(TwoStepStack(layer), weights, contexts);
  return evaluate<T>(HornerStack(layer, (weights.layer_count() + 1) / 2), weights, contexts);
}

template <class T>
Tensors evaluate_in(const ReferenceWeights& weights, const Contexts& contexts) {
  switch (weights.discretization()) {
    case ReferenceWeights::Discretization::zoh:
      return evaluate_stack<T, ZeroOrderHold>(weights, contexts);
    case ReferenceWeights::Discretization::bilinear:
      return evaluate_stack<T, Bilinear>(weights, contexts);
    case ReferenceWeights::Discretization::none:
      break;
  }
  return evaluate_stack<T, GivenDecay>(weights, contexts);
}

}  // namespace
}  // namespace gdssm::programs

int main(int argc, char** argv) {
  std::string model, tokens, out;
  int threads = 1;
  CLI::App app(
      "Runs weights in the naming of the paper's JAX code (arXiv:2410.11687v1): predictions and, given targets, loss\n"
      "and gradient, in the weights' own precision. docs/from-jax.md describes the files.",
      "evaluate");
  app.add_option("MODEL", model, "The weights, a safetensors file with their discretization, targets and readout")
      ->required();
  app.add_option("TOKENS", tokens, "The contexts, a safetensors file with tokens and, for a loss, target")->required();
  app.add_option("--out", out, "The safetensors file to write")->required();
  gdssm::programs::add_threads_option(app, threads);
  return gdssm::programs::run_program(argc, argv, app, [&] {
    const gdssm::ReferenceWeights weights(gdssm::read_safetensors(model), model);
    const gdssm::programs::Contexts contexts = gdssm::programs::read_contexts(tokens, weights);
    gdssm::write_safetensors(out, {{},
                                   weights.dtype() == "F32" ? gdssm::programs::evaluate_in<float>(weights, contexts)
                                                            : gdssm::programs::evaluate_in<double>(weights, contexts)});
  });
}
