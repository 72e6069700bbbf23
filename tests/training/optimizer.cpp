// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/optimizer.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

using test::message_of;

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

TEST_CASE("Gradient descent takes the rate times the gradient from the weights", "[definition][misuse]") {
  const GradientDescent optimizer{0.5};
  Two p = two(1, 2);
  auto state = optimizer.initial_state(p);
  optimizer.update(two(0.5, -0.25), 1, p, state);
  optimizer.update(two(1, 4), 0.25, p, state);
  CHECK(identical(p, two(1 - 0.25 - 0.125, 2 + 0.125 - 0.5)));
  CHECK(state.updates == 2);
  CHECK(message_of([&] { GradientDescent{-1}.initial_state(p); }) ==
        "GradientDescent: the rate is -1, expected a number of at least 0");
  CHECK_THROWS_AS(optimizer.update(Two{p.b, p.a}, 1, p, state), std::invalid_argument);
  CHECK(identical(p, two(1 - 0.25 - 0.125, 2 + 0.125 - 0.5)));
}

TEST_CASE("A group whose name no parameter has is refused with the names there are", "[misuse][regression]") {
  const auto said = [](const auto& optimizer) { return message_of([&] { optimizer.initial_state(two(1, 2)); }); };
  CHECK(said(AdamW{.groups = {{{"a", "B"}, 0}, {{}, 1}}}) ==
        "AdamW, group 0: no parameter is named \"B\", expected one of a, b");
  CHECK(said(AdamW{.groups = {{{"a"}, 0}, {{"a", "b"}, 1}}}) ==
        "AdamW, group 1: no parameter is named \"a\", expected one of b, which the groups before leave over");
  CHECK(said(AdamW{.groups = {{{}, 1}, {{"a"}, 0}}}) ==
        "AdamW, group 1: the groups before take every parameter, expected a group without names last");
  CHECK(said(ClippedGradient<AdamW>{AdamW{.groups = {{{"c"}, 0}, {{}, 1}}}}) ==
        "AdamW, group 0: no parameter is named \"c\", expected one of a, b");
  CHECK(said(AdamW{.groups = {{{"a"}, 0}}}) ==
        "AdamW: no group takes the parameter b, expected one without names at the end");
  CHECK(said(AdamW{}) == "AdamW: no group takes the parameter a, expected one without names at the end");

  CHECK(said(AdamW{.groups = {{{"a", "b"}, 0}, {{}, 1}}}) == "");
  CHECK(said(AdamW{.groups = {{{"c"}, 0, 0, true}, {{}, 1}}}) == "");
  CHECK(said(AdamW::reference()) == "");  // no decays here
}

TEST_CASE("Rates, decays and means that cannot be are refused", "[misuse][regression]") {
  const auto said = [](const auto& optimizer) { return message_of([&] { optimizer.initial_state(two(1, 2)); }); };
  CHECK(said(AdamW{.groups = {{{"a"}, 1}, {{}, -1e-3}}}) ==
        "AdamW, group 1: rate and decay are -0.001 and 0, expected numbers of at least 0");
  CHECK(said(AdamW{.groups = {{{}, 1, std::nan("")}}}) ==
        "AdamW, group 0: rate and decay are 1 and nan, expected numbers of at least 0");
  CHECK(said(AdamW{.groups = {{{}, 1}}, .b1 = 1}) ==
        "AdamW: b1, b2 and epsilon are 1, 0.999 and 1e-08, expected 0 <= b1 < 1, 0 <= b2 < 1 and a number of at least "
        "0");
  CHECK(said(ClippedGradient<AdamW>{AdamW{.groups = {{{}, 1}}}, 0}) ==
        "ClippedGradient: the greatest length is 0, expected a positive number");
}

TEST_CASE("Three updates of AdamW are its formula, group by group and parameter by parameter, to four roundings",
          "[definition]") {
  const AdamW optimizer{.groups = {{{"b"}, 0.3}, {{}, 0.1, 0.25}}, .b1 = 0.75, .b2 = 0.875, .epsilon = 0.01};
  Two p = two(1, 2);
  auto state = optimizer.initial_state(p);
  struct One {
    double rate, decay, p, m = 0, v = 0;
  } a{0.1, 0.25, 1}, b{0.3, 0, 2};
  const double gradients[3][2] = {{0.5, -2}, {-0.25, 3}, {4, 0.125}}, schedule[] = {0.5, 1, 0.125};
  const auto update = [&](One& one, double g, double s, int n) {
    one.m = 0.75 * one.m + 0.25 * g;
    one.v = 0.875 * one.v + 0.125 * g * g;
    const double mean = one.m / (1 - std::pow(0.75, n)), square = one.v / (1 - std::pow(0.875, n));
    one.p -= s * one.rate * (mean / (std::sqrt(square) + 0.01) + one.decay * one.p);
  };
  const auto near = [](double x, double y) {
    return std::abs(x - y) <= 4 * std::numeric_limits<double>::epsilon() * std::abs(y);
  };
  for (int n = 1; n <= 3; ++n) {
    const auto& [of_a, of_b] = gradients[n - 1];
    optimizer.update(two(of_a, of_b), schedule[n - 1], p, state);
    update(a, of_a, schedule[n - 1], n);
    update(b, of_b, schedule[n - 1], n);
    CAPTURE(n);
    CHECK(state.updates == n);
    CHECK(near(p.a(0, 0), a.p));
    CHECK(near(p.b(1, 0), b.p));
    CHECK(p.b(0, 0) == p.b(1, 0));
    CHECK(near(state.first.a(0, 0), a.m));
    CHECK(near(state.second.b(1, 0), b.v));
  }
}

TEST_CASE("A schedule's factor s does what rates that are s times as large do, decay included", "[definition]") {
  const double s = 0.3;
  const AdamW optimizer{.groups = {{{"b"}, 0.3, 0.5}, {{}, 0.1, 0.25}}},
      slower{.groups = {{{"b"}, 0.3 * s, 0.5}, {{}, 0.1 * s, 0.25}}};
  Two p = two(1, 2), q = p;
  auto of_p = optimizer.initial_state(p), of_q = of_p;
  for (const double g : {0.5, -0.25, 3.0}) {
    optimizer.update(two(g, -2 * g), s, p, of_p);
    slower.update(two(g, -2 * g), 1, q, of_q);
    CHECK(identical(p, q));
  }
  CHECK(!identical(p, two(1, 2)));
}

/// An optimiser that records its gradient.
struct Keep {
  template <class P>
  using State = P;

  void update(const Two& gradient, double schedule, Two& parameters, Two& state) const {
    parameters = state = gradient;
    CHECK(schedule == 0.5);
  }
};

TEST_CASE("A gradient is shortened to the length that is allowed, and one of that length is left as it is",
          "[definition]") {
  const auto shown = [](const Two& gradient) {
    Two p = two(0, 0), state = p;
    ClippedGradient<Keep>{{}, 3}.update(gradient, 0.5, p, state);
    return p;
  };
  CHECK(identical(shown(two(1, 2)), two(1, 2)));  // 1 + 4 + 4 = 3^2
  CHECK(identical(shown(two(-0.25, 0.5)), two(-0.25, 0.5)));
  CHECK(identical(shown(two(16, -32)), two(1, -2)));
  CHECK(ClippedGradient<AdamW>{AdamW::reference()}.most == 1);
}

TEST_CASE("Training as the reference does takes 1e-4 on the decays, and 2e-4 with decay 0.05 on all else",
          "[definition]") {
  const AdamW reference = AdamW::reference();
  REQUIRE(reference.groups.size() == 2);
  CHECK(reference.groups[0].names == std::vector<std::string>{"Lambda", "log_step"});
  CHECK(reference.groups[0].learning_rate == 1e-4);
  CHECK(reference.groups[0].weight_decay == 0);
  CHECK(reference.groups[1].names.empty());
  CHECK(reference.groups[1].learning_rate == 2e-4);
  CHECK(reference.groups[1].weight_decay == 0.05);
  CHECK(reference.b1 == 0.9);
  CHECK(reference.b2 == 0.999);
  CHECK(reference.epsilon == 1e-8);
}

}  // namespace
}  // namespace gdssm
