// SPDX-License-Identifier: Apache-2.0
// evaluate --deep
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
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
using gdssm::IntegerTensor;
using gdssm::Safetensors;
using gdssm::Tensor;
using gdssm::test::Run;
using gdssm::test::run;
using gdssm::test::TemporaryFolder;
using nlohmann::json;
using Integers = std::map<std::string, IntegerTensor>;

IntegerTensor integers(const json& array) {
  return {array["shape"].get<std::vector<Index>>(), array["data"].get<std::vector<std::int64_t>>()};
}

/// A file of whole numbers.
void write(const std::string& path, const Integers& tensors) {
  json header = json::object();
  std::string bytes;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = bytes.size();
    bytes.append(reinterpret_cast<const char*>(tensor.numbers.data()), 8 * tensor.numbers.size());
    header[name] = {{"dtype", "I64"}, {"shape", tensor.shape}, {"data_offsets", {begin, bytes.size()}}};
  }
  const std::string text = header.dump();
  const std::uint64_t length = text.size();
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << text << bytes;
}

struct Files {
  TemporaryFolder folder;
  std::string model = (folder / "model.safetensors").string(), ids = (folder / "ids.safetensors").string(),
              out = (folder / "out.safetensors").string();
  json figures;
  Safetensors weights;
  Integers tokens;

  explicit Files(const std::string& name) {
    figures = json::parse(gdssm::read_file(GDSSM_GOLDEN_DIR "/deep/deep_" + name + ".json"));
    const json& config = figures["config"];
    weights.metadata = {{"mixer", config["mixer"]}, {"heads", "2"}, {"tied", config["tied"] ? "true" : "false"}};
    for (const char* size : {"window", "convolution"})
      if (config.contains(size)) weights.metadata[size] = std::to_string(config[size].get<int>());
    for (const auto& [key, weight] : figures["weights"].items())
      weights.tensors[key] = {weight["shape"].get<std::vector<Index>>(), weight["data"].get<std::vector<double>>()};
    for (const char* key : {"ids", "targets", "marked", "more_ids"}) tokens[key] = integers(figures[key]);
  }
  Run evaluate() const {
    gdssm::write_safetensors(model, weights);
    write(ids, tokens);
    return run("evaluate", {"--deep", model, ids, "--out", out});
  }
};

TEST_CASE("evaluate --deep writes the reference's figures, and without targets no gradients", "[evaluate][golden]") {
  Files files("kda");
  const Run ended = files.evaluate();
  CHECK(ended.out == "");
  REQUIRE(ended.err == "");
  REQUIRE(ended.status == 0);
  const auto tensors = gdssm::read_safetensors(files.out).tensors;
  const auto check = [&](const std::string& name, const json& expected) {
    INFO(name);
    CHECK(tensors.at(name).shape == expected["shape"].get<std::vector<Index>>());
    const auto numbers = tensors.at(name).as<double>();
    double worst = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i)
      worst = (std::max)(worst, std::abs(numbers[i] - expected["data"][i].get<double>()));
    CHECK(worst < 1e-12);
  };
  for (const char* name : {"logits", "loss", "more_logits"}) check(name, files.figures[name]);
  for (const auto& [name, gradient] : files.figures["gradients"].items()) check("grad." + name, gradient);
  for (const auto& [name, state] : files.figures["state"].items()) check("state." + name, state);

  files.tokens = {{"ids", files.tokens.at("ids")}};
  REQUIRE(files.evaluate().status == 0);
  for (const auto& [name, tensor] : gdssm::read_safetensors(files.out).tensors)
    CHECK((name == "logits" || name.starts_with("state.")));
}

TEST_CASE("evaluate --deep names the tensor that is wrong, and what was expected", "[evaluate][misuse]") {
  const auto said = [](const std::function<void(Files&)>& spoil) {
    Files files("gated_delta");
    spoil(files);
    const Run ended = files.evaluate();
    CHECK(ended.status == 1);
    CHECK(ended.out == "");
    CHECK(files.folder.names().size() == 2);
    CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
    std::string text = ended.err;
    for (const auto& [path, name] : {std::pair(files.model, "MODEL"), {files.ids, "IDS"}})
      if (const auto at = text.find(path); at != std::string::npos) text.replace(at, path.size(), name);
    return text;
  };
  CHECK(said([](Files& f) { f.weights.metadata.erase("mixer"); }) ==
        "error: MODEL: metadata 'mixer' is missing, expected gril, linear, gated_delta, kda or mamba2\n");
  CHECK(said([](Files& f) { f.weights.metadata["mixer"] = "s5"; }) ==
        "error: MODEL: metadata 'mixer' is 's5', expected gril, linear, gated_delta, kda or mamba2\n");
  CHECK(said([](Files& f) { f.weights.metadata["heads"] = "two"; }) ==
        "error: MODEL: metadata 'heads' is 'two', expected a whole number from 1\n");
  CHECK(said([](Files& f) { f.weights.metadata["heads"] = "3"; }) ==
        "error: MODEL: tensor 'layers.0.w_o': shape is [8, 8], expected a multiple of 3 heads as the second size\n");
  CHECK(said([](Files& f) { f.weights.metadata["convolution"] = "-1"; }) ==
        "error: MODEL: metadata 'convolution' is '-1', expected a whole number from 0\n");
  CHECK(said([](Files& f) { f.weights.metadata["convolution"] = "3"; }) ==
        "error: MODEL: tensor 'layers.0.conv_q': shape is [8, 4], expected [8, 3]\n");
  CHECK(said([](Files& f) { f.weights.metadata["tied"] = "yes"; }) ==
        "error: MODEL: metadata 'tied' is 'yes', expected true or false\n");
  CHECK(said([](Files& f) {
          f.weights.metadata["tied"] = "true";
        }).starts_with("error: MODEL: tensor 'output' is unknown, expected one of embedding, layers.0.norm1"));
  CHECK(said([](Files& f) { f.weights.tensors.erase("layers.1.norm2"); }) ==
        "error: MODEL: tensor 'layers.1.norm2' is missing, expected shape [8]\n");
  CHECK(said([](Files& f) { f.weights.tensors["layers.1.out_gain"].shape = {8}; }) ==
        "error: MODEL: tensor 'layers.1.out_gain': shape is [8], expected [2, 4]\n");
  CHECK(said([](Files& f) { f.tokens.erase("ids"); }) ==
        "error: IDS: tensor 'ids' of I64 is missing, expected shape [batch, T]\n");
  CHECK(said([](Files& f) { f.tokens["ids"].numbers[10] = 11; }) ==
        "error: IDS: tensor 'ids': entry [1, 1] is 11, expected 0 to 10\n");
  CHECK(said([](Files& f) { f.tokens["ids"].shape = {18}; }) ==
        "error: IDS: tensor 'ids': shape is [18], expected [batch, T]\n");
  CHECK(said([](Files& f) { f.tokens.erase("marked"); }) ==
        "error: IDS: tensor 'marked' of I64 is missing, expected shape [2, 9]\n");
  CHECK(said([](Files& f) {
          f.tokens["targets"].shape = {9, 2};
        }) == "error: IDS: tensor 'targets': shape is [9, 2], expected [2, 9]\n");
  CHECK(said([](Files& f) {
          f.tokens["more_ids"].shape = {3, 2};
        }) == "error: IDS: tensor 'more_ids': shape is [3, 2], expected [2, any length]\n");
  CHECK(said([](Files& f) { std::fill(f.tokens["marked"].numbers.begin(), f.tokens["marked"].numbers.end(), 0); }) ==
        "error: IDS: tensor 'marked': nothing is marked, expected at least one 1\n");
  CHECK(said([](Files& f) { f.tokens["tokens"] = f.tokens["ids"]; }) ==
        "error: IDS: tensor 'tokens' is unknown, expected one of ids, targets, marked, more_ids\n");

  const Files files("kda");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--deep", files.model, "--out", files.out},
           {"--deep", files.model, files.ids},
           {"--deep", "--recurrence", "kda", files.model, files.ids, "--out", files.out},
           {"--deep", files.model, files.ids, "--out", files.ids}}) {
    const Run ended = run("evaluate", words);
    CHECK(ended.status == 2);
    CHECK(ended.err.starts_with("error: "));
  }
}

}  // namespace
