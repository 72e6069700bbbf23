// SPDX-License-Identifier: Apache-2.0
// `ablations`: the paper's layer with one slot exchanged at a time, and with some pairs of them, beside what theory
// allows each.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/io/csv.hpp"
#include "reproduce/experiments/ablations/ablations.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/statistics.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

constexpr double factors[] = {5, 15, 45};  // of the reference's rates
constexpr auto rates = static_cast<Index>(std::size(factors));

struct Effort {
  Index updates, validation, evaluation, alignment;
};
Effort effort_of(const Options& options) {
  return options.quick ? Effort{400, 1024, 4000, 256} : Effort{5000, 4096, 20000, 1000};
}

struct Trained {
  std::uint64_t seed = 0;
  AblationOutcome outcome{};
  Estimate loss{}, excess{};  ///< excess over one gradient step on the same tasks
};

struct Row {
  Ablation ablation;
  std::vector<AblationOutcome> sweep{};  ///< of the first seed, a rate each
  std::size_t rate = 0;                  ///< the best
  std::vector<Trained> seeds{};
  double seconds = 0;

  bool diverged() const {
    return std::any_of(seeds.begin(), seeds.end(), [](const Trained& t) { return t.outcome.diverged; });
  }
  Spread loss() const {
    return spread_over(seeds, [](const Trained& t) { return t.loss.value; });
  }
  Spread gap() const {
    return spread_over(seeds, [](const Trained& t) { return t.excess.value; });
  }
  double gap_error() const {
    return spread_over(seeds, [](const Trained& t) { return t.excess.standard_error; }).mean;
  }
  double cosine() const {
    return spread_over(seeds, [](const Trained& t) { return t.outcome.cosine; }).mean;
  }
  /// The share of what one gradient step gains on predicting zero.
  double kept() const { return (zero_loss() - loss().mean) / (zero_loss() - one_step_loss()); }
};

class AblationExperiment {
 public:
  explicit AblationExperiment(const Options& options) : options_(options), effort_(effort_of(options)) {
    for (Ablation& ablation : all_ablations()) rows_.push_back({std::move(ablation)});
  }

  Result run() {
    measure_step();
    train();
    Result result;
    add_overview(result);
    add_text(result);
    add_figure(result);
    add_sweep(result);
    add_files(result);
    return result;
  }

 private:
  std::size_t place_of(const std::string& slug) const {
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (rows_[i].ablation.slug == slug) return i;
    refuse("ablations", "there is none called ", slug);
  }
  const Row& row(const std::string& slug) const { return rows_[place_of(slug)]; }

  /// One gradient step's losses on the tasks that ablations are judged by.
  void measure_step() {
    const Trainer<PaperLayer<>> trainer(
        "ablations", PaperLayer<>(ablation_features),
        {.features = ablation_features, .outputs = ablation_features, .context = ablation_context});
    const double step = best_step(LinearTask<>{ablation_features, ablation_context, uniform_inputs(1.0)});
    ThreadPool pool(options_.threads);
    step_losses_ = trainer.losses(gradient_step(trainer.model(), static_cast<float>(step)),
                                  evaluation_tasks(options_.seed, effort_.evaluation), pool);
  }

  AblationOutcome run_one(const Row& row, std::uint64_t seed, double factor) const {
    return run_ablation(row.ablation, {seed,
                                       factor,
                                       effort_.updates,
                                       {options_.seed, effort_.validation, std::uint64_t{1} << 55},
                                       evaluation_tasks(options_.seed, effort_.evaluation),
                                       evaluation_tasks(options_.seed, effort_.alignment),
                                       options_.checkpoint(row.ablation.slug + "-rate-" + format_number(factor) + "-" +
                                                           seed_name(seed))});
  }

  /// The first seed at every rate, then the others at the best.
  void train() {
    const auto seconds_of = [](const auto& work) {
      const auto begin = std::chrono::steady_clock::now();
      work();
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    const Index count = static_cast<Index>(rows_.size()), others = options_.seeds - 1;
    programs::Progress progress("ablations", count * (rates + others));
    std::vector<double> seconds(static_cast<std::size_t>(count * std::max(rates, others)));
    const auto add_seconds = [&](Index each) {
      for (Index i = 0; i < count * each; ++i)
        rows_[static_cast<std::size_t>(i / each)].seconds += seconds[static_cast<std::size_t>(i)];
    };
    for (Row& row : rows_) row.sweep.resize(static_cast<std::size_t>(rates));
    run_jobs(count * rates, options_.threads, progress, [&](Index i, ThreadPool&) {
      Row& row = rows_[static_cast<std::size_t>(i / rates)];
      seconds[static_cast<std::size_t>(i)] = seconds_of(
          [&] { row.sweep[static_cast<std::size_t>(i % rates)] = run_one(row, options_.seed, factors[i % rates]); });
    });
    add_seconds(rates);
    for (Row& row : rows_) {
      for (std::size_t k = 1; k < row.sweep.size(); ++k)
        if (row.sweep[row.rate].diverged ||
            (!row.sweep[k].diverged && row.sweep[k].validation < row.sweep[row.rate].validation))
          row.rate = k;
      row.seeds.resize(static_cast<std::size_t>(options_.seeds));
      judge(row, 0, row.sweep[row.rate]);
    }
    if (others == 0) return;
    run_jobs(count * others, options_.threads, progress, [&](Index i, ThreadPool&) {
      Row& row = rows_[static_cast<std::size_t>(i / others)];
      const Index k = i % others + 1;
      seconds[static_cast<std::size_t>(i)] =
          seconds_of([&] { judge(row, k, run_one(row, options_.seed_of(k), factors[row.rate])); });
    });
    add_seconds(others);
  }

  void judge(Row& row, Index k, AblationOutcome outcome) const {
    Trained& trained = row.seeds[static_cast<std::size_t>(k)];
    trained.seed = options_.seed_of(k);
    trained.outcome = std::move(outcome);
    if (trained.outcome.diverged) return;
    trained.loss = mean_of(trained.outcome.losses);
    trained.excess = excess(trained.outcome.losses, step_losses_);
  }

  void add_overview(Result& result) const {
    result.overview = {"ablations: f = N = 10, " + grouped(effort_.updates) +
                           " updates at the best of three rates; loss on " + grouped(effort_.evaluation) +
                           " tasks, mean (least to most) over seeds; gap to one gradient step, which "
                           "loses " +
                           rounded(mean_of(step_losses_).value) +
                           " there, on the same tasks; cosine with its sensitivities",
                       {"exchanged", "parameters", "closed form", "loss", "gap", "± s.e.", "cosine"},
                       {}};
    for (const Row& row : rows_) {
      const std::string closed = std::isnan(row.ablation.closed_form) ? "" : rounded(row.ablation.closed_form);
      if (row.diverged())
        result.overview.row({row.ablation.name, grouped(row.ablation.model.weights().count()), closed,
                             "diverged in a seed", "", "", ""});
      else
        result.overview.row({row.ablation.name, grouped(row.ablation.model.weights().count()), closed,
                             row.loss().text(), row.gap().percent_text(), rounded(100 * row.gap_error(), 1),
                             rounded(row.cosine())});
    }
  }

  /// What a row keeps of one gradient step's gain on predicting zero, in words.
  std::string share(const std::string& slug) const {
    const Row& of = row(slug);
    if (of.diverged()) return "(diverged)";
    return rounded(100 * std::max(0.0, of.kept()), 2) + " %";
  }
  std::string loss(const std::string& slug) const {
    return row(slug).diverged() ? "(diverged)" : row(slug).loss().text();
  }
  void add_text(Result& result) const {
    result.section.push_back(Paragraph{
        "Each row is a layer of its own type, with one of the four slots exchanged, or two of them. All are trained "
        "alike: from the reference's random weights with the readout at zero, " +
        grouped(effort_.updates) +
        " updates of 64 fresh tasks, by the reference's optimiser at three multiples of its rates, which fall to zero; "
        "the best is chosen by seed " +
        std::to_string(options_.seed) + " on " + grouped(effort_.validation) +
        " other tasks. The closed form is what (7), adapted to the exchange and with its best step, is expected to "
        "lose, "
        "that is, what the exchange costs before any training. Predicting zero loses " +
        rounded(zero_loss()) + ". Definitions and closed forms are in docs/theory.md, section 2."});
    if (options_.quick) {
      result.section.push_back(Paragraph{
          "This is the quick form: " + grouped(effort_.updates) +
          " updates are too few for any layer to finish. It shows that all of it runs, not which part matters."});
      return;
    }
    result.section.push_back(Paragraph{findings()});
    result.section.push_back(Paragraph{pairs()});
  }

  std::string findings() const {
    std::string even;
    std::size_t count = 0, agreeing = 0, known = 0;
    for (const Row& of : rows_) {
      if (of.diverged()) continue;
      if (!std::isnan(of.ablation.closed_form)) {
        ++known;
        agreeing += std::abs(of.loss().mean / measured(of.ablation.closed_form) - 1) < 0.02 ? 1 : 0;
      }
      if (&of != &rows_.front() && of.gap().most < 0.01) {
        even += (even.empty() ? "" : "; ") + of.ablation.name;
        ++count;
      }
    }
    std::string text =
        "What can be spared: " + std::to_string(count) +
        " exchanges end, every seed, within 1 % of one gradient step or below it (" + even +
        "). What can't, in shares of what one gradient step gains on predicting zero: without attention " +
        share("no-attention") + " is left, without gate " + share("no-gate") +
        ", with the gate on the side of the input " + share("input-gate") + ", with a vector as the state " +
        share("vector-state") + ", with stride 1 " + share("stride-1") + ", with windows of five " +
        share("wide-window") + ". Of the " + std::to_string(known) +
        " rows that have a closed form the mean over seeds of " + std::to_string(agreeing) +
        " is within 2 % of it: these costs are in the architecture, not in the training. Attention makes "
        "the products of inputs and targets, the matrix state keeps all of them, the gate lets the query "
        "act on what was kept, and windows have to hold one pair and the next input; where they begin "
        "doesn't matter. Decays and readout add next to nothing on these tasks: " +
        grouped(row("tied-readout-unit-decay").ablation.model.weights().count()) +
        " numbers, A, d and one for C, lose " + loss("tied-readout-unit-decay") + ".";
    return text;
  }

  /// A loss as it is to be expected on the evaluation tasks, whose own luck shows in one gradient step's.
  double measured(double closed_form) const { return closed_form * mean_of(step_losses_).value / one_step_loss(); }

  std::string pairs() const {
    return "What pairs tell. Selective decays can stand in for attention: a window's decay may depend on its target, "
           "and "
           "it acts on the input that the window before left in the state, which makes a product of the two. With them "
           "and no attention " +
           share("selective-no-attention") +
           " of the gain is there. For the gate they can't: " + share("selective-no-gate") +
           ". With the gate on the side of the input only the last pair is of use, and decays should be zero: begun "
           "near "
           "1 the layer loses " +
           loss("input-gate") + ", begun far from 1 " + loss("input-gate-far-decays") + ", held at 1 " +
           loss("input-gate-unit-decay") +
           ". With the gate where it belongs decays should be 1, and begun far from it the layer loses " +
           loss("far-decays") + ", at the lowest of the rates " + rounded(row("far-decays").sweep.front().validation) +
           " on validation tasks against " + rounded(row("paper").sweep.front().validation) +
           " from the reference's decays. Selective decays in the layer itself end " +
           percent(std::abs(row("selective").gap().mean)) + (row("selective").gap().mean < 0 ? " below" : " above") +
           " one gradient step (± " + rounded(100 * row("selective").gap_error(), 1) + "), with " +
           grouped(row("selective").ablation.model.weights().count()) + " numbers in place of " +
           grouped(row("paper").ablation.model.weights().count()) + ".";
  }

  void add_figure(Result& result) const {
    Figure figure{"ablations-loss",
                  "Loss of every seed, a point each, and of the closed form where there is one. At the bottom are "
                  "pairs of exchanges.",
                  {"loss per output"},
                  {""},
                  {}};
    Series points{"trained", Mark::points, Colour::blue, {}, {}},
        closed{"closed form", Mark::points, Colour::orange, {}, {}};
    for (std::size_t k = 0; k < rows_.size(); ++k) {
      const Row& of = rows_[k];
      const auto height = static_cast<double>(k + 1);
      figure.y.names.push_back(of.ablation.name);
      if (!std::isnan(of.ablation.closed_form)) {
        closed.x.push_back(of.ablation.closed_form);
        closed.y.push_back(height);
      }
      for (const Trained& t : of.seeds) {
        if (t.outcome.diverged) continue;
        points.x.push_back(t.loss.value);
        points.y.push_back(height);
      }
    }
    const auto line = [&](const char* label, double at, Colour colour) {
      figure.series.push_back({label, Mark::dashed, colour, {at, at}, {0.5, static_cast<double>(rows_.size()) + 0.5}});
    };
    line("one gradient step", one_step_loss(), Colour::green);
    line("predicting zero", zero_loss(), Colour::grey);
    figure.series.push_back(std::move(closed));
    figure.series.push_back(std::move(points));
    result.section.push_back(std::move(figure));
  }

  void add_sweep(Result& result) const {
    Table table{"The sweep: loss on " + grouped(effort_.validation) + " validation tasks, seed " +
                    std::to_string(options_.seed) + ", the reference's rates times a factor; * the one used",
                {"exchanged"},
                {}};
    for (const double factor : factors) table.columns.push_back("× " + rounded(factor));
    for (const Row& row : rows_) {
      std::vector<std::string> cells{row.ablation.name};
      for (std::size_t k = 0; k < row.sweep.size(); ++k)
        cells.push_back(row.sweep[k].diverged ? "diverged"
                                              : rounded(row.sweep[k].validation) + (k == row.rate ? " *" : ""));
      table.row(std::move(cells));
    }
    result.section.push_back(std::move(table));
  }

  void add_files(Result& result) const {
    std::ostringstream losses, sweeps;
    CsvWriter loss_rows(losses, {"exchanged", "parameters", "factor", "seed", "closed_form", "loss", "standard_error",
                                 "excess", "excess_standard_error", "cosine"});
    CsvWriter sweep_rows(sweeps, {"exchanged", "factor", "validation_loss"});
    using Json = Record;
    Json list = Json::list();
    for (const Row& of : rows_) {
      const Ablation& a = of.ablation;
      Json sweep = Json::list(), seeds = Json::list();
      for (std::size_t k = 0; k < of.sweep.size(); ++k) {
        if (!of.sweep[k].diverged) sweep_rows.row(a.slug, factors[k], of.sweep[k].validation);
        sweep.push_back({{"factor", factors[k]},
                         {"validation_loss", of.sweep[k].diverged ? Json() : Json(of.sweep[k].validation)}});
      }
      for (const Trained& t : of.seeds) {
        if (t.outcome.diverged) {
          seeds.push_back({{"seed", t.seed}, {"loss", nullptr}});
          continue;
        }
        loss_rows.row(a.slug, a.model.weights().count(), factors[of.rate], t.seed, a.closed_form, t.loss.value,
                      t.loss.standard_error, t.excess.value, t.excess.standard_error, t.outcome.cosine);
        seeds.push_back({{"seed", t.seed},
                         {"loss", t.loss.value},
                         {"excess", t.excess.value},
                         {"excess_standard_error", t.excess.standard_error},
                         {"cosine", t.outcome.cosine}});
        result.files.push_back(
            weights_output("ablations-" + a.slug + "-seed-" + std::to_string(t.seed), t.outcome.weights));
      }
      list.push_back({{"name", a.slug},
                      {"parameters", a.model.weights().count()},
                      {"closed_form_loss", std::isnan(a.closed_form) ? Json() : Json(a.closed_form)},
                      {"factor", factors[of.rate]},
                      {"loss", of.diverged() ? Json() : Json(of.loss().mean)},
                      {"excess", of.diverged() ? Json() : Json(of.gap().mean)},
                      {"excess_standard_error", of.diverged() ? Json() : Json(of.gap_error())},
                      {"cosine", of.diverged() ? Json() : Json(of.cosine())},
                      {"sweep", std::move(sweep)},
                      {"seeds", std::move(seeds)},
                      {"seconds", of.seconds}});
    }
    const Estimate step = mean_of(step_losses_);
    result.summary = {{"updates", effort_.updates},       {"evaluation_tasks", effort_.evaluation},
                      {"one_step_loss", step.value},      {"one_step_loss_standard_error", step.standard_error},
                      {"analytic_loss", one_step_loss()}, {"zero_loss", zero_loss()},
                      {"ablations", std::move(list)}};
    result.files.push_back({"ablations.csv", losses.str()});
    result.files.push_back({"ablations-sweep.csv", sweeps.str()});
  }

  Options options_;
  Effort effort_;
  std::vector<Row> rows_;
  std::vector<double> step_losses_;
};

Result run(const Options& options) { return AblationExperiment(options).run(); }

}  // namespace

extern const Experiment ablations{"ablations", "Which part matters", &run};

}  // namespace gdssm::reproduce
