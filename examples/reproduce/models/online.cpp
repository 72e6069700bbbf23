// SPDX-License-Identifier: Apache-2.0
#include "reproduce/models/online.hpp"

#include <utility>

#include "gdssm/analysis/canonical.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/training/online_gradient.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm::reproduce::online {
namespace {

constexpr double rate = 1e-3;

using Vector = Eigen::Matrix<float, static_cast<int>(features), 1>;
using Token = View<const float, features, 1>;

/// Pairs without end; each is preceded by a new map with probability 1 / life.
class Stream {
 public:
  enum class Use : std::uint32_t { training, evaluation };

  Stream(std::uint64_t seed, Use use) : random_(seed, 0, static_cast<std::uint32_t>(use)) { draw_map(); }

  void next(Vector& x, Vector& y) {
    if (random_.uniform() < 1.0f / static_cast<float>(life)) draw_map();
    for (float& entry : x) entry = random_.uniform() - 0.5f;
    y = W_ * x;
  }

 private:
  void draw_map() {
    for (float& entry : W_.reshaped()) entry = random_.normal();
  }

  RandomStream<float> random_;
  Eigen::Matrix<float, static_cast<int>(features), static_cast<int>(features)> W_;
};

double loss_of(const Vector& prediction, const Vector& y) {
  return static_cast<double>((prediction - y).squaredNorm()) / (2 * static_cast<double>(features));
}
Token token(const Vector& vector) { return {vector.data(), features, 1}; }

}  // namespace

Sample held_loss(const Layer& layer, const Parameters& parameters, std::uint64_t seed, Index pairs) {
  constexpr Index block = 1000;
  const auto c = layer.prepare(parameters);
  auto state = layer.initial_state<float>();
  auto ws = layer.workspace<float>();
  Stream stream(seed, Stream::Use::evaluation);
  Vector x, y, prediction;
  Sample sample;
  for (Index b = -1; b < pairs / block; ++b) {
    double sum = 0;
    for (Index t = 0; t < block; ++t) {
      stream.next(x, y);
      if (layer.step(c, token(x), state, view_of(prediction), ws)) sum += loss_of(prediction, y);
      layer.step(c, token(y), state, view_of(prediction), ws);
    }
    if (b >= 0) sample.add(sum / static_cast<double>(block));
  }
  return sample;
}

void learn(const Layer& layer, std::uint64_t seed, Index pairs, Learned& learned) {
  const OnlineGradient<Layer> online(layer);
  const AdamW optimizer{.groups = {{{}, rate}}};
  auto run = begin_run(optimizer, learned.parameters);
  auto c = layer.prepare(run.parameters);
  auto c_bar = c;
  fill(c_bar, 0);
  auto gradient = run.parameters;
  auto state = online.initial_state<float>();
  auto ws = online.workspace<float>();
  Stream stream(seed, Stream::Use::training);
  Vector x, y, prediction;
  const Index pairs_a_point = pairs / points;
  double sum = 0;
  for (Index t = 1; t <= pairs; ++t) {
    stream.next(x, y);
    if (online.step(c, token(x), state, view_of(prediction), ws)) {
      sum += loss_of(prediction, y);
      const Vector g = (prediction - y) / static_cast<float>(features * pairs_an_update);
      online.pull(c, state, token(g), c_bar, ws);
    }
    online.step(c, token(y), state, view_of(prediction), ws);
    if (t % pairs_an_update == 0) {
      fill(gradient, 0);
      layer.prepare_vjp(run.parameters, c, c_bar, gradient);
      optimizer.update(gradient, 1, run.parameters, run.optimizer);
      layer.prepare(run.parameters, c);
      fill(c_bar, 0);
    }
    if (t % pairs_a_point == 0) {
      const auto form = canonical_form(layer, run.parameters);
      learned.curve.row(t / pairs_a_point - 1) << static_cast<double>(t),
          std::exchange(sum, 0) / static_cast<double>(pairs_a_point),
          static_cast<double>(distance_from_step(form, VectorTargets{}).step), static_cast<double>(form.L.mean());
    }
  }
  learned.parameters = run.parameters;
}

}  // namespace gdssm::reproduce::online
