// SPDX-License-Identifier: Apache-2.0
// `linear-online`: the layer trained on one endless stream of pairs whose map changes now and then, by the exact online
// gradient (12), (13), beside the discounted step that theory calls best for such a stream, (9a), (9b).

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/analysis/canonical.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/construction/drift.hpp"
#include "gdssm/io/checkpoint_tensors.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/train.hpp"
#include "reproduce/models/online.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

using namespace online;

struct Effort {
  Index training_pairs, evaluation_pairs;
};
Effort effort_of(const Options& options) { return options.quick ? Effort{2000000, 200000} : Effort{4000000, 1000000}; }

DriftingTask<> drifting() { return {features, 1.0 / static_cast<double>(life), uniform_inputs(1.0)}; }

struct Trained {
  std::uint64_t seed = 0;
  Parameters parameters{};
  std::vector<double> pairs{}, loss{}, step{}, decay{};  // while it learns: means between points, values at them
  StepDistance<float> distance{};
  float least_decay = 0, mean_decay = 0, most_decay = 0;
  Sample held{}, constructed{};  // on the same stream
  double seconds = 0;
};

Trained train_seed(const Layer& layer, const Parameters& construction, std::uint64_t seed, const Effort& effort,
                   Checkpoint checkpoint) {
  const auto start = std::chrono::steady_clock::now();
  // A few seconds: kept at the end alone.
  Learned learned{.parameters = reference_initialization<float>(layer, seed)};
  const CheckpointIdentity identity{{"seed", std::to_string(seed)}, {"pairs", std::to_string(effort.training_pairs)}};
  if (const auto kept = checkpoint.read()) {
    take_checkpoint(*kept, checkpoint.where(), identity, learned);
  } else {
    learn(layer, seed, effort.training_pairs, learned);
    checkpoint.write(checkpoint_of(learned, identity));
  }
  checkpoint.finish(true);
  Trained trained{.seed = seed, .parameters = learned.parameters};
  for (const auto& [list, column] :
       {std::pair{&trained.pairs, 0}, {&trained.loss, 1}, {&trained.step, 2}, {&trained.decay, 3}})
    list->assign(learned.curve.col(column).begin(), learned.curve.col(column).end());
  const auto form = canonical_form(layer, trained.parameters);
  trained.distance = distance_from_step(form, VectorTargets{});
  trained.least_decay = form.L.minCoeff();
  trained.mean_decay = form.L.mean();
  trained.most_decay = form.L.maxCoeff();
  trained.held = held_loss(layer, trained.parameters, seed, effort.evaluation_pairs);
  trained.constructed = held_loss(layer, construction, seed, effort.evaluation_pairs);
  trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return trained;
}

Record summary_of(const Trained& t) {
  const auto number = [](float value) { return static_cast<double>(value); };
  return {
      {"seed", t.seed},
      {"construction_loss", t.constructed.mean()},
      {"construction_loss_standard_error", t.constructed.standard_error()},
      {"trained_loss", t.held.mean()},
      {"gap", t.held.mean() / t.constructed.mean() - 1},
      {"effective_step_trained", number(t.distance.step)},
      {"decay_trained", number(t.mean_decay)},
      {"canonical_distance", {{"A", number(t.distance.A)}, {"d", number(t.distance.d)}, {"C", number(t.distance.C)}}},
      {"seconds", t.seconds}};
}

void add_curves(const std::vector<Trained>& seeds, double decay, double expected, Result& result) {
  Figure loss{"linear-online-loss",
              "Loss while the layer learns, each point the mean over the pairs since the last. One endless stream a "
              "seed, no pair is ever seen twice.",
              {"pairs read (millions)"},
              {"loss per output"},
              {}};
  const auto memory = [](double L) { return 1 / (1 - L); };
  Figure memories{
      "linear-online-memory",
      "How far the layer remembers, 1 / (1 - L) for the mean decay L: it begins with long memory, as for contexts "
      "that end, and finds how fast to forget.",
      {"pairs read (millions)"},
      {"memory 1 / (1 - L) (pairs)"},
      {}};
  std::ostringstream csv;
  CsvWriter rows(csv, {"seed", "pairs", "loss", "step", "decay"});
  for (const Trained& t : seeds) {
    const std::string label = &t != &seeds.front() ? "" : seeds.size() > 1 ? "trained, a line a seed" : "trained";
    Series loss_line{label, Mark::line, Colour::blue, {}, {}};
    Series memory_line = loss_line;
    for (std::size_t i = 0; i < t.pairs.size(); ++i) {
      const double millions = t.pairs[i] * 1e-6;
      memory_line.x.push_back(millions);
      memory_line.y.push_back(memory(t.decay[i]));
      // The first points, random weights, are far above all others.
      if (loss_line.x.empty() && t.loss[i] > 0.7) continue;
      loss_line.x.push_back(millions);
      loss_line.y.push_back(t.loss[i]);
    }
    loss.series.push_back(std::move(loss_line));
    memories.series.push_back(std::move(memory_line));
    for (std::size_t i = 0; i < t.pairs.size(); ++i) rows.row(t.seed, t.pairs[i], t.loss[i], t.step[i], t.decay[i]);
  }
  const std::vector<double> ends{0, seeds.front().pairs.back() * 1e-6};
  loss.series.push_back({"best discounted step, (9a)", Mark::dashed, Colour::orange, ends, {expected, expected}});
  const double zero = expected_loss(drifting(), 0.0, decay);
  loss.series.push_back({"predicting zero, f/24", Mark::dashed, Colour::grey, ends, {zero, zero}});
  memories.series.push_back({"best decay (9b)", Mark::dashed, Colour::orange, ends, {memory(decay), memory(decay)}});
  result.section.push_back(std::move(loss));
  result.section.push_back(std::move(memories));
  result.files.push_back({"linear-online-curves.csv", csv.str()});
}

Result run(const Options& options) {
  const Effort effort = effort_of(options);
  const Layer layer;
  const DriftingTask<> task = drifting();
  const double decay = best_decay(task), step = best_step(task, decay), expected = expected_loss(task, step, decay);
  const Parameters construction = discounted_step(layer, static_cast<float>(step), static_cast<float>(decay));

  programs::Progress progress("linear-online", options.seeds);
  std::vector<Trained> seeds(static_cast<std::size_t>(options.seeds));
  run_parts(options.seeds, options.threads, progress, [&](Index k) {
    const std::uint64_t seed = options.seed_of(k);
    seeds[static_cast<std::size_t>(k)] =
        train_seed(layer, construction, seed, effort, options.checkpoint(seed_name(seed)));
  });

  Result result;
  Sample constructed;
  Record list = Record::list();
  Table table{
      "Every seed", {"seed", "loss", "above closed form", "step", "mean decay", "least", "most", "A", "d", "C"}, {}};
  double loss = 0, trained_step = 0, trained_decay = 0, seconds = 0, worst = -1;
  const double share = 1 / static_cast<double>(options.seeds);
  for (const Trained& t : seeds) {
    constructed.merge(t.constructed);
    list.push_back(summary_of(t));
    const double gap = t.held.mean() / t.constructed.mean() - 1;
    worst = std::max(worst, gap);
    loss += share * t.held.mean();
    trained_step += share * static_cast<double>(t.distance.step);
    trained_decay += share * static_cast<double>(t.mean_decay);
    seconds += share * t.seconds;
    table.row({std::to_string(t.seed), rounded(t.held.mean()), rounded(100 * gap, 2) + " %", rounded(t.distance.step),
               rounded(t.mean_decay), rounded(t.least_decay), rounded(t.most_decay), rounded(t.distance.A, 2),
               rounded(t.distance.d, 2), rounded(t.distance.C, 2)});
  }
  result.summary = {{"analytic_loss", expected},
                    {"construction_loss", constructed.mean()},
                    {"construction_loss_standard_error", constructed.standard_error()},
                    {"trained_loss", loss},
                    {"worst_gap", worst},
                    {"effective_step_trained", trained_step},
                    {"effective_step_analytic", step},
                    {"decay_trained", trained_decay},
                    {"decay_analytic", decay},
                    {"training_pairs", effort.training_pairs},
                    {"evaluation_pairs", effort.evaluation_pairs},
                    {"seconds", seconds},
                    {"seeds", std::move(list)}};
  result.overview = {"linear-online: " + grouped(effort.training_pairs) +
                         " pairs of an endless stream whose map lives " + std::to_string(life) +
                         " pairs on average, each seen once",
                     {"quantity", "closed form", "trained"},
                     {}};
  Table& overview = result.overview;
  overview.row({"loss (9a)", rounded(expected), ""});
  overview.row({"loss, weights held, " + grouped(effort.evaluation_pairs) + " pairs a seed",
                rounded(constructed.mean()) + " ± " + rounded(constructed.standard_error(), 1), rounded(loss)});
  overview.row({"worst seed above the closed form", "", rounded(100 * worst, 2) + " %"});
  overview.row({"step", rounded(step), rounded(trained_step)});
  overview.row({"decay", rounded(decay), rounded(trained_decay)});
  result.section.push_back(
      Paragraph{"One stream, no contexts, no end: before each pair the map W* is drawn anew with probability 1/" +
                std::to_string(life) +
                ", the state is never reset, and every pair is predicted, then learned from, once. The "
                "gradient is (12) and (13), carried forward beside the state; the weights move every " +
                std::to_string(pairs_an_update) + " pairs. Here no decay of 1 will do, and theory has a best one, " +
                rounded(decay) + ", with a step of " + rounded(step) + " and a loss of " + rounded(expected) +
                ". The layer knows none of that, and finds a mean decay of " + rounded(trained_decay) + ", a step of " +
                rounded(trained_step) + " and, its weights held, a loss " + rounded(100 * worst, 2) +
                " % above the closed form's at worst. With rates that do not fall it keeps jittering about that."});
  add_curves(seeds, decay, expected, result);
  result.section.push_back(std::move(table));
  const std::map<std::string, std::string> metadata{
      {"discretization", "zoh"}, {"targets", "vector"}, {"readout", "none"}};
  const auto add = [&](const std::string& suffix, const Parameters& parameters) {
    result.files.push_back(weights_output("linear-online-" + suffix, weights_file(parameters, metadata)));
  };
  add("closed-form", construction);
  for (const Trained& t : seeds) add("seed-" + std::to_string(t.seed), t.parameters);
  return result;
}

}  // namespace

extern const Experiment linear_online{"linear-online", "Training without end, on a stream that changes", &run};

}  // namespace gdssm::reproduce
