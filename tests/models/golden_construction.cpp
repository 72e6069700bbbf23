// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/golden.hpp"

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/construction/gradient_step.hpp"

namespace gdssm {
namespace {

using test::Comparisons;
using test::Golden;
using test::golden;
using test::golden_files;

/// The columns first, first + 2, ...
Eigen::MatrixXd every_second(const Eigen::MatrixXd& matrix, Index first, Index count) {
  Eigen::MatrixXd columns(matrix.rows(), count);
  for (Index j = 0; j < count; ++j) columns.col(j) = matrix.col(first + 2 * j);
  return columns;
}

template <class P, class Layer>
void compare_predictions(const Layer& layer, const Golden& figures, Comparisons& compare) {
  const double eta = figures.value<double>("/learning_rate");
  const auto p = gradient_step(layer, static_cast<P>(eta / static_cast<double>(layer.feature_count())));
  const auto tokens = figures.matrices("/tokens"), logits = figures.matrices("/logits");
  REQUIRE(tokens.size() == logits.size());
  for (std::size_t b = 0; b < tokens.size(); ++b)
    compare("predictions of context " + std::to_string(b), layer.predict(p, tokens[b].transpose().cast<P>()),
            -logits[b].transpose(), std::is_same_v<P, double> ? 1e-12 : 1e-5);
}

TEST_CASE("the construction with a = eta / f gives the reference's outputs", "[golden]") {
  const auto files = golden_files("closed_form_");
  CHECK(files.size() >= 2);
  for (const std::string& name : files) {
    CAPTURE(name);
    const Golden figures = golden(name);
    const Index f = figures.value<Index>("/features");
    Comparisons compare;
    compare_predictions<double>(PaperLayer<>(f), figures, compare);
    compare_predictions<float>(PaperLayer<>(f), figures, compare);
    compare_predictions<double>(PaperLayer<Dynamic, Bilinear>(f), figures, compare);
    compare_predictions<double>(PaperLayer<Dynamic, GivenDecay>(f), figures, compare);
    CHECK(compare.count() == 4 * figures.value<int>("/batch"));
  }
  Comparisons compare;
  compare_predictions<double>(PaperLayer<3>(), golden("closed_form_f3.json"), compare);
  compare_predictions<double>(PaperLayer<10>(), golden("closed_form_f10.json"), compare);
  CHECK(compare.count() == 5);
}

TEST_CASE("interleaved tasks are the reference's tokens", "[golden]") {
  for (const std::string& name : golden_files("closed_form_")) {
    CAPTURE(name);
    const Golden figures = golden(name);
    const auto tokens = figures.matrices("/tokens"), weights = figures.matrices("/task_weights");
    const Eigen::MatrixXd queried = figures.matrix("/target");
    const Index n = figures.value<Index>("/context");
    Comparisons compare;
    for (std::size_t b = 0; b < tokens.size(); ++b) {
      const Eigen::MatrixXd inputs = every_second(tokens[b].transpose(), 0, n + 1),
                            targets = weights[b].transpose() * inputs;
      compare("tokens", interleave(inputs, targets.leftCols(n)), tokens[b].transpose(), 1e-15);
      compare("the query's target", targets.col(n), queried.row(static_cast<Index>(b)).transpose(), 1e-15);
    }
    CHECK(compare.count() == 2 * figures.value<int>("/batch"));
  }
}

TEST_CASE("constructed tokens are the reference's, and one step on them is explicit descent", "[golden]") {
  const auto files = golden_files("constructed_tokens_");
  CHECK(files.size() >= 1);
  for (const std::string& name : files) {
    CAPTURE(name);
    const Golden figures = golden(name);
    const auto all = figures.matrices("/tokens");
    const Eigen::MatrixXd weights = figures.matrix("/task_weights"), queried = figures.matrix("/target");
    const Index f = figures.value<Index>("/features"), n = figures.value<Index>("/context");
    Comparisons compare;
    for (std::size_t b = 0; b < all.size(); ++b) {
      const Eigen::MatrixXd tokens = all[b].transpose();
      const Eigen::RowVectorXd w = weights.row(static_cast<Index>(b));
      REQUIRE(tokens.rows() == 2 * f);
      REQUIRE(tokens.cols() == n);
      // The first input is there only times its label y = w x, whose square is w (x y); its sign nothing depends on.
      Eigen::MatrixXd x(f, n + 1);
      x.col(0) = tokens.col(0).head(f) / std::sqrt(w * tokens.col(0).head(f));
      x.rightCols(n) = tokens.bottomRows(f);
      const Eigen::RowVectorXd y = w * x;
      compare("tokens", constructed_tokens(x, y.head(n)), tokens, 1e-12);
      Eigen::VectorXd query_and_label(f + 1);
      query_and_label << x.col(n), y[n];
      compare("target", query_and_label, queried.row(static_cast<Index>(b)).transpose(), 1e-15);

      const double a = 0.6;
      Eigen::RowVectorXd steps(n);
      for (Index t = 1; t <= n; ++t) {
        const auto [S, M] = accumulate(x.leftCols(t), y.head(t));
        steps[t - 1] = (descend(S, M, equal_steps(a, 1)) * x.col(t)).value();
      }
      const auto layer = constructed_layer(f);
      compare("predictions", layer.predict(gradient_step(layer, a), tokens), steps, 1e-12);
    }
    CHECK(compare.count() == 3 * static_cast<int>(all.size()));
    CHECK(all.size() > 0);
  }
}

TEST_CASE("every file of reference figures is there and belongs to a test", "[golden]") {
  const std::vector<std::string> known{"closed_form_f10.json",       "closed_form_f3.json",
                                       "constructed_tokens_f3.json", "nonlinear_sine_f8.json",
                                       "trained_scalar_f10.json",    "trained_vector_bilinear_f4.json",
                                       "trained_vector_f10.json",    "trained_vector_f3.json",
                                       "two_step_vector_f10.json",   "two_step_vector_f3.json"};
  CHECK(golden_files() == known);
  std::vector<std::string> tested;
  for (const char* beginning : {"closed_form_", "constructed_tokens_", "nonlinear_", "trained_", "two_step_"})
    for (const std::string& name : golden_files(beginning)) tested.push_back(name);
  CHECK(tested == known);
}

TEST_CASE("figures that are missing are an error that names them", "[golden][misuse]") {
  CHECK_THROWS_WITH(golden("missing.json"), std::string(GDSSM_GOLDEN_DIR) +
                                                "/missing.json: cannot be read, expected a file of reference figures");
  const Golden figures = golden("closed_form_f3.json");
  CHECK_THROWS_WITH(figures.value<double>("/loss"), figures.file() + ": there is no /loss");
  CHECK_THROWS_WITH(figures.matrix("/params/layers_0/seq/C"), figures.file() + ": there is no /params/layers_0/seq/C");
  CHECK_THROWS_WITH(figures.matrix("/features"), figures.file() + ": /features is 3, expected a list of numbers");
  CHECK_THROWS_AS(figures.matrix("/tokens"), std::invalid_argument);  // three-dimensional
  CHECK_THROWS_AS(figures.value<double>("/note"), std::invalid_argument);
}

/// A file of this text in the system's temporary folder, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() /
              ("gdssm-golden-" + std::to_string(std::hash<std::string>()(text)) + ".json")) {
    std::ofstream(path_) << text;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST_CASE("files of figures that are empty or broken are errors", "[golden][misuse]") {
  for (const char* text : {"", "{}", "[]", "{\"loss\": 1", "null"}) {
    CAPTURE(text);
    const TemporaryFile file(text);
    CHECK_THROWS_AS(Golden(file.path()), std::invalid_argument);
  }
  const TemporaryFile file(R"({"ragged": [[1, 2], [3]], "empty": [], "gap": [1, null], "mixed": [[1], 2]})");
  const Golden figures(file.path());
  for (const char* key : {"/ragged", "/empty", "/gap", "/mixed"}) {
    CAPTURE(key);
    CHECK_THROWS_AS(figures.matrix(key), std::invalid_argument);
  }
}

}  // namespace
}  // namespace gdssm
