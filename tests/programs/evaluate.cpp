// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/version.hpp"
#include "io/support.hpp"
#include "programs/run.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::Index;
using gdssm::Safetensors;
using gdssm::Tensor;
using gdssm::test::Run;
using gdssm::test::run;
using gdssm::test::TemporaryFolder;
using nlohmann::json;

template <class T>
void flatten(const json& values, std::vector<T>& numbers) {
  if (!values.is_array()) return numbers.push_back(static_cast<T>(values.get<double>()));
  for (const json& value : values) flatten(value, numbers);
}

/// Nested lists as a tensor.
template <class T>
Tensor tensor(const json& values) {
  std::vector<Index> shape;
  for (const json* inner = &values; inner->is_array(); inner = &inner->front())
    shape.push_back(static_cast<Index>(inner->size()));
  std::vector<T> numbers;
  flatten(values, numbers);
  return {std::move(shape), std::move(numbers)};
}

template <class T>
Tensor constant(std::vector<Index> shape, T value) {
  Index size = 1;
  for (const Index n : shape) size *= n;
  return {std::move(shape), std::vector<T>(static_cast<std::size_t>(size), value)};
}

/// {"layers_0": {"seq": {"C": ...}}} -> layers_0.seq.C
template <class T>
std::map<std::string, Tensor> tensors(const json& tree, const std::string& beginning = "") {
  std::map<std::string, Tensor> all;
  for (const auto& [name, value] : tree.items())
    if (value.is_object())
      all.merge(tensors<T>(value, beginning + name + "."));
    else
      all[beginning + name] = tensor<T>(value);
  return all;
}

/// The files of one run, in their own folder.
struct Files {
  Safetensors weights, tokens;
  TemporaryFolder folder;

  std::string model() const { return (folder / "model.safetensors").string(); }
  std::string contexts() const { return (folder / "tokens.safetensors").string(); }
  std::string out() const { return (folder / "out.safetensors").string(); }

  Run evaluate(const std::vector<std::string>& options = {}) const {
    gdssm::write_safetensors(model(), weights);
    gdssm::write_safetensors(contexts(), tokens);
    std::vector<std::string> arguments = {model(), contexts(), "--out", out()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run("evaluate", arguments);
  }

  /// The content of OUT after a successful run.
  std::map<std::string, Tensor> results() const {
    const Run ended = evaluate();
    CHECK(ended.out == "");
    REQUIRE(ended.err == "");
    REQUIRE(ended.status == 0);
    return gdssm::read_safetensors(out()).tensors;
  }
};

json golden_case(const std::string& name) {
  return json::parse(gdssm::read_file(std::string(GDSSM_GOLDEN_DIR) + "/" + name + ".json"));
}

template <class T>
Files golden(const json& figures, const std::string& targets = "vector", const std::string& readout = "none") {
  return {{{{"discretization", figures["discretization"]}, {"targets", targets}, {"readout", readout}},
           tensors<T>(figures["params"])},
          {{}, {{"tokens", tensor<T>(figures["tokens"])}, {"target", tensor<T>(figures["target"])}}},
          {}};
}

/// The smallest case, for tests that corrupt it.
Files small() { return golden<double>(golden_case("trained_vector_f3")); }

/// Largest difference, relative to the largest entry; infinite for other shapes.
template <class T>
double distance(const Tensor& got, const Tensor& expected, double sign = 1) {
  if (got.shape != expected.shape) return std::numeric_limits<double>::infinity();
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < expected.as<double>().size(); ++i) {
    const double number = expected.as<double>()[i];
    difference = std::max(difference, std::abs(sign * static_cast<double>(got.as<T>()[i]) - number));
    largest = std::max(largest, std::abs(number));
  }
  return difference == 0 ? 0 : difference / largest;
}

std::vector<Index> with_front(Index front, std::vector<Index> shape) {
  shape[0] = front;
  return shape;
}

}  // namespace

TEMPLATE_TEST_CASE("evaluate reproduces the reference's outputs, losses and gradients", "[evaluate][golden]", float,
                   double) {
  const bool single = std::is_same_v<TestType, float>;
  for (const std::string name :
       {"trained_vector_f3", "trained_vector_f10", "trained_scalar_f10", "trained_vector_bilinear_f4",
        "two_step_vector_f3", "two_step_vector_f10", "nonlinear_sine_f8"}) {
    INFO(name);
    const json figures = golden_case(name);
    const auto results = golden<TestType>(figures, name == "trained_scalar_f10" ? "scalar" : "vector",
                                          name == "nonlinear_sine_f8" ? "half_glu2" : "none")
                             .results();
    std::size_t count = 2;
    CHECK(distance<TestType>(results.at("predictions"), tensor<double>(figures["logits"]), -1) <
          (single ? 1e-5 : 1e-12));
    CHECK(distance<TestType>(results.at("loss"), tensor<double>(figures["loss"])) < (single ? 1e-5 : 1e-12));
    for (const auto& [parameter, gradient] : tensors<double>(figures["grads"])) {
      if (parameter.ends_with(".B")) continue;
      INFO(parameter);
      ++count;
      CHECK(distance<TestType>(results.at("grad." + parameter), gradient) < (single ? 1e-4 : 1e-12));
    }
    CHECK(results.size() == count);
  }
}

TEST_CASE("evaluate without targets writes the same predictions and nothing else", "[evaluate]") {
  Files files = small();
  const Tensor predictions = files.results().at("predictions");
  files.tokens.tensors.erase("target");
  CHECK(files.results() == std::map<std::string, Tensor>{{"predictions", predictions}});
}

TEST_CASE("evaluate ignores B, whatever it holds and whether or not it is there", "[evaluate]") {
  Files files = small();
  const auto results = files.results();
  files.weights.tensors["layers_0.seq.B"] = {{1, 2}, std::vector<float>{std::nanf(""), 1}};
  CHECK(files.results() == results);
  files.weights.tensors.erase("layers_0.seq.B");
  CHECK(files.results() == results);
}

TEST_CASE("evaluate gives a batch of many parts the loss and gradient of its parts' mean", "[evaluate]") {
  Files files = small();
  const auto few = files.results();
  constexpr Index copies = 700;  // more than one batch, and not a multiple of the lanes
  for (auto& [name, repeated] : files.tokens.tensors) {
    const std::vector<double> once(repeated.as<double>().begin(), repeated.as<double>().end());
    std::vector<double> numbers;
    for (Index k = 0; k < copies; ++k) numbers.insert(numbers.end(), once.begin(), once.end());
    repeated = {with_front(2 * copies, repeated.shape), std::move(numbers)};
  }
  const auto many = files.results();
  REQUIRE(many.size() == few.size());
  for (const auto& [name, expected] : few) {
    INFO(name);
    if (name != "predictions") CHECK(distance<double>(many.at(name), expected) < 1e-12);
  }
  const auto predictions = few.at("predictions").as<double>(), repeated = many.at("predictions").as<double>();
  REQUIRE(repeated.size() == copies * predictions.size());
  for (std::size_t k = 0; k < copies; ++k)
    REQUIRE(std::equal(predictions.begin(), predictions.end(),
                       repeated.begin() + static_cast<long>(k * predictions.size())));
}

TEST_CASE("A given decay is exp of Lambda_re times the step, and its log_step gets a gradient of zero", "[evaluate]") {
  Files files = small();
  const auto held = files.results();
  auto& weights = files.weights;
  const auto log_step = weights.tensors.at("layers_0.seq.log_step").as<double>();
  const auto decay = weights.tensors.at("layers_0.seq.Lambda_re").as<double>();
  std::vector<double> by_Lambda;  // dL / dLambda = L Delta
  for (std::size_t i = 0; i < decay.size(); ++i) {
    const double Delta = std::exp(log_step[i % 3]);
    decay[i] = std::exp(decay[i] * Delta);
    by_Lambda.push_back(decay[i] * Delta);
  }
  weights.metadata["discretization"] = "none";
  auto given = files.results();
  CHECK(distance<double>(given.at("predictions"), held.at("predictions")) < 1e-14);
  CHECK(distance<double>(given.at("grad.layers_0.seq.C"), held.at("grad.layers_0.seq.C")) < 1e-13);
  CHECK(given.at("grad.layers_0.seq.log_step") == constant({3, 1}, 0.0));
  for (std::size_t i = 0; i < by_Lambda.size(); ++i)
    given.at("grad.layers_0.seq.Lambda_re").as<double>()[i] *= by_Lambda[i];
  CHECK(distance<double>(given.at("grad.layers_0.seq.Lambda_re"), held.at("grad.layers_0.seq.Lambda_re")) < 1e-13);

  given = files.results();
  weights.tensors.erase("layers_0.seq.log_step");
  given.erase("grad.layers_0.seq.log_step");
  CHECK(files.results() == given);
}

TEST_CASE("A Horner stack of one layer is the layer", "[evaluate]") {
  Files files = small();
  const auto layer = files.results();
  files.weights.metadata["stack"] = "horner";
  CHECK(files.results() == layer);
}

TEST_CASE("Three layers are the two-step stack or Horner's, which answer the query alike but for the residual",
          "[evaluate]") {
  Files files = golden<double>(golden_case("two_step_vector_f3"));
  const Tensor two_step = files.results().at("predictions");
  files.weights.metadata["stack"] = "horner";
  const Tensor horner = files.results().at("predictions");
  REQUIRE(two_step.shape == std::vector<Index>{2, 9, 3});
  REQUIRE(horner.shape == std::vector<Index>{2, 4, 3});
  const auto tokens = files.tokens.tensors.at("tokens").as<double>();
  for (std::size_t b = 0; b < 2; ++b)
    for (std::size_t i = 0; i < 3; ++i) {
      const double residual = tokens[(b * 9 + 8) * 3 + i];
      CHECK(two_step.as<double>()[(b * 9 + 8) * 3 + i] ==
            Approx(horner.as<double>()[(b * 4 + 3) * 3 + i] - residual).epsilon(1e-13));
    }
}

namespace {

/// A Horner stack of K steps in closed form with given decays, f = 3, on random contexts.
Files descent(const std::vector<double>& steps, std::uint64_t seed) {
  constexpr Index f = 3, batch = 2, length = 11;
  Safetensors weights, contexts;
  weights.metadata = {{"discretization", "none"}, {"targets", "vector"}, {"readout", "none"}, {"stack", "horner"}};
  for (std::size_t layer = 0; layer < 2 * steps.size() - 1; ++layer) {
    const std::string name = "layers_" + std::to_string(layer) + ".seq.";
    const double a = steps[(layer + 1) / 2];
    const bool is_S = layer % 2 == 1;
    auto& tensors = weights.tensors;
    tensors[name + "w_q"] = {{3, 3}, std::vector<double>{is_S ? 1. : 0., is_S ? 0. : 1., 0, 0, 0, 0, 0, 0, 0}};
    tensors[name + "Lambda_re"] = constant({f, f}, 1.0);
    tensors[name + "C"] = {{f, f}, std::vector<double>{-a, 0, 0, 0, -a, 0, 0, 0, -a}};
    tensors[name + "D"] = {{3}, std::vector<double>{0, 0, 1}};
  }
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> uniform(-0.5, 0.5);
  for (const auto& [name, shape] :
       std::map<std::string, std::vector<Index>>{{"tokens", {batch, length, f}}, {"target", {batch, f}}}) {
    Tensor values = constant(shape, 0.0);
    for (double& number : values.as<double>()) number = uniform(engine);
    contexts.tensors[name] = values;
  }
  return {std::move(weights), std::move(contexts), {}};
}

}  // namespace

TEST_CASE("A Horner stack of K steps predicts as explicit gradient descent does, after every pair",
          "[evaluate][theorem]") {
  using Matrix = Eigen::Matrix3d;
  for (const std::vector<double>& steps : {std::vector<double>{0.9}, {0.9, 0.3}, {1.1, 0.4, 0.2}}) {
    const Files files = descent(steps, 1);
    const Tensor predictions = files.results().at("predictions");
    REQUIRE(predictions.shape == std::vector<Index>{2, 5, 3});
    const double* token = files.tokens.tensors.at("tokens").as<double>().data();
    const double* prediction = predictions.as<double>().data();
    for (Index b = 0; b < 2; ++b, token += 3) {
      Matrix S = Matrix::Zero(), M = Matrix::Zero();
      for (Index t = 0; t < 5; ++t, token += 6, prediction += 3) {
        const Eigen::Map<const Eigen::Vector3d> x(token), y(token + 3), query(token + 6), answer(prediction);
        S += x * x.transpose();
        M += y * x.transpose();
        Matrix W = Matrix::Zero();
        for (const double a : steps) W -= a * (W * S - M);
        CHECK((answer - W * query).norm() < 1e-15);
      }
    }
  }
}

TEST_CASE("The gradient of a Horner stack is the slope of its loss", "[evaluate][vjp]") {
  Files files = descent({1.1, 0.4}, 2);
  std::mt19937_64 engine(3);
  std::normal_distribution<double> noise(0, 0.1);
  for (auto& [name, parameter] : files.weights.tensors)
    for (double& number : parameter.as<double>()) number += noise(engine);
  const std::string targets = GENERATE("vector", "scalar");
  files.weights.metadata["targets"] = targets;
  const auto results = files.results();
  for (const char* name : {"layers_0.seq.C", "layers_1.seq.w_q", "layers_1.seq.Lambda_re", "layers_2.seq.C",
                           "layers_2.seq.D", "layers_2.seq.w_q"}) {
    INFO(name);
    const std::size_t i = files.weights.tensors.at(name).as<double>().size() - 2;
    double& number = files.weights.tensors.at(name).as<double>()[i];
    const double at = number, h = 1e-5;
    number = at + h;
    const double above = files.results().at("loss").as<double>()[0];
    number = at - h;
    const double below = files.results().at("loss").as<double>()[0];
    number = at;
    CHECK(results.at("grad." + std::string(name)).as<double>()[i] ==
          Approx((above - below) / (2 * h)).epsilon(1e-6).margin(1e-9));
  }
}

TEST_CASE("The same input gives the same bytes, whatever the number of threads", "[evaluate]") {
  const Files files = small();
  REQUIRE(files.evaluate().status == 0);
  const std::string bytes = gdssm::read_file(files.out());
  for (const char* threads : {"1", "2", "64"}) {
    REQUIRE(files.evaluate({"--threads", threads}).status == 0);
    CHECK(gdssm::read_file(files.out()) == bytes);
  }
}

namespace {

/// The error message of evaluate for files corrupted by `spoil`, without "error: " and the folder. It must end with
/// status 1 and one line, and must neither create nor change OUT.
std::string refusal(const std::function<void(Files&)>& spoil) {
  Files files = small();
  spoil(files);
  const std::string earlier = "an earlier result";
  Run ended{};
  for (const bool exists : {false, true}) {
    if (exists) gdssm::write_file(files.out(), earlier);
    ended = files.evaluate();
    CHECK(ended.status == 1);
    CHECK(ended.out == "");
    CHECK(files.folder.names().size() == (exists ? 3 : 2));
    if (exists) CHECK(gdssm::read_file(files.out()) == earlier);
  }
  const std::string begin = "error: " + files.folder.path().string() + "/";
  REQUIRE(ended.err.starts_with(begin));
  CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
  CHECK(ended.err.back() == '\n');
  return ended.err.substr(begin.size(), ended.err.size() - begin.size() - 1);
}

/// The same for one weight with another value, or removed.
std::string weight_refusal(const std::string& name, const Tensor& value) {
  return refusal([&](Files& files) { files.weights.tensors[name] = value; });
}
std::string without_weight(const std::string& name) {
  return refusal([&](Files& files) { files.weights.tensors.erase(name); });
}
std::string metadata_refusal(const std::string& key, const std::string& value) {
  return refusal([&](Files& files) { files.weights.metadata[key] = value; });
}
std::string token_refusal(const std::string& name, const Tensor& value) {
  return refusal([&](Files& files) { files.tokens.tensors[name] = value; });
}

}  // namespace

TEST_CASE("Metadata that are missing or unknown are refused by name", "[evaluate][misuse]") {
  const auto missing = [](const std::string& key) {
    return refusal([&](Files& files) { files.weights.metadata.erase(key); });
  };
  const std::string is = "model.safetensors: metadata ";
  CHECK(missing("discretization") == is + "'discretization' is missing, expected 'zoh' or 'bilinear' or 'none'");
  CHECK(missing("targets") == is + "'targets' is missing, expected 'vector' or 'scalar'");
  CHECK(missing("readout") == is + "'readout' is missing, expected 'none' or 'half_glu2'");
  CHECK(metadata_refusal("discretization", "ZOH") ==
        is + "'discretization' is 'ZOH', expected 'zoh' or 'bilinear' or 'none'");
  CHECK(metadata_refusal("targets", "") == is + "'targets' is '', expected 'vector' or 'scalar'");
  CHECK(metadata_refusal("readout", "full\nglu") == is + "'readout' is 'full\\x0Aglu', expected 'none' or 'half_glu2'");
  CHECK(metadata_refusal("readout", "half_glu2") ==
        "model.safetensors: tensor 'layers_0.seq.encoder.kernel': is missing, expected a tensor of shape [1, 3]");
  CHECK(metadata_refusal("stack", "two_step") == is + "'stack' is 'two_step', expected 'horner'");
}

TEST_CASE("Tensors of the weights that are unknown or missing are refused by name", "[evaluate][misuse]") {
  const Tensor any = constant({1}, 0.0);
  for (const std::string name :
       {"layers_0.seq.E", "layers_0.seq.", "layers_0.w_q", "layers_00.seq.C", "layers_-1.seq.C", "layers_.seq.C",
        "layers_0.seq.C.x", "layer_0.seq.C", "w_q", "", "layers_99999999999999999999.seq.C", "layers_0.out2.kernel"})
    CHECK(weight_refusal(name, any) ==
          "model.safetensors: tensor '" + name +
              "': is unknown, expected layers_<k>.seq. and w_q, Lambda_re, log_step, C, D or B");
  const std::string is = "model.safetensors: tensor 'layers_0.seq.";
  CHECK(without_weight("layers_0.seq.w_q") == is + "w_q': is missing, expected a tensor of shape [3, 3]");
  CHECK(without_weight("layers_0.seq.Lambda_re") == is + "Lambda_re': is missing, expected a tensor of shape [f, f]");
  CHECK(without_weight("layers_0.seq.log_step") == is + "log_step': is missing, expected a tensor of shape [3, 1]");
  CHECK(without_weight("layers_0.seq.C") == is + "C': is missing, expected a tensor of shape [3, 3]");
  CHECK(without_weight("layers_0.seq.D") == is + "D': is missing, expected a tensor of shape [3]");
}

TEST_CASE("Files of mixed precisions are evaluated in the widest of all", "[evaluate]") {
  const json figures = golden_case("trained_vector_f3");
  Files doubles = golden<float>(figures);
  gdssm::widen(doubles.weights.tensors, "F64");
  gdssm::widen(doubles.tokens.tensors, "F64");
  const auto in_double = doubles.results();
  CHECK(golden<float>(figures).results().at("predictions").dtype() == "F32");
  const auto in_part = [&](auto&& widen_some) {
    Files mixed = golden<float>(figures);
    widen_some(mixed);
    return mixed.results();
  };
  CHECK(in_part([](Files& mixed) { gdssm::widen(mixed.weights.tensors, "F64"); }) == in_double);
  CHECK(in_part([](Files& mixed) { gdssm::widen(mixed.tokens.tensors, "F64"); }) == in_double);
  CHECK(in_part([&](Files& mixed) {
          mixed.weights.tensors["layers_0.seq.C"] = doubles.weights.tensors.at("layers_0.seq.C");
        }) == in_double);
  CHECK(in_part([&](Files& mixed) { mixed.tokens.tensors["target"] = doubles.tokens.tensors.at("target"); }) ==
        in_double);
}

TEST_CASE("Weights of another shape or without a value are refused by name", "[evaluate][misuse]") {
  const std::string is = "model.safetensors: tensor 'layers_0.seq.";
  CHECK(weight_refusal("layers_0.seq.w_q", constant({9}, 0.0)) == is + "w_q': shape is [9], expected [3, 3]");
  CHECK(weight_refusal("layers_0.seq.Lambda_re", constant({3, 4}, 0.0)) ==
        is + "Lambda_re': shape is [3, 4], expected [f, f] with f at least 1");
  CHECK(weight_refusal("layers_0.seq.Lambda_re", constant({0, 0}, 0.0)) ==
        is + "Lambda_re': shape is [0, 0], expected [f, f] with f at least 1");
  CHECK(weight_refusal("layers_0.seq.Lambda_re", constant({}, 0.0)) ==
        is + "Lambda_re': shape is [], expected [f, f] with f at least 1");
  CHECK(weight_refusal("layers_0.seq.log_step", constant({3}, 0.0)) == is + "log_step': shape is [3], expected [3, 1]");
  CHECK(weight_refusal("layers_0.seq.C", constant({4, 4}, 0.0)) == is + "C': shape is [4, 4], expected [3, 3]");
  CHECK(weight_refusal("layers_0.seq.D", constant({1, 3}, 0.0)) == is + "D': shape is [1, 3], expected [3]");
  CHECK(weight_refusal("layers_0.seq.C", {{3, 3}, std::vector<double>{0, 1, 2, 3, 4, std::nan(""), 6, 7, 8}}) ==
        is + "C': entry [1, 2] is nan, expected a finite number");
  CHECK(weight_refusal("layers_0.seq.log_step", constant({3, 1}, -std::numeric_limits<double>::infinity())) ==
        is + "log_step': entry [0, 0] is -inf, expected a finite number");
}

TEST_CASE("Numbers of layers that make no model are refused", "[evaluate][misuse]") {
  const auto layers = [](Index count, bool horner) {
    return refusal([&](Files& files) {
      const auto first = std::exchange(files.weights.tensors, {});
      for (Index k = 0; k < count; ++k)
        for (const auto& [name, value] : first)
          files.weights.tensors["layers_" + std::to_string(k) + name.substr(8)] = value;
      if (horner) files.weights.metadata["stack"] = "horner";
    });
  };
  CHECK(layers(0, false) == "model.safetensors: has no tensor of layer 0, expected 'layers_0.seq.w_q' and others");
  CHECK(layers(2, false) ==
        "model.safetensors: has 2 layers, expected 1 or 3 (any odd number with metadata 'stack' 'horner')");
  CHECK(layers(5, false) ==
        "model.safetensors: has 5 layers, expected 1 or 3 (any odd number with metadata 'stack' 'horner')");
  CHECK(layers(4, true) == "model.safetensors: has 4 layers, expected an odd number, 2 K - 1 for K steps");
  CHECK(weight_refusal("layers_9223372036854775807.seq.C", constant({3, 3}, 0.0)) ==
        "model.safetensors: has no tensor of layer 1, expected 'layers_1.seq.w_q' and others");
}

TEST_CASE("What fits no model with a gated readout is refused by name", "[evaluate][misuse]") {
  const auto said = [](const std::function<void(Files&)>& spoil) {
    return refusal([&](Files& files) {
      const Files nonlinear = golden<double>(golden_case("nonlinear_sine_f8"), "scalar", "half_glu2");
      files.weights = nonlinear.weights;
      files.tokens = nonlinear.tokens;
      spoil(files);
    });
  };
  const auto weight = [&](const std::string& name, const Tensor& value) {
    return said([&](Files& files) { files.weights.tensors[name] = value; });
  };
  const auto tokens = [&](const std::string& name, const Tensor& value) {
    return said([&](Files& files) { files.tokens.tensors[name] = value; });
  };
  const std::string is = "model.safetensors: tensor 'layers_0.";
  CHECK(weight("layers_0.out3.kernel", constant({8, 2}, 0.0)) == is + "out3.kernel': shape is [8, 2], expected [8, 1]");
  CHECK(weight("layers_0.seq.encoder.bias", constant({8, 1}, 0.0)) ==
        is + "seq.encoder.bias': shape is [8, 1], expected [8]");
  CHECK(weight("layers_0.out1.kernel", constant({8, 8}, 0.0)) ==
        is + "out1.kernel': is unknown, expected layers_<k>.seq. and w_q, Lambda_re, log_step, C, D or B, or layers_0. "
             "and seq.encoder, out2 or out3 and .kernel or .bias");
  CHECK(weight("layers_1.seq.C", constant({8, 8}, 0.0)) ==
        "model.safetensors: has 2 layers, expected 1 with metadata 'readout' 'half_glu2'");
  CHECK(tokens("tokens", constant({2, 21, 8}, 0.0)) ==
        "tokens.safetensors: tensor 'tokens': shape is [2, 21, 8], expected [batch, 2N+1, 1] with N at least 1");
  CHECK(tokens("target", constant({2, 1}, 0.0)) ==
        "tokens.safetensors: tensor 'target': shape is [2, 1], expected [2, 2]");
}

TEST_CASE("Tokens and targets that fit no model of this width are refused by name", "[evaluate][misuse]") {
  const std::string tokens = "tokens.safetensors: tensor 'tokens': ", target = "tokens.safetensors: tensor 'target': ";
  const std::string expected = ", expected [batch, 2N+1, 3] with N at least 1";
  for (const std::vector<Index>& shape :
       {std::vector<Index>{2, 8, 3}, {2, 9, 4}, {0, 9, 3}, {2, 1, 3}, {2, 0, 3}, {9, 3}, {}, {Index{1} << 50, 0, 3}})
    CHECK(token_refusal("tokens", constant(shape, 0.0)).starts_with(tokens + "shape "));
  CHECK(token_refusal("tokens", constant({2, 8, 3}, 0.0)) == tokens + "shape is [2, 8, 3]" + expected);
  CHECK(token_refusal("target", constant({2, 4}, 0.0)) == target + "shape is [2, 4], expected [2, 3]");
  CHECK(token_refusal("target", constant({3, 3}, 0.0)) == target + "shape is [3, 3], expected [2, 3]");
  CHECK(token_refusal("target", constant({6}, 0.0)) == target + "shape is [6], expected [2, 3]");
  CHECK(token_refusal("target", {{2, 3}, std::vector<double>{0, 0, 0, 0, HUGE_VAL, 0}}) ==
        target + "entry [1, 1] is inf, expected a finite number");
  CHECK(refusal([](Files& files) { files.tokens.tensors.at("tokens").as<double>()[31] = std::nan(""); }) ==
        tokens + "entry [1, 1, 1] is nan, expected a finite number");
  CHECK(token_refusal("weights", constant({2, 3, 3}, 0.0)) ==
        "tokens.safetensors: tensor 'weights': is unknown, expected 'tokens' and, where there is to be a loss, "
        "'target'");
  CHECK(refusal([](Files& files) { files.tokens.tensors.erase("tokens"); }) ==
        tokens + "is missing, expected a tensor of shape [batch, 2N+1, 3] with N at least 1");
}

TEST_CASE("Files that are not there, not safetensors or not to be written are refused by name", "[evaluate][misuse]") {
  const Files files = small();
  REQUIRE(files.evaluate().status == 0);
  const std::string other = (files.folder / "other").string();
  const auto said = [&](const std::string& model, const std::string& tokens, const std::string& out) {
    const Run ended = run("evaluate", {model, tokens, "--out", out});
    CHECK(ended.status == 1);
    return ended.err;
  };
  CHECK(said(other, files.contexts(), files.out()) == "error: " + other + ": cannot open: No such file or directory\n");
  CHECK(said(files.model(), other, files.out()) == "error: " + other + ": cannot open: No such file or directory\n");
  CHECK(said(files.model(), files.contexts(), other + "/out") ==
        "error: " + other + "/out: cannot create a file in folder '" + other + "': No such file or directory\n");
  CHECK(said(files.model(), files.contexts(), "/dev/full") ==
        "error: /dev/full: cannot write: No space left on device\n");

  const std::string bytes = gdssm::read_file(files.model());
  gdssm::write_file(other, bytes.substr(0, bytes.size() - 1));
  CHECK(said(other, files.contexts(), files.out()).starts_with("error: " + other + ": tensor "));
  gdssm::write_file(other, "f,x\n1,2\n");
  CHECK(said(files.model(), other, files.out()).starts_with("error: " + other + ": "));
  // A shape whose number of bytes overflows, and one that is larger than the file.
  for (const std::string shape : {"[4294967296,4294967296,3]", "[1000000000,9,3]"}) {
    std::string header = R"({"tokens":{"dtype":"F64","shape":)" + shape + R"(,"data_offsets":[0,0]}})";
    header.insert(0, std::string(1, static_cast<char>(header.size())) + std::string(7, '\0'));
    gdssm::write_file(other, header);
    CHECK(said(files.model(), other, files.out()).starts_with("error: " + other + ": tensor 'tokens': "));
  }
}

TEST_CASE("What is wrong on the command line alone ends evaluate with status 2 and one line", "[evaluate][misuse]") {
  using Arguments = std::vector<std::string>;
  for (const auto& [arguments, culprit] :
       std::vector<std::pair<Arguments, std::string>>{{{"--out", "d"}, "MODEL"},
                                                      {{"a", "--out", "d"}, "TOKENS"},
                                                      {{"a", "b"}, "--out"},
                                                      {{"a", "b", "--out"}, "--out"},
                                                      {{"a", "b", "third", "--out", "d"}, "third"},
                                                      {{"a", "b", "--out", "d", "--out", "e"}, "--out"},
                                                      {{"a", "b", "--out", "d", "--seed", "1"}, "--seed"},
                                                      {{"a", "b", "--out", "d", "--threads", "0"}, "--threads"},
                                                      {{"a", "b", "--out", "d", "--threads", "two"}, "--threads"}}) {
    const Run ended = run("evaluate", arguments);
    INFO(ended.err);
    CHECK(ended.status == 2);
    CHECK(ended.out == "");
    CHECK(ended.err.starts_with("error: "));
    CHECK(ended.err.ends_with(" (see evaluate --help)\n"));
    CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
    CHECK(ended.err.find(culprit) != std::string::npos);
  }
}

TEST_CASE("Both --help and --version answer on standard output with status 0", "[evaluate]") {
  const Run help = run("evaluate", {"--help"});
  CHECK(help.status == 0);
  CHECK(help.err == "");
  for (const char* word : {"MODEL", "TOKENS", "--out", "--threads", "--version", "safetensors"})
    CHECK(help.out.find(word) != std::string::npos);
  const Run version = run("evaluate", {"--version"});
  CHECK(version.status == 0);
  CHECK(version.err == "");
  CHECK(version.out == "evaluate (gdssm) " + std::string(gdssm::version) + "\n");
}
