// SPDX-License-Identifier: Apache-2.0
#include "gdssm/deep/recall.hpp"

#include "gdssm/construction/recall.hpp"
#include "gdssm/tasks/associative_recall.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

using test::message_of;

/// A model of one layer and one head.
DeepSizes sizes_of(const std::string& mixer, Index vocabulary, Index width) {
  return {vocabulary, width, 1, 1, width, 4, mixer, 3, 2, true};
}

/// How many of a task's queries have the largest logit at their value, among the ids from `first` on.
template <class T>
Index right_answers(DeepPass<T>& pass, const NamedWeights<T>& weights, NamedWeights<T> state,
                    const MarkedSequences& one, Index first, Index vocabulary) {
  Array<T> logits(vocabulary, one.length());
  pass.forward(weights, one.ids(0), state, logits.view());
  Index right = 0;
  for (std::size_t t = 0; t < one.ids(0).size(); ++t) {
    if (!one.marked(0)[t]) continue;
    Index largest = first;
    for (Index id = first; id < vocabulary; ++id)
      if (logits(id, static_cast<Index>(t)) > logits(largest, static_cast<Index>(t))) largest = id;
    right += largest == one.targets(0)[t];
  }
  return right;
}

TEST_CASE("Theorem: constructed models with orthonormal embeddings answer every query of associative recall",
          "[theorem]") {
  const AssociativeRecall tasks{.ids = 34, .tokens = 32, .pairs = 8, .filler = Filler::zero};
  MarkedSequences one(1, 32);
  for (const char* mixer : {"gril", "linear", "gated_delta", "kda"}) {
    DeepSizes sizes = sizes_of(mixer, 34, 34);
    for (const Index wider : {0, 2}) {
      sizes.window += wider;
      sizes.convolution += wider;
      const DeepModel<float> model(sizes);
      DeepPass<float> pass(model, 32);
      const auto weights = recall_weights(model);
      for (std::uint64_t i = 0; i < 5; ++i) {
        draw_batch(tasks, 1, i, one);
        CAPTURE(mixer, wider, i);
        CHECK(right_answers(pass, weights, model.initial_state(), one, 0, 34) == 8);
      }
    }
  }
}

TEST_CASE("Theorem: gril's constructed logits at a query are twice as large for the value as for the key, else 0",
          "[theorem]") {
  const AssociativeRecall tasks{.ids = 18, .tokens = 16, .pairs = 4, .filler = Filler::zero};
  const DeepModel<double> model(sizes_of("gril", 18, 18));
  DeepPass<double> pass(model, 16);
  const auto weights = recall_weights(model);
  MarkedSequences one(1, 16);
  draw_batch(tasks, 2, 0, one);
  auto state = model.initial_state();
  Array<double> logits(18, 16);
  pass.forward(weights, one.ids(0), state, logits.view());
  for (std::size_t t = 0; t < 16; ++t) {
    if (!one.marked(0)[t]) continue;
    const auto at = static_cast<Index>(t);
    for (Index id = 0; id < 18; ++id) {
      const double of_key = logits(one.ids(0)[t], at);
      // The norm is undone but for rounding, so r is the value's unit vector to a few units in the last place.
      CHECK(std::abs(logits(id, at) - of_key * (id == one.targets(0)[t] ? 2 : id == one.ids(0)[t] ? 1 : 0)) < 1e-14);
      CHECK(of_key > 1);
    }
  }
}

TEST_CASE("recall: with random embeddings a constructed model is as often right as (74) says", "[theorem]") {
  constexpr Index f = 24, pairs = 4, vocabulary = 32;
  const AssociativeRecall tasks{.ids = vocabulary, .tokens = 16, .pairs = pairs, .exponent = -8};
  const DeepModel<float> model(sizes_of("gril", vocabulary, f));
  DeepPass<float> pass(model, 16);
  double first = 0, all = 0;
  MarkedSequences one(1, 16);
  for (std::uint64_t i = 0; i < 400; ++i) {
    Eigen::MatrixXf E(f, vocabulary);
    RandomStream<float>(3, i).fill_normal({E.data(), E.size(), 1});
    for (Index id = 0; id < vocabulary; ++id) E.col(id).normalize();
    const auto weights = recall_weights<float>(model, E.transpose());
    draw_batch(tasks, 4, i, one);
    if (!one.marked(0)[2 * pairs]) continue;                                // with this exponent nearly always
    for (std::size_t t = 2 * pairs + 1; t < 16; ++t) one.marked(0)[t] = 0;  // right behind the context
    first += static_cast<double>(right_answers(pass, weights, model.initial_state(), one, vocabulary / 2, vocabulary));
    ++all;
  }
  const double expected = recall_accuracy(f, 2 * (pairs - 1), pairs, vocabulary / 2);
  CAPTURE(first, all, expected);
  CHECK(all > 300);
  // The residual adds half of <e, k> to every score. That is 1/f / 4 more variance, and less than 0.02.
  CHECK(std::abs(first / all - expected) < 4 * std::sqrt(expected * (1 - expected) / all) + 0.02);
}

TEST_CASE("recall weights: models for which there are none are refused", "[misuse]") {
  const auto said = [](auto change, Index rows = 6) {
    DeepSizes sizes = sizes_of("gril", 6, 6);
    change(sizes);
    return message_of([&] { recall_weights<float>(DeepModel<float>(sizes), Eigen::MatrixXf::Identity(rows, 6)); });
  };
  CHECK(said([](DeepSizes&) {}) == "");
  CHECK(said([](DeepSizes& s) { s.depth = 2; }) == "recall_weights: the number of layers is 2, expected 1");
  CHECK(said([](DeepSizes& s) { s.heads = 2; }) == "recall_weights: the number of heads is 2, expected 1");
  CHECK(said([](DeepSizes& s) { s.head_size = 3; }) == "recall_weights: the size of a head is 3, expected 6");
  CHECK(said([](DeepSizes& s) { s.tied = false; }) == "recall_weights: whether the output is tied is 0, expected 1");
  CHECK(said([](DeepSizes& s) { s.window = 2; }) == "recall_weights: the window is 2, expected at least 3");
  CHECK(said([](DeepSizes& s) { s.mixer = "linear", s.convolution = 1; }) ==
        "recall_weights: the convolution has 1 taps, expected at least 2");
  CHECK(said([](DeepSizes& s) { s.mixer = "mamba2"; }) ==
        "recall_weights: the mixer is \"mamba2\", expected gril, linear, gated_delta or kda");
  CHECK(said([](DeepSizes&) {}, 5) == "recall_weights: the number of rows of the embedding is 5, expected 6");
}

}  // namespace
}  // namespace gdssm
