// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/batch.hpp"

#include <limits>

#include "support/catch.hpp"
#include "training/contexts.hpp"

#include "gdssm/blocks/sliding_window.hpp"

namespace gdssm {
namespace {

using test::Random;
using test::random_contexts;
using Window = SlidingWindow<Dynamic, 3, 2>;

/// Each lane has its context flush right, with ones in the mask at its windows, and zeros everywhere else.
template <class S>
void check_packing(const std::vector<std::pair<Index, Index>>& sizes) {
  using P = LaneScalar<S>;
  Random random(51);
  const auto contexts = random_contexts<P>(3, 2, sizes, random);
  const Batch<S> batch(Window(3), contexts);
  const Index lanes = lane_count<S>, count = static_cast<Index>(contexts.size());
  Index windows = 0, losses = 0, total = 0;
  bool ragged = false;
  for (const auto& [n, k] : sizes) {
    windows = std::max(windows, n);
    losses = std::max(losses, k);
    total += k;
    ragged = ragged || n != sizes.front().first;
  }
  CHECK(batch.windows() == windows);
  CHECK(batch.losses() == losses);
  CHECK(batch.loss_count() == total);
  CHECK(batch.target_height() == 2);
  CHECK(batch.ragged() == ragged);
  REQUIRE(static_cast<Index>(batch.groups().size()) == (count + lanes - 1) / lanes);

  const auto in_lane = [](const Array<S>& array, Index l) {
    Eigen::MatrixX<P> matrix(array.rows(), array.cols());
    for (Index i = 0; i < array.size(); ++i) matrix.data()[i] = lane(array[i], l);
    return matrix;
  };
  const auto flush_right = [](const Eigen::MatrixX<P>& matrix, Index cols) {
    Eigen::MatrixX<P> wide = Eigen::MatrixX<P>::Zero(matrix.rows(), cols);
    wide.rightCols(matrix.cols()) = matrix;
    return wide;
  };
  const auto ones = [](Index n) { return Eigen::MatrixX<P>(Eigen::MatrixX<P>::Ones(1, n)); };
  for (Index b = 0; b < static_cast<Index>(batch.groups().size()) * lanes; ++b) {
    CAPTURE(b);
    const LaneGroup<S>& group = batch.groups()[static_cast<std::size_t>(b / lanes)];
    const Index l = b % lanes;
    const bool empty = b >= count;
    const Context<P> context =
        empty ? Context<P>{Eigen::MatrixX<P>(3, 0), Eigen::MatrixX<P>(2, 0)} : contexts[static_cast<std::size_t>(b)];
    const Index n = empty ? 0 : sizes[static_cast<std::size_t>(b)].first;
    CHECK(in_lane(group.tokens, l) == flush_right(context.tokens, 2 * windows + 1));
    CHECK(in_lane(group.mask, l) == flush_right(ones(n), windows));
    CHECK(in_lane(group.targets, l) == flush_right(context.targets, losses));
    CHECK(in_lane(group.present, l) == flush_right(ones(context.targets.cols()), losses));
  }
}

TEST_CASE("contexts fill lanes flush right, masks tell what is there", "[batch]") {
  check_packing<double>({{4, 1}, {4, 1}});
  check_packing<double>({{4, 2}, {1, 1}, {6, 0}});
  check_packing<Lanes<float>>({{4, 2}, {1, 1}, {6, 0}});
  std::vector<std::pair<Index, Index>> sizes;
  for (Index b = 0; b < 37; ++b) sizes.push_back({1 + b % 5, b % 2});
  check_packing<Lanes<float>>(sizes);
  check_packing<Lanes<double>>(sizes);
}

TEST_CASE("a batch refuses a context that doesn't fit, naming it", "[batch][misuse]") {
  Random random(52);
  const Window window(3);
  using Batches = Batch<Lanes<double>>;
  auto contexts = random_contexts<double>(3, 2, {{4, 2}, {2, 1}, {3, 1}}, random);
  CHECK_NOTHROW(Batches(window, contexts));
  CHECK_THROWS_WITH(Batches(window, {}), "Batch: there is no context, expected at least one");

  auto bad = contexts;
  bad[1].tokens.resize(4, 5);
  CHECK_THROWS_WITH(Batches(window, bad), "Batch, context 1: the number of features of a token is 4, expected 3");
  bad = contexts;
  bad[2].targets.resize(3, 1);
  CHECK_THROWS_WITH(Batches(window, bad), "Batch, context 2: the number of rows of the targets is 3, expected 2");
  bad = contexts;
  bad[2].tokens(1, 4) = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(Batches(window, bad), "Batch, context 2: token 4, entry 1 is inf, expected a finite number");
  bad = contexts;
  bad[0].targets(1, 0) = -std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(Batches(window, bad), "Batch, context 0: target 0, entry 1 is -inf, expected a finite number");
  bad = contexts;
  bad[1].targets = Eigen::MatrixXd::Zero(2, 3);
  CHECK_THROWS_WITH(Batches(window, bad), "Batch, context 1: there are 3 targets, expected at most 2");
  bad = contexts;
  bad[1].tokens = Eigen::MatrixXd::Zero(3, 4);
  CHECK_THROWS_WITH(Batches(window, bad),
                    "Batch, context 1: the sequence has 4 tokens, expected 3 + 2 k, so that it ends with a "
                    "window");
  bad[1].tokens = Eigen::MatrixXd::Zero(3, 1);
  CHECK_THROWS_AS(Batches(window, bad), std::invalid_argument);
}

}  // namespace
}  // namespace gdssm
