// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/local_attention.hpp"

#include <algorithm>
#include <utility>

#include "blocks/prepare.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::bundle;
using test::check_vjp;
using test::Random;

/// Coefficients and a window -> both factors.
template <class Block>
struct Step {
  Block attention;

  template <class T>
  auto input() const {
    return bundle({"coefficients", "window"}, attention.template coefficients<T>(),
                  Array<T, Block::rows, Block::rank>(attention.row_count(), Block::rank));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, window] = in.parts;
    auto ws = attention.template workspace<T>();
    auto left = window, right = window;
    const auto G = attention.step(c, window.view(), ws);
    gdssm::detail::copy(G.left, left.view());
    gdssm::detail::copy(G.right, right.view());
    return bundle({"left", "right"}, left, right);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, window] = in.parts;
    const auto& [left_bar, right_bar] = out_bar.parts;
    auto in_bar = input<T>();
    auto& [c_bar, window_bar] = in_bar.parts;
    attention.step_vjp(c, window.view(), left_bar.view(), right_bar.view(), c_bar, window_bar.view());
    return in_bar;
  }
};

/// Coefficients, tokens and those that the first state holds -> every window's factors, and the tokens that the last
/// state holds.
template <class Block>
struct Sequence {
  using Window = typename Block::Window;

  Block attention;
  Index windows;
  Index held = 0;

  template <class T>
  auto input() const {
    return bundle({"coefficients", "tokens", "state"}, attention.template coefficients<T>(),
                  Array<T, Block::rows>(attention.row_count(), Window::width + Window::stride * (windows - 1) - held),
                  Array<T, Block::rows>(attention.row_count(), held));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, tokens, first] = in.parts;
    auto state = first_state<T>(first);
    auto ws = attention.template workspace<T>();
    Array<T, Block::rows> lefts(attention.row_count(), Window::width * windows), rights = lefts;
    attention.forward(c, tokens.view(), state, rights.view(), ws);
    for (Index t = 0; t < windows; ++t)
      for (Index a = 0; a < Window::width; ++a) {
        const Index token = Window::stride * t + a;
        for (Index i = 0; i < lefts.rows(); ++i)
          lefts(i, Window::width * t + a) = token < held ? first(i, token) : tokens(i, token - held);
      }
    Array<T, Block::rows> last(attention.row_count(), Window::shared);
    std::copy_n(state.tokens.data(), last.size(), last.data());
    return bundle({"lefts", "rights", "state"}, lefts, rights, last);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, tokens, first] = in.parts;
    const auto& [lefts_bar, rights_bar, last_bar] = out_bar.parts;
    auto in_bar = input<T>();
    auto& [c_bar, tokens_bar, first_bar] = in_bar.parts;
    auto state_bar = first_state<T>(last_bar);
    auto ws = attention.template workspace<T>(), ws_bar = ws;
    attention.vjp(c, tokens.view(), first_state<T>(first), lefts_bar.view(), rights_bar.view(), c_bar, state_bar,
                  tokens_bar.view(), ws, ws_bar);
    std::copy_n(state_bar.tokens.data(), first_bar.size(), first_bar.data());
    return in_bar;
  }

 private:
  template <class T>
  auto first_state(const auto& tokens) const {
    auto state = attention.template initial_state<T>();
    std::copy_n(tokens.data(), tokens.size(), state.tokens.data());
    state.held = tokens.cols();
    return state;
  }
};

TEST_CASE("attention in one window pulls back to A and to the window", "[vjp]") {
  check_vjp(test::Prepare<LocalAttention<3>>{});
  check_vjp(Step<LocalAttention<1>>{});
  check_vjp(Step<LocalAttention<2, 1>>{});
  check_vjp(Step<LocalAttention<5, 5>>{});
  check_vjp(Step<LocalAttention<>>{LocalAttention<>(3)});
}

TEST_CASE("attention along a sequence pulls back to A, to the tokens and to those of the first state", "[vjp]") {
  for (const Index held : {0, 1, 2}) {
    CAPTURE(held);
    check_vjp(Sequence<LocalAttention<2>>{{}, 1, held});
    check_vjp(Sequence<LocalAttention<2>>{{}, 3, held});
    check_vjp(Sequence<LocalAttention<>>{LocalAttention<>(2), 2, held});
  }
  for (const Index held : {0, 1, 4}) {
    CAPTURE(held);
    check_vjp(Sequence<LocalAttention<2, 5, 1>>{{}, 1, held});
    check_vjp(Sequence<LocalAttention<2, 5, 1>>{{}, 4, held});
  }
  check_vjp(Sequence<LocalAttention<2, 1, 1>>{{}, 3});
  check_vjp(Sequence<LocalAttention<2, 2, 5>>{{}, 3, 1});
}

/// G_t = X_t^T A X_t at every window of a sequence, and the windows are where width and stride say.
template <Index Width, Index Stride>
void check_definition() {
  CAPTURE(Width, Stride);
  Random random(3);
  const Index f = 3, windows = 4;
  const LocalAttention<3, Width, Stride> attention;
  auto c = attention.template coefficients<double>();
  random.fill(c);
  Array<double, 3> tokens(f, Width + Stride * (windows - 1));
  random.fill(tokens);
  const auto all = std::as_const(tokens).view();
  auto ws = attention.template workspace<double>();

  // A token at a time.
  auto pushed = attention.template initial_state<double>();
  Index t = 0;
  for (Index i = 0; i < tokens.cols(); ++i) {
    if (!attention.window().push(all.column(i), pushed)) continue;
    const Eigen::MatrixXd X = tokens.matrix().middleCols(Stride * t, Width).transpose();
    const View<const double, 3, Width> window = pushed.tokens.view();
    const auto G = attention.step(c, window, ws);
    const Eigen::Map<const Eigen::MatrixXd> left(G.left.data(), f, Width), right(G.right.data(), f, Width);
    CHECK((left * right.transpose() - X.transpose() * c.A.matrix() * X).norm() < 1e-14);
    attention.window().slide(pushed);
    ++t;
  }
  CHECK(t == windows);

  // All at once, from wherever the stream stands.
  for (Index head = 0; head + Stride <= tokens.cols(); ++head) {
    CAPTURE(head);
    auto state = attention.template initial_state<double>();
    Index done = 0;
    for (Index i = 0; i < head; ++i)
      if (attention.window().push(all.column(i), state)) attention.window().slide(state), ++done;
    Array<double, 3> rights(f, Width * (windows - done));
    attention.forward(c, all.columns(head, tokens.cols() - head), state, rights.view(), ws);
    CHECK(state == pushed);
    bool same = true;
    for (Index s = done; s < windows; ++s) {
      const auto G = attention.step(c, all.template columns<Width>(Stride * s), ws);
      same =
          same && std::equal(G.right.data(), G.right.data() + G.right.size(), rights.data() + f * Width * (s - done));
    }
    CHECK(same);
  }
}

template <Index Width>
void check_definitions() {
  check_definition<Width, 1>();
  check_definition<Width, 2>();
  check_definition<Width, 3>();
  check_definition<Width, 4>();
  check_definition<Width, 5>();
}

TEST_CASE("attention is X^T A X at every width and stride, a token at a time and all at once", "[definition]") {
  check_definitions<1>();
  check_definitions<2>();
  check_definitions<3>();
  check_definitions<4>();
  check_definitions<5>();
}

TEST_CASE("attention along a sequence refuses right factors of another length", "[misuse]") {
  const LocalAttention<> attention(2);
  const auto c = attention.coefficients<double>();
  const Array<double> tokens(2, 5);
  Array<double> rights(2, 5);
  auto state = attention.initial_state<double>();
  auto ws = attention.workspace<double>();
  CHECK_THROWS_WITH(attention.forward(c, tokens.view(), state, rights.view(), ws),
                    "LocalAttention::forward: the number of columns of the right factors is 5, expected 6");
}

}  // namespace
}  // namespace gdssm
