// SPDX-License-Identifier: Apache-2.0
#include "gdssm/oracle/reference_decays.hpp"

#include <string>

#include "gdssm/models/horner_stack.hpp"
#include "gdssm/oracle/reference_file.hpp"
#include "support/catch.hpp"

using namespace gdssm;

namespace {

using Model = HornerStack<PaperLayer<Dynamic, GivenDecay>>;

const Index f = 2, steps = 2;
const Model model(PaperLayer<Dynamic, GivenDecay>(f), steps);

/// A file of a stack with random weights.
template <class Discretization>
Safetensors random_file(const std::string& word) {
  const HornerStack<PaperLayer<Dynamic, Discretization>> stack(PaperLayer<Dynamic, Discretization>(f), steps);
  auto weights = stack.template parameters<double>();
  RandomStream<double> stream(3);
  visit(
      [&](const Name&, auto& matrix) {
        for (Index i = 0; i < matrix.size(); ++i) matrix(i) = stream.normal();
      },
      weights);
  return reference_file(weights, {word, "vector", "none", "horner"});
}

/// sum_i i w_i over all entries of the weights that the model gets, in their order, and its gradient by them.
double weighted_sum(const Safetensors& file) {
  const ReferenceWeights weights(file, "file");
  double sum = 0, i = 0;
  visit(
      [&](const Name&, const auto& matrix) {
        for (Index e = 0; e < matrix.size(); ++e) sum += ++i * matrix(e);
      },
      ReferenceDecays<double, Model>(weights, model).weights());
  return sum;
}

void expect_derivatives(const Safetensors& file) {
  const ReferenceWeights weights(file, "file");
  auto gradient = model.parameters<double>();
  double i = 0;
  visit(
      [&](const Name&, auto& matrix) {
        for (Index e = 0; e < matrix.size(); ++e) matrix(e) = ++i;
      },
      gradient);
  const auto tensors = ReferenceDecays<double, Model>(weights, model).tensors(gradient);
  CHECK(tensors.size() == file.tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const auto& derivatives = std::get<std::vector<double>>(tensor.data);
    for (std::size_t e = 0; e < derivatives.size(); ++e) {
      const double size = 1e-5;
      Safetensors up = file, down = file;
      std::get<std::vector<double>>(up.tensors[name].data)[e] += size;
      std::get<std::vector<double>>(down.tensors[name].data)[e] -= size;
      INFO(name << " [" << e << "]");
      CHECK(derivatives[e] == Approx((weighted_sum(up) - weighted_sum(down)) / (2 * size)).epsilon(1e-7).margin(1e-7));
    }
  }
}

}  // namespace

TEST_CASE("Weights of a file of any discretization have its decays, and gradients by them its derivatives", "[vjp]") {
  expect_derivatives(random_file<ZeroOrderHold>("zoh"));
  expect_derivatives(random_file<Bilinear>("bilinear"));
  expect_derivatives(random_file<GivenDecay>("none"));
}
