// SPDX-License-Identifier: Apache-2.0
// A block of your own in a slot of the model: a recurrence with a single weight, the number of pairs that it looks
// back. It is written as gdssm's own blocks are, and its derivatives are checked on every path that training takes.
// Trained where the map W* changes within the context, it finds the horizon that theory says is best, (9c) of
// docs/theory.md.
#include <cmath>
#include <iostream>

#include <gdssm/analysis/check_gradient.hpp>
#include <gdssm/gdssm.hpp>

/// Equation (2) with one decay for all entries, L = exp(-1 / h), where h = exp(log_horizon) is in pairs. The state, how
/// it is stepped and the gradient with respect to L are those of the block that this one is a kind of.
template <gdssm::Index Size>
class Horizon : public gdssm::DiagonalRecurrence<Size> {
 public:
  /// What is trained. Optimisers, files and printing know it by the name that `visit` gives it.
  template <class Storage>
  struct Weights {
    gdssm::MatrixIn<Storage, 1, 1> log_horizon;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(gdssm::Name{"log_horizon"}, self.log_horizon...);
    }
  };
  template <class T>
  using Parameters = Weights<gdssm::InMatrices<T>>;
  template <class T>
  using Coefficients = typename gdssm::DiagonalRecurrence<Size>::template Coefficients<T>;

  template <class T>
  Parameters<T> parameters() const {
    return {gdssm::zeros_in<gdssm::InMatrices<T>, 1, 1>()};
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

  /// Random weights: a horizon of one pair to eight.
  template <class T>
  void draw(Parameters<T>& p, gdssm::RandomStream<>& stream) const {
    p.log_horizon[0] = T(std::log(8) * stream.uniform());
  }

  /// Its share of the closed form (7), which forgets nothing: a horizon of a million pairs.
  template <class T>
  void construct(Parameters<T>& p, const T&) const {
    p.log_horizon[0] = T(std::log(1e6));
  }
};
static_assert(gdssm::RecurrenceBlock<Horizon<5>>);  // what the slot of equation (2) asks of a block

int main() {
  using Layer = gdssm::AugmentedSsm<gdssm::LocalAttention<5>, Horizon<5>, gdssm::Readout<5>, gdssm::OutputGate<5>>;
  const Layer layer;
  if (const auto report = gdssm::check_gradient(layer); !report) {
    std::cerr << report.message << "\n";
    return 1;
  }

  // Of the layer's weights those are trained that theory speaks of: the horizon, from one pair, and C, the step.
  const gdssm::DriftingRegression tasks{{.features = 5, .outputs = 5, .context = 20}, 0.1};
  auto start = gdssm::gradient_step(layer, 1.0);
  start.recurrence.log_horizon[0] = 0;
  const gdssm::AdamW optimizer{.groups = {{{"log_horizon", "C"}, 2e-2}, {{}, 0}}};
  const auto run = gdssm::train<double>(layer, tasks, {.updates = 1000, .optimizer = optimizer}, start);

  const double trained = std::exp(run.weights.recurrence.log_horizon[0]);
  const double best = -1 / std::log(gdssm::best_decay(gdssm::theory_of(tasks)));
  std::cout << "horizon      trained " << trained << " pairs, best " << best << "\n";
  if (std::abs(trained / best - 1) < 0.05) return 0;
  std::cerr << "expected the trained horizon to be within 5 % of the best\n";
  return 1;
}
