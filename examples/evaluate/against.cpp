// SPDX-License-Identifier: Apache-2.0
#include "evaluate/against.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <iostream>
#include <map>

#include <nlohmann/json.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/oracle/rounding.hpp"

namespace {

using gdssm::Comparison;
using Json = nlohmann::ordered_json;

std::string rounded_text(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", number);
  return text;
}

std::string verdict_of(const std::string& name, const Comparison& one) {
  if (one.is_rounding()) return "rounding";
  const bool backward = name.starts_with("grad.");
  std::string verdict = "a bug";
  if (one.first)
    verdict += ", " + std::string(backward ? "going back " : "") + "from token " + std::to_string(*one.first);
  verdict += ": ";
  if (!one.entry.empty()) verdict += "entry " + gdssm::detail::shape_text(one.entry) + " ";
  verdict += "is " + gdssm::format_number(static_cast<float>(one.found)) + ", expected " +
             gdssm::format_number(static_cast<float>(one.expected));
  if (one.coarser) verdict += "; rounding in " + std::string(one.coarser->name);
  return verdict;
}

void print(const std::map<std::string, Comparison>& comparisons) {
  std::size_t width = 6;
  for (const auto& [name, one] : comparisons) width = std::max(width, name.size());
  const auto line = [&](const std::string& name, const std::string& precision, const std::string& difference,
                        const std::string& bound, const std::string& units, const std::string& resolution,
                        const std::string& verdict) {
    std::string text = name;
    text.resize(width, ' ');
    const auto column = [&](std::string entry, std::size_t size) {
      if (entry.size() < size) entry.insert(0, size - entry.size(), ' ');
      text += "  " + entry;
    };
    column(precision, 9), column(difference, 10), column(bound, 8), column(units, 8), column(resolution, 10);
    std::cout << text << "  " << verdict << '\n';
  };
  line("tensor", "precision", "difference", "bound", "in units", "resolution", "verdict");
  for (const auto& [name, one] : comparisons)
    line(name, std::string(one.precision.name), rounded_text(std::abs(one.found - one.expected)),
         rounded_text(one.bound), rounded_text(one.units), rounded_text(one.resolution), verdict_of(name, one));
}

/// A number, or null for what JSON has no number for.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json json_of(const Comparison& one) {
  Json json{{"verdict", one.is_rounding() ? "rounding" : "a bug"},
            {"precision", one.precision.name},
            {"units", number(one.units)},
            {"entry", one.entry},
            {"found", number(one.found)},
            {"expected", one.expected},
            {"difference", number(std::abs(one.found - one.expected))},
            {"bound", one.bound},
            {"resolution", one.resolution}};
  json["first_token"] = one.first ? Json(*one.first) : Json(nullptr);
  json["rounding_in"] = one.coarser ? Json(one.coarser->name) : Json(nullptr);
  return json;
}

}  // namespace

bool gdssm::programs::compare_outputs(const std::string& row, const std::string& inputs, const std::string& outputs,
                                      const std::string& precision, const std::string& json) {
  const auto comparisons = compare_with_recurrence(row, read_safetensors(inputs).tensors, read_safetensors(outputs),
                                                   precision_of(precision), inputs, outputs);
  const bool rounding =
      std::all_of(comparisons.begin(), comparisons.end(), [](const auto& one) { return one.second.is_rounding(); });
  if (!json.empty()) {
    Json file{{"recurrence", row}, {"verdict", rounding ? "rounding" : "a bug"}};
    for (const auto& [name, one] : comparisons) file["tensors"][name] = json_of(one);
    write_file(json, file.dump(2) + "\n");
  }
  print(comparisons);
  return rounding;
}

std::vector<std::string> gdssm::programs::precision_names() {
  std::vector<std::string> names;
  for (const Precision& one : precisions) names.emplace_back(one.name);
  return names;
}
