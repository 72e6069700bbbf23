// SPDX-License-Identifier: Apache-2.0
#include "gdssm/deep/model.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/message_of.hpp"
#include "support/no_heap.hpp"
#include "support/random.hpp"

#include "gdssm/deep/batch_gradient.hpp"

namespace gdssm {
namespace {

using test::message_of;

std::vector<DeepSizes> models() {
  std::vector<DeepSizes> all;
  for (const char* mixer : {"gril", "linear", "gated_delta", "kda", "mamba2"}) {
    all.push_back({7, 6, 1, 1, 3, 5, mixer, 1, 0, true});
    all.push_back({5, 4, 2, 2, 2, 3, mixer, 2, 1, false});
    all.push_back({5, 4, 2, 3, 2, 3, mixer, 4, 2, false});
  }
  return all;
}

std::vector<Index> ids_of(Index vocabulary, Index length) {
  std::vector<Index> ids;
  for (Index t = 0; t < length; ++t) ids.push_back((3 * t + t * t / 5) % vocabulary);
  return ids;
}

TEST_CASE("a step gives the bits of a whole sequence, and so do parts of any length", "[theorem]") {
  for (const DeepSizes& sizes : models()) {
    CAPTURE(sizes.mixer, sizes.convolution);
    const DeepModel<float> model(sizes);
    const auto weights = model.draw(3);
    constexpr Index T = 19;
    const std::vector<Index> ids = ids_of(sizes.vocabulary, T);
    DeepPass<float> whole(model, T), parts(model, 5);
    auto state = model.initial_state(), stepped = state, cut = state;
    Array<float> logits(sizes.vocabulary, T), one(sizes.vocabulary, T), two(sizes.vocabulary, T);
    whole.forward(weights, ids, state, logits.view());
    for (Index t = 0; t < T; ++t) parts.step(weights, ids[static_cast<std::size_t>(t)], stepped, one.view().column(t));
    parts.forward(weights, std::span(ids).first(8), cut, two.view().columns(0, 8));
    parts.forward(weights, std::span(ids).subspan(8), cut, two.view().columns(8, T - 8));
    CHECK(logits == one);
    CHECK(logits == two);
    CHECK(identical(state, stepped));
    CHECK(identical(state, cut));
  }
}

TEST_CASE("the gradient of a batch is that of its mean loss, for any mixer and sizes", "[vjp]") {
  for (const DeepSizes& sizes : models()) {
    CAPTURE(sizes.mixer, sizes.convolution);
    const DeepModel<double> model(sizes);
    auto weights = model.draw(5);
    MarkedSequences batch(2, 10);
    for (Index b = 0; b < 2; ++b)
      for (std::size_t t = 0; t < 10; ++t) {
        batch.ids(b)[t] = ids_of(sizes.vocabulary, 11 + b)[t + static_cast<std::size_t>(b)];
        batch.targets(b)[t] = static_cast<Index>(t) % sizes.vocabulary;
        batch.marked(b)[t] = (t + static_cast<std::size_t>(b)) % 3 != 0;
      }
    ThreadPool pool;
    DeepGradient<double> gradient_of(model, 2, 10, pool);
    auto gradient = model.zeros(), ignored = gradient, direction = gradient;
    gradient_of(weights, batch, gradient);
    test::Random(7).fill(direction);
    double along = 0;
    visit([&](const Name&, const auto& g, const auto& d) { along += g.cwiseProduct(d).sum(); }, gradient, direction);
    const auto difference = [&](double h) {
      const auto loss_at = [&](double step) {
        auto moved = weights;
        visit([&](const Name&, auto& w, const auto& d) { w += step * d; }, moved, direction);
        return gradient_of(moved, batch, ignored);
      };
      return (loss_at(h) - loss_at(-h)) / (2 * h);
    };
    // The norm of an answer to a single pair is almost a step of k.q, so the next order is taken out.
    const double by_differences = (4 * difference(2e-6) - difference(4e-6)) / 3;
    CHECK(std::abs(by_differences - along) < 1e-6 * (1 + std::abs(along)));
  }
}

TEST_CASE("a batch in pieces has the loss and the gradient of its sequences, and the same bits on two threads",
          "[theorem]") {
  const DeepModel<double> model({5, 4, 1, 2, 2, 3});
  const auto weights = model.draw(1);
  MarkedSequences batch(3, 600);  // three pieces
  for (Index b = 0; b < 3; ++b)
    for (std::size_t t = 0; t < 600; ++t) {
      batch.ids(b)[t] = batch.targets(b)[t] = (static_cast<Index>(t * t) + b) % 5;
      batch.marked(b)[t] = 1;
    }
  ThreadPool one(1), two(2);
  auto first = model.zeros(), second = first;
  const double loss = DeepGradient<double>(model, 3, 600, one)(weights, batch, first);
  CHECK(DeepGradient<double>(model, 3, 600, two)(weights, batch, second) == loss);
  CHECK(identical(first, second));

  DeepPass<double> pass(model, 600);
  auto sum = model.zeros();
  double losses = 0;
  for (Index b = 0; b < 3; ++b)
    losses += pass.loss_and_gradient(weights, batch.ids(b), batch.targets(b), batch.marked(b), 1.0 / 1800, sum);
  CHECK(std::abs(loss - losses / 1800) < 1e-14);
  visit([](const Name&, const auto& a, const auto& b) { CHECK((a - b).cwiseAbs().maxCoeff() < 1e-13); }, first, sum);
}

TEST_CASE("a pass along sequences allocates nothing", "[theorem]") {
  for (const DeepSizes& sizes : models()) {
    const DeepModel<float> model(sizes);
    const auto weights = model.draw(3);
    const std::vector<Index> ids = ids_of(sizes.vocabulary, 12);
    const std::vector<char> marked(12, 1);
    DeepPass<float> pass(model, 12);
    auto state = model.initial_state(), gradient = model.zeros();
    Array<float> logits(sizes.vocabulary, 12);
    const auto work = [&] {
      pass.forward(weights, ids, state, logits.view());
      pass.step(weights, 2, state, logits.view().column(0));
      pass.loss_and_gradient(weights, ids, ids, marked, 1, gradient);
    };
    work();
    CHECK(test::allocations_of(work) == 0);
  }
}

TEST_CASE("deep models refuse sizes, ids and states that do not fit", "[misuse]") {
  CHECK(message_of([] {
          DeepModel<float>({5, 4, 1, 1, 4, 8, "transformer"});
        }) == "make_mixer: the mixer is \"transformer\", expected gril, linear, gated_delta, kda or mamba2");
  CHECK(message_of([] {
          DeepModel<float>({5, 4, 0, 1, 4, 8});
        }) == "DeepModel: depth, heads and head size are 0, 1 and 4, expected at least 1 each");
  const DeepModel<float> model({5, 4, 1, 1, 4, 8}), other({5, 4, 1, 1, 3, 8});
  const auto weights = model.zeros();
  auto state = model.initial_state(), gradient = model.zeros();
  DeepPass<float> pass(model, 3);
  Array<float> logits(5, 2);
  const std::vector<Index> ids{1, 5}, fine{1, 4}, long_ids{1, 2, 3, 4};
  const std::vector<char> marked{1, 1}, long_marks{1, 1, 1, 1};
  CHECK(message_of([&] { pass.forward(weights, ids, state, logits.view()); }) ==
        "TokenEmbedding: id 1 is 5, expected 0 to 4");
  CHECK(message_of([&] { pass.forward(weights, long_ids, state, logits.view()); }) ==
        "DeepPass::forward: the number of columns of the logits is 2, expected 4");
  CHECK(message_of([&] { pass.forward(other.zeros(), fine, state, logits.view()); }) ==
        "DeepPass::forward: layers.0.w_q is 3 x 4, expected 4 x 4");
  auto wrong = other.initial_state();
  CHECK(message_of([&] { pass.forward(weights, fine, wrong, logits.view()); }) ==
        "DeepPass::forward: layers.0.state is 3 x 3, expected 4 x 4");
  CHECK(message_of([&] { pass.loss_and_gradient(weights, long_ids, long_ids, long_marks, 1, gradient); }) ==
        "DeepPass::loss_and_gradient: the sequence has 4 tokens, the pass room for 3");
  CHECK(message_of([&] { pass.loss_and_gradient(weights, fine, fine, long_marks, 1, gradient); }) ==
        "DeepPass::loss_and_gradient: the number of marks is 4, expected 2");
  CHECK(message_of([&] { pass.loss_and_gradient(weights, fine, ids, marked, 1, gradient); }) ==
        "cross_entropy: target 1 is 5, expected 0 to 4");
  ThreadPool pool;
  DeepGradient<float> gradient_of(model, 1, 3, pool);
  CHECK(message_of([&] { gradient_of(weights, MarkedSequences(1, 3), gradient); }) ==
        "DeepGradient: no position is marked, expected at least 1");
  CHECK(message_of([&] { gradient_of(weights, MarkedSequences(2, 3), gradient); }) ==
        "DeepGradient: the batch is 2 x 3, expected at most 1 x 3");
  CHECK(message_of([] { MarkedSequences(0, 3); }) ==
        "MarkedSequences: batch and length are 0 and 3, expected at least 1 each");
}

}  // namespace
}  // namespace gdssm
