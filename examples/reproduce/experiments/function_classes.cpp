// SPDX-License-Identifier: Apache-2.0
// `function-classes`: the classes of functions of Garg et al., arXiv:2208.01066: the trained layer, one step of
// gradient descent on inputs and on features, and what better learners make of the same features.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/construction/step_size.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/training/initialization.hpp"
#include "reproduce/algorithms/function_predictors.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/statistics.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

/// The paper's layer on regression of any class of functions.
using FunctionTrainer = Trainer<PaperLayer<>, FunctionRegression>;
using Parameters = FunctionTrainer::Parameters;
using Curve = std::vector<Estimate>;  // after t = 1..N examples

constexpr Index features = 10, context = 40;
constexpr double zero_loss = 0.5;  // 1/2 E f(x)^2
constexpr std::array<Index, 4> table_contexts{5, 10, 20, 40};

Index updates_of(const Options& options) { return options.quick ? 1000 : 2500; }
Index tested_tasks(const Options& options) { return options.quick ? 300 : 4000; }
Index tuning_tasks(const Options& options) { return options.quick ? 60 : 200; }

struct Class {
  std::string name, title;
  FunctionRegression tasks;
  bool linear;  ///< in x: its own features are the inputs
};
const std::vector<Class>& classes() {
  using enum FunctionClass;
  static const std::vector<Class> all{
      {"sparse-linear", "sparse linear", {.function = sparse_linear, .features = features, .context = context}, true},
      {"noisy-linear",
       "noisy linear",
       {.function = linear, .features = features, .context = context, .label_noise = 0.5},
       true},
      {"quadratic", "quadratic", {.function = quadratic, .features = features, .context = context}, false},
      {"relu-network", "ReLU network", {.function = relu_network, .features = features, .context = context}, false},
      {"decision-tree", "decision tree", {.function = decision_tree, .features = features, .context = context}, false}};
  return all;
}

using Kind = FunctionPredictor::Kind;

struct Trained {
  Parameters parameters{};
  std::vector<double> curve{};  ///< mean losses after t = 1..N examples
  Estimate excess{};            ///< over the closed form on inputs, after N examples
  double average_excess = 0;    ///< the same of losses averaged over t
  double decay = 0;             ///< mean of those that reach the last output
};

double mean_over(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

Estimate over_seeds(const std::vector<Trained>& trained, Index t) {
  return estimate_over(trained, [&](const Trained& seed) { return seed.curve[static_cast<std::size_t>(t - 1)]; });
}
std::string text_of(const Estimate& e) {
  if (e.value < 1e-6) return "below 1e-6";
  return e.standard_error > 0 ? e.text(4) : rounded(e.value);
}

TaskRange tuning_range(const Options& options) { return {options.seed, tuning_tasks(options), std::uint64_t{1} << 57}; }

/// Least squares with noise has no mean loss where |t - f| < 2.
bool has_mean(const Class& c, const FunctionPredictor& predictor, Index t) {
  return predictor.kind != Kind::least_squares || c.tasks.label_noise == 0 || std::abs(t - features) >= 2;
}

Figure figure_of(const Class& c, const std::vector<FunctionScore>& scores, const std::vector<Trained>& trained) {
  Figure figure{
      "function-classes-" + c.name,
      "Loss on functions of the class \"" + c.title +
          "\" against the number of examples; predicting zero loses 0.5. A colour is a set of features; "
          "lines are one step of gradient descent, dashes are ridge regression on the same features. Own features are "
          "those whose inner products are the class's covariance.",
      {"examples in the context"},
      {"loss"},
      {}};
  for (const FunctionScore& score : scores) {
    const auto& [kind, by] = score.predictor;
    const bool classic = kind == Kind::least_squares || kind == Kind::neighbours;
    Series series{score.predictor.name(),
                  kind == Kind::ridge || kind == Kind::least_squares ? Mark::dashed : Mark::line,
                  classic                   ? Colour::grey
                  : by == Features::inputs  ? Colour::orange
                  : by == Features::fourier ? Colour::green
                                            : Colour::purple,
                  {},
                  {}};
    for (Index t = 1; t <= context; ++t) {
      const double loss = score.losses[static_cast<std::size_t>(t - 1)].value;
      if (!has_mean(c, score.predictor, t) || loss > 0.75) {
        // No line across what is left out.
        if (!series.x.empty())
          figure.series.push_back(std::exchange(series, Series{"", series.mark, series.colour, {}, {}}));
        continue;
      }
      series.x.push_back(static_cast<double>(t));
      series.y.push_back(loss);
    }
    figure.series.push_back(std::move(series));
  }
  Series seeds{"trained layer, mean over seeds", Mark::points, Colour::blue, {}, {}, {}};
  for (Index t = 1; t <= context; ++t) {
    const Estimate loss = over_seeds(trained, t);
    seeds.x.push_back(static_cast<double>(t));
    seeds.y.push_back(loss.value);
    seeds.error.push_back(2 * loss.standard_error);
  }
  figure.series.push_back(std::move(seeds));
  return figure;
}

Result run(const Options& options) {
  const std::vector<Class>& all = classes();
  const Index updates = updates_of(options);
  const TaskRange range = evaluation_tasks(options.seed, tested_tasks(options));
  std::vector<std::vector<Trained>> trained(all.size(), std::vector<Trained>(static_cast<std::size_t>(options.seeds)));
  std::vector<std::vector<FunctionScore>> found(all.size());
  const auto count = static_cast<Index>(all.size());
  programs::Progress progress("function-classes", count * (1 + options.seeds));
  run_jobs(count, options.threads, progress, [&](Index i, ThreadPool&) {
    const Class& c = all[static_cast<std::size_t>(i)];
    found[static_cast<std::size_t>(i)] = score_predictors(c.tasks, c.linear, tuning_range(options), range);
  });
  run_jobs(count * options.seeds, options.threads, progress, [&](Index j, ThreadPool& pool) {
    const auto i = static_cast<std::size_t>(j / options.seeds), k = static_cast<std::size_t>(j % options.seeds);
    const std::uint64_t seed = options.seed_of(j % options.seeds);
    const FunctionTrainer trainer("function-classes, " + all[i].title, PaperLayer<>(features), all[i].tasks);
    Recipe recipe = falling_rates(updates, 30);
    recipe.losses = context;
    Trained& mine = trained[i][k];
    mine.parameters =
        trainer.train(recipe, seed, with_zero_readout(reference_initialization<float>(trainer.model(), seed)), pool,
                      options.checkpoint(all[i].name + "-" + seed_name(seed)));
    for (const Sample& sample : trainer.losses_by_context(mine.parameters, range, pool))
      mine.curve.push_back(sample.mean());
    const double step = found[i].front().setting.number;
    const Parameters construction = gradient_step(trainer.model(), static_cast<float>(step));
    mine.excess = excess(trainer.losses(mine.parameters, range, pool), trainer.losses(construction, range, pool));
    std::vector<double> of_step;
    for (const Estimate& loss : found[i].front().losses) of_step.push_back(loss.value);
    mine.average_excess = mean_over(mine.curve) / mean_over(of_step) - 1;
    // The state is held transposed, a row an output.
    const auto c = trainer.model().prepare(mine.parameters);
    mine.decay = static_cast<double>(c.recurrence.decay.matrix().bottomRows(1).mean());
  });

  Result result;
  result.overview = {
      "function-classes: loss after " + std::to_string(context) +
          " examples (predicting zero: 0.5; f = " + std::to_string(features) +
          ") of one step of gradient descent (7) on inputs and of the same layer trained (" + grouped(updates) +
          " updates, mean over seeds); how much more the trained layer loses, on average over all numbers of examples; "
          "one step on the class's own features, and ridge regression on them",
      {"class", "one step", "trained", "trained over one step", "one step, own features", "ridge, own features"},
      {}};
  Table table{"Loss after so many examples, ± standard error: of predictors over " + grouped(tested_tasks(options)) +
                  " tasks, of the trained layer over seeds on the same tasks. Steps, penalties and widths are chosen "
                  "on " +
                  grouped(tuning_tasks(options)) + " other tasks, one for all numbers of examples",
              {"class", "predictor", "chosen"},
              {}};
  for (const Index t : table_contexts) table.columns.push_back(std::to_string(t));
  std::ostringstream csv;
  CsvWriter rows(csv,
                 {"class", "predictor", "seed", "setting", "width", "examples", "tasks", "loss", "standard_error"});
  Record summary = Record::object();
  const auto last = static_cast<std::size_t>(context - 1);
  const auto curve_of = [&](std::size_t i, Kind kind, Features by) -> const Curve& {
    std::size_t p = 0;
    while (found[i][p].predictor.kind != kind || found[i][p].predictor.features != by) ++p;
    return found[i][p].losses;
  };
  std::vector<Figure> figures;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Class& c = all[i];
    double layer_difference = 0;
    Record list = Record::object();
    for (const auto& [predictor, setting, curve, difference] : found[i]) {
      layer_difference = std::max(layer_difference, difference);
      const bool by_width = predictor.features == Features::fourier;
      const std::string chosen = predictor.kind == Kind::one_step ? "a = " + rounded(setting.number, 3)
                                 : predictor.kind == Kind::ridge && setting.number > 1e-6
                                     ? "ρ = " + rounded(setting.number, 2)
                                     : "";
      std::vector<std::string> cells{c.title, predictor.name(),
                                     chosen + (by_width ? ", width " + rounded(setting.width, 2) : "")};
      for (const Index t : table_contexts)
        cells.push_back(has_mean(c, predictor, t) ? text_of(curve[static_cast<std::size_t>(t - 1)]) : "no mean");
      table.row(std::move(cells));
      for (Index t = 1; t <= context; ++t) {
        const Estimate& loss = curve[static_cast<std::size_t>(t - 1)];
        if (has_mean(c, predictor, t))
          rows.row(c.name, predictor.name(), "", setting.number, by_width ? rounded(setting.width, 2) : "", t,
                   tested_tasks(options), loss.value, loss.standard_error);
      }
      list[predictor.name()] = {
          {"setting", setting.number}, {"loss", curve[last].value}, {"standard_error", curve[last].standard_error}};
    }
    std::vector<std::string> cells{c.title, "trained layer", ""};
    for (const Index t : table_contexts) cells.push_back(text_of(over_seeds(trained[i], t)));
    table.row(std::move(cells));
    Record seeds = Record::list();
    for (std::size_t k = 0; k < trained[i].size(); ++k) {
      const Trained& t = trained[i][k];
      const std::uint64_t seed = options.seed_of(Index(k));
      for (std::size_t n = 0; n < t.curve.size(); ++n)
        rows.row(c.name, "trained layer", seed, "", "", Index(n) + 1, tested_tasks(options), t.curve[n], "");
      seeds.push_back({{"seed", seed},
                       {"loss", t.curve[last]},
                       {"excess", t.excess.value},
                       {"excess_standard_error", t.excess.standard_error},
                       {"average_excess", t.average_excess},
                       {"mean_decay", t.decay}});
      result.files.push_back(weights_output(
          "function-classes-" + c.name + "-seed-" + std::to_string(seed),
          weights_file(t.parameters, {{"discretization", "zoh"}, {"targets", "scalar"}, {"readout", "none"}})));
    }
    const Spread gap = spread_over(trained[i], [](const Trained& t) { return t.average_excess; });
    const Estimate at_end = over_seeds(trained[i], context);
    const Curve& step = curve_of(i, Kind::one_step, Features::inputs);
    const bool own = !c.linear;
    result.overview.row({c.title, text_of(step[last]), text_of(at_end), gap.percent_text(),
                         own ? text_of(curve_of(i, Kind::one_step, Features::own)[last]) : "the same",
                         text_of(curve_of(i, Kind::ridge, own ? Features::own : Features::inputs)[last])});
    summary[c.name] = {{"zero_loss", zero_loss},
                       {"trained_loss", at_end.value},
                       {"trained_standard_error", at_end.standard_error},
                       {"average_excess", gap.mean},
                       {"layer_difference", layer_difference},
                       {"predictors", std::move(list)},
                       {"seeds", std::move(seeds)}};
    if (c.linear) {
      const LinearTask<> theory{.features = features,
                                .context = context,
                                .inputs = normal_inputs(1.0),
                                .weight_variance = 1.0 / features,
                                .noise_variance = c.tasks.label_noise * c.tasks.label_noise};
      summary[c.name]["analytic_loss"] = expected_loss(theory, found[i].front().setting.number);
    }
    figures.push_back(figure_of(c, found[i], trained[i]));
  }

  enum : std::size_t { sparse, noisy, quadratic, relu, tree };
  const auto loss = [&](std::size_t i, Kind kind, Features by) {
    return rounded(curve_of(i, kind, by)[last].value, 3);
  };
  const auto end = [&](std::size_t i) { return rounded(over_seeds(trained[i], context).value, 3); };
  const auto than = [](double share) { return percent(std::abs(share)) + (share < 0 ? " less" : " more"); };
  const auto gap = [&](std::size_t i) {
    return than(spread_over(trained[i], [](const Trained& t) { return t.average_excess; }).mean);
  };
  const auto gap_at_end = [&](std::size_t i) {
    return than(spread_over(trained[i], [](const Trained& t) { return t.excess.value; }).mean);
  };
  const auto decay = [&](std::size_t i) {
    return rounded(spread_over(trained[i], [](const Trained& t) { return t.decay; }).mean, 3);
  };
  const auto all_of = [&](Kind kind, Features by) {
    std::string text;
    for (std::size_t i = 0; i < all.size(); ++i)
      text += (i == 0 ? "" : i + 1 < all.size() ? ", " : " and ") + loss(i, kind, by);
    return text;
  };
  const double own_quadratic = curve_of(quadratic, Kind::ridge, Features::own)[last].value;
  result.section.push_back(Paragraph{
      "Garg et al. (arXiv:2208.01066) ask which classes of functions a model learns in context. Of one step of "
      "gradient descent the answer is short: it predicts a Σ yᵢ φ(xᵢ)·φ(q), so all that counts is how well the inner "
      "products of its features stand for the class's covariance E f(x) f(x'). The layer's features are its inputs; "
      "in closed form it takes any others for its tokens. Shown are inputs, 256 random Fourier features, and features "
      "of the class's own, whose inner products are the covariance itself: ridge regression on these, with the noise's "
      "variance for its penalty, is the best predictor of all that are linear in the labels. Every f has mean square "
      "1, inputs are standard normal, f = " +
      std::to_string(features) + ". The layer is trained with a loss after each of 1 to " + std::to_string(context) +
      " examples, and every other predictor has one setting for all of them too."});
  result.section.push_back(
      Paragraph{"Linear classes. The trained layer loses " + gap(sparse) + " than the best step on sparse and " +
                gap(noisy) + " on noisy functions, on average over the numbers of examples; after forty, " +
                gap_at_end(sparse) + " and " + gap_at_end(noisy) +
                ". One step for all of them is too long for long contexts, and the trained decays, on average " +
                decay(sparse) + " and " + decay(noisy) +
                ", leave older pairs less weight. Sparsity is of no use to a step: its loss, (9), depends on w through "
                "its second moments alone. By (9) the step on sparse functions loses " +
                rounded(summary["sparse-linear"]["analytic_loss"].number(), 3) + " after forty examples, measured " +
                loss(sparse, Kind::one_step, Features::inputs) + "; on noisy ones " +
                rounded(summary["noisy-linear"]["analytic_loss"].number(), 3) + ", measured " +
                loss(noisy, Kind::one_step, Features::inputs) +
                ". Least squares is exact from ten noiseless examples on; with noise it reaches " +
                loss(noisy, Kind::least_squares, Features::inputs) + ", ridge regression " +
                loss(noisy, Kind::ridge, Features::inputs) + ", three neighbours " +
                loss(noisy, Kind::neighbours, Features::inputs) + "."});
  result.section.push_back(Paragraph{
      "Quadratic functions are uncorrelated with all linear ones, so a step on the inputs has nothing to find (" +
      loss(quadratic, Kind::one_step, Features::inputs) + ", predicting zero 0.5). The trained layer's " +
      rounded(over_seeds(trained[quadratic], 1).value, 3) + " after one example and " + end(quadratic) +
      " after forty are not a fit of f either, for the most part. Values of one function share a mean, which is a "
      "third of their mean square, and the window holds the last label beside the query: repeating a third of it "
      "loses ½ (1 - 1/9) = 0.444, weighing it by |q|² / 3f instead, a product that the layer can form, "
      "½ (1 - (1 + 2/f)/9) = 0.433. With the squares for features one step gets to " +
      loss(quadratic, Kind::one_step, Features::own) + ", ridge regression to " +
      (own_quadratic < 1e-6 ? "zero" : rounded(own_quadratic, 3)) +
      ": it takes apart what the large mean of squares makes alike, which a step does not."});
  result.section.push_back(Paragraph{
      "A ReLU network of this law is linear by half of its variance, max(0, z) being z/2 + |z|/2: no predictor linear "
      "in q gets below 0.25. One step on the inputs reaches " +
      loss(relu, Kind::one_step, Features::inputs) + ", ridge regression on them " +
      loss(relu, Kind::ridge, Features::inputs) + "; the trained layer, with the last label beside the query, " +
      end(relu) + ". One step on own features loses " + loss(relu, Kind::one_step, Features::own) +
      ", ridge regression on them " + loss(relu, Kind::ridge, Features::own) + ", three neighbours " +
      loss(relu, Kind::neighbours, Features::inputs) +
      ". A decision tree shows little to linear predictors: one step on the inputs loses " +
      loss(tree, Kind::one_step, Features::inputs) + ", the trained layer " + end(tree) + ", three neighbours " +
      loss(tree, Kind::neighbours, Features::inputs) +
      "; features by which two inputs share a leaf bring one step to " + loss(tree, Kind::one_step, Features::own) +
      " and ridge regression to " + loss(tree, Kind::ridge, Features::own) + "."});
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double factor = curve_of(i, Kind::one_step, Features::fourier)[last].value /
                          curve_of(i, Kind::ridge, Features::fourier)[last].value;
    if (i == quadratic || i == tree)
      most = std::max(most, factor);
    else
      least = std::min(least, factor);
  }
  result.section.push_back(
      Paragraph{"Random Fourier features know nothing of the class. On them one step loses " +
                all_of(Kind::one_step, Features::fourier) + " on the five classes in order, ridge regression " +
                all_of(Kind::ridge, Features::fourier) +
                ". The features of different examples overlap; correcting for this, which takes more steps or a "
                "solution, is worth "
                "a factor of " +
                rounded(least, 2) + " or more on linear functions and ReLU networks, " + rounded(most, 3) +
                " at most on quadratic functions and trees, whose structure these features miss."});
  for (Figure& figure : figures) result.section.push_back(std::move(figure));
  result.section.push_back(std::move(table));
  summary["updates"] = updates;
  summary["evaluation_tasks"] = tested_tasks(options);
  summary["context"] = context;
  result.summary = std::move(summary);
  result.files.push_back({"function-classes.csv", csv.str()});
  return result;
}

}  // namespace

extern const Experiment function_classes{"function-classes", "Classes of functions beyond the linear", &run};

}  // namespace gdssm::reproduce
