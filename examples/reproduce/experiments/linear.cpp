// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/analysis/canonical.hpp"
#include "gdssm/analysis/implicit_weights.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/training/initialization.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/statistics.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

// `linear-vector`, `linear-scalar`, `linear-all-positions`, the paper's central experiment: the layer in closed form,
// with the analytic step, beside the same layer trained from random weights. f = N = 10 and the reference's
// initialisation, optimiser and batch; fresh tasks at every update.
namespace gdssm::reproduce {
namespace {

/// The closed form, trained against.
class LinearExperiment {
  static constexpr Index features = paper_features, context = 10, updates = 30000, long_updates = 300000;
  static constexpr Index tested_tasks = 100000, alignment_tasks = 20000, implicit_tasks = 2000;
  static constexpr Index curve_tasks = 4096, curve_alignment_tasks = 1024, points = 60;

  using Layer = PaperLayer<features>;
  using Parameters = Layer::Parameters<float>;

 public:
  /// `outputs` is 1 for scalar targets, else f; `losses` is the number of windows that bear a loss: 1, or N for all.
  LinearExperiment(std::string name, Index outputs, Index losses, Options options)
      : name_(std::move(name)),
        losses_(losses),
        scalar_(outputs == 1),
        options_(std::move(options)),
        trainer_(name_, Layer(), {.features = features, .outputs = outputs, .context = context}),
        step_(losses == 1 ? best_step(task(context)) : best_step_all_positions(task(context))),
        construction_(gradient_step(trainer_.model(), static_cast<float>(step_))) {}

  Result run() {
    if (!options_.quick)
      longer_ = {{"constant rates", "longer-constant", ConstantRate{}},
                 {"rates falling to 0 along a cosine", "longer-falling", WarmUpCosine{0, long_updates}}};
    seeds_.resize(static_cast<std::size_t>(options_.seeds));
    const Index seeds = options_.seeds, longer = std::ssize(longer_);
    programs::Progress progress(name_, seeds * (updates + 1) + longer * (long_updates + 1));
    {
      ThreadPool pool(options_.threads);
      construction_loss_ = trainer_.losses_by_context(construction_, range(tested_tasks), pool);
      construction_on_curve_ = mean_loss(trainer_.losses_by_context(construction_, range(curve_tasks), pool));
    }
    run_jobs(seeds, options_.threads, progress, [&](Index k, ThreadPool& pool) {
      seeds_[static_cast<std::size_t>(k)] = train_seed(options_.seed_of(k), pool, progress);
    });
    run_jobs(longer, options_.threads, progress,
             [&](Index k, ThreadPool& pool) { train_longer(longer_[static_cast<std::size_t>(k)], pool, progress); });

    Result result;
    add_summary(result);
    add_overview(result);
    add_agreement(result);
    add_curves(result);
    add_weights(result);
    add_context(result);
    if (!options_.quick) add_longer(result);
    return result;
  }

 private:
  struct Curve {
    std::vector<double> update, loss, cosine, difference;
  };

  /// What is known of weights once they are trained.
  struct Measured {
    std::vector<Sample> loss;  ///< by pairs seen
    Alignment alignment;
    StepDistance<float> distance;
  };

  struct Trained {
    std::uint64_t seed;
    double initial_loss = 0;
    Parameters parameters;
    Curve curve{};
    Measured measured{};
    std::vector<Sample> implicit{};
    double seconds = 0;
  };

  struct Longer {
    std::string name, slug;
    std::function<double(Index)> schedule;
    Curve curve{};
    Measured measured{};
    double seconds = 0;
  };

  static LinearTask<> task(Index pairs) { return {features, pairs, uniform_inputs(1.0)}; }
  TaskRange range(Index count) const { return evaluation_tasks(options_.seed, count); }

  /// The mean over the windows that bear a loss. The standard error is exact for one, a bound for more: their losses
  /// are dependent, and a mean's deviation is at most the deviations' mean.
  double mean_loss(const std::vector<Sample>& by_context) const {
    return over_losses(by_context, [](const Sample& sample) { return sample.mean(); });
  }
  double loss_error(const std::vector<Sample>& by_context) const {
    return over_losses(by_context, [](const Sample& sample) { return sample.standard_error(); });
  }
  template <class Of>
  double over_losses(const std::vector<Sample>& by_context, const Of& of) const {
    double sum = 0;
    for (Index j = context - losses_; j < context; ++j) sum += of(by_context[static_cast<std::size_t>(j)]);
    return sum / static_cast<double>(losses_);
  }
  double analytic_loss() const {
    return losses_ == 1 ? expected_loss(task(context), step_) : expected_loss_all_positions(task(context), step_);
  }
  /// (9) with a step of its own at each position, averaged.
  double own_steps_loss() const {
    double sum = 0;
    for (Index t = 1; t <= context; ++t) sum += expected_loss(task(t), best_step(task(t)));
    return sum / static_cast<double>(context);
  }
  double gap(const Measured& measured) const { return mean_loss(measured.loss) / mean_loss(construction_loss_) - 1; }

  StepDistance<float> distance_of(const CanonicalForm<float>& form) const {
    return scalar_ ? distance_from_step(form, ScalarTargets{}) : distance_from_step(form, VectorTargets{});
  }
  std::vector<Sample> implicit_error(const Parameters& parameters, ThreadPool& pool) const {
    const auto& error = scalar_ ? implicit_weight_error<float, ScalarTargets, Layer, LinearRegression>
                                : implicit_weight_error<float, VectorTargets, Layer, LinearRegression>;
    return error(trainer_.model(), parameters, construction_, trainer_.tasks(), range(implicit_tasks), pool);
  }

  Measured measure(const Parameters& parameters, ThreadPool& pool) const {
    return {trainer_.losses_by_context(parameters, range(tested_tasks), pool),
            trainer_.align(parameters, construction_, range(alignment_tasks), pool),
            distance_of(canonical_form(trainer_.model(), parameters))};
  }

  void add_point(Index update, const Parameters& parameters, Curve& curve, ThreadPool& pool) const {
    const auto loss = trainer_.losses_by_context(parameters, range(curve_tasks), pool);
    const auto alignment = trainer_.align(parameters, construction_, range(curve_alignment_tasks), pool);
    curve.update.push_back(static_cast<double>(update));
    curve.loss.push_back(mean_loss(loss));
    curve.cosine.push_back(alignment.cosine.mean());
    curve.difference.push_back(alignment.model_difference.mean());
  }

  Parameters train_run(const std::string& name, std::uint64_t seed, const Recipe& recipe, const Parameters& start,
                       Curve& curve, ThreadPool& pool, programs::Progress& progress) const {
    add_point(0, start, curve, pool);
    const Index every = recipe.updates / points;
    return trainer_.train(recipe, seed, start, pool, options_.checkpoint(name),
                          {every, [&](Index update, const Parameters& parameters) {
                             add_point(update, parameters, curve, pool);
                             progress.advance(every);
                           }});
  }

  Trained train_seed(std::uint64_t seed, ThreadPool& pool, programs::Progress& progress) const {
    const auto start = std::chrono::steady_clock::now();
    const auto begin = reference_initialization<float>(trainer_.model(), seed);
    Trained trained{.seed = seed, .parameters = begin};
    trained.initial_loss = mean_loss(trainer_.losses_by_context(begin, range(tested_tasks), pool));
    trained.parameters =
        train_run(seed_name(seed), seed, {.updates = updates, .losses = losses_}, begin, trained.curve, pool, progress);
    trained.measured = measure(trained.parameters, pool);
    trained.implicit = implicit_error(canonicalised(trained.parameters), pool);
    trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return trained;
  }

  void train_longer(Longer& longer, ThreadPool& pool, programs::Progress& progress) const {
    const auto start = std::chrono::steady_clock::now();
    const auto begin = reference_initialization<float>(trainer_.model(), options_.seed);
    const Recipe recipe{.updates = long_updates, .schedule = longer.schedule, .losses = losses_};
    longer.curve = {};
    longer.measured = measure(train_run(longer.slug, options_.seed, recipe, begin, longer.curve, pool, progress), pool);
    longer.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  // --- What was found

  template <class Of>
  Spread over_seeds(const Of& of) const {
    return spread_over(seeds_, of);
  }

  /// The first point of the curve past half way from the plateau to the construction.
  double left_plateau(const Trained& trained) const {
    const Curve& curve = trained.curve;
    for (std::size_t i = 0; i < curve.update.size(); ++i)
      if (curve.loss[i] < (zero_loss() + construction_on_curve_) / 2) return curve.update[i];
    return static_cast<double>(updates);
  }
  /// Of the prediction zero.
  double zero_loss() const { return expected_loss(task(context), 0.0); }

  static Record distances(const StepDistance<float>& distance) {
    const auto number = [](float value) { return static_cast<double>(value); };
    return {{"A", number(distance.A)},
            {"d", number(distance.d)},
            {"C", number(distance.C)},
            {"decay", number(distance.decay)}};
  }

  Record summary_of(const Trained& trained) const {
    const Measured& measured = trained.measured;
    return {{"seed", trained.seed},
            {"construction_loss", mean_loss(construction_loss_)},
            {"construction_loss_standard_error", loss_error(construction_loss_)},
            {"analytic_loss", analytic_loss()},
            {"initial_loss", trained.initial_loss},
            {"trained_loss", mean_loss(measured.loss)},
            {"worst_gap", gap(measured)},
            {"effective_step_trained", static_cast<double>(measured.distance.step)},
            {"effective_step_analytic", step_},
            {"cosine", measured.alignment.cosine.mean()},
            {"model_difference", measured.alignment.model_difference.mean()},
            {"prediction_difference", measured.alignment.prediction_difference.mean()},
            {"canonical_distance", distances(measured.distance)},
            {"left_plateau", left_plateau(trained)},
            {"updates", updates},
            {"evaluation_tasks", tested_tasks},
            {"seconds", trained.seconds}};
  }

  void add_summary(Result& result) const {
    Record seeds = Record::list(), longer = Record::list();
    for (const Trained& trained : seeds_) seeds.push_back(summary_of(trained));
    auto& summary = result.summary;
    summary = seeds.items().front();
    summary.erase("seed");
    for (const char* const name : {"initial_loss", "trained_loss", "effective_step_trained", "cosine",
                                   "model_difference", "prediction_difference", "left_plateau", "seconds"}) {
      double sum = 0;
      for (const Record& seed : seeds.items()) sum += seed.at(name).number();
      summary[name] = sum / static_cast<double>(seeds.items().size());
    }
    Record& distance = summary["canonical_distance"];
    for (const std::string& part : distance.names()) {
      double sum = 0;
      for (const Record& seed : seeds.items()) sum += seed.at("canonical_distance").at(part).number();
      distance[part] = sum / static_cast<double>(seeds.items().size());
    }
    summary["worst_gap"] = over_seeds([&](const Trained& trained) { return gap(trained.measured); }).most;
    for (const Longer& run : longer_)
      longer.push_back({{"schedule", run.name},
                        {"seed", options_.seed},
                        {"updates", long_updates},
                        {"trained_loss", mean_loss(run.measured.loss)},
                        {"gap", gap(run.measured)},
                        {"effective_step_trained", static_cast<double>(run.measured.distance.step)},
                        {"cosine", run.measured.alignment.cosine.mean()},
                        {"canonical_distance", distances(run.measured.distance)},
                        {"seconds", run.seconds}});
    if (!longer_.empty()) summary["longer"] = std::move(longer);
    summary["seeds"] = std::move(seeds);
  }

  void add_overview(Result& result) const {
    Table& table = result.overview;
    const auto trained = [&](const auto& of, int digits) { return over_seeds(of).text(digits); };
    table = {name_ + ": closed form beside " + grouped(updates) + " updates from random weights, " +
                 (seeds_.size() == 1 ? "one seed" : std::to_string(seeds_.size()) + " seeds: mean (least to most)"),
             {"quantity", "closed form", "trained"},
             {}};
    table.row({"loss before", "", trained([](const Trained& t) { return t.initial_loss; }, 4)});
    table.row({"loss on " + grouped(tested_tasks) + " tasks",
               rounded(mean_loss(construction_loss_), 5) + " ± " + rounded(loss_error(construction_loss_), 1),
               trained([&](const Trained& t) { return mean_loss(t.measured.loss); }, 5)});
    table.row({losses_ == 1 ? "loss (9)" : "loss (9), mean over positions", rounded(analytic_loss(), 5), ""});
    table.row({"worst seed above the closed form", "",
               percent(over_seeds([&](const Trained& t) { return gap(t.measured); }).most)});
    table.row({"effective step", rounded(step_, 5),
               trained([](const Trained& t) { return double(t.measured.distance.step); }, 4)});
    table.row({"cosine of the query's derivatives", "1",
               trained([](const Trained& t) { return t.measured.alignment.cosine.mean(); }, 5)});
    table.row({"model difference", "0",
               trained([](const Trained& t) { return t.measured.alignment.model_difference.mean(); }, 3)});
    table.row({"prediction difference", "0",
               trained([](const Trained& t) { return t.measured.alignment.prediction_difference.mean(); }, 3)});
    table.row({"|A - e₀e₁ᵀ|", "0", trained([](const Trained& t) { return double(t.measured.distance.A); }, 2)});
    table.row({"|d - e₂|", "0", trained([](const Trained& t) { return double(t.measured.distance.d); }, 2)});
    table.row({scalar_ ? "|C's last row / a + e|" : "|C / a + I| / √f", "0",
               trained([](const Trained& t) { return double(t.measured.distance.C); }, 2)});
    table.row({"largest |L - 1|", "0", trained([](const Trained& t) { return double(t.measured.distance.decay); }, 2)});
    table.row(
        {"off the plateau after so many updates", "", trained([&](const Trained& t) { return left_plateau(t); }, 5)});
  }

  void add_agreement(Result& result) const {
    const auto worst = over_seeds([&](const Trained& t) { return gap(t.measured); }).most;
    const auto cosine = over_seeds([](const Trained& t) { return t.measured.alignment.cosine.mean(); });
    const auto step = over_seeds([](const Trained& t) { return double(t.measured.distance.step); });
    const auto decay = over_seeds([](const Trained& t) { return double(t.measured.distance.decay); });
    const auto A = over_seeds([](const Trained& t) { return double(t.measured.distance.A); });
    const auto C = over_seeds([](const Trained& t) { return double(t.measured.distance.C); });
    const auto left = over_seeds([&](const Trained& t) { return left_plateau(t); });
    const double deviation = (mean_loss(construction_loss_) - analytic_loss()) / loss_error(construction_loss_);
    const auto stuck = static_cast<std::size_t>(
        std::count_if(seeds_.begin(), seeds_.end(), [&](const Trained& t) { return gap(t.measured) > 0.1; }));
    std::string text =
        "In closed form, with the step " + rounded(step_, 5) + " that theory calls best, the layer loses " +
        rounded(mean_loss(construction_loss_), 5) + " on " + grouped(tested_tasks) + " tasks; (9) says " +
        rounded(analytic_loss(), 5) + ", " + rounded(std::abs(deviation), 2) + " standard errors away. Trained from " +
        "random weights, with no knowledge of any of this, the worst seed ends " + percent(std::abs(worst)) +
        (worst < 0 ? " below" : " above") +
        " that on the same tasks. What it learned is the same algorithm: the derivative of its prediction by the query "
        "points where the gradient step's does (cosine " +
        rounded(cosine.least, 5) + " or more), and in canonical scale its A is " + rounded(A.most, 2) +
        " from picking x_t y_tᵀ at most. ";
    if (scalar_)
      text +=
          "Of C only the last row acts, and in it the entries but the last meet rows of the state that stay almost "
          "empty, so hardly anything pulls them towards zero: they are what is left of their random beginnings (" +
          rounded(C.most, 2) + " at most), and cost next to nothing. ";
    else
      text += "C is " + rounded(C.most, 2) + " from a multiple of the identity at most. ";
    text += "The decays " + std::string(scalar_ ? "that act " : "") + "stay below 1, by up to " +
            rounded(decay.most, 2) + ", and the step is " + step.text() + ": ";
    if (losses_ > 1)
      text +=
          "decays below 1 and a larger step are what training adds to theory here. One step for all positions is too "
          "timid after few pairs and too bold after many; a state that forgets grows more slowly than the number of "
          "pairs and so comes nearer to each position's own best step, which would lose " +
          rounded(own_steps_loss(), 5) + ".";
    else
      text += "larger than the best at L = 1 where it makes up for what the state forgets.";
    result.section.push_back(Paragraph{std::move(text)});

    std::string plateau =
        "Every run begins by shrinking its random predictions to none, a loss of f/24 = " + rounded(zero_loss(), 4) +
        ", and stays there for a while. The prediction is a product of A, C and d: where all three are small the "
        "gradient is small to second order, and the plateau is a saddle, not a minimum. How long a run stays hangs "
        "on how its random weights happen to lean. ";
    plateau += seeds_.size() == 1
                   ? "This one left after " + rounded(left.mean, 5) + " updates."
                   : "These left after " + rounded(left.least, 5) + " to " + rounded(left.most, 5) + " updates.";
    if (stuck > 0)
      plateau += " " + std::to_string(stuck) +
                 " had not arrived at the end: with this start the climb off "
                 "the saddle takes more updates than were made.";
    result.section.push_back(Paragraph{std::move(plateau)});

    Table table{
        "Every seed",
        {"seed", "loss before", "loss", "above closed form", "step", "cosine", "A", "d", "C", "decay", "plateau left"},
        {}};
    std::ostringstream csv;
    CsvWriter rows(
        csv, {"seed", "initial_loss", "trained_loss", "construction_loss", "gap", "step", "cosine", "model_difference",
              "prediction_difference", "distance_A", "distance_d", "distance_C", "distance_decay", "left_plateau"});
    for (const Trained& t : seeds_) {
      const auto& [loss, alignment, distance] = t.measured;
      table.row({std::to_string(t.seed), rounded(t.initial_loss), rounded(mean_loss(loss), 5), percent(gap(t.measured)),
                 rounded(distance.step), rounded(alignment.cosine.mean(), 5), rounded(distance.A, 2),
                 rounded(distance.d, 2), rounded(distance.C, 2), rounded(distance.decay, 2),
                 rounded(left_plateau(t), 5)});
      rows.row(t.seed, t.initial_loss, mean_loss(loss), mean_loss(construction_loss_), gap(t.measured), distance.step,
               alignment.cosine.mean(), alignment.model_difference.mean(), alignment.prediction_difference.mean(),
               distance.A, distance.d, distance.C, distance.decay, left_plateau(t));
    }
    result.section.push_back(std::move(table));
    result.files.push_back({name_ + ".csv", csv.str()});
  }

  /// A line for the mean over seeds and, where there are several, a band from the least to the most.
  template <class Of>
  void add_spread(const std::string& label, Colour colour, const std::vector<double>& x, const Of& of,
                  std::vector<Series>& series) const {
    Series line{label, Mark::line, colour, x, {}}, band{label + ", least to most", Mark::band, colour, x, {}, {}};
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Spread spread = over_seeds([&](const Trained& t) { return of(t, i); });
      line.y.push_back(spread.mean);
      band.y.push_back((spread.least + spread.most) / 2);
      band.error.push_back((spread.most - spread.least) / 2);
    }
    if (seeds_.size() > 1) {
      line.label += ", mean of " + std::to_string(seeds_.size()) + " seeds";
      series.push_back(std::move(band));
    }
    series.push_back(std::move(line));
  }
  static Series level(const std::string& label, Colour colour, const std::vector<double>& x, double y) {
    return {label, Mark::dashed, colour, {x.front(), x.back()}, {y, y}};
  }

  void add_curves(Result& result) const {
    const std::vector<double>& update = seeds_.front().curve.update;
    const Axis updates_axis{"updates (64 fresh tasks each)"};
    // The first point, random weights, is far above all others; the table has it.
    const std::vector<double> later(update.begin() + 1, update.end());
    Figure loss{name_ + "-loss",
                "Loss during training, on the same " + grouped(curve_tasks) +
                    " tasks at every point. A plateau at the loss of predicting zero, then down to the closed form's.",
                updates_axis,
                {"loss per output"},
                {}};
    add_spread(
        "trained", Colour::blue, later, [](const Trained& t, std::size_t i) { return t.curve.loss[i + 1]; },
        loss.series);
    loss.series.push_back(level("closed form", Colour::orange, later, construction_on_curve_));
    loss.series.push_back(level("predicting zero, f/24", Colour::grey, later, zero_loss()));

    Figure cosine{name_ + "-cosine",
                  "Cosine between the query's derivative of the trained layer and of the closed form, averaged over " +
                      grouped(curve_alignment_tasks) + " tasks and over outputs.",
                  updates_axis,
                  {"cosine"},
                  {}};
    add_spread(
        "trained", Colour::blue, update, [](const Trained& t, std::size_t i) { return t.curve.cosine[i]; },
        cosine.series);
    cosine.series.push_back(level("closed form", Colour::orange, update, 1));

    Figure difference{name_ + "-difference",
                      "Length of the difference between the two derivatives. On the plateau it is the length of the "
                      "gradient step's own.",
                      updates_axis,
                      {"model difference (output units per input unit)"},
                      {}};
    add_spread(
        "trained", Colour::blue, later, [](const Trained& t, std::size_t i) { return t.curve.difference[i + 1]; },
        difference.series);
    difference.series.push_back(level("closed form", Colour::orange, later, 0));
    for (Figure* const figure : {&loss, &cosine, &difference}) result.section.push_back(std::move(*figure));

    std::ostringstream csv;
    CsvWriter rows(csv,
                   {"seed", "schedule", "update", "tasks", "loss", "construction_loss", "cosine", "model_difference"});
    const auto write = [&](std::uint64_t seed, const std::string& schedule, const Curve& curve) {
      for (std::size_t i = 0; i < curve.update.size(); ++i)
        rows.row(seed, schedule, curve.update[i], curve_tasks, curve.loss[i], construction_on_curve_, curve.cosine[i],
                 curve.difference[i]);
    };
    for (const Trained& t : seeds_) write(t.seed, "constant rates", t.curve);
    for (const Longer& longer : longer_)
      write(options_.seed, longer.name + ", " + std::to_string(long_updates) + " updates", longer.curve);
    result.files.push_back({name_ + "-curves.csv", csv.str()});
  }

  void add_weights(Result& result) const {
    const auto trained = canonical_form(trainer_.model(), seeds_.front().parameters),
               constructed = canonical_form(trainer_.model(), construction_);
    const auto step = static_cast<double>(seeds_.front().measured.distance.step);
    const double least_decay = std::min(0.99, std::floor(100 * static_cast<double>(trained.L.minCoeff())) / 100);
    HeatMap map{name_ + "-weights",
                "Weights in canonical scale, above as trained (seed " + std::to_string(seeds_.front().seed) +
                    "), below in closed form: A, d (a row here), C over its step a, and the decays L." +
                    (scalar_ ? " For scalar targets only C's last row and L's last column act." : ""),
                4,
                {}};
    for (const auto* form : {&trained, &constructed}) {
      const bool first = form == &trained;
      const std::string of = first ? ", trained" : ", closed form";
      map.panels.push_back({"A" + of, form->A.template cast<double>(), -1, 1});
      map.panels.push_back({"d" + of, form->d.transpose().template cast<double>(), -1, 1});
      map.panels.push_back({"C / a" + of, form->C.template cast<double>() / (first ? step : step_), -1, 1});
      map.panels.push_back({"L" + of, form->L.template cast<double>(), least_decay, 1});
    }
    result.section.push_back(std::move(map));

    const std::map<std::string, std::string> metadata{
        {"discretization", "zoh"}, {"targets", scalar_ ? "scalar" : "vector"}, {"readout", "none"}};
    const auto add = [&](const std::string& suffix, const Parameters& parameters) {
      result.files.push_back(weights_output(name_ + suffix, weights_file(parameters, metadata)));
    };
    add("-closed-form", construction_);
    for (const Trained& t : seeds_) add("-seed-" + std::to_string(t.seed), t.parameters);
  }

  void add_context(Result& result) const {
    std::vector<double> pairs;
    for (Index t = 1; t <= context; ++t) pairs.push_back(static_cast<double>(t));
    Figure loss{name_ + "-context",
                "Loss after t pairs on " + grouped(tested_tasks) +
                    " tasks: (9) with the closed form's step, the closed form as measured (bars of two standard "
                    "errors), and the trained layer.",
                {"pairs seen, t"},
                {"loss per output"},
                {}};
    Series predicted{"(9)", Mark::line, Colour::orange, pairs, {}},
        measured{"closed form, measured", Mark::points, Colour::orange, pairs, {}, {}};
    for (Index t = 1; t <= context; ++t) {
      const Sample& sample = construction_loss_[static_cast<std::size_t>(t - 1)];
      predicted.y.push_back(expected_loss(task(t), step_));
      measured.y.push_back(sample.mean());
      measured.error.push_back(2 * sample.standard_error());
    }
    add_spread(
        "trained", Colour::blue, pairs, [](const Trained& t, std::size_t i) { return t.measured.loss[i].mean(); },
        loss.series);
    loss.series.push_back(predicted);
    loss.series.push_back(measured);

    Figure implicit{name_ + "-implicit",
                    "How far the implicit model W_t = -E_t, read from the state in canonical scale after t pairs, is "
                    "from that of the gradient step, |W_t - W'_t| / |W'_t|, mean over " +
                        grouped(implicit_tasks) + " tasks.",
                    {"pairs seen, t"},
                    {"relative difference of W_t"},
                    {}};
    add_spread(
        "trained", Colour::blue, pairs, [](const Trained& t, std::size_t i) { return t.implicit[i].mean(); },
        implicit.series);
    implicit.series.push_back(level("closed form", Colour::orange, pairs, 0));

    std::ostringstream csv;
    CsvWriter rows(csv, {"pairs", "expected_loss", "construction_loss", "standard_error", "trained_loss",
                         "trained_least", "trained_most", "implicit_difference"});
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const Spread spread = over_seeds([&](const Trained& t) { return t.measured.loss[i].mean(); });
      rows.row(pairs[i], predicted.y[i], construction_loss_[i].mean(), construction_loss_[i].standard_error(),
               spread.mean, spread.least, spread.most,
               over_seeds([&](const Trained& t) { return t.implicit[i].mean(); }).mean);
    }
    const auto early = over_seeds([](const Trained&t) { return t.implicit.front().mean(); }),
               late = over_seeds([](const Trained&t) { return t.implicit.back().mean(); });
    result.section.push_back(Paragraph{
        "Its loss was asked of the layer " + std::string(losses_ == 1 ? "after all pairs only" : "at every position") +
        ", yet the state is the gradient at every step on the way: read after one pair the implicit "
        "weights are " +
        percent(early.mean) + " from the gradient step's, after all of them " + percent(late.mean) + "."});
    result.section.push_back(std::move(loss));
    result.section.push_back(std::move(implicit));
    result.files.push_back({name_ + "-context.csv", csv.str()});
  }

  void add_longer(Result& result) const {
    Figure figure{name_ + "-longer",
                  "How far longer training goes, seed " + std::to_string(options_.seed) +
                      ": length of the difference between the query's derivatives of the trained layer and of the "
                      "closed form.",
                  {"updates (64 fresh tasks each)"},
                  {"model difference (output units per input unit)", true},
                  {}};
    Table table{"Longer training, seed " + std::to_string(options_.seed),
                {"learning rates", "updates", "above closed form", "step", "cosine", "A", "d", "C", "decay"},
                {}};
    const auto row = [&](const std::string& schedule, Index made, const Measured& measured) {
      const auto& [loss, alignment, distance] = measured;
      table.row({schedule, grouped(made), percent(gap(measured)), rounded(distance.step),
                 rounded(alignment.cosine.mean(), 5), rounded(distance.A, 2), rounded(distance.d, 2),
                 rounded(distance.C, 2), rounded(distance.decay, 2)});
    };
    row("constant rates", updates, seeds_.front().measured);
    for (std::size_t k = 0; k < longer_.size(); ++k) {
      const Longer& longer = longer_[k];
      row(longer.name, long_updates, longer.measured);
      Series series{longer.name, Mark::line, k == 0 ? Colour::blue : Colour::green, {}, {}};
      for (std::size_t i = 1; i < longer.curve.update.size(); ++i) {
        series.x.push_back(longer.curve.update[i]);
        series.y.push_back(longer.curve.difference[i]);
      }
      figure.series.push_back(std::move(series));
    }
    const double steady = gap(longer_[0].measured), falling = gap(longer_[1].measured);
    result.section.push_back(
        Paragraph{"What is left after " + grouped(updates) + " updates (" + percent(gap(seeds_.front().measured)) +
                  " for this seed) is of two kinds. One is the noise of the last updates: " + grouped(long_updates) +
                  " updates at constant rates leave " + percent(steady) +
                  ", the same number with rates that fall to "
                  "zero " +
                  percent(falling) + ", and with it " + (scalar_ ? "A comes" : "A and C come") +
                  " nearer by as much. The other is slow: the decays approach 1 "
                  "only as fast as Λ and the step sizes Δ move, and the nearer they are the weaker the pull, while a "
                  "larger step makes up for most of what they forget."});
    result.section.push_back(std::move(figure));
    result.section.push_back(std::move(table));
  }

  std::string name_;
  Index losses_;
  bool scalar_;
  Options options_;
  Trainer<Layer> trainer_;
  double step_;
  Parameters construction_;
  std::vector<Sample> construction_loss_;
  double construction_on_curve_ = 0;
  std::vector<Trained> seeds_;
  std::vector<Longer> longer_;
};

Result run_vector(const Options& options) {
  return LinearExperiment("linear-vector", paper_features, 1, options).run();
}
Result run_scalar(const Options& options) { return LinearExperiment("linear-scalar", 1, 1, options).run(); }
Result run_all(const Options& options) {
  return LinearExperiment("linear-all-positions", paper_features, 10, options).run();
}

}  // namespace

extern const Experiment linear_vector{"linear-vector", "Trained from random weights: linear regression, vector targets",
                                      &run_vector};
extern const Experiment linear_scalar{"linear-scalar", "Trained from random weights: linear regression, scalar targets",
                                      &run_scalar};
extern const Experiment linear_all_positions{"linear-all-positions", "A loss at every position of the context",
                                             &run_all};

}  // namespace gdssm::reproduce
