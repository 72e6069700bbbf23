// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "gdssm/blocks/sliding_window.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/lanes.hpp"

namespace gdssm {

/// One context and its targets.
/// Shapes  tokens (Features x T), one token a column; targets (m x k), for the last k windows
template <class P>
struct Context {
  Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> tokens;
  Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> targets;
};

/// As many contexts as S has lanes. All contexts end with the last column; a shorter one leaves the first columns
/// unused, and its mask is zero there.
template <class S>
struct LaneGroup {
  Array<S> tokens;   ///< (Features x T)
  Array<S> mask;     ///< (windows): one where a lane's context has a window
  Array<S> targets;  ///< (m x k)
  Array<S> present;  ///< (k): one where a lane's context has a loss; zeros in an empty lane
};

/// Contexts of one or several lengths, packed into lanes.
template <class S>
class Batch {
  using P = LaneScalar<S>;

 public:
  /// Room for `count` contexts of one length, which `set` fills in. If the batch is `ragged`, contexts may be shorter,
  /// and `replace` fills them in.
  /// Shapes  tokens (Features x length), targets (height x losses)
  /// Errors  std::invalid_argument: no context, a length that does not end with a window, more losses than windows, a
  ///         height below 1
  Batch(const WindowSizes& window, Index count, Index length, Index height, Index losses, bool ragged = false)
      : windows_(window.windows(length)), losses_(losses), loss_count_(count * losses), count_(count), ragged_(ragged) {
    if (count < 1) refuse("Batch", "there are ", count, " contexts, expected at least one");
    if (losses < 0 || losses > windows_)
      refuse("Batch", "there are ", losses, " targets a context, expected 0 to ", windows_);
    if (height < 1) refuse("Batch", "the targets have ", height, " rows, expected at least 1");
    allocate(window.features, length, height);
    for (Index b = 0; b < count; ++b) {
      mark(windows_, b % lane_count<S>, group(b).mask);
      mark(losses_, b % lane_count<S>, group(b).present);
    }
  }

  /// Packs contexts for a model whose windows are `window`.
  /// Errors  std::invalid_argument, naming the context: no context, tokens or targets of different heights, tokens that
  ///         do not end with a window, more targets than windows, entries that are not finite
  Batch(const WindowSizes& window, const std::vector<Context<P>>& contexts)
      : count_(static_cast<Index>(contexts.size())) {
    if (contexts.empty()) refuse("Batch", "there is no context, expected at least one");
    const Index height = contexts.front().targets.rows();
    Index length = 0;
    for (std::size_t b = 0; b < contexts.size(); ++b) {
      const auto& [tokens, targets] = contexts[b];
      const std::string where = "Batch, context " + std::to_string(b);
      expect_equal(where.c_str(), "the number of features of a token", tokens.rows(), window.features);
      expect_equal(where.c_str(), "the number of rows of the targets", targets.rows(), height);
      expect_finite(where.c_str(), "token", tokens);
      expect_finite(where.c_str(), "target", targets);
      const Index n = window.windows(tokens.cols(), where.c_str());
      if (targets.cols() > n) refuse(where, "there are ", targets.cols(), " targets, expected at most ", n);
      ragged_ = ragged_ || (b > 0 && tokens.cols() != length);
      length = (std::max)(length, tokens.cols());
      windows_ = (std::max)(windows_, n);
      losses_ = (std::max)(losses_, targets.cols());
      loss_count_ += targets.cols();
    }
    allocate(window.features, length, height);
    for (Index b = 0; b < count_; ++b) {
      const auto& [tokens, targets] = contexts[static_cast<std::size_t>(b)];
      set(b, tokens, targets);
      mark(window.windows(tokens.cols()), b % lane_count<S>, group(b).mask);
      mark(targets.cols(), b % lane_count<S>, group(b).present);
    }
  }

  /// Fills in context b, which must have the length that it was made for. Converts numbers to the lanes' scalar type.
  /// Errors  std::invalid_argument: tokens or targets of another height, more of them than there is room for, no
  /// context
  ///         b
  template <class Tokens, class Targets>
  void set(Index b, const Eigen::MatrixBase<Tokens>& tokens, const Eigen::MatrixBase<Targets>& targets) {
    if (b < 0 || b >= count_) refuse("Batch", "the context is ", b, ", expected 0 to ", count_ - 1);
    LaneGroup<S>& to = group(b);
    expect_room("token", tokens.rows(), tokens.cols(), to.tokens);
    expect_room("target", targets.rows(), targets.cols(), to.targets);
    place(tokens, b % lane_count<S>, to.tokens);
    place(targets, b % lane_count<S>, to.targets);
  }

  /// Fills in context b of any length up to the batch's, and its mask. The batch must be `ragged`.
  /// Errors  as `set`, and tokens that do not end with a window
  template <class Tokens, class Targets>
  void replace(Index b, const WindowSizes& window, const Eigen::MatrixBase<Tokens>& tokens,
               const Eigen::MatrixBase<Targets>& targets) {
    const Index n = window.windows(tokens.cols(), "Batch");
    LaneGroup<S>& to = group(b);
    const Index lane = b % lane_count<S>;
    for (Array<S>* const array : {&to.tokens, &to.targets, &to.mask, &to.present})
      for (Index i = 0; i < array->size(); ++i) set_lane((*array)[i], lane, P(0));
    set(b, tokens, targets);
    mark(n, lane, to.mask);
    mark(targets.cols(), lane, to.present);
  }

  /// The lane groups, with contexts in order.
  const std::vector<LaneGroup<S>>& groups() const { return groups_; }
  /// Group g, for writing. It begins with context g times the number of lanes. Its sizes must not change.
  /// Errors  std::invalid_argument: no group g
  LaneGroup<S>& lane_group(Index g) {
    if (g < 0 || g >= static_cast<Index>(groups_.size()))
      refuse("Batch", "the group is ", g, ", expected 0 to ", groups_.size() - 1);
    return groups_[static_cast<std::size_t>(g)];
  }
  Index count() const { return count_; }                                  ///< contexts
  Index windows() const { return windows_; }                              ///< of the longest context
  Index losses() const { return losses_; }                                ///< of the context with the most
  Index loss_count() const { return loss_count_; }                        ///< of all contexts together
  Index target_height() const { return groups_.front().targets.rows(); }  ///< rows of the targets
  bool ragged() const { return ragged_; }  ///< contexts differ in length, so that masks are needed

 private:
  LaneGroup<S>& group(Index b) { return lane_group(b / lane_count<S>); }

  void allocate(Index features, Index length, Index height) {
    for (Index b = 0; b < count_; b += lane_count<S>)
      groups_.push_back(
          {Array<S>(features, length), Array<S>(1, windows_), Array<S>(height, losses_), Array<S>(1, losses_)});
  }
  static void expect_room(const char* what, Index rows, Index cols, const Array<S>& to) {
    if (rows != to.rows() || cols > to.cols())
      refuse("Batch", what, "s are ", rows, " x ", cols, ", expected ", to.rows(), " x at most ", to.cols());
  }
  template <class Matrix>
  static void place(const Matrix& from, Index lane, Array<S>& to) {
    for (Index j = 0; j < from.cols(); ++j)
      for (Index i = 0; i < from.rows(); ++i)
        set_lane(to(i, to.cols() - from.cols() + j), lane, static_cast<P>(from(i, j)));
  }
  static void mark(Index last, Index lane, Array<S>& row) {
    for (Index j = row.cols() - last; j < row.cols(); ++j) set_lane(row[j], lane, P(1));
  }

  std::vector<LaneGroup<S>> groups_;
  Index windows_ = 0, losses_ = 0, loss_count_ = 0, count_ = 0;
  bool ragged_ = false;
};

}  // namespace gdssm
