// SPDX-License-Identifier: Apache-2.0
// `features`: f = N from 5 to 50, trained beside the closed form and (9), from two kinds of random weights.

#include <algorithm>
#include <chrono>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/analysis/canonical.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/training/initialization.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/statistics.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

using Layer = PaperLayer<>;
using Parameters = Layer::Parameters<float>;
using Losses = std::vector<double>;

constexpr double rate_factor = 10;  // of the reference's rates, falling to zero
constexpr Index curve_points = 40, curve_tasks = 640, curve_features = 20;

struct Effort {
  std::vector<Index> features;
  Index updates, evaluation_tasks;
};
Effort effort_of(const Options& options) {
  return options.quick ? Effort{{5, 10, 20}, 1500, 5000} : Effort{{5, 10, 20, 35, 50}, 2500, 20000};
}
/// Where training begins: the reference's random weights, or the same with the readout C at zero.
enum class Start { reference, zero_readout };

// The largest size costs as much as all others together.
Index seeds_of(const Options& options, Index features, Start start) {
  if (features < 50) return options.seeds;
  return start == Start::reference ? 0 : std::min<Index>(options.seeds, 2);
}

struct Job {
  std::size_t size;
  Start start;
  std::uint64_t seed;
};

struct Trained {
  Job job;
  Parameters parameters{};
  StepDistance<float> distance{};
  Estimate excess{}, loss{};
  std::vector<double> update{}, curve{};  // loss, on few tasks
  double seconds = 0;
};

/// A number of features, with the closed form's losses.
struct Size {
  Index features;
  double step, analytic_loss, zero_loss;
  Trainer<Layer> trainer;
  Parameters construction;
  Losses losses{};
};

Size size_of(Index f) {
  const LinearTask<> task{f, f, uniform_inputs(1.0)};
  const double step = best_step(task);
  Trainer<Layer> trainer("features", Layer(f), {.features = f, .outputs = f, .context = f});
  Parameters construction = gradient_step(trainer.model(), static_cast<float>(step));
  return {f, step, expected_loss(task, step), expected_loss(task, 0.0), std::move(trainer), std::move(construction)};
}

Trained train_one(const Size& size, const Job& job, const Effort& effort, const Options& options, ThreadPool& pool) {
  const auto begin = std::chrono::steady_clock::now();
  const Recipe recipe = falling_rates(effort.updates, rate_factor);
  Parameters start = reference_initialization<float>(size.trainer.model(), job.seed);
  if (job.start == Start::zero_readout) start = with_zero_readout(std::move(start));
  Trained trained{job};
  Trainer<Layer>::Follow follow{
      effort.updates / curve_points, [&](Index update, const Parameters& parameters) {
        trained.update.push_back(static_cast<double>(update));
        trained.curve.push_back(
            mean_of(size.trainer.losses(parameters, evaluation_tasks(options.seed, curve_tasks), pool)).value);
      }};
  if (size.features != curve_features) follow = {};
  const std::string name = "f" + std::to_string(size.features) +
                           (job.start == Start::reference ? "-reference-" : "-zero-readout-") + seed_name(job.seed);
  trained.parameters = size.trainer.train(recipe, job.seed, start, pool, options.checkpoint(name), follow);
  const Losses losses =
      size.trainer.losses(trained.parameters, evaluation_tasks(options.seed, effort.evaluation_tasks), pool);
  trained.loss = mean_of(losses);
  trained.excess = excess(losses, size.losses);
  trained.distance = distance_from_step(canonical_form(size.trainer.model(), trained.parameters), VectorTargets{});
  trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return trained;
}

std::string name_of(Start start) { return start == Start::reference ? "reference" : "zero readout"; }

Result run(const Options& options) {
  const Effort effort = effort_of(options);
  std::vector<Size> sizes;
  for (const Index f : effort.features) sizes.push_back(size_of(f));
  std::vector<Job> jobs;
  for (std::size_t s = sizes.size(); s-- > 0;)
    for (const Start start : {Start::reference, Start::zero_readout})
      for (Index k = 0; k < seeds_of(options, sizes[s].features, start); ++k)
        jobs.push_back({s, start, options.seed_of(k)});

  programs::Progress progress("features", Index(sizes.size() + jobs.size()));
  run_jobs(Index(sizes.size()), options.threads, progress, [&](Index s, ThreadPool& pool) {
    Size& size = sizes[static_cast<std::size_t>(s)];
    size.losses = size.trainer.losses(size.construction, evaluation_tasks(options.seed, effort.evaluation_tasks), pool);
  });
  std::vector<Trained> found(jobs.size());
  run_jobs(Index(jobs.size()), options.threads, progress, [&](Index j, ThreadPool& pool) {
    const Job& job = jobs[static_cast<std::size_t>(j)];
    found[static_cast<std::size_t>(j)] = train_one(sizes[job.size], job, effort, options, pool);
  });
  const auto of = [&](std::size_t s, Start start) {
    std::vector<Trained> chosen;
    for (const Trained& trained : found)
      if (trained.job.size == s && trained.job.start == start) chosen.push_back(trained);
    return chosen;
  };

  Result result;
  result.overview = {"features: f = N, " + grouped(effort.updates) +
                         " updates from random weights with the readout at zero; excess over the closed form on the "
                         "same " +
                         grouped(effort.evaluation_tasks) + " tasks, mean (least to most) over seeds",
                     {"f", "loss (9)", "closed form", "trained", "excess", "± s.e.", "step (8)", "step", "|C / a + I|"},
                     {}};
  Table starts{
      "Two beginnings: excess over the closed form after the same updates, mean (least to most) over seeds. "
      "Predicting zero is in the last column.",
      {"f", "seeds", "C at zero", "reference's C", "predicting zero"},
      {}};
  std::ostringstream csv;
  CsvWriter rows(csv, {"features", "start", "seed", "analytic_loss", "construction_loss",
                       "construction_loss_standard_error", "trained_loss", "excess", "excess_standard_error",
                       "step_analytic", "step_trained", "distance_A", "distance_d", "distance_C", "distance_decay"});
  Series zero{"predicting zero", Mark::dashed, Colour::grey, {}, {}},
      trained{"readout from zero", Mark::points, Colour::blue, {}, {}, {}},
      stuck{"reference's start", Mark::points, Colour::purple, {}, {}, {}};
  Record list = Record::list();
  std::size_t arrived = 0, runs = 0, stuck_runs = 0, reference_runs = 0;
  double worst = -1, worst_size = 0;
  for (std::size_t s = 0; s < sizes.size(); ++s) {
    const Size& size = sizes[s];
    const auto f = static_cast<double>(size.features);
    const Estimate constructed = mean_of(size.losses);
    const std::vector<Trained> from_zero = of(s, Start::zero_readout), reference = of(s, Start::reference);
    const auto gap = [](const Trained& t) { return t.excess.value; };
    const auto loss = [](const Trained& t) { return t.loss.value; };
    const auto number = [](float value) { return static_cast<double>(value); };
    const Spread gaps = spread_over(from_zero, gap);
    if (gaps.most > worst) {
      worst = gaps.most;
      worst_size = f;
    }
    for (const Trained& t : from_zero) arrived += t.excess.value < 0.1 ? 1 : 0;
    for (const Trained& t : reference) stuck_runs += t.excess.value > 0.5 ? 1 : 0;
    reference_runs += reference.size();
    result.overview.row(
        {std::to_string(size.features), rounded(size.analytic_loss), constructed.text(),
         spread_over(from_zero, loss).text(), gaps.percent_text(),
         rounded(100 * spread_over(from_zero, [](const Trained& t) { return t.excess.standard_error; }).mean, 1),
         rounded(size.step), spread_over(from_zero, [&](const Trained& t) { return number(t.distance.step); }).text(),
         spread_over(from_zero, [&](const Trained& t) { return number(t.distance.C); }).text(2)});
    starts.row({std::to_string(size.features), std::to_string(from_zero.size()), gaps.percent_text(),
                reference.empty() ? "" : spread_over(reference, gap).percent_text(),
                percent(size.zero_loss / constructed.value - 1)});
    Record seeds = Record::list();
    for (const auto* runs_of : {&from_zero, &reference})
      for (const Trained& t : *runs_of) {
        rows.row(size.features, name_of(t.job.start), t.job.seed, size.analytic_loss, constructed.value,
                 constructed.standard_error, t.loss.value, t.excess.value, t.excess.standard_error, size.step,
                 t.distance.step, t.distance.A, t.distance.d, t.distance.C, t.distance.decay);
        seeds.push_back({{"seed", t.job.seed},
                         {"start", name_of(t.job.start)},
                         {"trained_loss", t.loss.value},
                         {"excess", t.excess.value},
                         {"excess_standard_error", t.excess.standard_error},
                         {"effective_step_trained", number(t.distance.step)},
                         {"seconds", t.seconds}});
        if (t.excess.value > 0) {  // the axis is logarithmic
          Series& series = t.job.start == Start::zero_readout ? trained : stuck;
          series.x.push_back(f);
          series.y.push_back(100 * t.excess.value);
        }
        if (t.job.start == Start::zero_readout)
          result.files.push_back(
              weights_output("features-f" + std::to_string(size.features) + "-seed-" + std::to_string(t.job.seed),
                             weights_file(t.parameters, vector_metadata())));
      }
    Record entry{{"features", size.features},
                 {"analytic_loss", size.analytic_loss},
                 {"construction_loss", constructed.value},
                 {"construction_loss_standard_error", constructed.standard_error},
                 {"trained_loss", spread_over(from_zero, loss).mean},
                 {"excess", gaps.mean},
                 {"worst_excess", gaps.most},
                 {"effective_step_analytic", size.step}};
    if (!reference.empty()) entry["excess_reference_start"] = spread_over(reference, gap).mean;
    entry["seeds"] = std::move(seeds);
    list.push_back(std::move(entry));
    runs += from_zero.size();
    zero.x.push_back(f);
    zero.y.push_back(100 * (size.zero_loss / constructed.value - 1));
  }
  result.summary = {{"updates", effort.updates},
                    {"evaluation_tasks", effort.evaluation_tasks},
                    {"worst_excess", worst},
                    {"sizes", std::move(list)}};

  std::string text =
      "One layer for any number of features, f = N. With the readout at zero and all else as the "
      "reference begins, " +
      std::to_string(arrived) + " of " + std::to_string(runs) +
      " runs end within 10 % of the closed form's loss; the worst is " + percent(worst) +
      " above it, at f = " + rounded(worst_size) + ". From the reference's own start and with the same rates, " +
      std::to_string(stuck_runs) + " of " + std::to_string(reference_runs) +
      " are still at the loss of predicting zero, or nearer to it than to the closed form's. The "
      "difference is in how the two begin. The state is a sum of N outer products, so with C of order 1 / √f random "
      "predictions are "
      "many times larger than the targets, and what the first updates learn is to be silent: A, C and d "
      "all shrink, into the saddle where the gradient is small to second order. With C = 0 the "
      "prediction is zero from the first update on, A and d keep their size, and the gradient with "
      "respect to C is of first order. The rates are " +
      rounded(rate_factor) + " times the reference's and fall to zero along a cosine.";
  if (effort.features.back() == 50)
    text += " At f = 50 there are two seeds at most, and none from the reference's start.";
  result.section.push_back(Paragraph{std::move(text)});
  result.section.push_back(Figure{"features-excess",
                                  "Excess over the closed form's loss after " + grouped(effort.updates) +
                                      " updates, a point a seed, against the number of features.",
                                  {"features f = pairs N"},
                                  {"excess over the closed form (%)", true},
                                  {zero, stuck, trained}});
  std::ostringstream curves_csv;
  CsvWriter curve_rows(curves_csv, {"features", "start", "seed", "update", "tasks", "loss"});
  Figure curves{
      "features-start",
      "The two starts at f = N = " + std::to_string(curve_features) +
          ", a line a seed: the reference's makes its way to the loss of predicting zero, where it may stay; with the "
          "readout at zero the layer begins there and leaves at once.",
      {"updates (64 fresh tasks each)"},
      {"loss per output"},
      {}};
  for (std::size_t s = 0; s < sizes.size(); ++s) {
    if (sizes[s].features != curve_features) continue;
    for (const Start start : {Start::zero_readout, Start::reference}) {
      bool first = true;
      for (const Trained& t : of(s, start)) {
        Series series{
            std::exchange(first, false) ? (start == Start::reference ? "reference's start" : "readout from zero") : "",
            Mark::line,
            start == Start::reference ? Colour::purple : Colour::blue,
            {},
            {}};
        for (std::size_t i = 0; i < t.update.size(); ++i) {
          curve_rows.row(curve_features, name_of(start), t.job.seed, t.update[i], curve_tasks, t.curve[i]);
          if (t.curve[i] > 1.5 * sizes[s].zero_loss) continue;  // random predictions, many times larger
          series.x.push_back(t.update[i]);
          series.y.push_back(t.curve[i]);
        }
        curves.series.push_back(std::move(series));
      }
    }
    const std::vector<double> ends{0, static_cast<double>(effort.updates)};
    curves.series.push_back(
        {"closed form (9)", Mark::dashed, Colour::orange, ends, {sizes[s].analytic_loss, sizes[s].analytic_loss}});
    curves.series.push_back(
        {"predicting zero", Mark::dashed, Colour::grey, ends, {sizes[s].zero_loss, sizes[s].zero_loss}});
  }
  result.section.push_back(std::move(curves));
  result.section.push_back(std::move(starts));
  result.files.push_back({"features.csv", csv.str()});
  result.files.push_back({"features-curves.csv", curves_csv.str()});
  return result;
}

}  // namespace

extern const Experiment features{"features", "More features: f = N from 5 to 50", &run};

}  // namespace gdssm::reproduce
