// SPDX-License-Identifier: Apache-2.0
// Training without end: a layer with random weights reads one endless stream of pairs y = W* x, whose map W* changes
// now and then, and learns from every pair as it comes. The gradient is exact and needs no second pass over the tokens,
// equations (12) and (13) of docs/theory.md. Beside it, what theory says of the best such layer, (9a) and (9b).

#include <iostream>

#include <gdssm/gdssm.hpp>

int main() {
  using Layer = gdssm::PaperLayer<4>;
  using Vector = Eigen::Vector4f;
  const double change = 1.0 / 50;  // a map lives for 50 pairs on average
  const gdssm::Index pairs = 2000000, pairs_an_update = 64, pairs_a_report = 250000;

  const Layer layer;
  const gdssm::OnlineGradient<Layer> online(layer);
  const gdssm::AdamW optimizer{.groups = {{{}, 1e-3}}};
  auto run = gdssm::begin_run(optimizer, gdssm::reference_initialization<float>(layer, 1));
  auto coefficients = layer.prepare(run.parameters);
  auto coefficients_bar = coefficients;
  gdssm::fill(coefficients_bar, 0);
  auto state = online.initial_state<float>();
  auto workspace = online.workspace<float>();

  gdssm::RandomStream<float> random(1);
  Eigen::Matrix4f W;
  const auto draw_map = [&] { W = W.unaryExpr([&](float) { return random.normal(); }); };
  const auto token = [](const Vector& vector) { return gdssm::View<const float, 4, 1>(vector.data(), 4, 1); };

  draw_map();
  Vector prediction;
  double loss = 0;
  std::cout << "pairs read   loss per output\n";
  for (gdssm::Index t = 1; t <= pairs; ++t) {
    if (random.uniform() < change) draw_map();
    const Vector x = Vector::NullaryExpr([&] { return random.uniform() - 0.5f; }), y = W * x;

    if (online.step(coefficients, token(x), state, gdssm::view_of(prediction), workspace)) {
      const Vector error = prediction - y;
      loss += error.squaredNorm() / 8 / pairs_a_report;
      online.pull(coefficients, state, token(error / (4 * pairs_an_update)), coefficients_bar, workspace);
    }
    online.step(coefficients, token(y), state, gdssm::view_of(prediction), workspace);

    if (t % pairs_an_update == 0) {
      auto gradient = layer.parameters<float>();
      layer.prepare_vjp(run.parameters, coefficients, coefficients_bar, gradient);
      optimizer.update(gradient, 1, run.parameters, run.optimizer);
      layer.prepare(run.parameters, coefficients);
      gdssm::fill(coefficients_bar, 0);
    }
    if (t % pairs_a_report == 0) {
      std::cout << t << "       " << loss << "\n";
      if (t < pairs) loss = 0;
    }
  }

  const gdssm::DriftingTask<> task{4, change, gdssm::uniform_inputs(1.0)};
  const double best = gdssm::best_decay(task), step = gdssm::best_step(task, best);
  const auto form = gdssm::canonical_form(layer, run.parameters);
  std::cout << "learned      step " << gdssm::distance_from_step(form, gdssm::VectorTargets()).step << ", decay "
            << form.L.mean() << "\n"
            << "theory       step " << step << ", decay " << best << ", loss " << gdssm::expected_loss(task, step, best)
            << "\n";
  if (loss < 1.1 * gdssm::expected_loss(task, step, best)) return 0;
  std::cerr << "expected a loss within 10 % of theory's\n";
  return 1;
}
