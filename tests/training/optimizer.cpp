// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/optimizer.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

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

/// What the exception says; nothing when there is none.
template <class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  }
  return "";
}

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

}  // namespace
}  // namespace gdssm
