// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "gdssm/core/named_weights.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/random.hpp"

namespace gdssm {

/// The sizes of a deep sequence model, and which mixer its layers have.
struct DeepSizes {
  Index vocabulary;                   ///< V, ids 0 to V - 1
  Index width;                        ///< D, entries of h_t
  Index depth;                        ///< layers
  Index heads;                        ///< H
  Index head_size;                    ///< n
  Index hidden;                       ///< M, of the gated unit
  std::string mixer = "gated_delta";  ///< gril, linear, gated_delta, kda or mamba2
  Index window = 3;                   ///< w, tokens of the window of gril
  Index convolution = 4;              ///< c, taps of the other mixers; 0 for none
  bool tied = false;                  ///< whether logits are read with the embedding
};

/// How a recurrence goes along a stretch of tokens: step by step, with bits that do not depend on where the sequence is
/// cut, or in chunks, which is faster and differs by rounding.
enum class Along { steps, chunks };

/// A mixer of a deep model as a run-time value with its scratch, a batch of tokens a call: any class like `RuleMixer`
/// or `GrilMixer`, behind one virtual boundary. Weights and states are those of a whole model, in which the mixer's are
/// consecutive, the first of them at `first`.
template <class T>
class Mixer {
 public:
  virtual ~Mixer() = default;

  /// Calls take(name, rows, cols) for every weight, in order.
  virtual void visit_weights(const std::function<void(const std::string&, Index, Index)>& take) const = 0;
  /// The same of every part of the state.
  virtual void visit_state(const std::function<void(const std::string&, Index, Index)>& take) const = 0;
  /// Draws the weights.
  virtual void draw(NamedWeights<T>& weights, std::size_t first, RandomStream<>& stream) const = 0;
  /// r of every token; moves the state on.        Shapes  u (width x tokens), r (heads n x tokens)
  virtual void forward(const NamedWeights<T>& weights, std::size_t first, View<const T> u, NamedWeights<T>& state,
                       std::size_t first_of_state, Along along, View<T> r) = 0;
  /// VJP of the last `forward`, which began with the state `before`: turns `state_bar` from the cotangent of the last
  /// state into that of the first; adds to `weights_bar` and `u_bar`.
  virtual void vjp(const NamedWeights<T>& weights, std::size_t first, View<const T> u, const NamedWeights<T>& before,
                   std::size_t first_of_state, View<const T> r_bar, NamedWeights<T>& state_bar,
                   NamedWeights<T>& weights_bar, View<T> u_bar) = 0;
};

namespace detail {

/// Consecutive matrices of a model as the views of a block.
template <class Views, class Weights>
Views bound_views(Views views, Weights& weights, std::size_t& next) {
  visit([&](const Name&, auto& view) { view = weights[next++]; }, views);
  return views;
}

/// A block as a `Mixer`, with room for `length` tokens.
template <class Block, class T>
class MixerOf final : public Mixer<T> {
  using Take = std::function<void(const std::string&, Index, Index)>;
  using Views = InViews<T>;
  using ConstViews = InViews<const T>;

 public:
  MixerOf(Block block, Index length) : block_(std::move(block)), ws_(block_.template workspace<T>(length)) {}

  void visit_weights(const Take& take) const override { list(block_.template weights<InShapes>(), take); }
  void visit_state(const Take& take) const override { list(block_.template state<InShapes>(), take); }
  void draw(NamedWeights<T>& weights, std::size_t first, RandomStream<>& stream) const override {
    block_.draw(bound_views(block_.template weights<Views>(), weights, first), stream);
  }
  void forward(const NamedWeights<T>& weights, std::size_t first, View<const T> u, NamedWeights<T>& state,
               std::size_t first_of_state, Along along, View<T> r) override {
    block_.forward(bound_views(block_.template weights<ConstViews>(), weights, first), u,
                   bound_views(block_.template state<Views>(), state, first_of_state), r, along, ws_);
  }
  void vjp(const NamedWeights<T>& weights, std::size_t first, View<const T> u, const NamedWeights<T>& before,
           std::size_t first_of_state, View<const T> r_bar, NamedWeights<T>& state_bar, NamedWeights<T>& weights_bar,
           View<T> u_bar) override {
    std::size_t first_bar = first;
    const auto w_bar = bound_views(block_.template weights<Views>(), weights_bar, first_bar);
    const View<const T> memory = before[first_of_state];
    block_.vjp(bound_views(block_.template weights<ConstViews>(), weights, first), u, memory, r_bar,
               bound_views(block_.template state<Views>(), state_bar, first_of_state), w_bar, u_bar, ws_);
  }

 private:
  template <class Shapes>
  static void list(const Shapes& shapes, const Take& take) {
    visit([&](const Name& name, const auto& matrix) { take(name.str(), matrix.rows(), matrix.cols()); }, shapes);
  }

  Block block_;
  typename Block::template Workspace<T> ws_;
};

}  // namespace detail
}  // namespace gdssm
