// SPDX-License-Identifier: Apache-2.0
#include "gdssm/construction/recall.hpp"

#include <vector>

#include <Eigen/Core>

#include "gdssm/core/random.hpp"
#include "support/message_of.hpp"
#include "tasks/sequence_law.hpp"

namespace gdssm {
namespace {

using test::Mean, test::message_of;

/// Independent uniform unit vectors.
class Sphere {
 public:
  Sphere(Index features, std::uint64_t seed) : features_(features), stream_(seed) {}
  Eigen::VectorXd draw() {
    Eigen::VectorXd x(features_);
    stream_.fill_normal({x.data(), x.size(), 1});
    return x.normalized();
  }
  std::vector<Eigen::VectorXd> draw(Index count) {
    std::vector<Eigen::VectorXd> all;
    for (Index i = 0; i < count; ++i) all.push_back(draw());
    return all;
  }

 private:
  Index features_;
  RandomStream<> stream_;
};

/// sum y_i <x_i, q> over neighbouring tokens x_i, y_i = x_(i+1) of a sequence, (60).
Eigen::VectorXd answer(const std::vector<Eigen::VectorXd>& tokens, const Eigen::VectorXd& q) {
  Eigen::VectorXd r = Eigen::VectorXd::Zero(q.size());
  for (std::size_t s = 1; s < tokens.size(); ++s) r += tokens[s] * tokens[s - 1].dot(q);
  return r;
}

TEST_CASE("recall: means and variances of scores are those of (73)", "[theorem]") {
  for (const auto& [f, P] : {std::pair<Index, Index>{16, 4}, {8, 8}, {32, 16}}) {
    Sphere sphere(f, 1);
    const RecallScores expected = recall_scores(f, 2 * (P - 1));
    Mean right, right_square, unseen, unseen_square, other, other_square, interference;
    for (int run = 0; run < 4000; ++run) {
      const auto tokens = sphere.draw(2 * P);
      const auto j = static_cast<std::size_t>(run % P), m = static_cast<std::size_t>((run + 1) % P);
      const Eigen::VectorXd r = answer(tokens, tokens[2 * j]), v = tokens[2 * j + 1];
      const double of_right = v.dot(r), of_unseen = sphere.draw().dot(r), of_other = tokens[2 * m + 1].dot(r);
      right.add(of_right);
      right_square.add((of_right - 1) * (of_right - 1));
      unseen.add(of_unseen);
      unseen_square.add(of_unseen * of_unseen);
      other.add(of_other);
      other_square.add(of_other * of_other);
      interference.add((r - v).squaredNorm());
    }
    CAPTURE(f, P);
    CHECK(right.agrees(1));
    CHECK(unseen.agrees(0));
    CHECK(other.agrees(0));
    CHECK(right_square.agrees(expected.right));
    CHECK(unseen_square.agrees(expected.unseen));
    CHECK(other_square.agrees(expected.other_value));
    CHECK(interference.agrees(expected.interference));
  }
}

TEST_CASE("recall: the law of a coordinate is the integral of its density, for every number of features",
          "[definition]") {
  for (const Index f : {2, 3, 4, 5, 10, 64}) {
    const auto density = [f = f](double theta) { return std::pow(std::cos(theta), static_cast<double>(f - 2)); };
    const double left = std::asin(-1.0);
    const auto integral = [&](double to) {  // Simpson's rule
      constexpr int steps = 2000;
      const double h = (to - left) / steps;
      double sum = density(left) + density(to);
      for (int i = 1; i < steps; ++i) sum += (i % 2 == 1 ? 4 : 2) * density(left + i * h);
      return sum * h / 3;
    };
    for (const double x : {-0.9, -0.3, 0.0, 0.1, 0.5, 0.99}) {
      CAPTURE(f, x);
      CHECK(std::abs(unit_coordinate_law(f, x) - integral(std::asin(x)) / integral(-left)) < 1e-9);
    }
    CHECK(unit_coordinate_law(f, -1) == 0);
    CHECK(unit_coordinate_law(f, 1) == 1);
    CHECK(unit_coordinate_law(f, -2) == 0);
  }
  CHECK(unit_coordinate_law(3, 0.5) == 0.75);  // Archimedes
}

/// How often the right value has the largest score.
Mean sampled_accuracy(Index f, Index P, Index V, int runs) {
  Sphere sphere(f, 2);
  Mean found;
  for (int run = 0; run < runs; ++run) {
    const auto tokens = sphere.draw(2 * P);
    const auto j = static_cast<std::size_t>(run % P);
    const Eigen::VectorXd r = answer(tokens, tokens[2 * j]);
    const double right = tokens[2 * j + 1].dot(r);
    bool first = true;
    for (std::size_t m = 0; m < static_cast<std::size_t>(P) && first; ++m)
      first = m == j || tokens[2 * m + 1].dot(r) < right;
    for (Index unseen = P; unseen < V && first; ++unseen) first = sphere.draw().dot(r) < right;
    found.add(first);
  }
  return found;
}

TEST_CASE("recall: (74) is the accuracy of sampled sequences", "[theorem]") {
  // (74) takes the interference to be as long as it is on average, and is too low by less than 0.8 / f.
  for (const auto& [f, P, V] : {std::array<Index, 3>{16, 4, 32}, {8, 4, 16}, {16, 12, 32}, {32, 16, 64}}) {
    const Mean found = sampled_accuracy(f, P, V, 1500);
    const double formula = recall_accuracy(f, 2 * (P - 1), P, V);
    CAPTURE(f, P, V, found.value(), found.error(), formula);
    CHECK(found.value() > formula - 4 * found.error());
    CHECK(found.value() < formula + 4 * found.error() + 0.8 / static_cast<double>(f));
  }
}

TEST_CASE("recall: accuracies are those of a separate implementation, and of limits", "[golden]") {
  const auto behind = [](Index f, Index P, Index V) { return recall_accuracy(f, 2 * (P - 1), P, V); };
  CHECK(std::abs(behind(16, 4, 32) - 0.988) < 5e-4);
  CHECK(std::abs(behind(32, 16, 128) - 0.985) < 5e-4);
  CHECK(std::abs(behind(64, 64, 256) - 0.985) < 5e-4);
  CHECK(std::abs(behind(64, 16, 1024) - 1) < 5e-4);
  CHECK(recall_accuracy(8, 0, 1, 100) == 1);  // alone: r = v
  CHECK(recall_accuracy(8, 50, 1, 1) == 1);   // one value
  CHECK(std::abs(recall_accuracy(3, 0, 2, 2) - (1 + std::sqrt(0.5)) / 2) < 1e-13);
  // Guessing, as others become many; at the capacity (75) some are lost.
  CHECK(std::abs(recall_accuracy(64, 100000000, 1, 10) - 0.1) < 2e-3);
  CHECK(std::abs(recall_capacity(64, 256) - (4096 / (2 * std::log(256.0)) - 64)) < 1e-10);
  CHECK(recall_capacity(8, 1000) == 0);
  const auto edge = static_cast<Index>(recall_capacity(64, 256));
  CHECK(recall_accuracy(64, edge / 4, 16, 256) > 0.99);
  CHECK(recall_accuracy(64, edge * 4, 16, 256) < 0.5);
}

TEST_CASE("recall: scores of the delta rule are those of (76)", "[theorem]") {
  constexpr Index f = 8, before = 5;
  for (const Index age : {0, 1, 7, 30}) {
    Sphere sphere(f, 3);
    Mean right, unseen_square;
    for (int run = 0; run < 3000; ++run) {
      Eigen::MatrixXd S = Eigen::MatrixXd::Zero(f, f);
      Eigen::VectorXd key, value;
      for (Index i = 0; i <= before + age; ++i) {
        const Eigen::VectorXd k = sphere.draw(), v = sphere.draw();
        S += (v - S * k) * k.transpose();
        if (i == before) key = k, value = v;
      }
      right.add(value.dot(S * key));
      const double score = sphere.draw().dot(S * key);
      unseen_square.add(score * score);
    }
    const DeltaRuleScores expected = delta_rule_scores(f, age, before);
    CAPTURE(age);
    CHECK((age == 0 ? std::abs(right.value() - 1) < 1e-12 : right.agrees(expected.right)));
    CHECK(unseen_square.agrees(expected.unseen));
    CHECK(expected.unseen <= 1.0 / f);
  }
  CHECK(std::abs(delta_rule_scores(f, 10000, 0).unseen - 1.0 / f) < 1e-12);  // where (76) rests
  CHECK(std::abs(delta_rule_capacity(64, 256) - 32 * std::log(64 / (2 * std::log(256.0)))) < 1e-12);
  CHECK(delta_rule_capacity(8, 1000) == 0);
}

TEST_CASE("recall: sizes that nothing has are refused", "[misuse]") {
  CHECK(message_of([] { recall_scores(1, 3); }) ==
        "recall_scores: there are 1 features and 3 other pairs, expected at least 2 and 0");
  CHECK(message_of([] { recall_accuracy(8, -1, 1, 2); }).find("recall_accuracy: ") == 0);
  CHECK(message_of([] { recall_accuracy(8, 1, 3, 2); }) ==
        "recall_accuracy: there are 3 pairs and 2 values, expected 1 to 2 pairs");
  CHECK(message_of([] { recall_accuracy(8, 1, 0, 2); }) != "");
  CHECK(message_of([] { recall_capacity(8, 1); }) == "recall_capacity: there are 1 values, expected at least 2");
  CHECK(message_of([] { delta_rule_capacity(8, 1); }) != "");
  CHECK(message_of([] { delta_rule_scores(8, -1, 0); }) != "");
  CHECK(message_of([] { delta_rule_scores(8, 0, -1); }) != "");
  CHECK(message_of([] { unit_coordinate_law(1, 0); }) != "");
}

}  // namespace
}  // namespace gdssm
