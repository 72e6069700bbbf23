// SPDX-License-Identifier: Apache-2.0
// `classification`: labels in place of targets. One step on the cross-entropy of multi-class logistic regression in
// closed form, the layer trained with that loss, and explicit descent of more steps.

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/analysis/canonical.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/tasks/classification.hpp"
#include "gdssm/training/initialization.hpp"
#include "reproduce/algorithms/logistic_predictors.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/statistics.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

constexpr Index label_classes = 4;

/// The paper's layer on classification, with the cross-entropy for its loss.
using LabelTrainer = Trainer<PaperLayer<>, Classification>;
using Parameters = LabelTrainer::Parameters;

constexpr Index features = 10, context = 40;
constexpr std::array<Index, 4> table_contexts{5, 10, 20, 40};

Index updates_of(const Options& options) { return options.quick ? 1000 : 2500; }
Index tested_tasks(const Options& options) { return options.quick ? 4000 : 20000; }

struct Law {
  std::string name, title;
  Classification tasks;
};
const std::vector<Law>& laws() {
  static const std::vector<Law> both = [] {
    const LinearRegression regression{.features = features,
                                      .outputs = label_classes,
                                      .context = context,
                                      .inputs = InputLaw::normal,
                                      .range = std::sqrt(12.0)};
    return std::vector<Law>{{"softmax", "drawn from softmax(W* x)", {regression, LabelLaw::softmax}},
                            {"argmax", "the largest of W* x", {regression, LabelLaw::argmax}}};
  }();
  return both;
}

/// Cross-entropy and accuracy after t = 1..N examples.
struct Curves {
  std::vector<Estimate> loss{}, accuracy{};
};
Curves curves_of(const LabelTrainer& trainer, const Parameters& parameters, const TaskRange& range, ThreadPool& pool) {
  Curves curves;
  for (const Sample& s : trainer.losses_by_context(parameters, range, pool))
    curves.loss.push_back({s.mean(), s.standard_error()});
  for (const Sample& s : trainer.accuracy_by_context(parameters, range, pool))
    curves.accuracy.push_back({s.mean(), s.standard_error()});
  return curves;
}

/// The step of (7) with the least cross-entropy on average over all lengths of context, by golden section: it is convex
/// in the step.
double best_common_step(const LabelTrainer& trainer, const TaskRange& range, ThreadPool& pool) {
  return least_of(
      [&](double step) {
        const Parameters p = gradient_step(trainer.model(), static_cast<float>(step));
        double sum = 0;
        for (const Sample& sample : trainer.losses_by_context(p, range, pool)) sum += sample.mean();
        return sum;
      },
      1e-3, 10);
}

struct Trained {
  Parameters parameters{};
  Curves curves{};
  Estimate excess{};
  double step = 0, distance = 0, decay = 0;
};

/// Of the layer in closed form, and of explicit algorithms.
struct Found {
  double step = 0;
  Curves closed{};
  std::vector<LogisticScore> algorithms{};
};

Estimate over_seeds(const std::vector<Trained>& trained, Index t, std::vector<Estimate> Curves::*of) {
  return estimate_over(trained,
                       [&](const Trained& seed) { return (seed.curves.*of)[static_cast<std::size_t>(t - 1)].value; });
}
std::string text_of(const Estimate& e) { return e.standard_error > 0 ? e.text(4) : rounded(e.value); }

/// One measure of one law against the number of examples.
Figure figure_of(const Law& law, const Found& found, const std::vector<Trained>& trained, bool accuracy) {
  const auto of = accuracy ? &Curves::accuracy : &Curves::loss;
  Figure figure{"classification-" + law.name + (accuracy ? "-accuracy" : "-loss"),
                std::string(accuracy ? "Share of right labels" : "Cross-entropy") +
                    " against the number of examples, labels " + law.title +
                    ": one step in closed form, the trained layer, explicit descent on the cross-entropy " +
                    (accuracy ? "(guessing: 0.25)." : "(guessing: log 4 = 1.386)."),
                {"examples in the context"},
                {accuracy ? "accuracy" : "cross-entropy (nats)"},
                {}};
  Series closed{"closed form, one step", Mark::line, Colour::orange, {}, {}};
  Series seeds{"trained layer, mean over seeds", Mark::points, Colour::blue, {}, {}, {}};
  for (Index t = 1; t <= context; ++t) {
    const Estimate mean = over_seeds(trained, t, of);
    closed.x.push_back(static_cast<double>(t));
    closed.y.push_back((found.closed.*of)[static_cast<std::size_t>(t - 1)].value);
    seeds.x.push_back(static_cast<double>(t));
    seeds.y.push_back(mean.value);
    seeds.error.push_back(2 * mean.standard_error);
  }
  figure.series.push_back(std::move(closed));
  constexpr std::array colours{Colour::orange, Colour::green,  Colour::green,
                               Colour::purple, Colour::purple, Colour::grey};
  constexpr std::array marks{Mark::dashed, Mark::dashed, Mark::line, Mark::dashed, Mark::line, Mark::line};
  for (std::size_t a = 0; a < found.algorithms.size(); ++a) {
    const LogisticScore& score = found.algorithms[a];
    Series series{score.name, marks[a], colours[a], {}, {}};
    for (std::size_t i = 0; i < score.examples.size(); ++i) {
      series.x.push_back(static_cast<double>(score.examples[i]));
      series.y.push_back(accuracy ? score.accuracy[i].value : score.loss[i].value);
    }
    figure.series.push_back(std::move(series));
  }
  figure.series.push_back(std::move(seeds));
  return figure;
}

Result run(const Options& options) {
  const Index updates = updates_of(options), seeds = options.seeds;
  const TaskRange range = evaluation_tasks(options.seed, tested_tasks(options));
  const TaskRange tuning{options.seed, options.quick ? 500 : 4000, std::uint64_t{1} << 57};
  const LogisticEffort effort{options.quick ? 20 : 200, options.quick ? 200 : 4000, options.quick ? 30 : 100};
  const auto count = static_cast<Index>(laws().size());
  std::vector<Found> found(laws().size());
  std::vector<std::vector<Trained>> trained(laws().size(), std::vector<Trained>(static_cast<std::size_t>(seeds)));
  programs::Progress progress("classification", count * (2 + seeds));
  const auto trainer_of = [&](std::size_t i) {
    return LabelTrainer("classification, labels " + laws()[i].title, PaperLayer<>(features), laws()[i].tasks);
  };
  run_jobs(2 * count, options.threads, progress, [&](Index j, ThreadPool& pool) {
    const auto i = static_cast<std::size_t>(j / 2);
    if (j % 2 == 0) {
      found[i].algorithms = score_logistic(laws()[i].tasks, options.seed, effort);
      return;
    }
    const LabelTrainer trainer = trainer_of(i);
    found[i].step = best_common_step(trainer, tuning, pool);
    found[i].closed =
        curves_of(trainer, gradient_step(trainer.model(), static_cast<float>(found[i].step)), range, pool);
  });
  run_jobs(count * seeds, options.threads, progress, [&](Index j, ThreadPool& pool) {
    const auto i = static_cast<std::size_t>(j / seeds), k = static_cast<std::size_t>(j % seeds);
    const std::uint64_t seed = options.seed_of(j % seeds);
    const LabelTrainer trainer = trainer_of(i);
    Recipe recipe = falling_rates(updates, 30);
    recipe.losses = context;
    Trained& mine = trained[i][k];
    mine.parameters =
        trainer.train(recipe, seed, with_zero_readout(reference_initialization<float>(trainer.model(), seed)), pool,
                      options.checkpoint(laws()[i].name + "-" + seed_name(seed)));
    mine.curves = curves_of(trainer, mine.parameters, range, pool);
    const Parameters construction = gradient_step(trainer.model(), static_cast<float>(found[i].step));
    mine.excess = excess(trainer.losses(mine.parameters, range, pool), trainer.losses(construction, range, pool));
    const auto form = canonical_form(trainer.model(), mine.parameters);
    mine.distance = static_cast<double>(distance_from_step(form, VectorTargets{}).A);
    const auto c = trainer.model().prepare(mine.parameters);
    // The state is held transposed, a row an output. Nothing depends on what C does to equal logits of all classes.
    mine.decay = static_cast<double>(c.recurrence.decay.matrix().topRows(label_classes).mean());
    const auto C = form.C.topLeftCorner(label_classes, label_classes);
    mine.step = static_cast<double>((C.sum() / label_classes - C.trace()) / (label_classes - 1));
  });

  Result result;
  const auto last = static_cast<std::size_t>(context - 1);
  result.overview = {
      "classification: " + std::to_string(label_classes) + " classes, f = " + std::to_string(features) + ", after " +
          std::to_string(context) + " examples; one step in closed form, and the layer trained with cross-entropy (" +
          grouped(updates) + " updates, mean over seeds)",
      {"labels", "step", "cross-entropy, closed form", "trained", "excess", "accuracy, closed form", "trained"},
      {}};
  Table table{"Cross-entropy and accuracy after so many examples, ± standard error: of the closed form over " +
                  grouped(tested_tasks(options)) + " tasks, of explicit algorithms over " + grouped(effort.tested) +
                  ", of the trained layer over seeds on the closed form's tasks. The closed form has one step for all "
                  "numbers of examples, algorithms have their sizes and penalties chosen for each",
              {"labels", "predictor", "measure"},
              {}};
  for (const Index t : table_contexts) table.columns.push_back(std::to_string(t));
  std::ostringstream csv;
  CsvWriter rows(csv, {"labels", "predictor", "seed", "examples", "tasks", "cross_entropy",
                       "cross_entropy_standard_error", "accuracy", "accuracy_standard_error"});
  std::vector<Figure> figures;
  for (std::size_t i = 0; i < laws().size(); ++i) {
    const Law& law = laws()[i];
    const auto write = [&](const std::string& predictor, const std::string& seed, Index t, Index tasks,
                           const Estimate& loss, const Estimate& accuracy) {
      rows.row(law.name, predictor, seed, t, tasks, loss.value, loss.standard_error, accuracy.value,
               accuracy.standard_error);
    };
    const auto add = [&](const std::string& predictor, const auto& loss_at, const auto& accuracy_at) {
      std::vector<std::string> losses{law.name, predictor, "cross-entropy"}, hits{law.name, predictor, "accuracy"};
      for (const Index t : table_contexts) {
        losses.push_back(text_of(loss_at(t)));
        hits.push_back(text_of(accuracy_at(t)));
      }
      table.row(std::move(losses));
      table.row(std::move(hits));
    };
    const auto at = [](const std::vector<Estimate>& curve) {
      return [&curve](Index t) { return curve[static_cast<std::size_t>(t - 1)]; };
    };
    add("closed form, one step", at(found[i].closed.loss), at(found[i].closed.accuracy));
    add(
        "trained layer", [&](Index t) { return over_seeds(trained[i], t, &Curves::loss); },
        [&](Index t) { return over_seeds(trained[i], t, &Curves::accuracy); });
    for (Index t = 1; t <= context; ++t)
      write("closed form, one step", "", t, tested_tasks(options), at(found[i].closed.loss)(t),
            at(found[i].closed.accuracy)(t));
    Record algorithms = Record::object(), list = Record::list();
    for (const LogisticScore& score : found[i].algorithms) {
      const auto of = [&](const std::vector<Estimate>& values) {
        return [&](Index t) {
          const auto where = std::find(score.examples.begin(), score.examples.end(), t) - score.examples.begin();
          return values[static_cast<std::size_t>(where)];
        };
      };
      add(score.name, of(score.loss), of(score.accuracy));
      for (std::size_t n = 0; n < score.examples.size(); ++n)
        write(score.name, "", score.examples[n], effort.tested, score.loss[n], score.accuracy[n]);
      algorithms[score.name] = {{"loss", score.loss.back().value},
                                {"loss_standard_error", score.loss.back().standard_error},
                                {"accuracy", score.accuracy.back().value},
                                {"accuracy_standard_error", score.accuracy.back().standard_error}};
    }
    for (std::size_t k = 0; k < trained[i].size(); ++k) {
      const Trained& t = trained[i][k];
      const std::uint64_t seed = options.seed_of(Index(k));
      for (Index n = 1; n <= context; ++n)
        write("trained layer", std::to_string(seed), n, tested_tasks(options), at(t.curves.loss)(n),
              at(t.curves.accuracy)(n));
      list.push_back({{"seed", seed},
                      {"loss", t.curves.loss[last].value},
                      {"accuracy", t.curves.accuracy[last].value},
                      {"excess", t.excess.value},
                      {"excess_standard_error", t.excess.standard_error},
                      {"effective_step", t.step},
                      {"distance_A", t.distance},
                      {"mean_decay", t.decay}});
      result.files.push_back(weights_output("classification-" + law.name + "-seed-" + std::to_string(seed),
                                            weights_file(t.parameters, vector_metadata())));
    }
    const Spread gap = spread_over(trained[i], [](const Trained& t) { return t.excess.value; });
    const Estimate loss = over_seeds(trained[i], context, &Curves::loss),
                   accuracy = over_seeds(trained[i], context, &Curves::accuracy);
    result.overview.row({law.title, rounded(found[i].step, 3), found[i].closed.loss[last].text(4), text_of(loss),
                         gap.percent_text(), found[i].closed.accuracy[last].text(4), text_of(accuracy)});
    result.summary[law.name] = {{"step", found[i].step},
                                {"construction_loss", found[i].closed.loss[last].value},
                                {"construction_loss_standard_error", found[i].closed.loss[last].standard_error},
                                {"construction_accuracy", found[i].closed.accuracy[last].value},
                                {"trained_loss", loss.value},
                                {"trained_accuracy", accuracy.value},
                                {"excess", gap.mean},
                                {"worst_excess", gap.most},
                                {"algorithms", std::move(algorithms)},
                                {"seeds", std::move(list)}};
    for (const bool of_accuracy : {false, true}) figures.push_back(figure_of(law, found[i], trained[i], of_accuracy));
  }
  result.summary["updates"] = updates;
  result.summary["evaluation_tasks"] = tested_tasks(options);
  result.summary["context"] = context;

  const auto score_of = [&](std::size_t i, const std::string& name) -> const LogisticScore& {
    std::size_t a = 0;
    while (found[i].algorithms[a].name != name) ++a;
    return found[i].algorithms[a];
  };
  const auto pair_of = [](const Estimate& loss, const Estimate& accuracy) {
    return rounded(loss.value, 3) + " (" + percent(accuracy.value) + " right)";
  };
  const auto after = [&](std::size_t i, const std::string& name) {
    const LogisticScore& score = score_of(i, name);
    return pair_of(score.loss.back(), score.accuracy.back());
  };
  const auto closed = [&](std::size_t i) {
    return pair_of(found[i].closed.loss[last], found[i].closed.accuracy[last]);
  };
  const auto excess_of = [&](std::size_t i) {
    return spread_over(trained[i], [](const Trained& t) { return t.excess.value; }).percent_text();
  };
  const auto mean_of_seeds = [&](std::size_t i, double Trained::*of) {
    return rounded(spread_over(trained[i], [&](const Trained& t) { return t.*of; }).mean, 3);
  };
  const double distance = std::max(spread_over(trained[0], [](const Trained& t) { return t.distance; }).most,
                                   spread_over(trained[1], [](const Trained& t) { return t.distance; }).most);
  result.section.push_back(Paragraph{
      "A label of " + std::to_string(label_classes) +
      " classes is handed to the layer as its centred one-hot vector, which is minus the gradient of the cross-entropy "
      "at equal logits. So (7) is one step of gradient descent on multi-class logistic regression (13b), with the "
      "first " +
      std::to_string(label_classes) +
      " outputs for logits; its step is the one with the least cross-entropy on average over 1 to " +
      std::to_string(context) +
      " examples. The same layer is trained from random weights with the cross-entropy (13a) after every example. "
      "Labels are drawn from softmax(W* x), x and the entries of W* standard normal, or are the largest of W* x."});
  result.section.push_back(Paragraph{
      "Training finds the step. After " + std::to_string(context) +
      " examples its cross-entropy is off the closed form's by " + excess_of(0) + " and " + excess_of(1) +
      " (drawn and largest labels; mean and spread over seeds, on the same tasks). "
      "In canonical scale A is at most " +
      rounded(distance, 2) + " from e₀e₁ᵀ; decays that reach the logits are " + mean_of_seeds(0, &Trained::decay) +
      " and " + mean_of_seeds(1, &Trained::decay) + " on average, and steps of " + mean_of_seeds(0, &Trained::step) +
      " and " + mean_of_seeds(1, &Trained::step) + ", the closed form's being " + rounded(found[0].step, 3) + " and " +
      rounded(found[1].step, 3) +
      ", make up for them. Which logit is the largest does not depend on the size of a step, so accuracy is that of "
      "every single step from zero."});
  result.section.push_back(Paragraph{
      "More steps matter with many examples. After " + std::to_string(context) + " drawn labels one step has " +
      closed(0) + ", two explicit steps of the best size " + after(0, "descent, 2 steps") + ", twenty " +
      after(0, "descent, 20 steps") + ", logistic regression with the best penalty " + after(0, "logistic regression") +
      ", and W* itself " + after(0, "W* itself") +
      ". Of labels that are the largest logit, where there is no noise to fit, "
      "one step has " +
      closed(1) + ", two " + after(1, "descent, 2 steps") + ", twenty " + after(1, "descent, 20 steps") +
      " and logistic regression " + after(1, "logistic regression") +
      ". Away from equal logits the gradient is no longer a sum that a state can hold: a stack of layers (7) takes "
      "these steps on squared errors, not on the cross-entropy."});
  for (Figure& figure : figures) result.section.push_back(std::move(figure));
  result.section.push_back(std::move(table));
  result.files.push_back({"classification.csv", csv.str()});
  return result;
}

}  // namespace

extern const Experiment classification{"classification", "Classification: one step on the cross-entropy", &run};

}  // namespace gdssm::reproduce
