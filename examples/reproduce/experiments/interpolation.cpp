// SPDX-License-Identifier: Apache-2.0
// `interpolation`: the loss along straight lines between weights, from trained ones to the closed form and from one
// trained seed to the next, in canonical form and as they are.

#include <algorithm>
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

using Layer = PaperLayer<paper_features>;
using Parameters = Layer::Parameters<float>;
using Losses = std::vector<double>;

constexpr Index features = paper_features, context = 10, updates = 30000, tested_tasks = 10000;
constexpr Index points = 31;  // from -1/4 to 5/4
double position(Index i) { return -0.25 + 1.5 * static_cast<double>(i) / static_cast<double>(points - 1); }

/// (1 - s) one + s other, every parameter.
Parameters between(const Parameters& one, const Parameters& other, double s) {
  Parameters p = one;
  visit([&](const Name&, auto& at, const auto& end) { at += static_cast<float>(s) * (end - at); }, p, other);
  return p;
}

/// The gradient step with the step sizes of given weights, which at Lambda = 0 are of no account: so the line's decays
/// go to 1 at one pace.
Parameters construction_beside(const Parameters& construction, const Parameters& trained) {
  Parameters p = construction;
  p.recurrence.log_step = trained.recurrence.log_step;
  return p;
}

/// The kinds of line, all from a trained seed.
enum class Line { to_closed_form, to_closed_form_raw, to_next_seed, to_next_seed_raw };
constexpr Line lines[] = {Line::to_closed_form, Line::to_closed_form_raw, Line::to_next_seed, Line::to_next_seed_raw};
const char* name_of(Line line) {
  constexpr const char* names[] = {"to the closed form, canonical", "to the closed form, as trained",
                                   "to the next seed, canonical", "to the next seed, as trained"};
  return names[static_cast<std::size_t>(line)];
}

/// Loss at every point of a seed's lines, and the largest excess over the worse of the ends.
struct Path {
  std::vector<Estimate> loss{};
  double barrier = 0;
};

Result run(const Options& options) {
  const LinearTask<> task{features, context, uniform_inputs(1.0)};
  const double step = best_step(task), zero = expected_loss(task, 0.0);
  const Trainer<Layer> trainer("interpolation", {}, {.features = features, .outputs = features, .context = context});
  const Parameters construction = gradient_step(trainer.model(), static_cast<float>(step));
  const TaskRange range = evaluation_tasks(options.seed, tested_tasks);

  // With one seed alone there must be another to go to.
  const Index count = std::max<Index>(options.seeds, 2);
  programs::Progress progress("interpolation", count + options.seeds);
  std::vector<Parameters> trained(static_cast<std::size_t>(count));
  run_jobs(count, options.threads, progress, [&](Index k, ThreadPool& pool) {
    const std::uint64_t seed = options.seed_of(k);
    trained[static_cast<std::size_t>(k)] =
        trainer.train({.updates = updates}, seed, reference_initialization<float>(trainer.model(), seed), pool,
                      options.checkpoint(seed_name(seed)));
  });
  std::vector<std::vector<Path>> paths(static_cast<std::size_t>(options.seeds), std::vector<Path>(std::size(lines)));
  run_jobs(options.seeds, options.threads, progress, [&](Index k, ThreadPool& pool) {
    const Parameters& one = trained[static_cast<std::size_t>(k)];
    const Parameters& next = trained[static_cast<std::size_t>((k + 1) % count)];
    for (const Line line : lines) {
      const bool raw = line == Line::to_closed_form_raw || line == Line::to_next_seed_raw;
      const bool to_next = line == Line::to_next_seed || line == Line::to_next_seed_raw;
      const Parameters begin = raw ? one : canonicalised(one);
      const Parameters end = to_next ? (raw ? next : canonicalised(next)) : construction_beside(construction, one);
      Path& path = paths[static_cast<std::size_t>(k)][static_cast<std::size_t>(line)];
      double first = 0, last = 0, most = 0;
      for (Index i = 0; i < points; ++i) {
        path.loss.push_back(mean_of(trainer.losses(between(begin, end, position(i)), range, pool)));
        const double at = path.loss.back().value;
        if (i == 5) first = at;
        if (i == 25) last = at;
        if (i >= 5 && i <= 25) most = std::max(most, at);
      }
      path.barrier = most / std::max(first, last) - 1;
    }
  });

  Result result;
  result.overview = {"interpolation: straight lines between weights on " + grouped(tested_tasks) +
                         " tasks; barrier, the largest excess on the way over the worse end, mean (least to most)",
                     {"line", "barrier", "loss at the middle"},
                     {}};
  std::ostringstream csv;
  CsvWriter rows(csv, {"line", "seed", "position", "loss", "standard_error"});
  Record barriers = Record::object();
  std::vector<double> at;
  for (Index i = 0; i < points; ++i) at.push_back(position(i));
  Spread barrier[std::size(lines)];
  Figure figures[2] = {
      {"interpolation-closed-form",
       "Loss along the line from each seed's trained weights (0) to the closed form (1) and beyond both: in canonical "
       "form, and from the weights as they are, where a seed that is the same function with other signs has to pass "
       "through weights that predict nothing.",
       {"position on the line, 0 trained, 1 closed form"},
       {"loss per output"},
       {}},
      {"interpolation-seeds",
       "The same from each trained seed (0) to the next (1).",
       {"position on the line, from seed to seed"},
       {"loss per output"},
       {}}};
  for (const Line line : lines) {
    const auto l = static_cast<std::size_t>(line);
    barrier[l] = spread_over(paths, [&](const std::vector<Path>& seed) { return seed[l].barrier; });
    result.overview.row(
        {name_of(line), barrier[l].percent_text(),
         spread_over(paths, [&](const std::vector<Path>& seed) { return seed[l].loss[15].value; }).text()});
    const bool raw = l % 2 == 1;
    Figure& figure = figures[l / 2];
    for (std::size_t k = 0; k < paths.size(); ++k) {
      Series series{k > 0 ? ""
                    : raw ? "as trained, a line a seed"
                          : "canonical, a line a seed",
                    Mark::line,
                    raw ? Colour::purple : Colour::blue,
                    at,
                    {}};
      for (std::size_t i = 0; i < at.size(); ++i) {
        const Estimate& loss = paths[k][l].loss[i];
        series.y.push_back(std::min(loss.value, 1.25 * zero));  // what lies above leaves the figure
        rows.row(name_of(line), options.seed_of(Index(k)), at[i], loss.value, loss.standard_error);
      }
      figure.series.push_back(std::move(series));
    }
    barriers[name_of(line)] = {{"barrier_mean", barrier[l].mean}, {"barrier_most", barrier[l].most}};
  }
  for (Figure& figure : figures)
    figure.series.push_back({"predicting zero", Mark::dashed, Colour::grey, {at.front(), at.back()}, {zero, zero}});
  result.summary = {{"updates", updates}, {"evaluation_tasks", tested_tasks}, {"lines", std::move(barriers)}};
  result.section.push_back(Paragraph{
      "Are trained weights and the closed form in one valley? In canonical form, where A and d have norm one and their "
      "signs are fixed, the straight line between them rises at most " +
      percent(barrier[0].most) + " above the worse of its ends, and from one trained seed to the next at most " +
      percent(barrier[2].most) +
      ": one valley. Weights as training leaves them are the same functions in other scales and signs, and there the "
      "line to the closed form rises by up to " +
      percent(barrier[1].most) + " and that to the next seed by up to " + percent(barrier[3].most) +
      ". The barrier is made by symmetry alone, not by different solutions."});
  for (Figure& figure : figures) result.section.push_back(std::move(figure));
  result.files.push_back({"interpolation.csv", csv.str()});
  for (Index k = 0; k < options.seeds; ++k)
    result.files.push_back(
        weights_output("interpolation-seed-" + std::to_string(options.seed_of(k)),
                       weights_file(canonicalised(trained[static_cast<std::size_t>(k)]), vector_metadata())));
  return result;
}

}  // namespace

extern const Experiment interpolation{"interpolation", "The way from trained weights to the closed form", &run};

}  // namespace gdssm::reproduce
