// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/learner.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "fuzz/harness.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/default_learner.hpp"

namespace {

Eigen::VectorXd vector_of(double entry) { return Eigen::VectorXd::Constant(1, entry); }

gdssm::DefaultLearner<> after_twelve_rows() {
  auto learner = gdssm::default_learner(1, 1);
  for (int i = 0; i < 12; ++i) {
    const Eigen::VectorXd x = vector_of(0.25 * i);
    learner.predict(x);
    learner.observe(x, vector_of(1 - 0.5 * i + i % 3));
  }
  return learner;
}

struct Change {
  std::uint16_t at;
  double to;
};

/// Ten bytes each.
std::vector<Change> changes_of(std::string_view bytes) {
  std::vector<Change> changes;
  for (; bytes.size() >= 10; bytes.remove_prefix(10)) {
    Change change{};
    std::memcpy(&change.at, bytes.data(), 2);
    std::memcpy(&change.to, bytes.data() + 2, 8);
    changes.push_back(change);
  }
  return changes;
}

}  // namespace

// A learned state in which a file has changed some numbers is refused, or leaves a learner that predicts finite numbers
// and learns.
void read_bytes(std::string_view bytes) {
  static const gdssm::DefaultLearner<> learned = after_twelve_rows();
  auto learner = learned;
  auto state = learner.state();
  for (const Change& change : changes_of(bytes)) {
    Eigen::Index first = 0;
    gdssm::visit(
        [&](const gdssm::Name&, auto& member) {
          if (change.at >= first && change.at < first + member.size()) member.reshaped()[change.at - first] = change.to;
          first += member.size();
        },
        state);
  }
  learner.set_state(state);

  for (const auto& [input, target] : {std::pair{0.5, 1.0}, {-2.0, 0.0}, {1e3, -1e-3}}) {
    const Eigen::VectorXd x = vector_of(input);
    expect(learner.predict(x).allFinite(), "a prediction is a number");
    learner.observe(x, vector_of(target));
  }
}
