// SPDX-License-Identifier: Apache-2.0
// A block of your own in a slot of the model: a recurrence with a single weight, the number of pairs that it looks
// back. It is written as gdssm's own blocks are, and its derivative is checked against dual numbers. Trained where the
// map W* changes within the context, it finds the horizon that theory says is best, (9c) of docs/theory.md.
#include <cmath>
#include <iostream>

#include <gdssm/gdssm.hpp>

/// Equation (2) with one decay for all entries, L = exp(-1 / h), where h = exp(log_horizon) is in pairs. The state, how
/// it is stepped and the gradient with respect to L are those of the block that this one is a kind of.
template <gdssm::Index Size>
class Horizon : public gdssm::DiagonalRecurrence<Size> {
  using Base = gdssm::DiagonalRecurrence<Size>;

 public:
  template <class T>
  using Coefficients = typename Base::template Coefficients<T>;

  /// What is trained. Optimisers, files and printing know it by the name that `visit` gives it.
  template <class T>
  struct Parameters {
    Eigen::Matrix<T, 1, 1> log_horizon;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(gdssm::Name{"log_horizon"}, self.log_horizon...);
    }
  };
  template <class T>
  Parameters<T> parameters() const {
    return {Eigen::Matrix<T, 1, 1>(T(0))};
  }

  /// The decay, once an update.
  template <class T>
  void prepare(const Parameters<T>& p, Coefficients<T>& c) const {
    using std::exp;
    c.decay.fill(exp(-exp(-p.log_horizon[0])));
  }

  /// Its gradient back to the weight: dL / dlog_horizon = L / h.
  template <class T>
  void prepare_vjp(const Parameters<T>& p, const Coefficients<T>& c, const Coefficients<T>& c_bar,
                   Parameters<T>& p_bar) const {
    using std::exp;
    const T L = c.decay[0], one_by_h = exp(-p.log_horizon[0]);
    for (gdssm::Index e = 0; e < c_bar.decay.size(); ++e) p_bar.log_horizon[0] += c_bar.decay[e] * L * one_by_h;
  }
};
static_assert(gdssm::RecurrenceBlock<Horizon<5>>);  // what the slot of equation (2) asks of a block

using Layer = gdssm::AugmentedSsm<gdssm::LocalAttention<5>, Horizon<5>, gdssm::Readout<5>, gdssm::OutputGate<5>>;

/// Equation (7), but that the decay is this block's, with a horizon of one pair.
template <class T>
auto one_step(const Layer& layer) {
  auto p = layer.parameters<T>();
  p.attention.A(0, 1) = p.gate.d[2] = T(1);
  p.readout.C.diagonal().setConstant(T(-1));
  return p;
}

/// The derivative of a context's loss with respect to log_horizon: by `prepare_vjp`, and by a dual number, which
/// carries its derivative through every formula.
bool derivative_is_right(const Layer& layer, const gdssm::TokenSequence& context) {
  const gdssm::Batch<double> batch(layer.window(), {{context.tokens, context.targets}});
  gdssm::BatchGradient<Layer, double> loss_gradient(layer, batch.windows(), 1);
  auto gradient = layer.parameters<double>();
  loss_gradient(one_step<double>(layer), batch, gradient);

  using Dual = gdssm::Dual<double>;
  auto p = one_step<Dual>(layer);
  p.recurrence.log_horizon[0].derivative = 1;
  const Eigen::VectorX<Dual> answer = layer.predict(p, context.tokens.cast<Dual>()).rightCols(1);
  const Dual loss = (answer - context.targets.cast<Dual>()).squaredNorm() / Dual(2.0 * Layer::outputs);

  const double by_vjp = gradient.recurrence.log_horizon[0], by_duals = loss.derivative;
  std::cout << "derivative   " << by_vjp << ", by dual numbers " << by_duals << "\n";
  return std::abs(by_vjp - by_duals) < 1e-12 * std::abs(by_duals);
}

int main() {
  const Layer layer;
  const gdssm::Index f = Layer::features, N = 20, updates = 1000;
  const gdssm::DriftingRegression tasks{{.features = f, .outputs = f, .context = N}, 0.1};
  if (!derivative_is_right(layer, tasks.sequence(2, 0))) {
    std::cerr << "the derivative in prepare_vjp is wrong\n";
    return 1;
  }

  // Of the layer's weights those are trained that theory speaks of: the horizon, and C, the step.
  const gdssm::AdamW optimizer{.groups = {{{"log_horizon", "C"}, 2e-2}, {{}, 0}}};
  auto run = gdssm::begin_run(optimizer, one_step<double>(layer));
  gdssm::ThreadPool pool;
  gdssm::train<double, gdssm::VectorTargets, gdssm::StoredHistory>(
      layer, tasks, optimizer, gdssm::WarmUpCosine{0, updates}, {.updates = updates}, run, pool);

  const gdssm::DriftingContext<> theory{f, N, tasks.change, gdssm::uniform_inputs(1.0)};
  const double trained = std::exp(run.parameters.recurrence.log_horizon[0]);
  const double best = -1 / std::log(gdssm::best_decay(theory));
  std::cout << "horizon      trained " << trained << " pairs, best " << best << "\n";
  if (std::abs(trained / best - 1) < 0.05) return 0;
  std::cerr << "expected the trained horizon to be within 5 % of the best\n";
  return 1;
}
