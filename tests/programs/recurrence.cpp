// SPDX-License-Identifier: Apache-2.0
// evaluate --recurrence
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/safetensors.hpp"
#include "io/support.hpp"
#include "programs/run.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::Index;
using gdssm::Tensor;
using gdssm::test::Run;
using gdssm::test::run;
using gdssm::test::TemporaryFolder;
using nlohmann::json;
using Tensors = std::map<std::string, Tensor>;

/// {"shape": [2, 3], "data": [...]}, or a number.
template <class T>
Tensor tensor(const json& figures) {
  if (figures.is_number()) return {{}, std::vector<T>{static_cast<T>(figures.get<double>())}};
  std::vector<T> numbers;
  for (const double number : figures["data"].get<std::vector<double>>()) numbers.push_back(static_cast<T>(number));
  return {figures["shape"].get<std::vector<Index>>(), numbers};
}

json golden_case(const std::string& row, std::size_t number = 1) {
  return json::parse(gdssm::read_file(GDSSM_GOLDEN_DIR "/recurrences/" + row + ".json"))["cases"][number];
}

template <class T>
Tensors inputs_of(const json& figures, bool with_cotangents = true) {
  Tensors all;
  for (const auto& [name, input] : figures["inputs"].items()) all[name] = tensor<T>(input);
  if (with_cotangents)
    for (const auto& [name, bar] : figures["cotangents"].items()) all["cotangent." + name] = tensor<T>(bar);
  return all;
}

struct Files {
  TemporaryFolder folder;
  std::string inputs() const { return (folder / "inputs.safetensors").string(); }
  std::string out() const { return (folder / "out.safetensors").string(); }

  Run evaluate(const std::string& row, const Tensors& tensors) const {
    gdssm::write_safetensors(inputs(), {{}, tensors});
    return run("evaluate", {"--recurrence", row, inputs(), "--out", out()});
  }
  Tensors results(const std::string& row, const Tensors& tensors) const {
    const Run ended = evaluate(row, tensors);
    CHECK(ended.out == "");
    REQUIRE(ended.err == "");
    REQUIRE(ended.status == 0);
    return gdssm::read_safetensors(out()).tensors;
  }
  /// What it says to such a file, after "error: ". It must end with status 1 and one line, and leave no OUT.
  std::string refusal(const std::string& row, const Tensors& tensors) const {
    const Run ended = evaluate(row, tensors);
    CHECK(ended.status == 1);
    CHECK(ended.out == "");
    CHECK(folder.names().size() == 1);
    CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
    REQUIRE(ended.err.starts_with("error: "));
    std::string text = ended.err.substr(7, ended.err.size() - 8);
    const std::string place = inputs() + ": ";
    return text.starts_with(place) ? text.substr(place.size()) : text;
  }
};

template <class T>
void expect_near(const Tensor& got, const Tensor& expected, double tolerance) {
  REQUIRE(got.shape == expected.shape);
  const auto numbers = got.as<T>();
  const auto wanted = expected.as<double>();
  double largest = 1;
  for (const double number : wanted) largest = std::max(largest, std::abs(number));
  for (std::size_t i = 0; i < wanted.size(); ++i)
    CHECK(std::abs(static_cast<double>(numbers[i]) - wanted[i]) <= tolerance * largest);
}

}  // namespace

TEMPLATE_TEST_CASE("evaluate --recurrence reproduces the figures of public code in both precisions",
                   "[evaluate][golden]", float, double) {
  const Files files;
  for (const std::string row : {"paper_layer", "mamba3", "deltaproduct", "mesa", "ttt_linear_ln", "omega"}) {
    INFO(row);
    const json figures = golden_case(row);
    const Tensors results = files.results(row, inputs_of<TestType>(figures));
    const double tolerance = sizeof(TestType) == 4 ? 1e-4 : 1e-12;
    for (const auto& [name, output] : figures["outputs"].items())
      expect_near<TestType>(results.at(name), tensor<double>(output), tolerance);
    for (const auto& [name, gradient] : figures["gradients"].items())
      expect_near<TestType>(results.at("grad." + name), tensor<double>(gradient), tolerance);
    CHECK(results.size() == figures["outputs"].size() + figures["gradients"].size());

    const Tensors outputs = files.results(row, inputs_of<TestType>(figures, false));
    CHECK(outputs.size() == figures["outputs"].size());
    for (const auto& [name, output] : outputs) CHECK(output == results.at(name));
  }
}

TEST_CASE("evaluate --recurrence computes in the wider of the precisions that are there", "[evaluate]") {
  const Files files;
  Tensors inputs = inputs_of<float>(golden_case("delta_rule"));
  CHECK(files.results("delta_rule", inputs).at("o").dtype() == "F32");
  inputs["beta"] = tensor<double>(golden_case("delta_rule")["inputs"]["beta"]);
  for (const auto& [name, result] : files.results("delta_rule", inputs)) CHECK(result.dtype() == "F64");
}

TEST_CASE("evaluate --recurrence takes all sizes from the tensors: no token, one token, one channel", "[evaluate]") {
  const Files files;
  auto random = [engine = std::mt19937(1)](std::vector<Index> shape) mutable {
    Index size = 1;
    for (const Index n : shape) size *= n;
    std::vector<double> numbers;
    for (Index i = 0; i < size; ++i) numbers.push_back(std::uniform_real_distribution<double>(0.1, 0.9)(engine));
    return Tensor{std::move(shape), std::move(numbers)};
  };
  for (const Index T : {0, 1, 5})
    for (const Index d_k : {1, 6})
      for (const Index d_v : {1, 3}) {
        const std::string rows[] = {"kda", "deltaproduct", "omega", "longhorn", "ttt_linear"};
        for (const std::string& row : rows) {
          INFO(row << " T = " << T << ", " << d_v << " x " << d_k);
          const bool several = row == "deltaproduct";
          Tensors inputs{{"k", random(several ? std::vector<Index>{T, 2, d_k} : std::vector<Index>{T, d_k})},
                         {"v", random(several ? std::vector<Index>{T, 2, d_v} : std::vector<Index>{T, d_v})},
                         {"q", random({T, d_k})},
                         {"S0", random({d_v, d_k})},
                         {"cotangent.o", random({T, d_v})},
                         {"cotangent.S_T", random({d_v, d_k})}};
          if (row == "kda") inputs["alpha"] = random({T, d_k}), inputs["beta"] = random({T});
          if (several) inputs["alpha"] = random({T}), inputs["beta"] = random({T, 2});
          if (row == "longhorn") inputs["beta"] = random({T, d_v});
          if (row == "ttt_linear") {
            inputs["eta"] = random({T}), inputs["theta"] = random({T});
            inputs["batch"] = Tensor{{}, std::vector<double>{2}};
          }
          if (row == "omega") {
            for (const char* name : {"alpha", "eta", "theta"}) inputs[name] = random({T});
            inputs["gamma"] = random({T, 4}), inputs["B0"] = random({d_v, d_k});
            inputs["k_before"] = random({2, d_k}), inputs["v_before"] = random({2, d_v});
            inputs["cotangent.B_T"] = random({d_v, d_k});
          }
          const Tensors results = files.results(row, inputs);
          CHECK(results.at("o").shape == std::vector<Index>{T, d_v});
          for (const auto& [name, input] : inputs)
            if (!name.starts_with("cotangent.") && name != "batch")
              CHECK(results.at("grad." + name).shape == input.shape);
          if (T > 0) continue;
          CHECK(results.at("S_T") == inputs.at("S0"));
          CHECK(results.at("grad.S0") == inputs.at("cotangent.S_T"));
        }
      }
}

TEST_CASE("evaluate --recurrence names the tensor that is wrong, and what was expected", "[evaluate][misuse]") {
  const Files files;
  const Tensors whole = inputs_of<double>(golden_case("delta_rule"));
  const auto said = [&](const std::function<void(Tensors&)>& spoil, const std::string& row = "delta_rule") {
    Tensors inputs = row == "delta_rule" ? whole : inputs_of<double>(golden_case(row));
    spoil(inputs);
    return files.refusal(row, inputs);
  };
  const Run unknown = files.evaluate("delta", whole);
  CHECK(unknown.status == 2);  // wrong on the command line alone
  CHECK(unknown.err.starts_with("error: --recurrence: delta not in {"));
  CHECK(unknown.err.find("gated_delta_rule") != std::string::npos);
  CHECK(said([](Tensors& x) { x.erase("k"); }) == "tensor 'k' is missing, expected [T, d_k]");
  CHECK(said([](Tensors& x) { x.erase("beta"); }) == "tensor 'beta' is missing, expected shape [9]");
  CHECK(said([](Tensors& x) { x["beta"].shape = {9, 1}; }) == "tensor 'beta': shape is [9, 1], expected [9]");
  CHECK(said([](Tensors& x) { x["k"].shape = {45}; }) == "tensor 'k': shape is [45], expected [T, d_k]");
  CHECK(said([](Tensors& x) { x["alpha"] = x["beta"]; }) ==
        "tensor 'alpha' is unknown, expected one of S0, k, v, beta, q");
  CHECK(said([](Tensors& x) { x.erase("cotangent.S_T"); }) ==
        "tensor 'cotangent.S_T' is missing, expected shape [4, 5], as there are other cotangents");
  CHECK(said([](Tensors& x) { x["cotangent.B_T"] = x["S0"]; }) ==
        "tensor 'cotangent.B_T' is unknown, expected one of cotangent.S_T, cotangent.o");
  CHECK(said(
            [](Tensors& x) {
              x["batch"] = {{}, std::vector<double>{2.5}};
            },
            "ttt_linear") == "tensor 'batch' is 2.5, expected a whole number from 1");
  CHECK(said(
            [](Tensors& x) {
              x["gamma"] = {{9, 2}, std::vector<double>(18)};
            },
            "omega") == "tensor 'k_before' has 2 rows, expected at most 1");
  CHECK(said(
            [](Tensors& x) {
              x["tokens"] = {{18, 5}, std::vector<double>(90)};
            },
            "paper_layer") == "tensor 'tokens': shape is [18, 5], expected [2 T + 1, f]");
  CHECK(said(
            [](Tensors& x) {
              x["v"] = {{9, 4}, std::vector<double>(36)};
            },
            "ttt_linear_ln") == "tensor 'v': shape is [9, 4], expected [9, 5]");

  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--recurrence", "delta_rule", files.inputs()},
           {"--recurrence", "delta_rule", "--out", files.out()},
           {"--recurrence", "delta_rule", files.inputs(), files.inputs(), "--out", files.out()},
           {"--recurrence", "delta_rule", files.inputs(), "--out", files.inputs()},
           {files.inputs(), "--out", files.out()}}) {
    const Run ended = run("evaluate", words);
    CHECK(ended.status == 2);
    CHECK(ended.err.starts_with("error: "));
  }
}

namespace {

/// evaluate --recurrence delta_rule INPUTS --against GIVEN ..., of the golden figures.
struct Against {
  Files files;
  std::string given = (files.folder / "given.safetensors").string(),
              verdict_file = (files.folder / "verdict.json").string();
  Tensors right;  ///< in float

  Against() {
    const json figures = golden_case("delta_rule");
    gdssm::write_safetensors(files.inputs(), {{}, inputs_of<float>(figures)});
    for (const auto& [name, output] : figures["outputs"].items()) right[name] = tensor<float>(output);
    for (const auto& [name, gradient] : figures["gradients"].items()) right["grad." + name] = tensor<float>(gradient);
  }
  Run compare(const Tensors& tensors, const std::vector<std::string>& options = {}) const {
    gdssm::write_safetensors(given, {{}, tensors});
    std::vector<std::string> words{"--recurrence", "delta_rule", files.inputs(), "--against", given};
    words.insert(words.end(), options.begin(), options.end());
    return run("evaluate", words);
  }
  json verdict() const { return json::parse(gdssm::read_file(verdict_file)); }
};

}  // namespace

TEST_CASE("evaluate --against ends with 0 where all is rounding, and with 1 where something is a bug", "[evaluate]") {
  const Against against;
  const Run rounding = against.compare(against.right, {"--json", against.verdict_file, "--out", against.files.out()});
  CHECK(rounding.err == "");
  CHECK(rounding.status == 0);
  CHECK(std::count(rounding.out.begin(), rounding.out.end(), '\n') ==
        static_cast<std::ptrdiff_t>(against.right.size()) + 1);
  CHECK(rounding.out.find("bug") == std::string::npos);
  CHECK(gdssm::read_safetensors(against.files.out()).tensors.at("o").dtype() == "F32");
  json verdict = against.verdict();
  CHECK(verdict["recurrence"] == "delta_rule");
  CHECK(verdict["verdict"] == "rounding");
  CHECK(verdict["tensors"].size() == against.right.size());
  CHECK(verdict["tensors"]["o"]["precision"] == "f32");
  CHECK(verdict["tensors"]["o"]["units"] < 1);
  CHECK(verdict["tensors"]["o"]["first_token"].is_null());
  CHECK(verdict["tensors"]["o"]["rounding_in"].is_null());

  Tensors wrong{{"o", against.right.at("o")}, {"S_T", against.right.at("S_T")}};
  wrong.at("o").as<float>()[6 * 4 + 3] += 1e-4f;
  const Run bug = against.compare(wrong, {"--json", against.verdict_file});
  CHECK(bug.err == "");
  CHECK(bug.status == 1);
  CHECK(bug.out.find("a bug, from token 6: entry [6, 3] is ") != std::string::npos);
  CHECK(bug.out.find("; rounding in tf32") != std::string::npos);
  verdict = against.verdict();
  CHECK(verdict["verdict"] == "a bug");
  CHECK(verdict["tensors"]["S_T"]["verdict"] == "rounding");
  CHECK(verdict["tensors"]["o"]["verdict"] == "a bug");
  CHECK(verdict["tensors"]["o"]["first_token"] == 6);
  CHECK(verdict["tensors"]["o"]["entry"] == json::array({6, 3}));
  CHECK(verdict["tensors"]["o"]["rounding_in"] == "tf32");
  CHECK(std::abs(verdict["tensors"]["o"]["difference"].get<double>() - 1e-4) < 1e-6);

  CHECK(against.compare(wrong, {"--precision", "tf32"}).status == 0);
  CHECK(against.compare(wrong, {"--precision", "bf16"}).status == 0);
  CHECK(against.compare(wrong, {"--precision", "f64"}).status == 1);

  wrong.at("o").as<float>()[0] = std::nanf("");
  CHECK(against.compare(wrong, {"--json", against.verdict_file}).status == 1);
  CHECK(against.verdict()["tensors"]["o"]["units"].is_null());
}

TEST_CASE("evaluate --against names the tensor that is wrong, and what was expected", "[evaluate][misuse]") {
  const Against against;
  const auto said = [&](const Tensors& tensors) {
    const Run ended = against.compare(tensors);
    CHECK(ended.status == 1);
    CHECK(ended.out == "");
    return ended.err;
  };
  CHECK(said({}) == "error: " + against.given + ": has no tensor, expected some of the recurrence's outputs, as o\n");
  CHECK(said({{"y", against.right.at("o")}}) ==
        "error: " + against.given +
            ": tensor 'y': is unknown, expected some of S_T, grad.S0, grad.beta, grad.k, grad.q, grad.v, o\n");
  CHECK(said({{"o", against.right.at("S_T")}}) ==
        "error: " + against.given + ": tensor 'o': shape is [4, 5], expected [9, 4]\n");

  const std::string inputs = against.files.inputs();
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {inputs, inputs, "--against", against.given},
           {"--recurrence", "delta_rule", inputs, "--out", against.files.out(), "--precision", "f32"},
           {"--recurrence", "delta_rule", inputs, "--out", against.files.out(), "--json", against.verdict_file},
           {"--recurrence", "delta_rule", inputs, "--against", against.given, "--precision", "f8"},
           {"--recurrence", "delta_rule", inputs, "--against", against.given, "--json", against.given},
           {"--recurrence", "delta_rule", inputs, "--against", against.given, "--out", inputs}}) {
    const Run ended = run("evaluate", words);
    CHECK(ended.status == 2);
    CHECK(ended.err.starts_with("error: "));
  }
  const Run help = run("evaluate", {"--help"});
  CHECK(help.out.find("exit status 0 if nothing does, 1 if something does") != std::string::npos);
}
