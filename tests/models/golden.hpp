// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "support/golden.hpp"

#include "gdssm/models/two_step_stack.hpp"
#include "gdssm/training/gradient.hpp"

// Models with the parameters of a file of reference figures, and their figures against the file's.
namespace gdssm::test {

/// The reference's name of a parameter: "layers_0/seq/w_q" of "attention.A", or of "layers_0.attention.A".
inline std::string reference_name(const Name& name) {
  if (name.head == "layers") {
    std::string of_layer = reference_name(*name.tail);
    return of_layer.replace(0, of_layer.find('/'), "layers_" + std::to_string(name.number));
  }
  const std::string ours = name.str();
  for (const auto& [known, theirs] : {std::pair{"attention.A", "seq/w_q"},
                                      {"recurrence.Lambda", "seq/Lambda_re"},
                                      {"recurrence.log_step", "seq/log_step"},
                                      {"readout.C", "seq/C"},
                                      {"gate.d", "seq/D"},
                                      {"embedding.kernel", "seq/encoder/kernel"},
                                      {"embedding.bias", "seq/encoder/bias"},
                                      {"unit.kernel", "out2/kernel"},
                                      {"unit.bias", "out2/bias"},
                                      {"output.kernel", "out3/kernel"},
                                      {"output.bias", "out3/bias"}})
    if (ours == known) return std::string("layers_0/") + theirs;
  refuse("reference_name", "the reference has no ", ours);
}

template <class P, class Model>
typename Model::template Parameters<P> golden_parameters(const Golden& golden, const Model& model) {
  auto p = model.template parameters<P>();
  visit(
      [&](const Name& name, auto& matrix) {
        const Eigen::MatrixXd figures = golden.matrix("/params/" + reference_name(name));
        expect_equal(golden.file().c_str(), "the number of rows of a parameter", figures.rows(), matrix.rows());
        expect_equal(golden.file().c_str(), "the number of columns of a parameter", figures.cols(), matrix.cols());
        matrix = figures.cast<P>();
      },
      p);
  return p;
}

/// The last coordinates of a file's targets, as many as the model has outputs.
template <class P>
std::vector<Context<P>> golden_contexts(const Golden& golden, Index outputs) {
  const auto tokens = golden.matrices("/tokens");
  const Eigen::MatrixXd targets = golden.matrix("/target");
  expect_equal(golden.file().c_str(), "the number of targets", targets.rows(), static_cast<Index>(tokens.size()));
  std::vector<Context<P>> contexts;
  for (const Eigen::MatrixXd& rows : tokens) {
    const Eigen::VectorXd target = targets.row(static_cast<Index>(contexts.size())).transpose();
    contexts.push_back({rows.transpose().cast<P>(), target.tail(outputs).cast<P>()});
  }
  return contexts;
}

/// -logits, at every window of a layer or in all rows of the two-step stack, one context in each lane.
template <class S, class Model>
void compare_outputs(const Golden& golden, const Model& model, Comparisons& compare) {
  using P = LaneScalar<S>;
  const auto c = model.prepare(golden_parameters<P>(golden, model));
  const auto logits = golden.matrices("/logits");
  const Batch<S> batch(model.window(), golden_contexts<P>(golden, model.output_count()));
  auto ws = model.template workspace<S>();
  std::size_t b = 0;
  for (const LaneGroup<S>& group : batch.groups()) {
    const Sequence<S, Model::features> sequence{group.tokens.view()};
    auto state = model.template initial_state<S>();
    Array<S, Model::outputs> predictions(model.output_count(), logits.front().rows());
    model.forward(c, sequence, state, predictions.view(), ws);
    for (Index l = 0; l < lane_count<S> && b < logits.size(); ++l, ++b) {
      Eigen::MatrixXd of_lane(predictions.rows(), predictions.cols());
      for (Index i = 0; i < predictions.size(); ++i) of_lane.data()[i] = lane(predictions[i], l);
      compare("outputs of context " + std::to_string(b), of_lane, -logits[b].transpose(),
              std::is_same_v<P, double> ? 1e-12 : 1e-5);
    }
  }
  CHECK(b == logits.size());
}

/// The loss, and its gradient with respect to every parameter.
template <class S, class Kind, class Method, class Model>
void compare_gradient(const Golden& golden, const Model& model, Comparisons& compare) {
  using P = LaneScalar<S>;
  constexpr bool precise = std::is_same_v<P, double>;
  const auto p = golden_parameters<P>(golden, model);
  const Batch<S> batch(model.window(), golden_contexts<P>(golden, model.output_count()));
  BatchGradient<Model, S, Kind, Method> batch_gradient(model, batch.windows(), batch.losses());
  auto gradient = model.template parameters<P>();
  const P loss = batch_gradient(p, batch, gradient);
  compare("loss", loss, golden.value<double>("/loss"), precise ? 1e-12 : 1e-5);
  visit(
      [&](const Name& name, const auto& matrix) {
        compare("gradient of " + name.str(), matrix, golden.matrix("/grads/" + reference_name(name)),
                precise ? 1e-12 : 1e-4);
      },
      gradient);
}

/// All figures, with plain scalars and with lanes, by both methods.
template <class P, class Kind, class Model>
void compare_everything(const Golden& golden, const Model& model, Comparisons& compare) {
  INFO(golden.file());
  CAPTURE(Model::features, sizeof(P));
  using S = Lanes<P>;
  compare_outputs<P>(golden, model, compare);
  compare_outputs<S>(golden, model, compare);
  compare_gradient<P, Kind, StoredHistory>(golden, model, compare);
  compare_gradient<P, Kind, ForwardSensitivity>(golden, model, compare);
  compare_gradient<S, Kind, StoredHistory>(golden, model, compare);
  compare_gradient<S, Kind, ForwardSensitivity>(golden, model, compare);
}

}  // namespace gdssm::test
