// SPDX-License-Identifier: Apache-2.0
// `regimes`: the layer is a product of A, C and d, so the scale of its random start decides how it learns. Every scale
// of the reference's start is trained by plain gradient descent, whose time on the plateau (13c) predicts, and by the
// reference's optimiser.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/analysis/canonical.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/plateau.hpp"
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
using Weights = AnyTrainer::Weights;

constexpr Index features = paper_features, context = 10, batch = 64;
constexpr double scales[] = {0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3};
constexpr double power_law_up_to = 0.1;  // scales at which the start predicts zero but for a millionth

constexpr double descent_rate = 0.2, longest_gradient = 1;
constexpr double reference_factor = 10;  // of the reference's rates
Index updates(bool quick) { return quick ? 3000 : 20000; }
Index tested_tasks(bool quick) { return quick ? 512 : 2048; }

enum class Method { descent, reference };
constexpr Method methods[] = {Method::descent, Method::reference};
std::string name_of(Method method) { return method == Method::descent ? "gradient descent" : "AdamW"; }

LinearTask<> task() { return {features, context, uniform_inputs(1.0)}; }
/// Half way from the plateau to the closed form.
double half_way() { return (expected_loss(task(), 0.0) + expected_loss(task(), best_step(task()))) / 2; }

/// The start of a seed with A, C and d at a scale; the decays are the reference's.
Parameters scaled_start(const Layer& layer, std::uint64_t seed, double scale) {
  auto p = reference_initialization<float>(layer, seed);
  p.attention.A *= static_cast<float>(scale);
  p.readout.C *= static_cast<float>(scale);
  p.gate.d *= static_cast<float>(scale);
  return p;
}

/// Updates of gradient descent until the loss is half way down, by (13c); none if it takes more than `most`.
std::optional<double> predicted_exit(const Layer& layer, const Parameters& start, Index most) {
  const PlateauLoss loss(task(), canonical_form(layer, start).L.cast<double>());
  const PlateauWeights weights{start.attention.A.cast<double>(), start.gate.d.cast<double>(),
                               start.readout.C.diagonal().cast<double>()};
  const auto updates = loss.updates_until(half_way(), weights, descent_rate, most);
  return updates ? std::optional(static_cast<double>(*updates)) : std::nullopt;
}

/// A run: its loss on the way and how it ended.
struct Path {
  std::vector<double> update, loss;
  std::optional<double> exit = {}, predicted = {};  ///< updates until the loss is half way down
  double excess = 0;                                ///< of the last loss over the closed form's
  double moved = 0;                                 ///< |p - p_0| / |p_0| over A, C and d
  Parameters end{};                                 ///< the last weights
  StepDistance<float> distance{};                   ///< theirs from (7)
};

/// Where the loss is looked at: at every update up to ten, then every ten per cent.
std::vector<Index> looks(Index last) {
  std::vector<Index> at;
  for (double n = 1; static_cast<Index>(n) <= last; n = std::max(n + 1, 1.1 * n)) at.push_back(static_cast<Index>(n));
  return at;
}

double distance_moved(const Parameters& from, const Parameters& to) {
  const double apart = std::sqrt(static_cast<double>((to.attention.A - from.attention.A).squaredNorm() +
                                                     (to.readout.C - from.readout.C).squaredNorm() +
                                                     (to.gate.d - from.gate.d).squaredNorm()));
  return apart / std::sqrt(static_cast<double>(from.attention.A.squaredNorm() + from.readout.C.squaredNorm() +
                                               from.gate.d.squaredNorm()));
}

/// The update at which the loss, a line between its last two looks, crosses half way.
double crossing(const Path& path) {
  const std::size_t n = path.loss.size() - 1;
  if (n == 0) return path.update[0];
  const double share = (path.loss[n - 1] - half_way()) / (path.loss[n - 1] - path.loss[n]);
  return path.update[n - 1] + share * (path.update[n] - path.update[n - 1]);
}

template <class Optimizer>
Path follow(const Trainer<Layer>& trainer, const Optimizer& optimizer, const Parameters& start, std::uint64_t seed,
            double construction_loss, const TaskRange& range, Index last, ThreadPool& pool) {
  const AnyTrainer& any = trainer.any();
  Path path;
  const std::vector<Index> at = looks(last);
  std::size_t next = 0;
  auto run = begin_run(optimizer, Weights(start));
  const TrainingResult ended =
      train(any.model, any.tasks, any.kind, optimizer, ConstantRate(),
            TrainingOptions{.updates = last, .batch = batch, .updates_per_draw = 3, .seed = seed}, run, pool,
            [&](const TrainingProgress<Weights>& progress) {
              if (next == at.size() || progress.update != at[next]) return false;
              ++next;
              path.update.push_back(static_cast<double>(progress.update));
              path.loss.push_back(mean_of(any.losses(progress.parameters, range, pool)).value);
              if (!path.exit && path.loss.back() < half_way()) path.exit = crossing(path);
              return false;
            });
  if (ended.status == TrainingStatus::diverged) refuse("regimes", ended.message);
  path.end = start;
  run.parameters.copy_to(path.end);
  path.excess = path.loss.back() / construction_loss - 1;
  path.moved = distance_moved(start, path.end);
  path.distance = distance_from_step(canonical_form(trainer.model(), path.end), VectorTargets{});
  return path;
}

/// y = factor x^power, fitted to logarithms by least squares.
struct PowerLaw {
  double power = 0, factor = 1;
  std::size_t points = 0;
};
PowerLaw power_law(const std::vector<double>& x, const std::vector<double>& y) {
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
  const auto n = static_cast<double>(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    mean_x += std::log(x[i]) / n;
    mean_y += std::log(y[i]) / n;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (std::log(x[i]) - mean_x) * (std::log(x[i]) - mean_x);
    xy += (std::log(x[i]) - mean_x) * (std::log(y[i]) - mean_y);
  }
  if (!(xx > 0)) return {};
  return {xy / xx, std::exp(mean_y - xy / xx * mean_x), x.size()};
}

/// The mean over seeds of what a run has; none if one run has none.
template <class Of>
std::optional<Spread> over_seeds(const std::vector<Path>& paths, const Of& of) {
  std::vector<double> values;
  for (const Path& path : paths) {
    const std::optional<double> value = of(path);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return spread_over(values);
}

std::string text_of(double updates) { return grouped(std::lround(updates)); }
std::string text_of(const std::optional<Spread>& exit, Index updates) {
  if (!exit) return "over " + grouped(updates);
  return exit->least == exit->most
             ? text_of(exit->mean)
             : text_of(exit->mean) + " (" + text_of(exit->least) + " to " + text_of(exit->most) + ")";
}

class Regimes {
 public:
  explicit Regimes(const Options& options)
      : options_(options), last_(updates(options.quick)), trainer_("regimes", {}, tasks()) {}

  Result run() {
    const Index count = std::ssize(scales) * options_.seeds * 2;
    for (auto& of_method : paths_)
      of_method.assign(std::size(scales), std::vector<Path>(static_cast<std::size_t>(options_.seeds)));
    programs::Progress progress("regimes", count);
    run_jobs(count, options_.threads, progress, [&](Index job, ThreadPool& pool) {
      const Index seed = job % options_.seeds, rest = job / options_.seeds;
      train_one(methods[rest % 2], static_cast<std::size_t>(rest / 2), seed, pool);
    });
    Result result;
    add_overview(result);
    add_summary(result);
    add_section(result);
    add_files(result);
    return result;
  }

 private:
  static LinearRegression tasks() { return {.features = features, .outputs = features, .context = context}; }

  const std::vector<Path>& paths(Method method, std::size_t scale) const {
    return paths_[static_cast<std::size_t>(method)][scale];
  }

  void train_one(Method method, std::size_t scale, Index k, ThreadPool& pool) {
    const std::uint64_t seed = options_.seed_of(k);
    const Parameters start = scaled_start(trainer_.model(), seed, scales[scale]);
    const TaskRange range = evaluation_tasks(options_.seed, tested_tasks(options_.quick));
    const double construction_loss =
        mean_of(trainer_.losses(gradient_step(trainer_.model(), static_cast<float>(best_step(task()))), range, pool))
            .value;
    const auto path_of = [&](const auto& optimizer) {
      return follow(trainer_, ClippedGradient<std::remove_cvref_t<decltype(optimizer)>>{optimizer, longest_gradient},
                    start, seed, construction_loss, range, last_, pool);
    };
    Path& path = paths_[static_cast<std::size_t>(method)][scale][static_cast<std::size_t>(k)];
    if (method == Method::descent) {
      path = path_of(GradientDescent{descent_rate});
      path.predicted = predicted_exit(trainer_.model(), start, last_);
    } else {
      path = path_of(falling_rates(last_, reference_factor).optimizer);
    }
  }

  std::optional<Spread> exits(Method method, std::size_t scale) const {
    return over_seeds(paths(method, scale), [](const Path& path) { return path.exit; });
  }
  std::optional<Spread> predictions(std::size_t scale) const {
    return over_seeds(paths(Method::descent, scale), [](const Path& path) { return path.predicted; });
  }
  Spread spread(Method method, std::size_t scale, double Path::*member) const {
    return spread_over(paths(method, scale), [&](const Path& path) { return path.*member; });
  }

  /// Exit over scale, at the scales where theory holds, of what `of` says.
  template <class Of>
  PowerLaw exit_law(const Of& of) const {
    std::vector<double> x, y;
    for (std::size_t s = 0; s < std::size(scales); ++s)
      if (scales[s] <= power_law_up_to)
        if (const auto exit = of(s)) {
          x.push_back(scales[s]);
          y.push_back(exit->mean);
        }
    return power_law(x, y);
  }
  PowerLaw exit_law(Method method) const {
    return exit_law([&](std::size_t s) { return exits(method, s); });
  }

  /// The largest factor between an exit and what (13c) predicts, at the scales where it holds.
  double worst_prediction() const {
    double worst = 1;
    for (std::size_t s = 0; s < std::size(scales); ++s)
      if (scales[s] <= power_law_up_to)
        for (const Path& path : paths(Method::descent, s))
          if (path.exit && path.predicted)
            worst = std::max({worst, *path.exit / *path.predicted, *path.predicted / *path.exit});
    return worst;
  }

  /// How the excess over the closed form falls once the plateau is left: excess ~ updates^-p, while it is between a
  /// half and a hundredth of the loss.
  PowerLaw tail(const Path& path, double construction_loss) const {
    std::vector<double> x, y;
    for (std::size_t i = 0; i < path.loss.size(); ++i) {
      const double excess = path.loss[i] / construction_loss - 1;
      if (path.exit && path.update[i] > *path.exit && excess < 0.5 && excess > 0.01) {
        x.push_back(path.update[i]);
        y.push_back(excess);
      }
    }
    return power_law(x, y);
  }

  void add_overview(Result& result) const {
    result.overview = {
        "regimes: A, C and d of the reference's start at a scale; updates until the loss is half way "
        "down, and after " +
            grouped(last_) + " updates; mean (least to most)",
        {"scale", "loss after 1", "exit, predicted", "exit, descent", "exit, AdamW", "moved, descent",
         "excess, descent", "excess, AdamW"},
        {}};
    for (std::size_t s = 0; s < std::size(scales); ++s)
      result.overview.row(
          {rounded(scales[s], 2),
           rounded(spread_over(paths(Method::descent, s), [](const Path& p) { return p.loss.front(); }).mean, 3),
           text_of(predictions(s), last_), text_of(exits(Method::descent, s), last_),
           text_of(exits(Method::reference, s), last_), spread(Method::descent, s, &Path::moved).text(3),
           percent(spread(Method::descent, s, &Path::excess).mean),
           percent(spread(Method::reference, s, &Path::excess).mean)});
  }

  void add_summary(Result& result) const {
    const auto mean = [](const std::optional<Spread>& value) { return value ? Record(value->mean) : Record(); };
    Record list = Record::list();
    for (std::size_t s = 0; s < std::size(scales); ++s) {
      Record of_methods = Record::object();
      for (const Method method : methods) {
        const auto distance = [&](float StepDistance<float>::*part) {
          return spread_over(paths(method, s),
                             [&](const Path& path) { return static_cast<double>(path.distance.*part); })
              .mean;
        };
        of_methods[method == Method::descent ? "descent" : "adamw"] = {
            {"exit", mean(exits(method, s))},
            {"excess", spread(method, s, &Path::excess).mean},
            {"moved", spread(method, s, &Path::moved).mean},
            {"canonical_distance",
             {{"A", distance(&StepDistance<float>::A)},
              {"d", distance(&StepDistance<float>::d)},
              {"C", distance(&StepDistance<float>::C)},
              {"decay", distance(&StepDistance<float>::decay)}}}};
      }
      Record item{{"scale", scales[s]}, {"predicted_exit", mean(predictions(s))}};
      item.update(of_methods);
      list.push_back(std::move(item));
    }
    result.summary = {{"updates", last_},
                      {"evaluation_tasks", tested_tasks(options_.quick)},
                      {"exit_power", exit_law(Method::descent).power},
                      {"predicted_exit_power", exit_law([&](std::size_t s) { return predictions(s); }).power},
                      {"exit_power_adamw", exit_law(Method::reference).power},
                      {"worst_prediction", worst_prediction()},
                      {"scales", std::move(list)}};
  }

  void add_section(Result& result) const {
    const PowerLaw measured = exit_law(Method::descent), reference = exit_law(Method::reference),
                   predicted = exit_law([&](std::size_t s) { return predictions(s); });
    Series theory{"descent, (13c)", Mark::line, Colour::orange, {}, {}},
        descent{"descent, a point a seed", Mark::points, Colour::blue, {}, {}},
        adamw{"AdamW, a point a seed", Mark::points, Colour::green, {}, {}};
    for (std::size_t s = 0; s < std::size(scales); ++s) {
      if (const auto exit = predictions(s)) {
        theory.x.push_back(scales[s]);
        theory.y.push_back(exit->mean);
      }
      for (const Method method : methods)
        for (const Path& path : paths(method, s))
          if (path.exit) {
            Series& series = method == Method::descent ? descent : adamw;
            series.x.push_back(scales[s]);
            series.y.push_back(*path.exit);
          }
    }
    Figure losses{
        "regimes-loss",
        "Loss by gradient descent from the first seed's start at every second scale. Dashed: predicting zero, "
        "the closed form.",
        {"updates", true},
        {"loss per output", true},
        {}};
    constexpr Colour colours[] = {Colour::purple, Colour::blue, Colour::green, Colour::orange, Colour::grey};
    for (std::size_t s = 0; s < std::size(scales); s += 2) {
      const Path& path = paths(Method::descent, s).front();
      losses.series.push_back({"scale " + rounded(scales[s], 2), Mark::line, colours[s / 2], path.update, path.loss});
    }
    const double zero = expected_loss(task(), 0.0), best = expected_loss(task(), best_step(task()));
    const std::vector<double> ends{1, static_cast<double>(last_)};
    losses.series.push_back({"", Mark::dashed, Colour::grey, ends, {zero, zero}});
    losses.series.push_back({"", Mark::dashed, Colour::grey, ends, {best, best}});

    Table tails{
        "The way down by gradient descent, first seed: the excess over the closed form, from 50 to 1 %, fitted "
        "by updates^-p; and the distance from (7) at the end",
        {"scale", "p", "A", "d", "C", "decay"},
        {}};
    for (std::size_t s = 0; s < std::size(scales); ++s) {
      const Path& path = paths(Method::descent, s).front();
      const PowerLaw law = tail(path, best);
      const auto& distance = path.distance;
      const auto number = [](float value) { return rounded(static_cast<double>(value), 2); };
      tails.row({rounded(scales[s], 2), law.points < 3 ? "" : rounded(-law.power, 2), number(distance.A),
                 number(distance.d), number(distance.C), number(distance.decay)});
    }

    const std::size_t last = std::size(scales) - 1;
    const Spread small = spread(Method::descent, 0, &Path::moved), large = spread(Method::descent, last, &Path::moved);
    const auto slow = exits(Method::reference, last), quick = exits(Method::reference, 0);
    std::string text =
        "The prediction is a product of A, C and d. Near zero the loss falls with the third power of their scale and "
        "its "
        "gradient with the second, so gradient descent from a start at scale s does in n updates what it does from "
        "scale 1 in s n: the time on the plateau goes as 1 / s (docs/theory.md, (13c)). From s = " +
        rounded(scales[0], 2) + " to " + rounded(power_law_up_to, 2) + " it was measured to go as s^" +
        rounded(measured.power, 3) +
        "; descent on (13c), the terms of third order alone until the loss falls, gives s^" +
        rounded(predicted.power, 3) + " and no exit that is wrong by more than a factor of " +
        rounded(worst_prediction(), 3) +
        ". AdamW takes steps whose length does not depend on the gradient's: its exit "
        "goes as s^" +
        rounded(reference.power, 2) + ". ";
    text += "A start at scale " + rounded(scales[last], 2) + " loses " +
            rounded(spread_over(paths(Method::descent, last), [](const Path& p) { return p.loss.front(); }).mean / zero,
                    3) +
            " times what predicting zero loses after one update. Weights from the smallest start end " +
            rounded(small.mean, 3) + " times its length away from it, weights from the largest " +
            rounded(large.mean, 2) + " times (gradient descent): " +
            (large.mean < 0.5 ? "there the layer learns lazily, near its start."
                              : "no start was so large that the layer learns near it, lazily.") +
            " With AdamW the largest start leaves " +
            (slow && quick ? "after " + text_of(slow->mean) + " updates, the smallest after " + text_of(quick->mean)
                           : "within the run only from some seeds") +
            ".";
    result.section.push_back(Paragraph{std::move(text)});
    result.section.push_back(Figure{"regimes-exit",
                                    "Updates until the loss is half way from predicting zero to the closed form.",
                                    {"scale of A, C and d at the start, 1: the reference's", true},
                                    {"updates", true},
                                    {std::move(theory), std::move(descent), std::move(adamw)}});
    result.section.push_back(std::move(losses));
    result.section.push_back(std::move(tails));
  }

  void add_files(Result& result) const {
    std::ostringstream csv;
    CsvWriter rows(csv, {"method", "scale", "seed", "update", "loss"});
    for (const Method method : methods)
      for (std::size_t s = 0; s < std::size(scales); ++s)
        for (std::size_t k = 0; k < paths(method, s).size(); ++k) {
          const Path& path = paths(method, s)[k];
          for (std::size_t i = 0; i < path.update.size(); ++i)
            rows.row(name_of(method), scales[s], options_.seed_of(static_cast<Index>(k)), path.update[i], path.loss[i]);
        }
    result.files.push_back({"regimes.csv", csv.str()});
    for (std::size_t s = 0; s < std::size(scales); ++s)
      for (std::size_t k = 0; k < paths(Method::descent, s).size(); ++k)
        result.files.push_back(weights_output("regimes-scale-" + rounded(scales[s], 2) + "-seed-" +
                                                  std::to_string(options_.seed_of(static_cast<Index>(k))),
                                              weights_file(paths(Method::descent, s)[k].end, vector_metadata())));
  }

  Options options_;
  Index last_;
  Trainer<Layer> trainer_;
  std::vector<std::vector<Path>> paths_[std::size(methods)];
};

Result run(const Options& options) { return Regimes(options).run(); }

}  // namespace

extern const Experiment regimes{"regimes", "The scale of the start", &run};

}  // namespace gdssm::reproduce
