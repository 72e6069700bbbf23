// SPDX-License-Identifier: Apache-2.0
// explain MODEL [--json FILE]: which learning algorithm the weights of a layer or a stack are.
//     explain results/linear-vector-seed-1.safetensors
// docs/from-jax.md describes both files.
#include <cmath>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "explain/report.hpp"
#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/safetensors.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

namespace {

using gdssm::Explanation;
using gdssm::Index;

std::string rounded(double value, int digits = 3) {
  if (!std::isfinite(value)) return "-";
  std::ostringstream text;
  text << std::setprecision(digits) << value;
  return text.str();
}

/// Rows of cells, a column as wide as its widest cell, the last as it is.
void print(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t j = 0; j < row.size(); ++j) widths[j] = std::max(widths[j], row[j].size());
  for (const auto& row : rows) {
    for (std::size_t j = 0; j + 1 < row.size(); ++j)
      std::cout << row[j] << std::string(widths[j] + 2 - row[j].size(), ' ');
    std::cout << row.back() << '\n';
  }
}

void print(const Explanation& found) {
  if (!found.layers.empty()) {
    std::vector<std::vector<std::string>> rows{{"layer", "sum", "step a", "|A - A*|", "|d - e_2|", "|C/a + I|",
                                                "mean decay", "half-life in pairs: shortest, median, longest"}};
    for (std::size_t l = 0; l < found.layers.size(); ++l) {
      const gdssm::LayerReport& layer = found.layers[l];
      rows.push_back({std::to_string(l), layer.is_curvature ? "S" : "M", rounded(layer.distance.step),
                      rounded(layer.distance.A), layer.is_curvature ? "-" : rounded(layer.distance.d),
                      rounded(layer.distance.C), rounded(layer.half_lives.decay, 5),
                      rounded(layer.half_lives.shortest) + ", " + rounded(layer.half_lives.median) + ", " +
                          rounded(layer.half_lives.longest)});
    }
    print(rows);
    std::cout << '\n';
  }
  if (!found.candidates.empty()) {
    std::vector<std::vector<std::string>> rows{{"R^2", "|yhat - yhat'|^2 / m", "|W - W'|^2 / |W|^2", "candidate"}};
    for (const gdssm::Candidate& candidate : found.candidates)
      rows.push_back({rounded(candidate.r2, 5), rounded(candidate.prediction_difference),
                      rounded(candidate.weight_difference), gdssm::describe(candidate, found.decay)});
    print(rows);
    std::cout << '\n';
  }
  std::cout << found.verdict << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  std::string model, json;
  gdssm::ExplainOptions options;
  int threads = 1;
  CLI::App app(
      "Says which learning algorithm weights are: gradient descent of so many steps of such sizes, on the plain or on\n"
      "a discounted loss, ridge regression, least squares, or none of these. The weights, of one layer or a stack, "
      "are\n"
      "in the naming of the paper's JAX code (arXiv:2410.11687v1); docs/from-jax.md describes the file.",
      "explain");
  app.add_option("MODEL", model, "The weights, a safetensors file")->required();
  app.add_option("--json", json, "Write what was found here, as JSON")->type_name("FILE");
  app.add_option("--tasks", options.tasks, "Fresh tasks that candidates are judged on")
      ->transform(gdssm::programs::whole_number(1, 1 << 24))
      ->capture_default_str();
  app.add_option("--context", options.context, "Pairs before the query (default: as many as features)")
      ->transform(gdssm::programs::whole_number(1, 1 << 20));
  app.add_option("--seed", options.seed, "Seed of the tasks")
      ->transform(gdssm::programs::whole_number(0, std::numeric_limits<std::uint64_t>::max()))
      ->capture_default_str();
  gdssm::programs::add_threads_option(app, threads);
  return gdssm::programs::run_program(argc, argv, app, [&] {
    gdssm::programs::expect_different_files({{"MODEL", model}}, {{"--json", json}});
    gdssm::Safetensors file = gdssm::read_safetensors(model);
    gdssm::ThreadPool pool(threads);
    gdssm::programs::Progress progress("explain", 100);
    options.done = [&](double share) { progress.advance_to([&] { return static_cast<Index>(100 * share); }); };
    const Explanation found = gdssm::programs::explain_file(std::move(file), model, options, pool);
    if (!json.empty()) gdssm::write_file(json, gdssm::programs::json_of(found).dump(2) + "\n");
    print(found);
  });
}
