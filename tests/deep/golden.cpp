// SPDX-License-Identifier: Apache-2.0
#include "gdssm/oracle/deep.hpp"

#include <fstream>

#include <nlohmann/json.hpp>

#include "support/catch.hpp"

namespace gdssm {
namespace {

using nlohmann::json;
using Tensors = std::map<std::string, Tensor>;
using Integers = std::map<std::string, IntegerTensor>;

template <class T>
Tensor tensor(const json& array) {
  return {array["shape"].get<std::vector<Index>>(), array["data"].get<std::vector<T>>()};
}
IntegerTensor integers(const json& array) {
  return {array["shape"].get<std::vector<Index>>(), array["data"].get<std::vector<std::int64_t>>()};
}

/// The ids of two tensors side by side.
IntegerTensor joined(const IntegerTensor& a, const IntegerTensor& b) {
  IntegerTensor both{{a.shape[0], a.shape[1] + b.shape[1]}, {}};
  for (Index s = 0; s < a.shape[0]; ++s)
    for (const IntegerTensor* part : {&a, &b})
      both.numbers.insert(both.numbers.end(), part->numbers.begin() + s * part->shape[1],
                          part->numbers.begin() + (s + 1) * part->shape[1]);
  return both;
}

struct Figures {
  json all;
  explicit Figures(const std::string& name) {
    std::ifstream in(std::string(GDSSM_GOLDEN_DIR) + "/deep/deep_" + name + ".json");
    all = json::parse(in);
  }
  template <class T>
  Safetensors model() const {
    const json& config = all["config"];
    Safetensors file;
    file.metadata = {{"mixer", config["mixer"]},
                     {"heads", std::to_string(config["heads"].get<int>())},
                     {"tied", config["tied"].get<bool>() ? "true" : "false"}};
    for (const char* name : {"window", "convolution"})
      if (config.contains(name)) file.metadata[name] = std::to_string(config[name].get<int>());
    for (const auto& [name, weight] : all["weights"].items()) file.tensors[name] = tensor<T>(weight);
    return file;
  }
  Integers tokens(bool trained) const {
    Integers given{{"ids", integers(all["ids"])}, {"more_ids", integers(all["more_ids"])}};
    if (trained) given["targets"] = integers(all["targets"]), given["marked"] = integers(all["marked"]);
    return given;
  }
};

/// Counts the tensors that agree to `tolerance` times the largest figure, or one.
struct Agreement {
  double tolerance;
  int count = 0;

  template <class T>
  void check(const std::string& name, const Tensor& got, const json& expected) {
    INFO(name);
    CHECK(got.shape == expected["shape"].get<std::vector<Index>>());
    const auto figures = expected["data"].get<std::vector<double>>();
    const auto numbers = got.as<T>();
    REQUIRE(numbers.size() == figures.size());
    double largest = 1, worst = 0;
    for (std::size_t i = 0; i < figures.size(); ++i) {
      largest = (std::max)(largest, std::abs(figures[i]));
      const double difference = std::abs(static_cast<double>(numbers[i]) - figures[i]);
      worst = difference >= 0 ? (std::max)(worst, difference) : 1e9;
    }
    CHECK(worst <= tolerance * largest);
    ++count;
  }
};

template <class T>
void check_figures(const std::string& name, double tolerance) {
  CAPTURE(name);
  const Figures figures(name);
  const Tensors got = deep_results(figures.model<T>(), "model", figures.tokens(true), "ids");
  Agreement agree{tolerance};
  for (const char* output : {"logits", "loss", "more_logits"})
    agree.check<T>(output, got.at(output), figures.all[output]);
  for (const auto& [weight, gradient] : figures.all["gradients"].items())
    agree.check<T>("grad." + weight, got.at("grad." + weight), gradient);
  for (const auto& [part, state] : figures.all["state"].items())
    agree.check<T>("state." + part, got.at("state." + part), state);
  CHECK(static_cast<std::size_t>(agree.count) == got.size());

  Integers whole = figures.tokens(false);
  whole["ids"] = joined(whole["ids"], whole["more_ids"]);
  whole.erase("more_ids");
  const Tensors after = deep_results(figures.model<T>(), "model", whole, "ids");
  for (const auto& [part, state] : figures.all["more_state"].items())
    agree.check<T>("more_state." + part, after.at("state." + part), state);
}

TEST_CASE("deep models have the reference's logits, loss, gradients, states and continuations", "[golden]") {
  for (const char* name : {"gril", "gril_tied", "linear", "linear_plain", "gated_delta", "kda", "mamba2"}) {
    check_figures<double>(name, 1e-12);
    check_figures<float>(name, 2e-4);
  }
}

}  // namespace
}  // namespace gdssm
