// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/optimizer.hpp"

#include "support/catch.hpp"

namespace gdssm {
namespace {

struct Two {
  Eigen::MatrixXd a, b;

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"a"}, self.a...);
    visitor(Name{"b"}, self.b...);
  }
};

Two two(double x, double y) { return {Eigen::MatrixXd::Constant(1, 1, x), Eigen::MatrixXd::Constant(2, 1, y)}; }

TEST_CASE("A clipped gradient is the other optimiser's where it is short, and shortened as a whole where it is long",
          "[definition]") {
  const AdamW plain{.groups = {{{}, 0.1}}};
  const ClippedGradient<AdamW> clipped{plain, 3};
  const auto updated = [](const auto& optimizer, const Two& gradient) {
    Two p = two(1, 2);
    auto state = optimizer.initial_state(p);
    optimizer.update(two(0.5, -0.25), 1, p, state);
    optimizer.update(gradient, 0.5, p, state);
    CHECK(state.updates == 2);
    return p;
  };
  CHECK(identical(updated(clipped, two(1, 2)), updated(plain, two(1, 2))));  // of length 3
  CHECK(identical(updated(clipped, two(4, 8)), updated(plain, two(1, 2))));  // of length 12
  CHECK(!identical(updated(clipped, two(4, 8)), updated(plain, two(4, 8))));
}

}  // namespace
}  // namespace gdssm
