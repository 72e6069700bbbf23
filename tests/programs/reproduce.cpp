// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/tasks/sine_regression.hpp"
#include "gdssm/tasks/tokens.hpp"
#include "gdssm/version.hpp"
#include "io/support.hpp"
#include "programs/run.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::Index;
using gdssm::test::Run;
using gdssm::test::run;
using gdssm::test::TemporaryFolder;
using nlohmann::json;
using std::filesystem::path;

const std::set<std::string> names_of_theory = {"report.html",           "summary.json",
                                               "theory-context.csv",    "theory-context.svg",
                                               "theory-layer.csv",      "theory-layer.safetensors",
                                               "theory-layer.svg",      "theory-stack.safetensors",
                                               "theory-step-sizes.csv", "theory-steps.csv",
                                               "theory-steps.svg"};

/// The content of every file in a folder, by name.
std::map<std::string, std::string> files(const path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files[entry.path().filename().string()] = gdssm::read_file(entry.path());
  return files;
}

/// A quick run of the closed form with the default seed.
struct QuickRun {
  TemporaryFolder folder;
  path out = folder / "deep" / "results";
  Run ended = run("reproduce", {"--quick", "--experiment", "theory", "--out", out.string()});
};

const QuickRun& quick_run() {
  static const QuickRun once;
  return once;
}

void expect_success(const Run& ended) {
  CHECK(ended.err == "");
  REQUIRE(ended.status == 0);
}

void expect_error(const Run& ended, int status, const std::string& part) {
  INFO(ended.err);
  CHECK(ended.status == status);
  CHECK(ended.err.starts_with("error: "));
  CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
  CHECK(ended.err.find(part) != std::string::npos);
}

void remove_seconds(json& value) {
  if (value.is_object()) value.erase("seconds");
  if (value.is_structured())
    for (json& member : value) remove_seconds(member);
}

}  // namespace

TEST_CASE("reproduce --quick finds that theory and measurement agree", "[theorem]") {
  const QuickRun& quick = quick_run();
  expect_success(quick.ended);
  CHECK(quick.ended.out.find("its loss (9)") != std::string::npos);
  const auto written = files(quick.out);
  std::set<std::string> names;
  for (const auto& [name, bytes] : written) names.insert(name);
  CHECK(names == names_of_theory);

  const json summary = json::parse(written.at("summary.json"));
  REQUIRE(summary.size() == 1);
  const json& theory = summary.at("theory");
  for (const char* const name : {"layer_difference_double", "stack_difference", "query_difference"}) {
    INFO(name);
    CHECK(theory.at(name) > 0);
    CHECK(theory.at(name) < 1e-12);
  }
  CHECK(theory.at("layer_difference_float") < 1e-3);
  CHECK(theory.at("layer_bound_share_double") < 1);
  CHECK(theory.at("layer_bound_share_float") < 1);
  CHECK(theory.at("context_largest_deviation") < 4);
  CHECK(theory.at("steps_largest_deviation") < 4);
  CHECK(std::abs(theory.at("best_step").get<double>() - 0.60606) < 1e-5);
  CHECK(std::abs(theory.at("analytic_loss").get<double>() - 0.20623) < 1e-5);
  CHECK(std::abs(theory.at("construction_loss").get<double>() - 0.20623) <
        4 * theory.at("construction_loss_standard_error").get<double>());
  REQUIRE(theory.at("seeds").size() == 1);
  CHECK(theory.at("seeds").at(0).at("seed") == 1);
  CHECK(theory.at("seeds").at(0).at("seconds") > 0);

  // First equal steps, K = 1..10, then individual step sizes, which are better for K >= 2.
  const json& steps = theory.at("steps");
  REQUIRE(steps.size() == 20);
  for (std::size_t k = 0; k < 10; ++k) {
    const double equal = steps.at(k).at("expected_loss"), individual = steps.at(k + 10).at("expected_loss");
    CHECK(steps.at(k).at("sizes").size() == k + 1);
    CHECK((k == 0 ? std::abs(individual - equal) < 1e-6 : individual < 0.95 * equal));
  }
  CHECK(std::abs(steps.at(1).at("expected_loss").get<double>() - 0.1561) < 0.002);
  CHECK(std::abs(steps.at(11).at("expected_loss").get<double>() - 0.1408) < 0.002);
  // The paper's claims come first, those that the experiment tests.
  const std::string report = gdssm::read_file(quick_run().out / "report.html");
  const std::size_t claims = report.find("What the paper claims"),
                    closed_form = report.find("takes a step of gradient descent");
  CHECK(claims < report.find("<section"));
  CHECK(closed_form < report.find("<section"));
  CHECK(report.find(">holds</td>") < report.find("<section"));
  CHECK(report.find("not shown here") == std::string::npos);
  CHECK(report.find("Attention and output gate") == std::string::npos);
  CHECK(quick_run().ended.out.find("takes a step of gradient descent") != std::string::npos);
}

TEST_CASE("the files of reproduce --quick are what they are said to be") {
  const QuickRun& quick = quick_run();
  expect_success(quick.ended);
  const auto written = files(quick.out);

  SECTION("the report stands alone and holds every figure, without paths") {
    const std::string& report = written.at("report.html");
    CHECK(report.starts_with("<!DOCTYPE html>"));
    for (std::size_t at = 0, count = 0; count < 3; ++count) {
      at = report.find("<svg ", at + 1);
      REQUIRE(at != std::string::npos);
    }
    for (const char* const outside : {"<img", "<script", "<link", "src=", "@import"})
      CHECK(report.find(outside) == std::string::npos);
    for (const auto& [name, bytes] : written) {
      INFO(name);
      CHECK(bytes.find(quick.out.string()) == std::string::npos);
    }
  }

  SECTION("the curve's table has (9) for both steps at every context length") {
    std::ifstream file(quick.out / "theory-context.csv");
    gdssm::CsvReader table(file, "theory-context.csv");
    CHECK(table.columns() == std::vector<std::string>{"pairs", "step_for", "step", "tasks", "expected_loss", "loss",
                                                      "standard_error", "deviation"});
    const std::string bytes = gdssm::read_file(quick.out / "theory-context.csv");
    CHECK(std::count(bytes.begin(), bytes.end(), '\n') == 1 + 40);
  }

  SECTION("evaluate runs the stack, which takes the steps that the summary lists") {
    const gdssm::LinearRegressionTask task = gdssm::LinearRegression{}.draw(7, 0);
    const Eigen::MatrixXd X = task.inputs.leftCols(10), Y = task.targets.leftCols(10);
    const Eigen::MatrixXd tokens = gdssm::interleave(task.inputs, Y);
    gdssm::Safetensors file;
    file.tensors["tokens"] = {{1, 21, 10}, std::vector<double>(tokens.data(), tokens.data() + tokens.size())};
    const std::string contexts = (quick.folder / "tokens.safetensors").string();
    const std::string predictions = (quick.folder / "predictions.safetensors").string();
    gdssm::write_safetensors(contexts, file);
    const json steps = json::parse(written.at("summary.json")).at("theory").at("steps");
    const std::map<std::string, std::vector<double>> sizes_of = {
        {"theory-layer.safetensors", {gdssm::best_step(gdssm::LinearTask<>{10, 10, gdssm::uniform_inputs(1.0)})}},
        {"theory-stack.safetensors", steps.at(12).at("sizes").get<std::vector<double>>()}};
    for (const auto& [name, sizes] : sizes_of) {
      INFO(name);
      expect_success(run("evaluate", {(quick.out / name).string(), contexts, "--out", predictions}));
      const auto results = gdssm::read_safetensors(predictions);
      const auto numbers = results.tensors.at("predictions").as<double>();
      REQUIRE(numbers.size() == 100);
      const Eigen::VectorXd last = Eigen::Map<const Eigen::VectorXd>(numbers.data() + 90, 10);
      const auto [S, M] = gdssm::accumulate(X, Y);
      const Eigen::MatrixXd W_0 = Eigen::MatrixXd::Zero(10, 10);
      const Eigen::VectorXd expected = gdssm::descend(S, M, sizes, 0.0, W_0) * task.inputs.col(10);
      CHECK((last - expected).norm() < 1e-12 * expected.norm());
    }
  }
}

TEST_CASE("Trained from random weights the layer becomes one step of gradient descent", "[theorem]") {
  const std::string name = GENERATE("linear-vector", "linear-scalar");
  const Index outputs = name == "linear-vector" ? 10 : 1;
  const TemporaryFolder folder;
  const path out = folder / "results";
  expect_success(run("reproduce", {"--quick", "--experiment", name, "--out", out.string(), "--threads", "2"}));
  const auto written = files(out);
  for (const char* const suffix :
       {".csv", "-curves.csv", "-context.csv", "-loss.svg", "-cosine.svg", "-difference.svg", "-weights.svg",
        "-context.svg", "-implicit.svg", "-closed-form.safetensors", "-seed-1.safetensors"}) {
    INFO(suffix);
    CHECK(written.contains(name + suffix));
  }
  const json summary = json::parse(written.at("summary.json")).at(name);
  CHECK(summary.at("updates") == 30000);
  CHECK(summary.at("evaluation_tasks") >= 100000);
  CHECK(summary.at("initial_loss") > 0.4);
  const double constructed = summary.at("construction_loss"), error = summary.at("construction_loss_standard_error");
  CHECK(std::abs(constructed - 0.20623) < 4 * error);
  CHECK(std::abs(summary.at("analytic_loss").get<double>() - 0.20623) < 1e-5);
  CHECK(std::abs(summary.at("effective_step_analytic").get<double>() - 0.60606) < 1e-5);
  CHECK(summary.at("worst_gap") < 0.003);
  CHECK(summary.at("trained_loss") < 1.003 * constructed);
  CHECK(summary.at("cosine") > 0.999);
  CHECK(std::abs(summary.at("effective_step_trained").get<double>() - 0.61) < 0.03);
  if (outputs > 1) {
    const json& distance = summary.at("canonical_distance");
    CHECK(distance.at("A") < 0.02);
    CHECK(distance.at("C") < 0.05);
    CHECK(distance.at("d") < 0.003);
  }
  const json& seed = summary.at("seeds").at(0);
  for (const char* const key :
       {"construction_loss", "construction_loss_standard_error", "analytic_loss", "initial_loss", "trained_loss",
        "worst_gap", "effective_step_trained", "effective_step_analytic", "cosine", "model_difference",
        "prediction_difference", "updates", "evaluation_tasks", "seconds"}) {
    INFO(key);
    CHECK(summary.at(key) == seed.at(key));
  }

  // evaluate runs the weights, and its loss is that of the summary.
  const gdssm::LinearRegression tasks{.outputs = outputs};
  const Index count = 2000;
  std::vector<float> tokens, targets;
  for (Index i = 0; i < count; ++i) {
    const auto sequence = tasks.sequence(1, (std::uint64_t{1} << 56) + static_cast<std::uint64_t>(i));
    for (const double x : sequence.tokens.reshaped()) tokens.push_back(static_cast<float>(x));
    for (const double y : sequence.targets.reshaped()) targets.push_back(static_cast<float>(y));
  }
  gdssm::Safetensors file;
  file.tensors["tokens"] = {{count, 21, 10}, tokens};
  file.tensors["target"] = {{count, 10}, targets};
  gdssm::write_safetensors(folder / "tokens.safetensors", file);
  const auto loss = [&](const std::string& weights) {
    const std::string results = (folder / "results.safetensors").string();
    expect_success(run(
        "evaluate", {(out / (name + weights)).string(), (folder / "tokens.safetensors").string(), "--out", results}));
    return double(gdssm::read_safetensors(results).tensors.at("loss").as<float>()[0]);
  };
  const double spread = error * std::sqrt(100000. / double(count));
  CHECK(std::abs(loss("-closed-form.safetensors") - constructed) < 4 * spread);
  CHECK(std::abs(loss("-seed-1.safetensors") - summary.at("trained_loss").get<double>()) < 4 * spread);
}

TEST_CASE("A loss at every position and an endless stream find what theory says is best, or better", "[theorem]") {
  const TemporaryFolder folder;
  expect_success(run("reproduce", {"--quick", "--experiment", "linear-all-positions", "--experiment", "linear-online",
                                   "--out", folder.path().string(), "--threads", "2"}));
  const json summary = json::parse(gdssm::read_file(folder / "summary.json"));
  const json& positions = summary.at("linear-all-positions");
  CHECK(std::abs(positions.at("effective_step_analytic").get<double>() - 0.71429) < 1e-5);
  CHECK(std::abs(positions.at("construction_loss").get<double>() - positions.at("analytic_loss").get<double>()) <
        4 * positions.at("construction_loss_standard_error").get<double>());
  CHECK(positions.at("worst_gap") < 0);
  const json& online = summary.at("linear-online");
  CHECK(std::abs(online.at("construction_loss").get<double>() - online.at("analytic_loss").get<double>()) <
        4 * online.at("construction_loss_standard_error").get<double>());
  CHECK(std::abs(online.at("decay_trained").get<double>() - online.at("decay_analytic").get<double>()) < 0.003);
  CHECK(online.at("worst_gap") < 0.02);
}

namespace {

/// The summary of an experiment's quick run. Checks that the run wrote a figure, a table and weights of every seed.
json quick_summary(const std::string& name, const std::string& weights, std::vector<std::string> more = {}) {
  const TemporaryFolder folder;
  more.insert(more.end(), {"--quick", "--experiment", name, "--out", folder.path().string(), "--threads", "2"});
  expect_success(run("reproduce", more));
  const auto written = files(folder.path());
  CHECK(written.contains(name + ".csv"));
  CHECK(written.contains(weights));
  CHECK(std::any_of(written.begin(), written.end(),
                    [&](const auto& file) { return file.first.starts_with(name) && file.first.ends_with(".svg"); }));
  CHECK(written.at("report.html").find("id=\"" + name + "\"") != std::string::npos);
  return json::parse(written.at("summary.json")).at(name);
}

void expect_near(const json& value, const json& expected, double most) {
  CHECK(std::abs(value.get<double>() - expected.get<double>()) <= most);
}

}  // namespace

TEST_CASE("From a readout of zero the layer becomes the gradient step at every number of features", "[theorem]") {
  const json summary = quick_summary("features", "features-f20-seed-1.safetensors");
  CHECK(summary.at("worst_excess") < 0.03);
  REQUIRE(summary.at("sizes").size() == 3);
  for (const json& size : summary.at("sizes")) {
    expect_near(size.at("construction_loss"), size.at("analytic_loss"),
                4 * size.at("construction_loss_standard_error").get<double>());
    CHECK(size.at("excess") > -0.01);
    expect_near(size.at("seeds").at(0).at("effective_step_trained"), size.at("effective_step_analytic"),
                0.15 * size.at("effective_step_analytic").get<double>());
  }
}

TEST_CASE("A plain diagonal layer on constructed tokens loses what (9) says", "[theorem]") {
  const json summary = quick_summary("constructed", "constructed-seed-1.safetensors");
  expect_near(summary.at("construction_loss"), summary.at("analytic_loss"),
              4 * summary.at("construction_loss_standard_error").get<double>());
  CHECK(summary.at("worst_excess") < 0.02);
  CHECK(summary.at("distance_K") < 0.2);
}

TEST_CASE("Trained weights and the closed form lie in one valley once in canonical form", "[theorem]") {
  const json lines = quick_summary("interpolation", "interpolation-seed-1.safetensors").at("lines");
  CHECK(lines.at("to the closed form, canonical").at("barrier_most") < 0.01);
  CHECK(lines.at("to the next seed, canonical").at("barrier_most") < 0.02);
}

TEST_CASE("The plateau of gradient descent is as long as theory says, and one over the start's scale", "[theorem]") {
  const json summary = quick_summary("regimes", "regimes-scale-0.03-seed-1.safetensors");
  expect_near(summary.at("predicted_exit_power"), -1, 0.05);
  expect_near(summary.at("exit_power"), summary.at("predicted_exit_power"), 0.15);
  CHECK(summary.at("worst_prediction") < 1.4);
  REQUIRE(summary.at("scales").size() == 9);
  // Adam's steps do not shrink with the gradient.
  expect_near(summary.at("exit_power_adamw"), 0, 0.1);
  const json& smallest = summary.at("scales").front();
  expect_near(smallest.at("descent").at("exit"), smallest.at("predicted_exit"),
              0.1 * smallest.at("predicted_exit").get<double>());
}

TEST_CASE("Where tasks change the closed form loses what (9) says, and trained weights little more", "[theorem]") {
  const json summary = quick_summary("out-of-distribution", "out-of-distribution-seed-1.safetensors");
  CHECK(summary.at("largest_deviation") < 4.5);
  CHECK(summary.at("worst_excess_in_distribution") < 0.01);
  for (const char* const shift : {"range", "weight scale", "context", "distractors", "label noise", "law"}) {
    INFO(shift);
    CHECK(summary.at("shifts").at(shift).size() >= 4);
  }
  // Both are homogeneous in W*, so the closed form's loss relative to predicting zero is the same at every scale.
  const json& scales = summary.at("shifts").at("weight scale");
  for (const json& at : scales)
    expect_near(at.at("construction_loss").get<double>() / at.at("zero_loss").get<double>(),
                scales.at(0).at("construction_loss").get<double>() / scales.at(0).at("zero_loss").get<double>(), 1e-5);
}

TEST_CASE("Where variances differ a preconditioner pays, by (8a) and as measured", "[theorem]") {
  const json inputs = quick_summary("anisotropic", "anisotropic-normal-plain-seed-1.safetensors").at("inputs");
  for (const auto& [law, plain, preconditioned] :
       {std::tuple{"uniform", 0.2067, 0.1771}, std::tuple{"normal", 0.2238, 0.1940}}) {
    INFO(law);
    expect_near(inputs.at(law).at("plain").at("analytic_loss"), plain, 1e-4);
    expect_near(inputs.at(law).at("preconditioned").at("analytic_loss"), preconditioned, 1e-4);
    for (const char* const layer : {"plain", "preconditioned"})
      expect_near(inputs.at(law).at(layer).at("construction_loss"), inputs.at(law).at(layer).at("analytic_loss"),
                  4 * inputs.at(law).at(layer).at("construction_loss_standard_error").get<double>());
    CHECK(inputs.at(law).at("preconditioned").at("excess_over_step") < -0.05);
  }
}

TEST_CASE("Trained stacks of two steps do no worse than tuned descent, and the residual costs 1/24", "[theorem]") {
  const json summary = quick_summary("multi-step", "multi-step-K2-from-construction-seed-1.safetensors");
  CHECK(std::abs(summary.at("algorithms").at("equal steps").at(1).get<double>() - 0.1561) < 0.003);
  CHECK(std::abs(summary.at("algorithms").at("individual steps").at(1).get<double>() - 0.1408) < 0.003);
  const json& two = summary.at("stacks").at(0);
  const double error = two.at("construction_loss_standard_error");
  CHECK(std::abs(two.at("construction_loss").get<double>() - two.at("individual_loss").get<double>()) < 6 * error);
  CHECK(std::abs(summary.at("residual_construction_loss").get<double>() - two.at("construction_loss").get<double>() -
                 1. / 24) < 4 * error);
  CHECK(two.at("from_construction").at("excess") < 0.01);
  CHECK(two.at("residual_from_construction").at("trained_loss") < summary.at("residual_construction_loss"));
  // Least squares is exact, and conjugate gradients reach it in f iterations.
  CHECK(summary.at("algorithms").at("conjugate gradients").at(9) < 1e-3);
}

TEST_CASE("Where the map moves a decay below 1 loses less than none, by (9c) and as measured", "[theorem]") {
  const json rates = quick_summary("drift", "drift-plain-p0.05-seed-1.safetensors").at("rates");
  REQUIRE(rates.size() == 3);
  for (const json& rate : rates) {
    CAPTURE(rate.at("change"));
    for (const char* const kind : {"without_decay", "of_best_decay"}) {
      const std::string name = kind;
      expect_near(rate.at("measured_" + name), rate.at("loss_" + name),
                  4 * rate.at("measured_" + name + "_standard_error").get<double>());
    }
    CHECK(rate.at("loss_of_best_weights") < rate.at("loss_of_best_decay").get<double>() + 1e-12);
    CHECK(rate.at("optimum") < rate.at("loss_of_best_weights"));
    CHECK(rate.at("plain").at("excess") > -0.02);
    if (rate.at("change") == 0) {
      CHECK(rate.at("best_decay") == 1);
      CHECK(rate.at("optimum") < 1e-6);  // 20 pairs without noise determine a map of 10 features
      continue;
    }
    CHECK(rate.at("best_decay") < 1 - rate.at("change").get<double>());
    CHECK(rate.at("loss_of_best_decay") < 0.95 * rate.at("loss_without_decay").get<double>());
    CHECK(rate.at("measured_of_best_decay") < 0.95 * rate.at("measured_without_decay").get<double>());
    CHECK(rate.at("loss_of_restart") < rate.at("loss_of_best_decay"));
  }
}

TEST_CASE("Layers with a slot exchanged lose what their closed forms say, and attention and gate cannot be spared",
          "[theorem]") {
  const json summary = quick_summary("ablations", "ablations-no-gate-seed-1.safetensors");
  std::map<std::string, json> rows;
  for (const json& row : summary.at("ablations")) {
    const std::string name = row.at("name");
    CAPTURE(name);
    rows[name] = row;
    double least = 1e300, chosen = 0;
    for (const json& swept : row.at("sweep"))
      if (!swept.at("validation_loss").is_null() && swept.at("validation_loss") < least) {
        least = swept.at("validation_loss");
        chosen = swept.at("factor");
      }
    CHECK(row.at("factor") == chosen);
    // Quick runs end too early, but no loss is below the best possible one by more than sampling error.
    if (!row.at("closed_form_loss").is_null()) CHECK(row.at("loss") > 0.97 * row.at("closed_form_loss").get<double>());
  }
  REQUIRE(rows.size() == 20);
  CHECK(rows.at("paper").at("parameters") == 9 + 110 + 100 + 3);
  CHECK(rows.at("tied-readout-unit-decay").at("parameters") == 9 + 1 + 3);
  for (const char* const name : {"paper", "unit-decay", "common-decay", "tied-readout-unit-decay"}) {
    CAPTURE(name);
    CHECK(rows.at(name).at("excess") < 0.05);
    CHECK(rows.at(name).at("cosine") > 0.98);
  }
  CHECK(std::abs(rows.at("input-gate").at("closed_form_loss").get<double>() - 0.3781) < 1e-4);
  CHECK(std::abs(rows.at("stride-1").at("closed_form_loss").get<double>() - 0.2720) < 1e-4);
  for (const char* const name : {"no-attention", "no-gate"}) {
    CAPTURE(name);
    CHECK(std::abs(rows.at(name).at("loss").get<double>() / summary.at("zero_loss").get<double>() - 1) < 0.05);
    CHECK(std::abs(rows.at(name).at("cosine").get<double>()) < 0.1);
  }
}

TEST_CASE("Learning rules in closed form lose what (9), (46) and (47) say, and equal rules lose the same",
          "[theorem]") {
  const json summary = quick_summary("learning-rules", "learning-rules-linear-delta_rule-seed-1.safetensors");
  CHECK(summary.at("largest_deviation") < 4);
  const double zero = summary.at("zero_loss");
  CHECK(std::abs(zero - 10. / 24) < 1e-12);
  for (const char* const tasks : {"linear", "drift", "anisotropic"})
    for (const json& at : summary.at("tasks").at(tasks).at("contexts")) {
      const double N = at.at("context");
      CAPTURE(tasks, N);
      const json& rules = at.at("rules");
      REQUIRE(rules.size() == 21);
      const auto loss = [&](const char* rule) { return rules.at(rule).at("loss").get<double>(); };
      const auto same = [&](const char* one, const char* other, double most) {
        CAPTURE(one, other);
        CHECK(std::abs(loss(one) / loss(other) - 1) < most);
      };
      same("mamba2", "retnet", 1e-5);
      same("kda", "gated_delta_rule", 0.02);
      CHECK(loss("retnet") < loss("linear_attention") * (1 + 1e-6));
      CHECK(loss("delta_rule") < loss("linear_attention"));
      CHECK(loss("longhorn") < loss("delta_rule"));
      for (const auto& [name, rule] : rules.items()) {
        CAPTURE(name);
        if (name != "omega") CHECK(rule.at("loss") > 0.99 * loss("mesa"));
        if (!rule.at("expected").is_null())
          CHECK(std::abs(rule.at("loss").get<double>() - rule.at("expected").get<double>()) <
                4 * rule.at("standard_error").get<double>());
      }
      if (tasks != std::string("linear")) continue;
      expect_near(rules.at("delta_rule").at("expected"), zero * std::pow(1 - 1 / 10.8, N), 1e-12);
      expect_near(rules.at("longhorn").at("expected"), zero * std::pow(0.9, N), 1e-12);
      CHECK(std::abs(rules.at("delta_rule").at("controls").at("beta").get<double>() - 12 / 10.8) < 1e-12);
      CHECK(loss("mesa") < 0.02 * zero);  // N >= f pairs without noise
    }
  const json& trained = summary.at("tasks").at("linear").at("trained");
  for (const char* const rule : {"gla", "delta_rule", "longhorn"}) {  // the others learn later than a quick run ends
    CAPTURE(rule);
    CHECK(trained.at(rule).at("loss") < 0.6 * zero);
  }
}

TEST_CASE("On sines descent on fixed features is ordered as theory says, and the nonlinear model's weights run") {
  const TemporaryFolder folder;
  const path out = folder / "results";
  expect_success(run("reproduce", {"--quick", "--experiment", "nonlinear", "--out", out.string(), "--threads", "2"}));
  const json summary = json::parse(gdssm::read_file(out / "summary.json")).at("nonlinear");
  CHECK(summary.at("layer_difference") < 1e-12);
  const json& losses = summary.at("losses");
  const auto within = [&](const char* const learner, double expected) {
    expect_near(losses.at(learner).at("loss"), expected, 4 * losses.at(learner).at("standard_error").get<double>());
  };
  within("zero", 0.31 / 12);
  within("mean", 0.017210);
  CHECK(losses.at("one_step").at("loss") < losses.at("zero").at("loss"));
  CHECK(losses.at("ten_steps").at("loss") < losses.at("one_step").at("loss"));
  CHECK(losses.at("one_step_best_start").at("loss") < losses.at("one_step").at("loss"));
  CHECK(losses.at("own_features_one_step").at("loss") < 0.1 * losses.at("zero").at("loss").get<double>());
  CHECK(losses.at("trained").at("loss") < losses.at("mean").at("loss"));

  // evaluate runs the weights, and its loss is that of the summary.
  const gdssm::SineRegression tasks;
  const Index count = 4000;
  std::vector<float> tokens, targets;
  for (Index i = 0; i < count; ++i) {
    const auto task = tasks.sequence(1, (std::uint64_t{1} << 56) + static_cast<std::uint64_t>(i));
    for (const double number : task.tokens.reshaped()) tokens.push_back(static_cast<float>(number));
    targets.insert(targets.end(), {0, static_cast<float>(task.targets(0, 0))});
  }
  gdssm::Safetensors file;
  file.tensors["tokens"] = {{count, 21, 1}, tokens};
  file.tensors["target"] = {{count, 2}, targets};
  gdssm::write_safetensors(folder / "tokens.safetensors", file);
  const std::string results = (folder / "results.safetensors").string();
  expect_success(run("evaluate", {(out / "nonlinear-seed-1.safetensors").string(),
                                  (folder / "tokens.safetensors").string(), "--out", results}));
  const auto loss = double(gdssm::read_safetensors(results).tensors.at("loss").as<float>()[0]);
  expect_near(losses.at("trained").at("loss"), loss, 1e-4 * loss);
}

TEST_CASE("reproduce trains to the same bytes on one thread and on two") {
  const TemporaryFolder folder;
  std::map<std::string, std::string> written[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const path out = folder / std::to_string(i);
    expect_success(run("reproduce", {"--quick", "--experiment", "linear-vector", "--out", out.string(), "--threads",
                                     std::to_string(i + 1)}));
    written[i] = files(out);
    json summary = json::parse(written[i].at("summary.json"));
    remove_seconds(summary);
    written[i]["summary.json"] = summary.dump();
  }
  CHECK(written[0] == written[1]);
}

TEST_CASE("reproduce writes the same bytes for the same seed, whatever the threads") {
  const TemporaryFolder folder;
  const auto files_of = [&](const std::string& name, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--quick", "--experiment", "theory", "--out", (folder / name).string()});
    expect_success(run("reproduce", arguments));
    auto written = files(folder / name);
    json summary = json::parse(written.at("summary.json"));
    remove_seconds(summary);
    written["summary.json"] = summary.dump();
    return written;
  };
  const auto first = files_of("first", {});
  CHECK(first == files_of("second", {"--threads", "3", "--experiment", "theory"}));
  const auto others = files_of("third", {"--seed", "5", "--seeds", "2"});
  CHECK(first.at("theory-context.csv") != others.at("theory-context.csv"));
  const json seeds = json::parse(others.at("summary.json")).at("theory").at("seeds");
  REQUIRE(seeds.size() == 2);
  CHECK(seeds.at(0).at("seed") == 5);
  CHECK(seeds.at(1).at("seed") == 6);
  CHECK(seeds.at(0).at("construction_loss") != seeds.at(1).at("construction_loss"));
}

TEST_CASE("Figures with labels at the ends of lines come out of a shard as they went in") {
  const TemporaryFolder folder;
  const std::string whole = (folder / "whole").string(), part = (folder / "part").string(),
                    joined = (folder / "joined").string();
  const std::vector<std::string> asked{"--quick", "--experiment", "learning-rules"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), asked.begin(), asked.end());
    return run("reproduce", more);
  };
  expect_success(with({"--out", whole, "--threads", "2"}));
  expect_success(with({"--out", part, "--shard", "1/1"}));
  expect_success(run("reproduce", {"--out", joined, "--join", part}));
  auto one = files(whole), other = files(joined);
  REQUIRE(one.size() == other.size());
  for (const auto& [name, bytes] : one) {
    CAPTURE(name);
    if (name != "summary.json") CHECK(bytes == other.at(name));
  }
  CHECK(one.at("learning-rules-linear.svg").find("DeltaProduct") != std::string::npos);
}

TEST_CASE("Shards of any number, joined in any order, are the bytes of one run but for seconds") {
  const TemporaryFolder folder;
  const std::vector<std::string> asked{"--quick",       "--experiment", "theory", "--experiment",
                                       "interpolation", "--seed",       "3"};
  const auto with = [&](std::vector<std::string> more, const std::vector<std::string>& first) {
    more.insert(more.begin(), first.begin(), first.end());
    return run("reproduce", more);
  };
  const auto written = [&](const std::string& name) {
    auto all = files(folder / name);
    json summary = json::parse(all.at("summary.json"));
    remove_seconds(summary);
    all["summary.json"] = summary.dump();
    return all;
  };
  expect_success(with({"--out", (folder / "whole").string()}, asked));
  const auto whole = written("whole");
  for (const int count : {1, 2, 3}) {  // of three, the last has nothing to do
    CAPTURE(count);
    std::vector<std::string> join{"--out", (folder / ("joined" + std::to_string(count))).string(), "--join"};
    for (int i = count; i >= 1; --i) {
      const std::string shard = std::to_string(i) + "/" + std::to_string(count);
      const std::string out = (folder / ("part" + std::to_string(count) + "-" + std::to_string(i))).string();
      expect_success(with({"--shard", shard, "--out", out}, asked));
      CHECK(!std::filesystem::exists(path(out) / "summary.json"));
      join.push_back(out);
    }
    expect_success(run("reproduce", join));
    CHECK(written("joined" + std::to_string(count)) == whole);
  }

  const auto refuses = [&](const std::vector<std::string>& parts, const std::string& part) {
    std::vector<std::string> join{"--out", (folder / "refused").string(), "--join"};
    for (const std::string& name : parts) join.push_back((folder / name).string());
    expect_error(run("reproduce", join), 1, part);
    CHECK(!std::filesystem::exists(folder / "refused"));
  };
  refuses({"part2-2"}, "shard 1/2 is missing");
  refuses({"part2-1", "part2-2", "part2-1"}, "part2-1: holds shard 1/2, which");
  refuses({"part2-1", "part3-2"}, "this run has --shard \"of 3\", expected \"of 2\"");
  refuses({"whole"}, "whole: holds no shard");
  expect_success(
      with({"--shard", "2/2", "--out", (folder / "other").string(), "--seed", "4"}, {asked.begin(), asked.end() - 2}));
  refuses({"part2-1", "other"}, "this run has --seed 4, expected 3");
  const path run_file = folder / "part2-2" / ".checkpoints" / "run.json";
  json left = json::parse(gdssm::read_file(run_file));
  left["program"] = "0.0.1";
  gdssm::write_file(run_file, left.dump());
  refuses({"part2-2", "part2-1"}, "this run has program \"0.0.1\"");
  std::filesystem::remove(folder / "part2-1" / ".checkpoints" / "theory.result");
  refuses({"part2-1"}, "shard 1/2 has not finished theory");
}

TEST_CASE("reproduce refuses a wrong command line with status 2", "[misuse]") {
  const TemporaryFolder folder;
  const auto refuses = [&](std::vector<std::string> arguments, const std::string& part) {
    arguments.insert(arguments.end(), {"--quick", "--out", (folder / "results").string()});
    expect_error(run("reproduce", arguments), 2, part);
    CHECK(folder.names().empty());
  };
  refuses({"--experiment", "thoery"}, "thoery not in {");
  refuses({"--experiment", "theory", "--experiment", "all"}, "all not in {");
  refuses({"--seeds", "0"}, "--seeds");
  refuses({"--seed", "-1"}, "--seed");
  refuses({"--threads", "0"}, "--threads");
  refuses({"theory"}, "theory");
  for (const char* const shard : {"0/2", "3/2", "1", "1/", "a/2", "1/2/3"}) refuses({"--shard", shard}, "--shard");
  refuses({"--shard", "1/2", "--join", "folder"}, "--join");
}

TEST_CASE("reproduce ends with status 1, naming what it cannot write, and leaves nothing half-written", "[misuse]") {
  const TemporaryFolder folder;
  SECTION("the folder cannot be made") {
    gdssm::write_file(folder / "file", "in the way");
    const std::string out = (folder / "file" / "results").string();
    expect_error(run("reproduce", {"--quick", "--out", out}), 1, out + ": cannot create the folder");
    expect_error(run("reproduce", {"--quick", "--out", (folder / "file").string()}), 1, "cannot create the folder");
    CHECK(gdssm::read_file(folder / "file") == "in the way");
  }
  SECTION("one of the files cannot be written") {
    std::filesystem::create_directory(folder / "summary.json");
    expect_error(run("reproduce", {"--quick", "--experiment", "theory", "--out", folder.path().string()}), 1,
                 "summary.json");
    CHECK(folder.names() == std::set<std::string>{".checkpoints", "summary.json"});  // for --resume
  }
  SECTION("there is no gnuplot") {
    const char* const found = std::getenv("PATH");
    const std::string before = found ? found : "";
    ::setenv("PATH", (folder / "nothing").c_str(), 1);
    const Run ended = run("reproduce", {"--quick", "--out", (folder / "results").string()});
    ::setenv("PATH", before.c_str(), 1);
    expect_error(ended, 1, "gnuplot");
    CHECK(std::filesystem::is_empty(folder / "results"));
  }
}

TEST_CASE("reproduce --quick sweeps three rates for every baseline at one budget, and says what quick leaves out") {
  const TemporaryFolder folder;
  const path out = folder / "results";
  expect_success(run("reproduce", {"--quick", "--experiment", "baselines", "--out", out.string()}));
  const auto written = files(out);
  const json summary = json::parse(written.at("summary.json")).at("baselines");
  const double budget = summary.at("budget");
  std::set<std::string> names;
  for (const json& model : summary.at("models")) {
    const std::string name = model.at("name");
    CAPTURE(name);
    names.insert(name);
    if (name != "augmented SSM") CHECK(std::abs(model.at("parameters").get<double>() - budget) < 0.2 * budget);
    CHECK(model.at("sweep").size() == 3);
    double least = 1e300, chosen = 0;
    for (const json& swept : model.at("sweep")) {
      if (swept.at("validation_loss").is_null()) continue;
      const double loss = swept.at("validation_loss");
      if (loss < least) chosen = swept.at("rate");
      least = std::min(least, loss);
    }
    CHECK(model.at("rate") == chosen);
    CHECK(model.at("seeds").size() == 1);
  }
  CHECK(names == std::set<std::string>{"augmented SSM", "linear self-attention", "softmax attention", "DeltaNet",
                                       "MesaNet", "S5", "selective SSM (S6)", "gated linear RNN", "RG-LRU"});
  for (const json& algorithm : summary.at("algorithms"))
    if (algorithm.contains("attention_loss"))
      CHECK(std::abs(algorithm.at("attention_loss").get<double>() / algorithm.at("loss").get<double>() - 1) < 1e-4);
  const json& one_step = summary.at("algorithms").at(0);
  CHECK(std::abs(one_step.at("sizes").at(0).get<double>() - 0.60606) < 0.02);
  CHECK(std::abs(one_step.at("loss").get<double>() - 0.20623) < 4 * one_step.at("standard_error").get<double>());
  CHECK(summary.at("algorithms").at(1).at("loss") < one_step.at("loss"));
  CHECK(written.at("report.html").find("too few for any of them to finish") != std::string::npos);
}

TEST_CASE("One step on classes of functions loses what theory says, and labels are learned as targets are",
          "[theorem]") {
  const TemporaryFolder folder;
  expect_success(run("reproduce", {"--quick", "--experiment", "function-classes", "--experiment", "classification",
                                   "--out", folder.path().string()}));
  const auto written = files(folder.path());
  const json summary = json::parse(written.at("summary.json"));
  const json& functions = summary.at("function-classes");
  for (const char* const name : {"sparse-linear", "noisy-linear", "quadratic", "relu-network", "decision-tree"}) {
    CAPTURE(name);
    const json& of = functions.at(name);
    const auto loss = [&](const char* predictor) { return of.at("predictors").at(predictor).at("loss").get<double>(); };
    CHECK(written.contains(std::string("function-classes-") + name + ".svg"));
    CHECK(of.at("layer_difference") < 1e-12);
    CHECK(of.at("trained_loss") < 0.5);
    if (of.contains("analytic_loss")) {
      const double error = of.at("predictors").at("one step on inputs").at("standard_error");
      CHECK(std::abs(loss("one step on inputs") - of.at("analytic_loss").get<double>()) < 4 * error);
      CHECK(of.at("average_excess") < 0);
    } else {
      CHECK(loss("one step on own features") < loss("one step on inputs"));
      CHECK(loss("ridge on own features") < loss("one step on own features"));
      CHECK(loss("ridge on own features") < loss("ridge on Fourier features"));
    }
  }
  CHECK(functions.at("sparse-linear").at("predictors").at("least squares").at("loss") < 1e-20);
  CHECK(functions.at("quadratic").at("predictors").at("ridge on own features").at("loss") < 1e-9);

  for (const char* const name : {"softmax", "argmax"}) {
    CAPTURE(name);
    const json& of = summary.at("classification").at(name);
    CHECK(written.contains(std::string("classification-") + name + "-accuracy.svg"));
    CHECK(written.contains(std::string("classification-") + name + "-loss.svg"));
    CHECK(std::abs(of.at("excess").get<double>()) < 0.02);
    CHECK(std::abs(of.at("trained_accuracy").get<double>() - of.at("construction_accuracy").get<double>()) < 0.02);
    CHECK(std::abs(of.at("seeds").at(0).at("effective_step").get<double>() / of.at("step").get<double>() - 1) < 0.25);
    const json& algorithms = of.at("algorithms");
    CHECK(algorithms.at("descent, 20 steps").at("loss") < algorithms.at("descent, 1 step").at("loss"));
  }
}

TEST_CASE("reproduce answers --help and --version") {
  const Run help = run("reproduce", {"--help"});
  expect_success(help);
  for (const char* const option : {"--experiment", "--out", "--seed", "--seeds", "--resume", "--checkpoint-every",
                                   "--quick", "--threads", "--shard", "--join", "--version"})
    CHECK(help.out.find(option) != std::string::npos);
  const Run version = run("reproduce", {"--version"});
  expect_success(version);
  CHECK(version.out.find(std::string(gdssm::version)) != std::string::npos);
}
