// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "gdssm/construction/drift.hpp"
#include "gdssm/construction/horner_steps.hpp"
#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/version.hpp"
#include "io/support.hpp"
#include "programs/run.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::Index;
using gdssm::Safetensors;
using gdssm::test::Run;
using gdssm::test::run;
using gdssm::test::TemporaryFolder;
using nlohmann::json;

template <class Discretization>
using Layer = gdssm::PaperLayer<gdssm::Dynamic, Discretization>;

/// Parameters as a file, in the precision T.
template <class T = double, class Parameters>
Safetensors weights(const Parameters& parameters, const std::string& discretization,
                    const std::string& targets = "vector") {
  Safetensors file{{{"discretization", discretization}, {"targets", targets}, {"readout", "none"}}, {}};
  gdssm::visit(
      [&](const gdssm::Name& name, const auto& matrix) {
        const std::string reference = gdssm::detail::reference_name(name);
        std::vector<Index> shape{matrix.rows(), matrix.cols()};
        if (reference.ends_with(".D")) shape.pop_back();
        std::vector<T> numbers;
        for (Index i = 0; i < matrix.rows(); ++i)
          for (Index j = 0; j < matrix.cols(); ++j) numbers.push_back(static_cast<T>(matrix(i, j)));
        file.tensors[reference] = {std::move(shape), std::move(numbers)};
      },
      parameters);
  return file;
}

Safetensors one_step() { return weights(gdssm::discounted_step(Layer<gdssm::ZeroOrderHold>(4), 0.7, 0.9), "zoh"); }

/// A run on a file, and its output.
struct Explained {
  explicit Explained(const Safetensors& file, std::vector<std::string> options = {}) {
    gdssm::write_safetensors(model(), file);
    options.insert(options.begin(), {model(), "--json", (folder / "out.json").string(), "--tasks", "100"});
    ended = run("explain", options);
    if (ended.status == 0) found = json::parse(gdssm::read_file(folder / "out.json"));
  }

  std::string model() const { return (folder / "model.safetensors").string(); }

  TemporaryFolder folder;
  Run ended;
  json found;
};

void expect(const Explained& explained, const std::string& algorithm, const std::vector<double>& sizes, double decay) {
  INFO(explained.ended.err);
  REQUIRE(explained.ended.status == 0);
  CHECK(explained.ended.err == "");
  const json& found = explained.found;
  CHECK(explained.ended.out.ends_with("\n" + found["verdict"].get<std::string>() + "\n"));
  CHECK(found["algorithm"] == algorithm);
  CHECK(found["steps"] == sizes.size());
  REQUIRE(found["step_sizes"].size() == sizes.size());
  for (std::size_t k = 0; k < sizes.size(); ++k)
    CHECK(found["step_sizes"][k].get<double>() == Approx(sizes[k]).epsilon(1e-5));
  if (decay == 1)
    CHECK(found["half_life_pairs"].is_null());
  else
    CHECK(found["half_life_pairs"].get<double>() == Approx(std::log(0.5) / std::log(decay)).epsilon(1e-4));
  CHECK(found["r2"].get<double>() == Approx(1));
  CHECK(found["runner_up"].is_string());
  CHECK(found["runner_up_r2"].get<double>() < found["r2"].get<double>());
}

std::string refusal(const std::function<void(Safetensors&)>& spoil) {
  Safetensors file = one_step();
  spoil(file);
  const Explained explained(file);
  CHECK(explained.ended.status == 1);
  CHECK(explained.ended.out == "");
  CHECK_FALSE(std::filesystem::exists(explained.folder / "out.json"));
  const std::string start = "error: " + explained.model() + ": ";
  REQUIRE(explained.ended.err.starts_with(start));
  return explained.ended.err.substr(start.size());
}

}  // namespace

TEMPLATE_TEST_CASE("explain recovers steps, sizes and half-life from files of every kind", "[explain][theorem]", float,
                   double) {
  using gdssm::discounted_step;
  expect(Explained(weights<TestType>(discounted_step(Layer<gdssm::ZeroOrderHold>(4), 0.7, 0.9), "zoh")),
         "discounted-gradient-descent", {0.7}, 0.9);
  expect(Explained(weights<TestType>(discounted_step(Layer<gdssm::Bilinear>(4), 0.7, 0.8), "bilinear")),
         "discounted-gradient-descent", {0.7}, 0.8);
  expect(Explained(weights<TestType>(discounted_step(Layer<gdssm::GivenDecay>(4), 0.7, 1.0), "none")),
         "gradient-descent", {0.7}, 1);
  expect(Explained(weights<TestType>(discounted_step(Layer<gdssm::GivenDecay>(4), 0.7, 0.9), "none", "scalar"),
                   {"--context", "9", "--seed", "5", "--threads", "2"}),
         "discounted-gradient-descent", {0.7}, 0.9);

  const std::vector<double> three{1.5, 0.9, 0.4}, two{1.4, 0.5};
  const Layer<gdssm::ZeroOrderHold> layer(4);
  Safetensors horner = weights<TestType>(gdssm::descent_steps(gdssm::HornerStack(layer, 3), three), "zoh");
  horner.metadata["stack"] = "horner";
  expect(Explained(horner), "gradient-descent", three, 1);
  const Safetensors reference = weights<TestType>(gdssm::descent_steps(gdssm::HornerStack(layer, 2), two), "zoh");
  const Explained with_residual(reference);
  expect(with_residual, "gradient-descent", two, 1);
  CHECK(with_residual.found["verdict"].get<std::string>().find("less 1 times the query") != std::string::npos);
}

TEST_CASE("explain says none, and shows the input", "[explain]") {
  Safetensors file = one_step();
  auto A = file.tensors.at("layers_0.seq.w_q").as<double>();
  std::fill(A.begin(), A.end(), 0.0);
  A[5] = 1;  // y_t x_{t+1}^T: the input that the target does not belong to
  const Explained explained(file);
  REQUIRE(explained.ended.status == 0);
  const json& found = explained.found;
  CHECK(found["algorithm"] == "none");
  CHECK(found["steps"].is_null());
  CHECK(found["step_sizes"].empty());
  CHECK(found["r2"].get<double>() < 0.5);
  CHECK(found["half_life_pairs"].get<double>() == Approx(std::log(0.5) / std::log(0.9)));
  const json& example = found["counterexample"];
  CHECK(example["inputs"].size() == example["targets"].size());
  CHECK(example["query"].size() == 4);
  CHECK(example["prediction"] != example["nearest"]);
  CHECK(explained.ended.out.find("it answers the query (") != std::string::npos);
}

TEST_CASE("A layer that predicts zero has an R^2 all the same", "[explain]") {
  Safetensors file = one_step();
  auto C = file.tensors.at("layers_0.seq.C").as<double>();
  std::fill(C.begin(), C.end(), 0.0);
  const Explained explained(file);
  REQUIRE(explained.ended.status == 0);
  CHECK(explained.found["algorithm"] == "none");
  CHECK(explained.found["r2"] == 0);
}

TEST_CASE("explain gives the same bytes on any number of threads", "[explain]") {
  const Safetensors file = one_step();
  const Explained one(file), three(file, {"--threads", "3"});
  CHECK(one.ended.out == three.ended.out);
  CHECK(one.found == three.found);
}

TEST_CASE("explain takes weights of mixed precisions", "[explain]") {
  Safetensors mixed = one_step();
  mixed.tensors["layers_0.seq.D"] = {{3}, std::vector<float>{0, 0, 1}};
  CHECK(Explained(mixed).found == Explained(one_step()).found);
}

TEST_CASE("Weights that explain can't speak of are refused by name", "[explain][misuse]") {
  CHECK(refusal([](Safetensors& file) { file.metadata["readout"] = "half_glu2"; }) ==
        "metadata 'readout' is 'half_glu2', expected 'none': the candidates are learners of linear maps\n");
  CHECK(refusal([](Safetensors& file) {
          file.metadata.erase("targets");
        }).starts_with("metadata 'targets' is missing, expected 'vector' or 'scalar'"));
  CHECK(refusal([](Safetensors& file) {
          file.tensors.erase("layers_0.seq.C");
        }).starts_with("tensor 'layers_0.seq.C': is missing"));
}

TEST_CASE("What is wrong on explain's command line alone ends it with status 2 and one line", "[explain][misuse]") {
  using Arguments = std::vector<std::string>;
  for (const auto& [arguments, culprit] :
       std::vector<std::pair<Arguments, std::string>>{{{}, "MODEL"},
                                                      {{"a", "b"}, "b"},
                                                      {{"a", "--tasks", "0"}, "--tasks"},
                                                      {{"a", "--context", "0"}, "--context"},
                                                      {{"a", "--json"}, "--json"},
                                                      {{"a", "--out", "b"}, "--out"}}) {
    const Run ended = run("explain", arguments);
    INFO(ended.err);
    CHECK(ended.status == 2);
    CHECK(ended.out == "");
    CHECK(ended.err.starts_with("error: "));
    CHECK(ended.err.ends_with(" (see explain --help)\n"));
    CHECK(ended.err.find(culprit) != std::string::npos);
  }
  CHECK(run("explain", {"/nowhere"}).err == "error: /nowhere: cannot open: No such file or directory\n");
}

TEST_CASE("explain's --help and --version answer on standard output with status 0", "[explain]") {
  const Run help = run("explain", {"--help"});
  CHECK(help.status == 0);
  CHECK(help.err == "");
  for (const char* word : {"MODEL", "--json", "--tasks", "--context", "--seed", "--threads", "--version"})
    CHECK(help.out.find(word) != std::string::npos);
  CHECK(run("explain", {"--version"}).out == "explain (gdssm) " + std::string(gdssm::version) + "\n");
}
