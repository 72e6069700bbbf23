// SPDX-License-Identifier: Apache-2.0
// Blocks compared with their definitions in plain loops.
#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/blocks/readout.hpp"
#include "gdssm/blocks/sliding_window.hpp"

namespace gdssm {
namespace {

using test::Random;

/// Tokens are two copies of their number, so that a window shows its position.
template <class Window>
std::vector<Index> pushed(const Window& window, Index first, Index end, typename Window::template State<double>& state,
                          std::vector<Index>& windows) {
  std::vector<Index> completed;
  for (Index t = first; t < end; ++t) {
    const double token[] = {double(t), double(t)};
    if (!window.push(View<const double, Window::size, 1>(token, 2, 1), state)) continue;
    completed.push_back(t);
    windows.push_back(static_cast<Index>(state.tokens(1, 0)));
    for (Index k = 0; k < Window::width; ++k)
      for (Index i = 0; i < 2; ++i) CHECK(state.tokens(i, k) == double(windows.back() + k));
    window.slide(state);
  }
  return completed;
}

template <Index Width, Index Stride>
void check_windows() {
  CAPTURE(Width, Stride);
  using Window = SlidingWindow<Dynamic, Width, Stride>;
  const Window window(2);
  const Index length = 23;
  const auto first = window.template initial_state<double>();
  for (Index cut = 0; cut <= length; ++cut) {
    CAPTURE(cut);
    auto state = first;
    std::vector<Index> windows;
    const std::vector<Index> before = pushed(window, 0, cut, state, windows);
    const auto at_cut = state;
    CHECK(at_cut == state);
    const std::vector<Index> after = pushed(window, cut, length, state, windows);
    for (std::size_t t = 0; t < windows.size(); ++t) CHECK(windows[t] == Index(t) * Stride);
    CHECK(Index(windows.size()) == (length - Width) / Stride + 1);

    // Lengths that end with a window are those at which one was completed.
    Index completed = 0;
    for (Index more = 1; more <= length - cut; ++more) {
      const bool ends = std::find(after.begin(), after.end(), cut + more - 1) != after.end();
      completed += ends ? 1 : 0;
      if (ends)
        CHECK(window.windows(more, at_cut) == completed);
      else
        CHECK_THROWS_AS(window.windows(more, at_cut), std::invalid_argument);
    }

    auto restarted = at_cut;
    window.restart(restarted);
    CHECK(restarted == first);
    std::vector<Index> again;
    pushed(window, 0, length, restarted, again);
    CHECK(again == windows);
  }
}

TEST_CASE("Window t holds tokens stride t to stride t + width - 1, pushed in parts and after a restart too",
          "[definition]") {
  check_windows<3, 2>();
  check_windows<2, 2>();
  check_windows<1, 1>();
  check_windows<4, 1>();
  check_windows<2, 5>();
  check_windows<1, 3>();
}

TEST_CASE("States of windows are equal when the tokens that they hold are", "[definition]") {
  const SlidingWindow<Dynamic, 3, 2> window(2);
  const double one[] = {1, 2}, other[] = {1, 3};
  auto a = window.initial_state<double>(), b = a;
  const auto push = [&](const double* token, auto& state) {
    window.push(View<const double, Dynamic, 1>(token, 2, 1), state);
  };
  push(one, a);
  CHECK(!(a == b));
  push(other, b);
  CHECK(!(a == b));
  window.restart(b);
  push(one, b);
  CHECK(a == b);
  b.tokens(0, 1) = 7;  // of no token that is there
  CHECK(a == b);
}

TEST_CASE("The readout's derivative adds to that of C and overwrites all else", "[definition]") {
  Random random(4);
  const Readout<> readout(2, 3);
  auto c = readout.coefficients<double>();
  Array<double> memory(3, 4);
  Array<double, Dynamic, 1> o(4, 1), prediction(2, 1), g(2, 1);
  random.fill(c);
  random.fill(memory);
  random.fill(o);
  random.fill(g);
  const View<const double> Z = memory.view();
  const auto pulled_back = [&](double before, Eigen::MatrixXd& C_bar) {
    auto ws = readout.workspace<double>();
    auto c_bar = readout.coefficients<double>();
    c_bar.C.fill(1);
    Array<double, Dynamic, 1> o_bar(4, 1);
    o_bar.fill(before);
    ws.v.fill(before);
    readout.step(c, Z, View<const double, Dynamic, 1>(o.view()), prediction.view(), ws);
    readout.step_vjp(c, Z, View<const double, Dynamic, 1>(g.view()), c_bar, o_bar.view(), ws);
    C_bar = c_bar.C.matrix();
    CHECK((ws.v.matrix() + c.C.matrix().transpose() * g.matrix()).norm() < 1e-15);
    return Eigen::VectorXd(o_bar.matrix());
  };
  Eigen::MatrixXd C_bar, C_bar_again;
  const Eigen::VectorXd o_bar = pulled_back(0, C_bar);
  CHECK(o_bar == pulled_back(5, C_bar_again));
  CHECK(C_bar == C_bar_again);
  CHECK((o_bar + memory.matrix().transpose() * c.C.matrix().transpose() * g.matrix()).norm() < 1e-15);
  const Eigen::VectorXd u = memory.matrix() * o.matrix();
  CHECK((C_bar - Eigen::MatrixXd::Ones(2, 3) + g.matrix() * u.transpose()).norm() < 1e-15);
}

}  // namespace
}  // namespace gdssm
