// SPDX-License-Identifier: Apache-2.0
// `nonlinear`: the reference's model with learned embedding and gated readout on sines, beside the closed form and
// explicit descent on fixed random features.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numbers>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/io/csv.hpp"
#include "gdssm/models/nonlinear_ssm.hpp"
#include "gdssm/training/initialization.hpp"
#include "reproduce/algorithms/sine_features.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/statistics.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

/// The reference's nonlinear model.
using NonlinearModel = NonlinearSsm<PaperLayer<20>>;
using NonlinearTrainer = Trainer<NonlinearModel, SineRegression>;
using Parameters = NonlinearTrainer::Parameters;
using Losses = std::vector<double>;

constexpr Index features = 20, context = 10;
constexpr double rate_factor = 50;  // of the reference's rates, falling to zero after a rise
constexpr Index curve_points = 40, curve_tasks = 640;
const std::vector<double> widths{0.7, 1, 1.4, 2};
const std::vector<Index> step_counts{1, 2, 5, 10, 20};

struct Effort {
  Index updates, evaluation_tasks, fitting_tasks;
};
Effort effort_of(const Options& options) {
  return options.quick ? Effort{1500, 4000, 500} : Effort{20000, 20000, 2000};
}
/// Tasks that the width of the features and the starts are chosen on; neither trained nor measured on.
TaskRange fitting_tasks(const Options& options, const Effort& effort) {
  return {options.seed, effort.fitting_tasks, std::uint64_t{1} << 57};
}

/// Linear learners on one draw of random features, from W_0 = 0 and from the best W_0.
struct Fixed {
  FeatureMap phi{};
  std::array<Eigen::VectorXd, 2> start{};
  struct Steps {
    double size;
    Losses losses;
  };
  std::array<std::vector<Steps>, 2> steps{};  ///< by `step_counts`
  std::array<Losses, 2> ridge{};
  std::array<LayerLosses, 2> layer{};
  double layer_difference = 0;  ///< of the layer's losses under (7) from explicit descent's, the largest
};

Fixed fixed_features(const SineRegression& tasks, FeatureMap phi, const TaskRange& fitting, const TaskRange& range) {
  Fixed fixed;
  const Eigen::VectorXd W_0 = best_start(tasks, phi, fitting);
  for (std::size_t s = 0; s < 2; ++s) {
    fixed.start[s] = s == 0 ? Eigen::VectorXd(Eigen::VectorXd::Zero(W_0.size())) : W_0;
    const FeatureContexts measured(tasks, phi, fixed.start[s], range);
    for (const Index K : step_counts) {
      const double size = measured.best_size(K);  // on other tasks a size might be tuned at which a rare one diverges
      fixed.steps[s].push_back({size, measured.after_steps(K, size)});
    }
    fixed.ridge[s] = measured.ridge(measured.best_penalty());
    const Fixed::Steps& one = fixed.steps[s].front();
    fixed.layer[s] = layer_losses(tasks, phi, fixed.start[s], one.size, range);
    for (std::size_t i = 0; i < one.losses.size(); ++i)
      fixed.layer_difference = std::max(fixed.layer_difference, std::abs(one.losses[i] - fixed.layer[s].query[i]));
  }
  fixed.phi = std::move(phi);
  return fixed;
}

/// The model, trained with a loss at every position or, as the reference trains it, on the query alone.
struct Trained {
  std::uint64_t seed = 0;
  bool every_position = false;
  Parameters parameters{};
  Losses losses{};
  std::vector<double> by_context{};
  std::vector<double> update{}, curve{};  // loss, on few tasks
  double median_decay = 0, seconds = 0;
};

void train_one(const NonlinearTrainer& trainer, const Effort& effort, const Options& options, Trained& trained,
               ThreadPool& pool) {
  const auto begin = std::chrono::steady_clock::now();
  Recipe recipe = falling_rates(effort.updates, rate_factor);
  recipe.schedule = WarmUpCosine{effort.updates / 20, effort.updates};
  recipe.losses = trained.every_position ? context : 1;
  recipe.longest_gradient = 1;
  Parameters start = reference_initialization<float>(trainer.model(), trained.seed);
  start.output.kernel.setZero();
  const NonlinearTrainer::Follow follow{
      std::max<Index>(1, effort.updates / curve_points), [&](Index update, const Parameters& parameters) {
        trained.update.push_back(static_cast<double>(update));
        trained.curve.push_back(
            mean_of(trainer.losses(parameters, evaluation_tasks(options.seed, curve_tasks), pool)).value);
      }};
  const std::string name = (trained.every_position ? "every-position-" : "query-") + seed_name(trained.seed);
  trained.parameters = trainer.train(recipe, trained.seed, start, pool, options.checkpoint(name), follow);
  const TaskRange range = evaluation_tasks(options.seed, effort.evaluation_tasks);
  trained.losses = trainer.losses(trained.parameters, range, pool);
  for (const Sample& sample : trainer.losses_by_context(trained.parameters, range, pool))
    trained.by_context.push_back(sample.mean());
  const auto c = trainer.model().layer().prepare(trained.parameters.layer);
  std::vector<float> decays(c.recurrence.decay.data(), c.recurrence.decay.data() + c.recurrence.decay.size());
  std::nth_element(decays.begin(), decays.begin() + features * features / 2, decays.end());
  trained.median_decay = static_cast<double>(decays[static_cast<std::size_t>(features * features / 2)]);
  trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// What a trained model answers to many queries after one context.
std::vector<double> answers(const NonlinearModel& model, const Parameters& parameters, const TokenSequence& task,
                            const std::vector<double>& queries) {
  Eigen::MatrixXf tokens = task.tokens.cast<float>();
  std::vector<double> answers;
  for (const double query : queries) {
    tokens(0, tokens.cols() - 1) = static_cast<float>(query);
    answers.push_back(static_cast<double>(model.predict(parameters, tokens)(0, context - 1)));
  }
  return answers;
}

/// Losses of a learner on the same tasks, a list a seed.
struct Learner {
  std::string key, name;
  std::vector<Losses> seeds;

  Spread spread() const {
    return spread_over(seeds, [](const Losses& losses) { return mean_of(losses).value; });
  }
  double standard_error() const {
    return spread_over(seeds, [](const Losses& losses) { return mean_of(losses).standard_error; }).mean;
  }
};

Result run(const Options& options) {
  const Effort effort = effort_of(options);
  const SineRegression tasks{.context = context};
  const NonlinearTrainer trainer("nonlinear", {}, tasks);
  const TaskRange range = evaluation_tasks(options.seed, effort.evaluation_tasks);
  const TaskRange fitting = fitting_tasks(options, effort);
  const auto seeds = static_cast<std::size_t>(options.seeds);

  // The loss of one step for every width and draw of features, on the tasks to choose by.
  programs::Progress progress("nonlinear", options.seeds * (Index(widths.size()) + 3) + 1);
  std::vector<double> loss_of_width(widths.size() * seeds);
  run_jobs(Index(loss_of_width.size()), options.threads, progress, [&](Index j, ThreadPool&) {
    const auto at = static_cast<std::size_t>(j);
    const FeatureMap phi = fourier_features(features, widths[at / seeds], options.seed_of(Index(at % seeds)));
    const FeatureContexts contexts(tasks, phi, Eigen::VectorXd::Zero(features), fitting);
    loss_of_width[at] = mean_of(contexts.after_steps(1, contexts.best_size(1))).value;
  });
  std::vector<double> mean_of_width(widths.size());
  for (std::size_t j = 0; j < loss_of_width.size(); ++j)
    mean_of_width[j / seeds] += loss_of_width[j] / static_cast<double>(seeds);
  const double width = widths[static_cast<std::size_t>(std::min_element(mean_of_width.begin(), mean_of_width.end()) -
                                                       mean_of_width.begin())];

  std::vector<Trained> found(2 * seeds);
  std::vector<Fixed> fixed(seeds);
  Fixed own;
  for (std::size_t j = 0; j < found.size(); ++j) {
    found[j].seed = options.seed_of(Index(j % seeds));
    found[j].every_position = j < seeds;
  }
  run_jobs(3 * options.seeds + 1, options.threads, progress, [&](Index j, ThreadPool& pool) {
    const auto at = static_cast<std::size_t>(j);
    if (at < 2 * seeds)
      train_one(trainer, effort, options, found[at], pool);
    else if (at < 3 * seeds)
      fixed[at - 2 * seeds] = fixed_features(
          tasks, fourier_features(features, width, options.seed_of(Index(at - 2 * seeds))), fitting, range);
    else
      own = fixed_features(tasks, own_features, fitting, range);
  });

  // Learners that look at no context.
  const double mean_factor = (tasks.least_amplitude + tasks.most_amplitude) / std::numbers::pi;
  Losses zero, prior;
  for (Index i = 0; i < range.count; ++i) {
    const TokenSequence task = tasks.sequence(range.seed, range.first + static_cast<std::uint64_t>(i));
    const double y = task.targets(0, 0), apart = y - mean_factor * std::cos(task.tokens(0, 2 * context));
    zero.push_back(y * y / 2);
    prior.push_back(apart * apart / 2);
  }
  const auto of_fixed = [&](const auto& losses_of) {
    std::vector<Losses> list;
    list.reserve(fixed.size());
    for (const Fixed& draw : fixed) list.push_back(losses_of(draw));
    return list;
  };
  const auto of_trained = [&](bool every_position) {
    std::vector<Losses> list;
    for (const Trained& t : found)
      if (t.every_position == every_position) list.push_back(t.losses);
    return list;
  };
  const std::size_t ten = 3;  // of `step_counts`
  const std::vector<Learner> learners{
      {"zero", "predicting zero", {zero}},
      {"mean", "the mean of all tasks, (21)", {prior}},
      {"one_step", "closed form (7): a step on random features",
       of_fixed([](const Fixed& d) { return d.layer[0].query; })},
      {"one_step_best_start", "the same from the best W_0", of_fixed([](const Fixed& d) { return d.layer[1].query; })},
      {"ten_steps", "ten steps on them", of_fixed([&](const Fixed& d) { return d.steps[0][ten].losses; })},
      {"ten_steps_best_start", "ten steps from the best W_0",
       of_fixed([&](const Fixed& d) { return d.steps[1][ten].losses; })},
      {"own_features_one_step", "closed form (7) on sin x, cos x", {own.layer[0].query}},
      {"trained_query", "trained on the query alone", of_trained(false)},
      {"trained", "trained at every position", of_trained(true)}};
  const auto learner = [&](const std::string& key) -> const Learner& {
    return *std::find_if(learners.begin(), learners.end(), [&](const Learner& l) { return l.key == key; });
  };

  Result result;
  const double zero_loss = mean_of(zero).value;
  result.overview = {"nonlinear: sines, f = 20, N = 10, " + grouped(effort.updates) + " updates; loss on the same " +
                         grouped(effort.evaluation_tasks) + " tasks, mean (least to most) over " +
                         std::to_string(seeds) + (seeds == 1 ? " seed" : " seeds"),
                     {"learner", "loss", "± s.e.", "of predicting zero"},
                     {}};
  std::ostringstream csv;
  CsvWriter rows(csv, {"learner", "seed", "loss", "standard_error"});
  Record losses = Record::object();
  for (const Learner& l : learners) {
    const Spread spread = l.spread();
    result.overview.row({l.name, spread.text(), rounded(l.standard_error(), 1), percent(spread.mean / zero_loss)});
    losses[l.key] = {
        {"loss", spread.mean}, {"least", spread.least}, {"most", spread.most}, {"standard_error", l.standard_error()}};
    for (std::size_t k = 0; k < l.seeds.size(); ++k) {
      const Estimate loss = mean_of(l.seeds[k]);
      rows.row(l.key, options.seed_of(Index(k)), loss.value, loss.standard_error);
    }
  }

  Table steps{
      "Explicit descent on the same random features and ridge regression: loss, mean (least to most) over draws of "
      "the features. Every number of steps has a size of its own; sizes and penalty are the best for the very "
      "tasks that are measured, in favour of descent",
      {"steps", "size", "from W_0 = 0", "size", "from the best W_0"},
      {}};
  std::ostringstream steps_csv;
  CsvWriter step_rows(steps_csv, {"learner", "start", "seed", "size", "loss", "standard_error"});
  const auto size_and_loss = [&](std::size_t s, std::size_t k) {
    const double size = spread_over(fixed, [&](const Fixed& d) { return d.steps[s][k].size; }).mean;
    const Spread loss = spread_over(fixed, [&](const Fixed& d) { return mean_of(d.steps[s][k].losses).value; });
    return std::pair(rounded(size, 3), loss.text());
  };
  for (std::size_t k = 0; k < step_counts.size(); ++k) {
    const auto [size, loss] = size_and_loss(0, k);
    const auto [other_size, other_loss] = size_and_loss(1, k);
    steps.row({std::to_string(step_counts[k]), size, loss, other_size, other_loss});
  }
  const auto of_ridge = [&](std::size_t s) {
    return spread_over(fixed, [&](const Fixed& d) { return mean_of(d.ridge[s]).value; });
  };
  steps.row({"ridge", "", of_ridge(0).text(), "", of_ridge(1).text()});
  for (std::size_t j = 0; j < seeds; ++j)
    for (std::size_t s = 0; s < 2; ++s) {
      const std::string start = s == 0 ? "zero" : "best";
      for (std::size_t k = 0; k < step_counts.size(); ++k) {
        const Estimate loss = mean_of(fixed[j].steps[s][k].losses);
        step_rows.row("steps " + std::to_string(step_counts[k]), start, options.seed_of(Index(j)),
                      fixed[j].steps[s][k].size, loss.value, loss.standard_error);
      }
      const Estimate loss = mean_of(fixed[j].ridge[s]);
      step_rows.row("ridge", start, options.seed_of(Index(j)), "", loss.value, loss.standard_error);
    }

  // Figures.
  const std::vector<double> ends{0, static_cast<double>(effort.updates)};
  const auto level = [&](const std::string& label, const std::string& key, Mark mark, Colour colour) {
    const double at = learner(key).spread().mean;
    return Series{label, mark, colour, ends, {at, at}};
  };
  Figure training{"nonlinear-training",
                  "The query's loss in training, a line a seed, beside learners on fixed features and the mean of all "
                  "tasks, which looks at no context.",
                  {"updates (64 fresh tasks each)"},
                  {"loss", true},
                  {}};
  std::ostringstream curves_csv;
  CsvWriter curve_rows(curves_csv, {"training", "seed", "update", "tasks", "loss"});
  for (const bool every : {false, true}) {
    std::string label = every ? "trained at every position" : "trained on the query";
    for (const Trained& t : found) {
      if (t.every_position != every) continue;
      Series line{std::exchange(label, ""), Mark::line, every ? Colour::blue : Colour::purple, {}, {}};
      for (std::size_t i = 0; i < t.update.size(); ++i) {
        curve_rows.row(every ? "every position" : "query", t.seed, t.update[i], curve_tasks, t.curve[i]);
        if (t.curve[i] > 3 * zero_loss) continue;
        line.x.push_back(t.update[i]);
        line.y.push_back(t.curve[i]);
      }
      training.series.push_back(std::move(line));
    }
  }
  training.series.push_back(level("mean of all tasks", "mean", Mark::dashed, Colour::grey));
  training.series.push_back(level("step, random features", "one_step", Mark::dashed, Colour::orange));
  training.series.push_back(level("step, sin x and cos x", "own_features_one_step", Mark::dashed, Colour::green));

  std::vector<double> pairs;
  for (Index t = 1; t <= context; ++t) pairs.push_back(static_cast<double>(t));
  Figure by_context{
      "nonlinear-context",
      "Loss after t pairs; of what is trained a point a seed. The closed form's step is the best for the query, after "
      "ten pairs, and a model trained on the query alone has met no shorter contexts.",
      {"pairs t"},
      {"loss", true},
      {}};
  std::ostringstream context_csv;
  CsvWriter context_rows(context_csv, {"learner", "seed", "pairs", "loss"});
  Series random{"step, random features", Mark::line, Colour::orange, pairs, std::vector<double>(pairs.size())},
      from_start{"the same from the best W_0", Mark::dashed, Colour::orange, pairs, std::vector<double>(pairs.size())},
      exact{"step, sin x and cos x", Mark::line, Colour::green, pairs, own.layer[0].by_context};
  for (std::size_t j = 0; j < seeds; ++j)
    for (std::size_t t = 0; t < pairs.size(); ++t) {
      random.y[t] += fixed[j].layer[0].by_context[t] / static_cast<double>(seeds);
      from_start.y[t] += fixed[j].layer[1].by_context[t] / static_cast<double>(seeds);
      context_rows.row("one_step", options.seed_of(Index(j)), t + 1, fixed[j].layer[0].by_context[t]);
      context_rows.row("one_step_best_start", options.seed_of(Index(j)), t + 1, fixed[j].layer[1].by_context[t]);
    }
  Series at_query{"trained on the query", Mark::points, Colour::purple, {}, {}},
      at_every{"trained at every position", Mark::points, Colour::blue, {}, {}};
  for (const Trained& t : found)
    for (std::size_t n = 0; n < pairs.size(); ++n) {
      Series& points = t.every_position ? at_every : at_query;
      points.x.push_back(pairs[n]);
      points.y.push_back(t.by_context[n]);
      context_rows.row(t.every_position ? "trained" : "trained_query", t.seed, n + 1, t.by_context[n]);
    }
  for (std::size_t t = 0; t < pairs.size(); ++t)
    context_rows.row("own_features_one_step", "", t + 1, own.layer[0].by_context[t]);
  const double prior_loss = mean_of(prior).value;
  by_context.series = {{"mean of all tasks", Mark::dashed, Colour::grey, {1, 10}, {prior_loss, prior_loss}},
                       random,
                       from_start,
                       exact,
                       at_query,
                       at_every};

  const TokenSequence task = tasks.sequence(range.seed, range.first);
  const SineRegression::Function function = tasks.function(range.seed, range.first);
  std::vector<double> grid, truth;
  for (int i = -50; i <= 50; ++i) {
    grid.push_back(i / 10.0);
    truth.push_back(function(i / 10.0));
  }
  Series shown{"its ten pairs", Mark::points, Colour::grey, {}, {}};
  for (Index t = 0; t < context; ++t) {
    shown.x.push_back(task.tokens(0, 2 * t));
    shown.y.push_back(task.tokens(0, 2 * t + 1));
  }
  const std::vector<double> of_model = answers(trainer.model(), found[0].parameters, task, grid);
  const std::vector<double> of_random =
      layer_answers(task, fixed[0].phi, fixed[0].start[1], fixed[0].steps[1].front().size, grid);
  const std::vector<double> of_own = layer_answers(task, own.phi, own.start[0], own.steps[0].front().size, grid);
  Figure one{"nonlinear-task",
             "One task: the function, the context, and what three learners answer to every query after it. First seed.",
             {"query x"},
             {"y"},
             {{"function", Mark::dashed, Colour::grey, grid, truth},
              shown,
              {"step from the best W_0, random features", Mark::line, Colour::orange, grid, of_random},
              {"step, sin x and cos x", Mark::line, Colour::green, grid, of_own},
              {"trained at every position", Mark::line, Colour::blue, grid, of_model}}};
  std::ostringstream task_csv;
  CsvWriter task_rows(task_csv, {"x", "function", "one_step_best_start", "own_features_one_step", "trained"});
  for (std::size_t i = 0; i < grid.size(); ++i) task_rows.row(grid[i], truth[i], of_random[i], of_own[i], of_model[i]);

  // The text, and the rest.
  double difference = own.layer_difference;
  for (const Fixed& draw : fixed) difference = std::max(difference, draw.layer_difference);
  const auto loss_of = [&](const std::string& key) { return learner(key).spread().mean; };
  const auto versus = [&](double loss, double other) {
    return percent(std::abs(loss / other - 1)) + (loss < other ? " less than " : " more than ");
  };
  const auto late = [&](const std::vector<double>& by_t) { return 1 - by_t[9] / by_t[3]; };
  std::vector<Trained> every(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(seeds));
  const double trained_late = spread_over(every, [&](const Trained& t) { return late(t.by_context); }).mean;
  const double decay = spread_over(every, [](const Trained& t) { return t.median_decay; }).mean;
  std::string text = "The model (18)-(20), trained with a loss at every position, answers the query with a loss of " +
                     learner("trained").spread().text() + ", " + percent(loss_of("trained") / zero_loss) +
                     " of what predicting zero loses; trained on the query alone, as the reference does it, with " +
                     learner("trained_query").spread().text() + ". A step of descent on " + std::to_string(features) +
                     " random Fourier features of the best of four widths (" + rounded(width) + ") loses " +
                     learner("one_step").spread().text() + " over draws of them, and from the best W_0 " +
                     learner("one_step_best_start").spread().text() +
                     ": the fair comparison, since phases between 0 and π leave the tasks a mean, (21), which the "
                     "model can hold in its "
                     "biases. On average the model loses " +
                     versus(loss_of("trained"), loss_of("one_step_best_start")) + "that";
  const Spread step = learner("one_step_best_start").spread();
  if (step.least < loss_of("trained") && loss_of("trained") < step.most)
    text += ", within what draws of the features differ by";
  text += ", and " + versus(loss_of("trained"), loss_of("ten_steps_best_start")) +
          "ten steps on the same features. A step on sin x and cos x, of which the tasks are made, loses " +
          rounded(loss_of("own_features_one_step")) + ".";
  if (loss_of("trained") > 2 * loss_of("own_features_one_step"))
    text +=
        " So training has not found these features, and (18)-(20) leave no room for them: the embedding is affine, "
        "and products with it are all that a context's inputs meet on their way into the state; the gated unit "
        "comes behind, where the context is summed up already.";
  text += " From four pairs to ten the trained model's loss falls by " + percent(trained_late) +
          " on average over seeds, that of the step on sin x and cos x by " + percent(late(own.layer[0].by_context)) +
          "; the median of its decays is " + rounded(decay, 3) + ", a half-life of " +
          rounded(std::log(0.5) / std::log(decay), 3) + " pairs.";
  if (decay < 0.8) text += " It answers from the last few pairs, where a gradient sums over all.";
  if (options.quick) text += " Quick runs stop long before training has ended.";
  result.section.push_back(Paragraph{std::move(text)});
  result.section.push_back(std::move(training));
  result.section.push_back(std::move(by_context));
  result.section.push_back(std::move(one));
  result.section.push_back(std::move(steps));

  Record runs = Record::list();
  for (const Trained& t : found) {
    const Estimate loss = mean_of(t.losses);
    const std::string name = t.every_position ? "nonlinear" : "nonlinear-query";
    runs.push_back({{"training", t.every_position ? "every position" : "query"},
                    {"seed", t.seed},
                    {"trained_loss", loss.value},
                    {"standard_error", loss.standard_error},
                    {"median_decay", t.median_decay},
                    {"seconds", t.seconds}});
    result.files.push_back(weights_output(
        name + "-seed-" + std::to_string(t.seed),
        weights_file(t.parameters, {{"discretization", "zoh"}, {"targets", "scalar"}, {"readout", "half_glu2"}})));
  }
  Record of_widths = Record::list();
  for (std::size_t w = 0; w < widths.size(); ++w)
    of_widths.push_back({{"width", widths[w]}, {"one_step_loss", mean_of_width[w]}});
  result.summary = {{"updates", effort.updates},
                    {"features", features},
                    {"context", context},
                    {"evaluation_tasks", effort.evaluation_tasks},
                    {"parameters", count(trainer.model().parameters<float>())},
                    {"width", width},
                    {"widths", std::move(of_widths)},
                    {"layer_difference", difference},
                    {"losses", std::move(losses)},
                    {"ridge_loss", of_ridge(0).mean},
                    {"ridge_loss_best_start", of_ridge(1).mean},
                    {"trained_from_four_to_ten_pairs", trained_late},
                    {"seeds", std::move(runs)}};
  result.files.push_back({"nonlinear.csv", csv.str()});
  result.files.push_back({"nonlinear-steps.csv", steps_csv.str()});
  result.files.push_back({"nonlinear-curves.csv", curves_csv.str()});
  result.files.push_back({"nonlinear-context.csv", context_csv.str()});
  result.files.push_back({"nonlinear-task.csv", task_csv.str()});
  return result;
}

}  // namespace

extern const Experiment nonlinear{"nonlinear", "Nonlinear regression: sines", &run};

}  // namespace gdssm::reproduce
