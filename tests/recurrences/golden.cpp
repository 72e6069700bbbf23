// SPDX-License-Identifier: Apache-2.0
#include "gdssm/oracle/recurrence.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::Index;
using gdssm::Tensor;
using nlohmann::json;
using Tensors = std::map<std::string, Tensor>;

/// {"shape": [2, 3], "data": [...]}, or a number.
Tensor tensor(const json& figures) {
  if (figures.is_number()) return {{}, std::vector<double>{figures.get<double>()}};
  return {figures["shape"].get<std::vector<Index>>(), figures["data"].get<std::vector<double>>()};
}

/// Every array within `tolerance` of the largest of its entries, or of 1 if that is larger, and no other arrays.
void expect_near(const Tensors& got, const json& expected, const std::string& prefix, double tolerance) {
  for (const auto& [name, figures] : expected.items()) {
    INFO(prefix << name);
    const Tensor figure = tensor(figures);
    REQUIRE(got.count(prefix + name) == 1);
    REQUIRE(got.at(prefix + name).shape == figure.shape);
    const auto numbers = got.at(prefix + name).as<double>(), wanted = figure.as<double>();
    double largest = 1, difference = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      largest = std::max(largest, std::abs(wanted[i]));
      difference = std::isnan(numbers[i]) ? INFINITY : std::max(difference, std::abs(numbers[i] - wanted[i]));
    }
    CHECK(difference <= tolerance * largest);
  }
}

json golden(std::string_view row) {
  return json::parse(gdssm::read_file(GDSSM_GOLDEN_DIR "/recurrences/" + std::string(row) + ".json"));
}

}  // namespace

TEST_CASE("Every recurrence has the outputs, final states and gradients of public code", "[golden]") {
  for (const std::string_view row : gdssm::detail::recurrence_rows) {
    const json file = golden(row);
    for (const json& figures : file["cases"]) {
      INFO(figures["case"].get<std::string>());
      Tensors tensors;
      for (const auto& [name, input] : figures["inputs"].items()) tensors[name] = tensor(input);
      for (const auto& [name, bar] : figures["cotangents"].items()) tensors["cotangent." + name] = tensor(bar);
      const Tensors results = gdssm::recurrence(row, tensors, "golden");
      expect_near(results, figures["outputs"], "", 1e-12);
      expect_near(results, figures["gradients"], "grad.", 1e-12);
      CHECK(results.size() == figures["outputs"].size() + figures["gradients"].size());
    }
  }
}
