// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/blocks/cross_entropy.hpp"
#include "gdssm/blocks/rms_norm.hpp"
#include "gdssm/blocks/swi_glu.hpp"
#include "gdssm/blocks/token_embedding.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/named_weights.hpp"
#include "gdssm/deep/mixer.hpp"

namespace gdssm {

/// The mixer that `sizes.mixer` names, with room for `length` tokens. Defined in deep/mixers.hpp: a program includes it
/// in one file, which instantiates `make_mixer<float>`, and no other file compiles the mixers.
/// Errors  std::invalid_argument: there is no such mixer, sizes below 1
template <class T>
std::unique_ptr<Mixer<T>> make_mixer(const DeepSizes& sizes, Index length);

/// A deep sequence model: embedding, layers of a mixer and a gated unit, each behind a norm and added to what it reads,
/// a norm, and logits of the next token,
///     h_t = E^T e_(x_t);   for every layer  h_t += W_O r_t,  r of u = rms(h; norm1),
///                                           h_t += W_2 (silu(W_1 m_t) * (W_3 m_t)),  m = rms(h; norm2);
///     logits_t = W_out rms(h_t; final_norm), with W_out = E if tied                               (57)
/// Weights and states are values, `NamedWeights`, in the orientation of the equations; of weights that every head has
/// of its own, heads stand side by side in columns. A `DeepPass` runs it.
///     `T`  float or double
/// Errors  std::invalid_argument: sizes below 1, an unknown mixer
/// Source  docs/theory.md, deep sequence models
template <class T>
class DeepModel {
 public:
  explicit DeepModel(DeepSizes sizes)
      : sizes_(std::move(sizes)),
        embedding_(sizes_.vocabulary, sizes_.width),
        norm_(sizes_.width),
        unit_(sizes_.width, sizes_.hidden) {
    if (sizes_.depth < 1 || sizes_.heads < 1 || sizes_.head_size < 1)
      refuse("DeepModel", "depth, heads and head size are ", sizes_.depth, ", ", sizes_.heads, " and ",
             sizes_.head_size, ", expected at least 1 each");
    const auto mixer = make_mixer<T>(sizes_, 1);
    Matrices weights, state;
    const Index D = sizes_.width, channels = sizes_.heads * sizes_.head_size;
    weights.add("embedding", sizes_.vocabulary, D);
    for (Index l = 0; l < sizes_.depth; ++l) {
      const std::string layer = "layers." + std::to_string(l) + ".";
      const std::size_t first = weights.all.size(), first_of_state = state.all.size();
      weights.add(layer + "norm1", D, 1);
      mixer->visit_weights([&](const std::string& name, Index r, Index c) { weights.add(layer + name, r, c); });
      weights.add(layer + "w_o", D, channels);
      weights.add(layer + "norm2", D, 1);
      visit([&](const Name& name, const auto& m) { weights.add(layer + name.str(), m.rows(), m.cols()); },
            unit_.template weights<InShapes>());
      mixer->visit_state([&](const std::string& name, Index r, Index c) { state.add(layer + name, r, c); });
      per_layer_ = weights.all.size() - first;
      states_per_layer_ = state.all.size() - first_of_state;
    }
    weights.add("final_norm", D, 1);
    if (!sizes_.tied) weights.add("output", sizes_.vocabulary, D);
    weights_ = NamedWeights<T>(weights);
    state_ = NamedWeights<T>(state);
  }

  const DeepSizes& sizes() const { return sizes_; }  ///< of all parts

  /// Zeros: `embedding`; `layers.<l>.norm1`, the mixer's weights, `w_o`, `norm2`, `w1`, `w3`, `w2`; `final_norm`; and
  /// `output` unless tied.
  const NamedWeights<T>& zeros() const { return weights_; }

  /// No token seen: `layers.<l>.state`, and what the mixer remembers of the last tokens.
  const NamedWeights<T>& initial_state() const { return state_; }

  /// Random weights: matrices normal with variance 1 / columns, W_O and W_2 divided by sqrt(2 depth), gains 1; the
  /// mixers draw their own.
  NamedWeights<T> draw(std::uint64_t seed) const {
    NamedWeights<T> w = weights_;
    RandomStream<> stream(seed);
    const auto mixer = make_mixer<T>(sizes_, 1);
    const double share = 2 * static_cast<double>(sizes_.depth);
    embedding_.draw<T>({w[0]}, stream);
    for (Index l = 0; l < sizes_.depth; ++l) {
      std::size_t next = first_of(l);
      norm_.draw<T>({w[next++]}, stream);
      mixer->draw(w, next, stream);
      next = end_of(l) - 5;
      detail::draw_normal_map(w[next], share, stream);
      norm_.draw<T>({w[next + 1]}, stream);
      unit_.draw<T>({w[next + 2], w[next + 3], w[next + 4]}, stream);
      for (Index i = 0; i < w[next + 4].size(); ++i) w[next + 4][i] /= static_cast<T>(std::sqrt(share));
    }
    norm_.draw<T>({w[end_of(sizes_.depth - 1)]}, stream);
    if (!sizes_.tied) detail::draw_normal_map(w[output()], 1, stream);
    return w;
  }

  // For `DeepPass`: parts, and where their weights are.
  /** @cond */
  const TokenEmbedding& embedding() const { return embedding_; }
  const RmsNorm& norm() const { return norm_; }
  const SwiGlu& unit() const { return unit_; }
  std::size_t first_of(Index l) const { return 1 + static_cast<std::size_t>(l) * per_layer_; }
  std::size_t end_of(Index l) const { return first_of(l) + per_layer_; }
  std::size_t first_of_state(Index l) const { return static_cast<std::size_t>(l) * states_per_layer_; }
  std::size_t final_norm() const { return end_of(sizes_.depth - 1); }
  std::size_t output() const { return sizes_.tied ? 0 : final_norm() + 1; }
  /** @endcond */

 private:
  /// Names and shapes, for `NamedWeights`.
  struct Matrices {
    std::vector<std::pair<std::string, Eigen::MatrixX<T>>> all;
    void add(const std::string& name, Index rows, Index cols) {
      all.emplace_back(name, detail::zeros<T, Dynamic, Dynamic>(rows, cols));
    }
    template <class Visitor, class Self>
    static void visit(Visitor&& visitor, Self&& self) {
      for (auto& [name, matrix] : self.all) visitor(Name{name}, matrix);
    }
  };

  DeepSizes sizes_;
  TokenEmbedding embedding_;
  RmsNorm norm_;
  SwiGlu unit_;
  std::size_t per_layer_ = 0, states_per_layer_ = 0;
  NamedWeights<T> weights_, state_;
};

/// A deep model along sequences, with room for `length` tokens at a time. It allocates when it is made and no more. One
/// thread uses it at a time.
/// VJP  `loss_and_gradient`
template <class T>
class DeepPass {
 public:
  /// Errors  std::invalid_argument: a length below 1
  DeepPass(const DeepModel<T>& model, Index length)
      : model_(model), length_(length), state_bar_(model.initial_state()) {
    if (length < 1) refuse("DeepPass", "the length is ", length, ", expected at least 1");
    const DeepSizes& s = model.sizes();
    const Array<T> columns(s.width, length), heads(s.heads * s.head_size, length), logits(s.vocabulary, length);
    first_ = state_bar_;
    for (Index l = 0; l < s.depth; ++l)
      layers_.push_back({columns, columns, columns, columns, heads, make_mixer<T>(s, length),
                         model.unit().template workspace<T>(length)});
    last_ = normed_ = marked_ = bar_ = part_bar_ = columns;
    r_bar_ = heads;
    logits_ = logits_bar_ = logits;
    at_.resize(static_cast<std::size_t>(length));
    targets_ = at_;
  }

  Index length() const { return length_; }  ///< tokens at a time

  /// Logits of every token; moves `state` on. Of a longer sequence than there is room for, a stretch after the other. A
  /// sequence may be cut anywhere: the bits are those of `step`.
  /// Shapes  ids (T), logits (vocabulary x T)
  /// Errors  std::invalid_argument: an id that the vocabulary does not have, logits, weights or a state of another
  /// shape
  void forward(const NamedWeights<T>& weights, std::span<const Index> ids, NamedWeights<T>& state, View<T> logits) {
    expect("DeepPass::forward", weights, state);
    expect_equal("DeepPass::forward", "the number of rows of the logits", logits.rows(), model_.sizes().vocabulary);
    expect_equal("DeepPass::forward", "the number of columns of the logits", logits.cols(),
                 static_cast<Index>(ids.size()));
    for (Index begin = 0; begin < logits.cols(); begin += length_) {
      const Index count = (std::min)(length_, logits.cols() - begin);
      run(weights, ids.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)), state, Along::steps);
      const View<T> normed = normed_.view().columns(0, count);
      model_.norm().forward({weights[model_.final_norm()]}, last_.view().columns(0, count).as_const(), normed);
      kernels::multiply_columns(weights[model_.output()], normed.as_const(), logits.columns(begin, count));
    }
  }

  /// Logits after one more token.        Shapes, errors  as `forward`
  void step(const NamedWeights<T>& weights, Index id, NamedWeights<T>& state, View<T, Dynamic, 1> logits) {
    forward(weights, std::span<const Index>(&id, 1), state, View<T>(logits));
  }

  /// The sum of -log softmax(logits_t)_(y_t) over the marked tokens of one sequence, which begins with no token seen.
  /// Adds `scale` times its derivative to `gradient`: for the mean over the K marked tokens of a batch, 1 / K. Goes
  /// along the sequence in chunks.
  /// Shapes  ids, targets, marked (T), T up to `length()`; targets count where `marked` is not 0
  /// Errors  std::invalid_argument: spans of other lengths, an id or a target that the vocabulary does not have,
  ///         weights or a gradient of another shape
  double loss_and_gradient(const NamedWeights<T>& weights, std::span<const Index> ids, std::span<const Index> targets,
                           std::span<const char> marked, double scale, NamedWeights<T>& gradient) {
    constexpr const char* where = "DeepPass::loss_and_gradient";
    expect(where, weights, state_bar_);
    weights.expect_like(where, gradient);
    const auto count = static_cast<Index>(ids.size());
    if (count > length_) refuse(where, "the sequence has ", count, " tokens, the pass room for ", length_);
    expect_equal(where, "the number of targets", targets.size(), ids.size());
    expect_equal(where, "the number of marks", marked.size(), ids.size());
    fill(state_bar_, T(0));
    run(weights, ids, state_bar_, Along::chunks);

    Index K = 0;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (!marked[t]) continue;
      at_[static_cast<std::size_t>(K)] = static_cast<Index>(t);
      targets_[static_cast<std::size_t>(K)] = targets[t];
      detail::copy(last_.view().as_const().column(static_cast<Index>(t)), marked_.view().column(K++));
    }
    const View<T> h = marked_.view().columns(0, K), normed = normed_.view().columns(0, K),
                  logits = logits_.view().columns(0, K), logits_bar = logits_bar_.view().columns(0, K),
                  part_bar = part_bar_.view().columns(0, K), bar = bar_.view().columns(0, count);
    const std::size_t norm = model_.final_norm(), output = model_.output();
    model_.norm().forward({weights[norm]}, h.as_const(), normed);
    kernels::multiply_columns(weights[output], normed.as_const(), logits);
    const double loss =
        cross_entropy(logits.as_const(), std::span<const Index>(targets_.data(), static_cast<std::size_t>(K)),
                      static_cast<T>(scale), logits_bar);
    kernels::add_outer_products(logits_bar.as_const(), normed.as_const(), gradient[output]);
    part_bar.fill(T(0));
    kernels::add_transposed(weights[output], logits_bar.as_const(), part_bar);
    const View<T> h_bar = normed;  // read no more
    h_bar.fill(T(0));
    model_.norm().vjp({weights[norm]}, h.as_const(), part_bar.as_const(), {gradient[norm]}, h_bar);
    bar.fill(T(0));
    for (Index k = 0; k < K; ++k)
      detail::copy(h_bar.as_const().column(k), bar.column(at_[static_cast<std::size_t>(k)]));
    fill(state_bar_, T(0));
    for (Index l = model_.sizes().depth - 1; l >= 0; --l) pull(l, weights, count, bar, gradient);
    model_.embedding().vjp(ids, bar.as_const(), {gradient[0]});
    return loss;
  }

 private:
  /// What a layer read and made of the last sequence.
  struct Layer {
    Array<T> h, u, between, m;  ///< the layer's input and its norm, and the same of the unit
    Array<T> r;                 ///< of the mixer
    std::unique_ptr<Mixer<T>> mixer;
    typename SwiGlu::template Workspace<T> unit;
  };

  void expect(const char* where, const NamedWeights<T>& weights, const NamedWeights<T>& state) const {
    model_.zeros().expect_like(where, weights);
    model_.initial_state().expect_like(where, state);
  }

  /// All layers.
  void run(const NamedWeights<T>& weights, std::span<const Index> ids, NamedWeights<T>& state, Along along) {
    const auto count = static_cast<Index>(ids.size());
    const auto columns = [&](Array<T>& array) { return array.view().columns(0, count); };
    model_.embedding().forward({weights[0]}, ids, columns(layers_.front().h));
    for (Index l = 0; l < model_.sizes().depth; ++l) {
      Layer& layer = layers_[static_cast<std::size_t>(l)];
      const View<T> h = columns(layer.h), u = columns(layer.u), between = columns(layer.between), m = columns(layer.m),
                    r = columns(layer.r),
                    next = columns(l + 1 < model_.sizes().depth ? layers_[static_cast<std::size_t>(l + 1)].h : last_);
      const std::size_t first = model_.first_of(l), after = model_.end_of(l) - 5;
      model_.norm().forward({weights[first]}, h.as_const(), u);
      layer.mixer->forward(weights, first + 1, u.as_const(), state, model_.first_of_state(l), along, r);
      detail::copy(h.as_const(), between);
      kernels::add_columns(weights[after], r.as_const(), between);
      model_.norm().forward({weights[after + 1]}, between.as_const(), m);
      detail::copy(between.as_const(), next);
      model_.unit().forward({weights[after + 2], weights[after + 3], weights[after + 4]}, m.as_const(), next,
                            layer.unit);
    }
  }

  /// VJP of layer l: `bar` becomes the cotangent of what it read.
  void pull(Index l, const NamedWeights<T>& weights, Index count, View<T> bar, NamedWeights<T>& gradient) {
    Layer& layer = layers_[static_cast<std::size_t>(l)];
    const auto columns = [&](Array<T>& array) { return array.view().columns(0, count); };
    const std::size_t first = model_.first_of(l), after = model_.end_of(l) - 5;
    const View<T> part_bar = columns(part_bar_), r_bar = columns(r_bar_);
    part_bar.fill(T(0));
    model_.unit().vjp({weights[after + 2], weights[after + 3], weights[after + 4]}, columns(layer.m).as_const(),
                      bar.as_const(), {gradient[after + 2], gradient[after + 3], gradient[after + 4]}, part_bar,
                      layer.unit);
    model_.norm().vjp({weights[after + 1]}, columns(layer.between).as_const(), part_bar.as_const(),
                      {gradient[after + 1]}, bar);
    kernels::add_outer_products(bar.as_const(), columns(layer.r).as_const(), gradient[after]);
    r_bar.fill(T(0));
    kernels::add_transposed(weights[after], bar.as_const(), r_bar);
    part_bar.fill(T(0));
    layer.mixer->vjp(weights, first + 1, columns(layer.u).as_const(), first_, model_.first_of_state(l),
                     r_bar.as_const(), state_bar_, gradient, part_bar);
    model_.norm().vjp({weights[first]}, columns(layer.h).as_const(), part_bar.as_const(), {gradient[first]}, bar);
  }

  DeepModel<T> model_;
  Index length_;
  std::vector<Layer> layers_;
  Array<T> last_, normed_, marked_, bar_, part_bar_, r_bar_, logits_, logits_bar_;
  NamedWeights<T> first_, state_bar_;
  std::vector<Index> at_, targets_;
};

}  // namespace gdssm
