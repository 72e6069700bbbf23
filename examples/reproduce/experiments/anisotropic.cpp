// SPDX-License-Identifier: Apache-2.0
// `anisotropic`: inputs of unequal variances, for the plain layer and for one with a preconditioner in its gate, in
// closed form by (8a) and trained.

#include <chrono>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/analysis/canonical.hpp"
#include "gdssm/blocks/preconditioned_gate.hpp"
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

/// The paper's layer with a preconditioner in the gate.
using PreconditionedLayer =
    AugmentedSsm<LocalAttention<10>, DiagonalRecurrence<10, 10>, Readout<10>, PreconditionedGate<10>>;

using Plain = Trainer<PaperLayer<paper_features>>;
using Preconditioned = Trainer<PreconditionedLayer>;
using Losses = std::vector<double>;

constexpr Index features = paper_features, context = 10, tested_tasks = 50000;
Index updates_of(const Options& options) { return options.quick ? 3000 : 20000; }

/// Factors of the coordinates with which variances fall as 1 / i and have the mean 1 / 12.
Eigen::VectorXd scales() {
  Eigen::VectorXd variances(features);
  for (Index i = 0; i < features; ++i) variances[i] = 1 / static_cast<double>(i + 1);
  return (variances / variances.mean()).cwiseSqrt();
}

/// An input law, and what theory says of it.
struct Law {
  std::string name;
  LinearRegression tasks;
  ContextMoments<> moments;
  double step;        ///< the best
  Eigen::MatrixXd P;  ///< the best preconditioner
};
Law law_of(const std::string& name, InputLaw inputs) {
  const Eigen::VectorXd factors = scales();
  std::vector<InputMoments<>> coordinates;
  for (const double s : factors)
    coordinates.push_back(inputs == InputLaw::uniform ? uniform_inputs(s) : normal_inputs(s * s / 12));
  const ContextMoments<> moments = independent_context(coordinates, context);
  return {name,
          {.features = features, .outputs = features, .context = context, .inputs = inputs, .scales = factors},
          moments,
          best_step(moments),
          best_preconditioner(moments)};
}

/// A layer of one kind, trained on one law.
struct Trained {
  std::uint64_t seed = 0;
  Estimate loss{}, excess{};        ///< over the closed form of the same kind
  Estimate over_step{};             ///< over the best step's, whatever the kind
  Eigen::VectorXd step_of_input{};  ///< what it does with coordinate i in place of a
  double distance = 0;              ///< |P - P*| / |P*| in canonical scale; plain: 0
  double seconds = 0;
  Safetensors weights{};
};

/// What one layer does: for each coordinate of the input the step that it takes on average over outputs and over the
/// context's pairs, decays included, and the preconditioner in canonical scale (plain: I).
template <class Layer, class Parameters>
std::pair<Eigen::VectorXd, Eigen::MatrixXd> steps_of(const Layer& layer, const Parameters& parameters) {
  const auto form = canonical_form(layer, parameters);
  const double step = -static_cast<double>(form.C.trace()) / features;
  Eigen::MatrixXd P = step * Eigen::MatrixXd::Identity(features, features);
  if constexpr (requires { parameters.gate.P; }) P = step * parameters.gate.P.template cast<double>();
  Eigen::ArrayXXd power = Eigen::ArrayXXd::Ones(features, features), kept = power;
  for (Index k = 1; k < context; ++k) kept += power *= form.L.template cast<double>().array();
  const Eigen::VectorXd steps = P.diagonal().array() * kept.rowwise().mean() / static_cast<double>(context);
  return {steps, P};
}

template <class SomeTrainer>
Trained train_one(const SomeTrainer& trainer, const Law& law, const Losses& constructed, const Losses& by_step,
                  const Options& options, std::uint64_t seed, ThreadPool& pool) {
  const auto begin = std::chrono::steady_clock::now();
  constexpr bool preconditioned = std::is_same_v<SomeTrainer, Preconditioned>;
  const auto parameters =
      trainer.train(falling_rates(updates_of(options)), seed,
                    with_zero_readout(reference_initialization<float>(trainer.model(), seed)), pool,
                    options.checkpoint(law.name + (preconditioned ? "-preconditioned-" : "-plain-") + seed_name(seed)));
  const Losses losses = trainer.losses(parameters, evaluation_tasks(options.seed, tested_tasks), pool);
  Trained trained{seed, mean_of(losses), excess(losses, constructed), excess(losses, by_step)};
  auto [steps, P] = steps_of(trainer.model(), parameters);
  trained.step_of_input = std::move(steps);
  if constexpr (requires { parameters.gate.P; }) {
    trained.distance = (P - law.P).norm() / law.P.norm();
    trained.weights = own_weights_file(parameters, "the paper's layer with PreconditionedGate<10>");
  } else {
    trained.weights = weights_file(parameters, vector_metadata());
  }
  trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return trained;
}

Result run(const Options& options) {
  const std::vector<Law> laws{law_of("uniform", InputLaw::uniform), law_of("normal", InputLaw::normal)};
  programs::Progress progress("anisotropic", 2 * Index(laws.size()) * (options.seeds + 1));
  Result result;
  result.overview = {"anisotropic: variances as 1 / i, " + grouped(updates_of(options)) +
                         " updates; trained: mean (least to most) over seeds",
                     {"inputs", "layer", "loss (8a)", "closed form", "trained", "excess", "over the best step"},
                     {}};
  Table table{
      "Every seed: excess over the closed form of the same kind, and over the best step (± standard error), on "
      "the same tasks; P, the distance from the best one in canonical scale",
      {"inputs", "layer", "seed", "loss", "excess", "over the best step", "P"},
      {}};
  std::ostringstream csv;
  CsvWriter rows(csv, {"inputs", "layer", "seed", "analytic_loss", "construction_loss",
                       "construction_loss_standard_error", "trained_loss", "excess", "excess_standard_error",
                       "excess_over_step", "excess_over_step_standard_error", "distance_P"});
  std::ostringstream steps_csv;
  CsvWriter step_rows(steps_csv, {"inputs", "layer", "seed", "coordinate", "best", "step"});
  Record summary = Record::object();
  std::string text;
  bool gained = true;
  for (const Law& law : laws) {
    const Plain plain("anisotropic", {}, law.tasks);
    const Preconditioned preconditioned("anisotropic", {}, law.tasks);
    const TaskRange range = evaluation_tasks(options.seed, tested_tasks);
    Losses closed[2];
    run_jobs(2, options.threads, progress, [&](Index j, ThreadPool& pool) {
      closed[j] = j == 0 ? plain.losses(gradient_step(plain.model(), static_cast<float>(law.step)), range, pool)
                         : preconditioned.losses(
                               preconditioned_step(preconditioned.model(), law.P.cast<float>().eval()), range, pool);
    });
    std::vector<Trained> found[2];
    for (auto& list : found) list.resize(static_cast<std::size_t>(options.seeds));
    run_jobs(2 * options.seeds, options.threads, progress, [&](Index j, ThreadPool& pool) {
      const std::uint64_t seed = options.seed_of(j / 2);
      found[j % 2][static_cast<std::size_t>(j / 2)] =
          j % 2 == 0 ? train_one(plain, law, closed[0], closed[0], options, seed, pool)
                     : train_one(preconditioned, law, closed[1], closed[0], options, seed, pool);
    });

    Figure figure{"anisotropic-" + law.name,
                  "What the layer does with each coordinate of the input in place of one step, " + law.name +
                      " inputs: the best step and the best preconditioner's diagonal by (8a), and every trained seed. "
                      "A plain layer's own is its step times what its decays leave of the coordinate's rows.",
                  {"coordinate i, of variance in proportion to 1 / i"},
                  {"step"},
                  {}};
    std::vector<double> coordinates;
    for (Index i = 1; i <= features; ++i) coordinates.push_back(static_cast<double>(i));
    figure.series.push_back({"best step", Mark::dashed, Colour::orange, {1, double(features)}, {law.step, law.step}});
    Series best{"best P, diagonal", Mark::line, Colour::orange, coordinates, {}};
    for (Index i = 0; i < features; ++i) best.y.push_back(law.P(i, i));
    figure.series.push_back(best);
    Record of_law = Record::object();
    Spread over_step[2], gaps[2];
    for (std::size_t kind = 0; kind < 2; ++kind) {
      const std::string name = kind == 0 ? "plain" : "preconditioned";
      const double analytic = kind == 0 ? expected_loss(law.moments, law.step) : expected_loss(law.moments, law.P);
      const Estimate constructed = mean_of(closed[kind]);
      gaps[kind] = spread_over(found[kind], [](const Trained& t) { return t.excess.value; });
      over_step[kind] = spread_over(found[kind], [](const Trained& t) { return t.over_step.value; });
      const Spread loss = spread_over(found[kind], [](const Trained& t) { return t.loss.value; });
      result.overview.row({law.name, name, rounded(analytic), constructed.text(), loss.text(),
                           gaps[kind].percent_text(), over_step[kind].percent_text()});
      Record seeds = Record::list();
      Series points{name + ", trained", Mark::points, kind == 0 ? Colour::purple : Colour::blue, {}, {}};
      for (const Trained& t : found[kind]) {
        table.row({law.name, name, std::to_string(t.seed), rounded(t.loss.value), t.excess.percent_text(),
                   t.over_step.percent_text(), kind == 0 ? "" : rounded(t.distance, 2)});
        rows.row(law.name, name, t.seed, analytic, constructed.value, constructed.standard_error, t.loss.value,
                 t.excess.value, t.excess.standard_error, t.over_step.value, t.over_step.standard_error, t.distance);
        seeds.push_back({{"seed", t.seed},
                         {"trained_loss", t.loss.value},
                         {"excess", t.excess.value},
                         {"excess_over_step", t.over_step.value},
                         {"seconds", t.seconds}});
        for (Index i = 0; i < features; ++i) {
          points.x.push_back(static_cast<double>(i + 1));
          points.y.push_back(t.step_of_input[i]);
          step_rows.row(law.name, name, t.seed, i + 1, kind == 0 ? law.step : law.P(i, i), t.step_of_input[i]);
        }
        result.files.push_back(
            weights_output("anisotropic-" + law.name + "-" + name + "-seed-" + std::to_string(t.seed), t.weights));
      }
      figure.series.push_back(std::move(points));
      of_law[name] = {{"analytic_loss", analytic},
                      {"construction_loss", constructed.value},
                      {"construction_loss_standard_error", constructed.standard_error},
                      {"trained_loss", loss.mean},
                      {"excess", gaps[kind].mean},
                      {"worst_excess", gaps[kind].most},
                      {"excess_over_step", over_step[kind].mean},
                      {"seeds", std::move(seeds)}};
    }
    summary[law.name] = std::move(of_law);
    const Estimate gain = excess(closed[1], closed[0]);
    const double distance = spread_over(found[1], [](const Trained& t) { return t.distance; }).mean;
    text += "For " + law.name + " inputs the best preconditioner lowers the loss by " + percent(-gain.value) + " (± " +
            rounded(100 * gain.standard_error, 1) +
            ") against the best step. A layer with P in its gate, trained from P = I, ends " +
            percent(std::abs(gaps[1].mean)) + (gaps[1].mean < 0 ? " below" : " above") +
            " that closed form on average, its P " + rounded(distance, 2) +
            " from the best one, relative. The plain layer, which has no matrix on the side of the inputs, ends " +
            percent(std::abs(over_step[0].mean)) + (over_step[0].mean < 0 ? " below" : " above") + " the best step. ";
    if (gained) gained = over_step[0].mean < -0.01;
    result.section.push_back(std::move(figure));
  }
  if (gained)
    text +=
        "C acts on outputs, and yet the plain layer preconditions: every entry of the state has a decay of its own, "
        "and with smaller decays it keeps less of the coordinates whose variance is large. Theory's best step, at "
        "L = 1, is not the best that (1)-(4) can do here.";
  result.section.insert(result.section.begin(), Paragraph{std::move(text)});
  result.summary = {
      {"updates", updates_of(options)}, {"evaluation_tasks", tested_tasks}, {"inputs", std::move(summary)}};
  result.section.push_back(std::move(table));
  result.files.push_back({"anisotropic.csv", csv.str()});
  result.files.push_back({"anisotropic-steps.csv", steps_csv.str()});
  return result;
}

}  // namespace

extern const Experiment anisotropic{"anisotropic", "Inputs of unequal variances", &run};

}  // namespace gdssm::reproduce
