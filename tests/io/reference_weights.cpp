// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/reference_weights.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/io/reference_tokens.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "io/support.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::Dynamic;
using gdssm::GivenDecay;
using gdssm::HornerStack;
using gdssm::Index;
using gdssm::PaperLayer;
using gdssm::ReferenceTokens;
using gdssm::ReferenceWeights;
using gdssm::Safetensors;
using gdssm::Tensor;
using gdssm::test::message_of;

/// Layers of f = 2 whose numbers all differ, increasing in storage order.
Safetensors counted(Index layers, const std::string& discretization = "zoh") {
  Safetensors file;
  file.metadata = {{"discretization", discretization}, {"targets", "vector"}, {"readout", "none"}, {"stack", "horner"}};
  double next = 0;
  for (Index layer = 0; layer < layers; ++layer)
    for (const auto& [name, shape] : std::map<std::string, std::vector<Index>>{
             {"C", {2, 2}}, {"D", {3}}, {"Lambda_re", {2, 2}}, {"log_step", {2, 1}}, {"w_q", {3, 3}}}) {
      Index size = 1;
      for (const Index n : shape) size *= n;
      std::vector<double> numbers(static_cast<std::size_t>(size));
      for (double& number : numbers) number = next++;
      file.tensors["layers_" + std::to_string(layer) + ".seq." + name] = {shape, std::move(numbers)};
    }
  return file;
}

ReferenceWeights weights(Index layers, const std::string& discretization = "zoh") {
  return {counted(layers, discretization), "m"};
}

}  // namespace

TEST_CASE("Weights keep the reference's orientation: rows are rows", "[reference_weights]") {
  auto p = PaperLayer<2>().parameters<double>();
  weights(1).read(p);
  CHECK(p.readout.C == (Eigen::Matrix2d() << 0, 1, 2, 3).finished());
  CHECK(p.gate.d == Eigen::Vector3d(4, 5, 6));
  CHECK(p.recurrence.Lambda == (Eigen::Matrix2d() << 7, 8, 9, 10).finished());
  CHECK(p.recurrence.log_step == Eigen::Vector2d(11, 12));
  CHECK(p.attention.A == (Eigen::Matrix3d() << 13, 14, 15, 16, 17, 18, 19, 20, 21).finished());
}

TEST_CASE("What is read from a file and put back under its names is the file", "[reference_weights]") {
  for (const Index steps : {1, 2, 3}) {
    const HornerStack stack(PaperLayer<>(2), steps);
    auto p = stack.parameters<double>();
    const ReferenceWeights file = weights(2 * steps - 1);
    CHECK(file.layer_count() == 2 * steps - 1);
    CHECK(file.feature_count() == 2);
    file.read(p);
    CHECK(file.tensors(p) == counted(2 * steps - 1).tensors);
  }
}

TEST_CASE("What has more layers than the file is not put under its names", "[reference_weights][misuse]") {
  const HornerStack stack(PaperLayer<>(2), 2);
  CHECK(message_of([&] { weights(1).tensors(stack.parameters<double>()); }) ==
        "m: tensor 'layers_1.seq.w_q': is a parameter of the model, but not of the file's");
}

TEST_CASE("A model other than the file's is refused", "[reference_weights][misuse]") {
  const auto said = [](const auto& model, const ReferenceWeights& file, auto zero) {
    auto p = model.template parameters<decltype(zero)>();
    return message_of([&] { file.read(p); });
  };
  const PaperLayer<> layer(2);
  CHECK(said(layer, weights(1), 0.0) == "");
  CHECK(said(layer, weights(3), 0.0) == "m: has 15 tensors that the model reads, expected 5");
  CHECK(said(HornerStack(layer, 2), weights(1), 0.0) ==
        "m: tensor 'layers_1.seq.w_q': is a parameter of the model, but not of the file's");
  CHECK(said(layer, weights(1, "none"), 0.0) ==
        "m: tensor 'layers_0.seq.log_step': is a parameter of the model, but not of the file's");
  CHECK(said(PaperLayer<Dynamic, GivenDecay>(2), weights(1), 0.0) ==
        "m: has 5 tensors that the model reads, expected 4");
  CHECK(said(PaperLayer<>(4), weights(1), 0.0) ==
        "m: tensor 'layers_0.seq.Lambda_re': shape is [2, 2], expected [4, 4]");
  CHECK(said(layer, weights(1), 0.0f) == "m: tensor 'layers_0.seq.w_q': dtype is F64, expected F32");
}

TEST_CASE("Contexts of a file of tokens are its rows as columns", "[reference_tokens]") {
  const Safetensors file{{},
                         {{"tokens", {{2, 3, 2}, std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}},
                          {"target", {{2, 2}, std::vector<float>{12, 13, 14, 15}}}}};
  const ReferenceTokens contexts(file, "t", 2, 2, "F32");
  CHECK(contexts.batch() == 2);
  CHECK(contexts.length() == 3);
  REQUIRE(contexts.has_target());
  CHECK(contexts.tokens<float>(1) == (Eigen::MatrixXf(2, 3) << 6, 8, 10, 7, 9, 11).finished());
  CHECK(contexts.target<float>(1) == Eigen::Vector2f(14, 15));
  CHECK_THROWS_WITH(contexts.tokens<float>(2), "ReferenceTokens: the context is 2, expected 0 to 1");
  CHECK_THROWS_WITH(contexts.target<float>(-1), "ReferenceTokens: the context is -1, expected 0 to 1");
  Safetensors without = file;
  without.tensors.erase("target");
  CHECK_THROWS_WITH(ReferenceTokens(without, "t", 2, 2, "F32").target<float>(0),
                    "ReferenceTokens: the file has no tensor 'target'");
}
