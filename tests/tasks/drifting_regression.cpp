// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>

#include <Eigen/LU>

#include "support/catch.hpp"
#include "tasks/drawing.hpp"

#include "gdssm/tasks/drifting_regression.hpp"

using gdssm::AnnouncedRegression;
using gdssm::DriftingRegression;
using gdssm::Index;
using gdssm::Lanes;

namespace {

const gdssm::LinearRegression regression{.features = 3, .outputs = 3, .context = 12};

}  // namespace

TEST_CASE("Without change a drifting task is the regression's, and pairs and first map are always", "[definition]") {
  const auto plain = regression.sequence(3, 5, 2);
  const auto still = DriftingRegression{regression}.sequence(3, 5, 2);
  CHECK(still.tokens == plain.tokens);
  CHECK(still.targets == plain.targets);
  const auto moved = DriftingRegression{regression, 1}.sequence(3, 5, 2);
  for (Index t = 0; t <= 12; ++t) CHECK(moved.tokens.col(2 * t) == plain.tokens.col(2 * t));
  CHECK(moved.tokens.col(1) == plain.tokens.col(1));
  for (Index t = 1; t < 12; ++t) CHECK(moved.tokens.col(2 * t + 1) != plain.tokens.col(2 * t + 1));
  CHECK(moved.targets.col(1) != plain.targets.col(1));
}

TEST_CASE("Between announced changes one map fits every pair and the query, and changes are as frequent as asked for",
          "[definition]") {
  const double p = 0.25;
  const AnnouncedRegression tasks{{regression, p}};
  Index changes = 0, pairs = 0, fitted = 0;
  for (std::uint64_t i = 0; i < 500; ++i) {
    const auto [tokens, targets] = tasks.sequence(1, i);
    for (Index t = 1; t <= 12; ++t) {
      const double changed = tokens(3, 2 * t);
      REQUIRE((changed == 0 || changed == 1));
      changes += changed == 1;
      ++pairs;
    }
    CHECK(tokens(3, 0) == 0);
    CHECK(targets(3, 0) == 0);
    Index first = 12;
    while (first > 0 && tokens(3, 2 * first) == 0) --first;
    if (12 - first < 4) continue;  // three pairs determine the map, the others check it
    Eigen::MatrixXd x(3, 12 - first), y(3, 12 - first);
    for (Index t = first; t < 12; ++t) {
      x.col(t - first) = tokens.col(2 * t).head(3);
      y.col(t - first) = tokens.col(2 * t + 1).head(3);
      CHECK(tokens(3, 2 * t + 1) == 0);
    }
    const Eigen::MatrixXd W = y * x.transpose() * (x * x.transpose()).inverse();
    CHECK((W * x - y).norm() < 1e-9);
    CHECK((W * tokens.col(24).head(3) - targets.col(0).head(3)).norm() < 1e-9);
    ++fitted;
  }
  CHECK(fitted > 50);
  CHECK(std::abs(double(changes) / double(pairs) - p) < 4 * std::sqrt(p * (1 - p) / double(pairs)));
}

TEMPLATE_TEST_CASE("A lane holds its drifting task as it is drawn alone", "[definition]", Lanes<float>, Lanes<double>) {
  gdssm::test::check_lanes<TestType>(AnnouncedRegression{{regression, 0.2}}, 3);
}

TEST_CASE("Probabilities that are none, and losses that a context hasn't, are refused", "[misuse]") {
  CHECK_THROWS_WITH((DriftingRegression{regression, 1.5}.sequence(0, 0)),
                    "DriftingRegression: the probability of a change is 1.5, expected 0 to 1");
  CHECK_THROWS_WITH((DriftingRegression{regression, -0.5}.sequence(0, 0)),
                    "DriftingRegression: the probability of a change is -0.5, expected 0 to 1");
  CHECK_THROWS_WITH((DriftingRegression{regression, 0.5}.sequence(0, 0, 13)),
                    "DriftingRegression: there are 13 losses, expected 1 to 12");
  CHECK_THROWS_WITH((AnnouncedRegression{{regression, 0.5}}.sequence(0, 0, 0)),
                    "AnnouncedRegression: there are 0 losses, expected 1 to 12");
}
