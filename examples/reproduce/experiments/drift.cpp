// SPDX-License-Identifier: Apache-2.0
// `drift`: the map moves within the context. Decays that theory says are best, decays that training finds, decays that
// depend on the token, and the best predictor there is.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/construction/drift.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/training/initialization.hpp"
#include "reproduce/algorithms/drift_optimum.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/statistics.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

/// The paper's layer with decays that depend on the token.
using SelectiveLayer = AugmentedSsm<LocalAttention<>, SelectiveRecurrence<>, Readout<>, OutputGate<>>;

using DriftTrainer = Trainer<PaperLayer<>, DriftingRegression>;
using SelectiveTrainer = Trainer<SelectiveLayer, DriftingRegression>;
using AnnouncedTrainer = Trainer<SelectiveLayer, AnnouncedRegression>;

using Losses = std::vector<double>;

constexpr Index features = 10, context = 20;
// Multiples of the reference's rates: decays have far to go from where the reference begins.
constexpr double rate_factor = 10, decay_factor = 100, selective_factor = 60;

struct Effort {
  std::vector<double> changes, selective_changes;
  Index updates, selective_updates, evaluation, sampled;
};
Effort effort_of(const Options& options) {
  return options.quick ? Effort{{0, 0.05, 0.2}, {0.05}, 600, 200, 4000, 300}
                       : Effort{{0, 0.02, 0.05, 0.1, 0.2, 0.4}, {0.05, 0.2}, 4000, 3000, 20000, 4000};
}

Recipe recipe_of(Index updates, double factor, Index updates_per_draw) {
  Recipe recipe = falling_rates(updates, rate_factor);
  recipe.updates_per_draw = updates_per_draw;
  recipe.optimizer.groups.front().names = {"Lambda", "log_step", "step_bias", "step_weight"};
  recipe.optimizer.groups.front().learning_rate *= factor / rate_factor;
  return recipe;
}

/// What a run ends with.
struct Trained {
  std::uint64_t seed = 0;
  Estimate loss{}, excess{};  ///< over the best decay's closed form, on the same tasks
  Spread decay{0, 0, 0};      ///< over the entries of L
  Safetensors weights{};
  double seconds = 0;
};

/// One rate of change, and what theory says of it.
struct Drift {
  explicit Drift(double change)
      : tasks{{.features = features, .outputs = features, .context = context}, change},
        theory{features, context, change, uniform_inputs(1.0)},
        decay(best_decay(theory)) {}

  DriftingRegression tasks;
  DriftingContext<> theory;
  double decay;                 ///< L*
  Losses kept{}, discounted{};  ///< of the closed forms with L = 1 and L*
  Sample optimum{};
  std::vector<Trained> plain{}, selective{}, announced{};

  double change() const { return theory.change; }
  double loss(double L) const { return expected_loss(theory, best_step(theory, L), L); }
  /// What no weights of the pairs by their age can undercut.
  double bound() const { return expected_loss(theory, best_weights(theory)); }

  /// The least loss, over decays and steps, of a layer that forgets all at every change and so has to know of them:
  /// there are n pairs since the last with probability p r^n, all N with r^N.
  double restarted() const {
    double least = zero_loss();
    for (int percent = 50; percent <= 100; ++percent) least = std::min(least, restarted(percent / 100.0));
    return least;
  }
  double restarted(double L) const {
    const double p = change(), r = 1 - p;
    double linear = 0, quadratic = 0;
    for (Index n = 1; n <= context; ++n) {
      const double chance = n < context ? p * std::pow(r, n) : std::pow(r, n);
      const DriftingContext<> run{features, n, 0, theory.inputs};
      const double up = expected_loss(run, 1.0, L), down = expected_loss(run, -1.0, L);
      linear += chance * (down - up) / 2;
      quadratic += chance * ((up + down) / 2 - zero_loss());
    }
    return zero_loss() - linear * linear / (4 * quadratic);
  }
  double zero_loss() const { return expected_loss(theory, 0.0, 1.0); }
};

template <class Parameters, class Model>
Spread decays_of(const Model& model, const Parameters& parameters) {
  const auto c = model.prepare(parameters);
  std::vector<double> decays;
  for (Index e = 0; e < c.recurrence.decay.size(); ++e) decays.push_back(static_cast<double>(c.recurrence.decay[e]));
  return spread_over(decays);
}

class DriftExperiment {
 public:
  explicit DriftExperiment(const Options& options) : options_(options), effort_(effort_of(options)) {
    for (const double change : effort_.changes) drifts_.emplace_back(change);
  }

  Result run() {
    measure_closed_forms();
    train();
    Result result;
    add_overview(result);
    add_text(result);
    add_announced(result);
    add_figures(result);
    add_files(result);
    return result;
  }

 private:
  enum class Kind { announced, selective, plain };  // longest first

  TaskRange evaluation() const { return evaluation_tasks(options_.seed, effort_.evaluation); }

  void measure_closed_forms() {
    programs::Progress progress("drift: theory", Index(drifts_.size()));
    for (Drift& drift : drifts_) {
      const DriftTrainer trainer("drift", PaperLayer<>(features), drift.tasks);
      ThreadPool pool(options_.threads);
      const auto losses = [&](double L) {
        return trainer.losses(
            discounted_step(trainer.model(), static_cast<float>(best_step(drift.theory, L)), static_cast<float>(L)),
            drift.tasks, evaluation(), pool);
      };
      drift.kept = losses(1);
      drift.discounted = losses(drift.decay);
      drift.optimum = optimal_loss(drift.tasks, evaluation_tasks(options_.seed, effort_.sampled), options_.threads);
      progress.advance();
    }
  }

  void train() {
    struct Job {
      Drift* drift;
      Kind kind;
      Index k;
    };
    std::vector<Job> jobs;
    for (const Kind kind : {Kind::announced, Kind::selective, Kind::plain})
      for (Drift& drift : drifts_) {
        const auto& chosen = effort_.selective_changes;
        if (kind != Kind::plain && std::find(chosen.begin(), chosen.end(), drift.change()) == chosen.end()) continue;
        auto& list = kind == Kind::announced   ? drift.announced
                     : kind == Kind::selective ? drift.selective
                                               : drift.plain;
        list.resize(static_cast<std::size_t>(options_.seeds));
        for (Index k = 0; k < options_.seeds; ++k) jobs.push_back({&drift, kind, k});
      }
    const Recipe plain = recipe_of(effort_.updates, decay_factor, 3),
                 selective = recipe_of(effort_.selective_updates, selective_factor, 1);
    programs::Progress progress("drift", Index(jobs.size()));
    run_jobs(Index(jobs.size()), options_.threads, progress, [&](Index j, ThreadPool& pool) {
      const auto [drift, kind, k] = jobs[static_cast<std::size_t>(j)];
      const auto at = static_cast<std::size_t>(k);
      const std::uint64_t seed = options_.seed_of(k);
      if (kind == Kind::plain) {
        const DriftTrainer trainer("drift", PaperLayer<>(features), drift->tasks);
        drift->plain[at] = train_one("plain", trainer, drift->tasks, *drift, plain, seed, pool);
      } else if (kind == Kind::selective) {
        const SelectiveTrainer trainer("drift", SelectiveLayer(features), drift->tasks);
        drift->selective[at] = train_one("selective", trainer, drift->tasks, *drift, selective, seed, pool);
      } else {
        const AnnouncedRegression tasks{drift->tasks};
        const AnnouncedTrainer trainer("drift", SelectiveLayer(features + 1), tasks);
        drift->announced[at] = train_one("announced", trainer, tasks, *drift, selective, seed, pool);
      }
    });
  }

  template <class SomeTrainer, class Tasks>
  Trained train_one(const std::string& kind, const SomeTrainer& trainer, const Tasks& tasks, const Drift& drift,
                    const Recipe& recipe, std::uint64_t seed, ThreadPool& pool) const {
    const auto begin = std::chrono::steady_clock::now();
    const auto parameters =
        trainer.train(recipe, seed, with_zero_readout(reference_initialization<float>(trainer.model(), seed)), pool,
                      options_.checkpoint(kind + ("-p" + format_number(drift.change()) + "-") + seed_name(seed)));
    Losses losses = trainer.losses(parameters, tasks, evaluation(), pool);
    // Where changes are announced there is an output more, whose target is zero; losses stay those of ten.
    const double outputs = static_cast<double>(trainer.model().output_count()) / static_cast<double>(features);
    for (double& loss : losses) loss *= outputs;
    Trained trained{seed, mean_of(losses), excess(losses, drift.discounted)};
    if constexpr (requires { trainer.model().prepare(parameters).recurrence.decay; }) {
      trained.decay = decays_of(trainer.model(), parameters);
      trained.weights = weights_file(parameters, vector_metadata());
    } else {
      trained.weights = own_weights_file(parameters, "the paper's layer with SelectiveRecurrence<>");
    }
    trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return trained;
  }

  static Spread losses_of(const std::vector<Trained>& seeds) {
    return spread_over(seeds, [](const Trained& t) { return t.loss.value; });
  }
  static Spread excesses_of(const std::vector<Trained>& seeds) {
    return spread_over(seeds, [](const Trained& t) { return t.excess.value; });
  }
  /// Mean over entries and seeds, the least and the most of all.
  static Spread decays_of_seeds(const std::vector<Trained>& seeds) {
    return {spread_over(seeds, [](const Trained& t) { return t.decay.mean; }).mean,
            spread_over(seeds, [](const Trained& t) { return t.decay.least; }).least,
            spread_over(seeds, [](const Trained& t) { return t.decay.most; }).most};
  }

  void add_overview(Result& result) const {
    result.overview = {
        "drift: f = 10, N = 20, a new map before each pair with probability p; loss (9c) with L = 1 and "
        "with the best decay L*, trained on such tasks: mean (least to most) over seeds, and excess over "
        "the closed form with L* on the same " +
            grouped(effort_.evaluation) + " tasks; the optimum from " + grouped(effort_.sampled),
        {"p", "L = 1", "L*", "its loss", "trained", "excess", "its decays", "selective", "excess", "optimum"},
        {}};
    for (const Drift& drift : drifts_)
      result.overview.row({rounded(drift.change()), rounded(drift.loss(1)), rounded(drift.decay),
                           rounded(drift.loss(drift.decay)), rounded(losses_of(drift.plain).mean),
                           excesses_of(drift.plain).percent_text(), decays_of_seeds(drift.plain).text(3),
                           drift.selective.empty() ? "" : rounded(losses_of(drift.selective).mean),
                           drift.selective.empty() ? "" : excesses_of(drift.selective).percent_text(),
                           with_error(drift.optimum.mean(), drift.optimum.standard_error(), 3)});
  }

  void add_text(Result& result) const {
    const auto gain = [](const Drift& drift) { return 1 - drift.loss(drift.decay) / drift.loss(1); };
    const Drift* most = &drifts_.front();
    double farthest = 0, worst = 0, unreached = 0;
    for (const Drift& drift : drifts_) {
      if (gain(drift) > gain(*most)) most = &drift;
      for (const Trained& t : drift.plain) farthest = std::max(farthest, std::abs(t.decay.mean - drift.decay));
      worst = std::max(worst, excesses_of(drift.plain).most);
      unreached = std::max(unreached, 1 - drift.bound() / drift.loss(drift.decay));
    }
    std::string text =
        "When must L be below 1? Without change L = 1 is best. As soon as the map may change at all a decay below 1 "
        "loses less (docs/theory.md, below (9c)), and the table shows it at every p: most at p = " +
        rounded(most->change()) + ", by " + percent(gain(*most)) +
        "; where the map outlives the context there is little to forget, and where it hardly lives for a pair little "
        "to "
        "learn. No other course of the weights over the pairs' age would do much better: the best of all, (9c), loses "
        "at most " +
        percent(unreached) + " less. Layers trained on such tasks from the reference's decays near 1, " +
        grouped(effort_.updates) + " updates, end at most " + percent(worst) +
        " above the closed form with L*, the mean of their decays at most " + rounded(farthest, 2) + " from L*.";
    if (options_.quick) text += " This is the quick form, whose updates are too few for decays to arrive.";
    result.section.push_back(Paragraph{std::move(text)});

    std::string selection =
        "Decays that depend on the token, (2a), trained for " + grouped(effort_.selective_updates) + " updates, end ";
    const Drift* first = nullptr;
    double least_excess = 1e300;
    for (const Drift& drift : drifts_) {
      if (drift.selective.empty()) continue;
      selection += (first ? ", " : "") + percent(std::abs(excesses_of(drift.selective).mean)) +
                   (excesses_of(drift.selective).mean < 0 ? " below" : " above") + " (p = " + rounded(drift.change()) +
                   ")";
      if (!first) first = &drift;
      least_excess = std::min(least_excess, excesses_of(drift.selective).least);
    }
    selection += " the closed form with one decay that doesn't.";
    if (least_excess > -0.002)
      selection +=
          " They gain nothing: a window alone doesn't show that the map has changed, what would show it is the error "
          "of "
          "the state's prediction.";
    selection += " Where changes are announced, by a coordinate of the input, the same layer loses ";
    first = nullptr;
    std::size_t below = 0, seeds = 0;
    for (const Drift& drift : drifts_) {
      if (drift.announced.empty()) continue;
      const Spread losses = losses_of(drift.announced);
      selection += (first ? ", and " : "") + losses.text() + " (p = " + rounded(drift.change()) + ")";
      first = &drift;
      seeds += drift.announced.size();
      for (const Trained& t : drift.announced) below += t.excess.value < 0 ? 1 : 0;
    }
    selection +=
        ", " + std::to_string(below) + " of " + std::to_string(seeds) +
        " runs below what the best fixed decay loses without announcement: these clear the state when told to. "
        "Clearing it in closed form, with the best decay between changes, is the column restart of the second "
        "table.";
    selection +=
        " The optimum weighs by Bayes' rule when the map may last have changed and fits each run by least squares; it "
        "is no step of gradient descent, and far below all of these while maps live long.";
    result.section.push_back(Paragraph{std::move(selection)});
  }

  void add_announced(Result& result) const {
    Table table{
        "Changes announced by a coordinate of their own: restart, the closed form that forgets all at every change, "
        "and "
        "selective decays trained on such tasks. Beside them what is lost without announcement. Bound: the "
        "best weights of pairs by their age, (9c), whatever their course",
        {"p", "restart", "selective, announced", "excess over L*", "selective, not announced", "L*", "bound"},
        {}};
    for (const Drift& drift : drifts_) {
      if (drift.announced.empty()) continue;
      table.row({rounded(drift.change()), rounded(drift.restarted()), losses_of(drift.announced).text(),
                 excesses_of(drift.announced).percent_text(), losses_of(drift.selective).text(),
                 rounded(drift.loss(drift.decay)), rounded(drift.bound())});
    }
    result.section.push_back(std::move(table));
  }

  void add_figures(Result& result) const {
    Series zero{"predicting zero", Mark::dashed, Colour::grey, {}, {}},
        kept{"L = 1 (9c)", Mark::dashed, Colour::orange, {}, {}},
        best{"best decay (9c)", Mark::line, Colour::orange, {}, {}},
        restart{"restart at announced changes", Mark::line, Colour::green, {}, {}},
        optimum{"optimum, changes unannounced", Mark::line, Colour::purple, {}, {}},
        plain{"trained", Mark::points, Colour::blue, {}, {}},
        selective{"selective", Mark::points, Colour::grey, {}, {}},
        announced{"selective, announced", Mark::points, Colour::green, {}, {}},
        L{"best decay L*", Mark::line, Colour::orange, {}, {}}, r{"1 - p", Mark::dashed, Colour::grey, {}, {}},
        learned{"trained, mean of the 100 decays", Mark::points, Colour::blue, {}, {}};
    for (const Drift& drift : drifts_) {
      const double p = drift.change();
      const auto add = [p](Series& series, double y) {
        series.x.push_back(p);
        series.y.push_back(y);
      };
      add(zero, drift.zero_loss());
      add(kept, drift.loss(1));
      add(best, drift.loss(drift.decay));
      add(restart, drift.restarted());
      add(optimum, drift.optimum.mean());
      for (const Trained& t : drift.plain) add(plain, t.loss.value);
      for (const Trained& t : drift.selective) add(selective, t.loss.value);
      for (const Trained& t : drift.announced) add(announced, t.loss.value);
      add(L, drift.decay);
      add(r, 1 - p);
      for (const Trained& t : drift.plain) add(learned, t.decay.mean);
    }
    result.section.push_back(Figure{"drift-loss",
                                    "Loss against the probability of a change before each pair, a point a seed.",
                                    {"probability p of a new map before each pair"},
                                    {"loss per output"},
                                    {zero, kept, best, restart, optimum, selective, announced, plain}});
    result.section.push_back(Figure{"drift-decay",
                                    "The best decay of a context of 20 pairs, and the mean of the 100 decays of every "
                                    "trained layer, a point a seed.",
                                    {"probability p of a new map before each pair"},
                                    {"decay"},
                                    {r, L, learned}});
  }

  void add_files(Result& result) const {
    std::ostringstream csv;
    CsvWriter rows(csv, {"change", "layer", "seed", "best_decay", "loss_of_best_decay", "loss_without_decay", "bound",
                         "restart", "optimum", "optimum_standard_error", "trained_loss", "standard_error", "excess",
                         "excess_standard_error", "decay_mean", "decay_least", "decay_most"});
    using Json = Record;
    Json list = Json::list();
    for (const Drift& drift : drifts_) {
      const Estimate kept = mean_of(drift.kept), discounted = mean_of(drift.discounted);
      Json entry{{"change", drift.change()},
                 {"best_decay", drift.decay},
                 {"loss_without_decay", drift.loss(1)},
                 {"measured_without_decay", kept.value},
                 {"measured_without_decay_standard_error", kept.standard_error},
                 {"loss_of_best_decay", drift.loss(drift.decay)},
                 {"measured_of_best_decay", discounted.value},
                 {"measured_of_best_decay_standard_error", discounted.standard_error},
                 {"loss_of_best_weights", drift.bound()},
                 {"loss_of_restart", drift.restarted()},
                 {"optimum", drift.optimum.mean()},
                 {"optimum_standard_error", drift.optimum.standard_error()}};
      const auto add = [&](const std::string& layer, const std::vector<Trained>& seeds) {
        if (seeds.empty()) return;
        Json of_seeds = Json::list();
        for (const Trained& t : seeds) {
          rows.row(drift.change(), layer, t.seed, drift.decay, drift.loss(drift.decay), drift.loss(1), drift.bound(),
                   drift.restarted(), drift.optimum.mean(), drift.optimum.standard_error(), t.loss.value,
                   t.loss.standard_error, t.excess.value, t.excess.standard_error, t.decay.mean, t.decay.least,
                   t.decay.most);
          of_seeds.push_back({{"seed", t.seed},
                              {"trained_loss", t.loss.value},
                              {"excess", t.excess.value},
                              {"excess_standard_error", t.excess.standard_error},
                              {"decay", t.decay.mean},
                              {"seconds", t.seconds}});
          result.files.push_back(weights_output(
              "drift-" + layer + "-p" + rounded(drift.change()) + "-seed-" + std::to_string(t.seed), t.weights));
        }
        entry[layer] = {{"trained_loss", losses_of(seeds).mean},
                        {"excess", excesses_of(seeds).mean},
                        {"seeds", std::move(of_seeds)}};
      };
      add("plain", drift.plain);
      add("selective", drift.selective);
      add("announced", drift.announced);
      entry["plain"]["decay"] = decays_of_seeds(drift.plain).mean;
      list.push_back(std::move(entry));
    }
    result.summary = {{"context", context},
                      {"updates", effort_.updates},
                      {"selective_updates", effort_.selective_updates},
                      {"evaluation_tasks", effort_.evaluation},
                      {"rates", std::move(list)}};
    result.files.push_back({"drift.csv", csv.str()});
  }

  Options options_;
  Effort effort_;
  std::vector<Drift> drifts_;
};

Result run(const Options& options) { return DriftExperiment(options).run(); }

}  // namespace

extern const Experiment drift{"drift", "A map that moves within the context", &run};

}  // namespace gdssm::reproduce
