// SPDX-License-Identifier: Apache-2.0
// `theory`: the layer beside an explicit gradient step, K steps beside explicit descent, and (9) beside its sampled
// value. Nothing is trained: all weights are in closed form.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Dense>

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/horner_steps.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/tasks/tokens.hpp"
#include "reproduce/algorithms/spectrum.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"

namespace gdssm::reproduce {
namespace {

using Eigen::MatrixX;
using Eigen::VectorX;

// The paper's sizes, for the K steps and for the curve, which goes on to twice the context its step is best for.
constexpr Index features = 10, context = 10, curve_length = 2 * context, most_steps = 10;
constexpr Index stack_file_steps = 3;  // of the stack whose weights are written

constexpr Index layer_features[] = {1, 2, 5, 10, 20, 50}, layer_contexts[] = {2, 10, 100};
constexpr Index layer_sizes = std::size(layer_features) * std::size(layer_contexts);

/// How many tasks a seed gets, each part apart, and how many contexts the sizes of K steps are tuned on.
struct Effort {
  Index layer_tasks, step_tasks, curve_tasks, tuning_contexts;
};
Effort effort_of(const Options& options) {
  return options.quick ? Effort{20, 500, 4000, 2000} : Effort{200, 2000, 20000, 20000};
}
constexpr Index tasks_a_part = Spectrum::contexts_a_part;

/// Task i of a part of the experiment; no two parts share one. `Spectrum` draws the first.
enum class Stream : std::uint64_t { tuning, steps, curve, layer };
std::uint64_t task_index(Stream stream, Index i, Index size = 0) {
  return (static_cast<std::uint64_t>(stream) << 56) + (static_cast<std::uint64_t>(size) << 40) +
         static_cast<std::uint64_t>(i);
}

LinearTask<> task_of(Index f, Index N) { return {.features = f, .context = N, .inputs = uniform_inputs(1.0)}; }

/// A model with its coefficients and scratch, for many sequences.
template <class Model, class T>
class Predictor {
 public:
  Predictor(const Model& model, const typename Model::template Parameters<T>& parameters)
      : model_(model), coefficients_(model.prepare(parameters)), workspace_(model.template workspace<T>()) {}

  /// Predictions at the last k windows.
  MatrixX<T> operator()(const MatrixX<T>& tokens, Index k) {
    auto state = model_.template initial_state<T>();
    MatrixX<T> predictions(model_.output_count(), k);
    model_.template forward<T, T>(coefficients_, {view_of(tokens)}, state, view_of(predictions), workspace_);
    return predictions;
  }

 private:
  const Model& model_;
  typename Model::template Coefficients<T> coefficients_;
  typename Model::template Workspace<T> workspace_;
};

/// |a - b| / |b|, Euclidean.
template <class T>
double relative_difference(const VectorX<T>& a, const VectorX<T>& b) {
  return (a.template cast<double>() - b.template cast<double>()).norm() / b.template cast<double>().norm();
}

// --- One layer beside one explicit step

/// The largest over tasks.
struct Agreement {
  double difference = 0;  ///< relative
  double share = 0;       ///< of the bound on rounding, over every output

  void include(const Agreement& other) {
    difference = std::max(difference, other.difference);
    share = std::max(share, other.share);
  }
};

/// Roundings on the way of each term a y_i x_j q_j to the sum: of its products, of N and of f additions.
double roundings(Index f, Index N) { return static_cast<double>(f + N + 1); }

template <class T>
double unit_roundoff() {
  return static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
}

/// gamma_n = n u / (1 - n u), twice: both sides round.
/// Source  Higham, Accuracy and stability of numerical algorithms (2002), section 3.1
template <class T>
double rounding_bound(Index f, Index N) {
  const double nu = roundings(f, N) * unit_roundoff<T>();
  return 2 * nu / (1 - nu);
}

template <class T>
Agreement compare_layer(Index size, Index tasks, std::uint64_t seed) {
  const Index f = layer_features[size / Index(std::size(layer_contexts))];
  const Index N = layer_contexts[size % Index(std::size(layer_contexts))];
  const auto step = static_cast<T>(best_step(task_of(f, N)));
  const PaperLayer<> layer(f);
  Predictor<PaperLayer<>, T> predict(layer, gradient_step(layer, step));
  const LinearRegression distribution{.features = f, .outputs = f, .context = N};
  Agreement worst;
  for (Index i = 0; i < tasks; ++i) {
    const LinearRegressionTask task = distribution.draw(seed, task_index(Stream::layer, i, size));
    const MatrixX<T> inputs = task.inputs.cast<T>(), Y = task.targets.leftCols(N).cast<T>();
    const MatrixX<T> X = inputs.leftCols(N);
    const VectorX<T> query = inputs.col(N);

    const VectorX<T> by_layer = predict(interleave(inputs, Y), 1);
    const auto [S, M] = accumulate(X, Y);
    const MatrixX<T> W_1 = descent_step(MatrixX<T>::Zero(f, f), S, M, step);
    const VectorX<T> by_descent = W_1 * query;

    const auto magnitude = [](const auto& matrix) { return matrix.template cast<double>().cwiseAbs().eval(); };
    const Eigen::VectorXd bound = rounding_bound<T>(f, N) * static_cast<double>(step) *
                                  (magnitude(Y) * (magnitude(X).transpose() * magnitude(query)));
    const Eigen::VectorXd apart = (by_layer.template cast<double>() - by_descent.template cast<double>()).cwiseAbs();
    worst.include({relative_difference(by_layer, by_descent), (apart.array() / bound.array()).maxCoeff()});
  }
  return worst;
}

// --- K steps

/// What K steps did on the tasks of a seed.
struct StepsMeasured {
  Sample loss;                  ///< of the stack
  double stack = 0, query = 0;  ///< largest relative differences from explicit descent: the stack's, and (10)'s

  void merge(const StepsMeasured& other) {
    loss.merge(other.loss);
    stack = std::max(stack, other.stack);
    query = std::max(query, other.query);
  }
};

void compare_steps(const std::vector<Steps>& schedules, Index first, Index last, std::uint64_t seed,
                   std::vector<StepsMeasured>& measured) {
  using Stack = HornerStack<PaperLayer<>>;
  const LinearRegression distribution{.features = features, .outputs = features, .context = context};
  measured.resize(schedules.size());
  for (std::size_t s = 0; s < schedules.size(); ++s) {
    const std::vector<double>& sizes = schedules[s].sizes;
    const Stack stack(PaperLayer<>(features), Index(sizes.size()));
    Predictor<Stack, double> predict(stack, descent_steps(stack, sizes));
    for (Index i = first; i < last; ++i) {
      const LinearRegressionTask task = distribution.draw(seed, task_index(Stream::steps, i));
      const Eigen::MatrixXd X = task.inputs.leftCols(context), Y = task.targets.leftCols(context);
      const Eigen::VectorXd query = task.inputs.col(context), target = task.targets.col(context);
      const auto [S, M] = accumulate(X, Y);
      const Eigen::MatrixXd W_0 = Eigen::MatrixXd::Zero(features, features);
      const Eigen::VectorXd by_descent = descend(S, M, sizes, 0.0, W_0) * query;
      const Eigen::VectorXd by_stack = predict(interleave(task.inputs, Y), 1);
      const Eigen::VectorXd by_query = predict_by_descent(S, M, query, sizes, 0.0, W_0);
      Sample loss;
      loss.add(0.5 * (by_stack - target).squaredNorm() / features);
      measured[s].merge({loss, relative_difference(by_stack, by_descent), relative_difference(by_query, by_descent)});
    }
  }
}

// --- Loss against context length

/// After t = 1..curve_length pairs: with the step that is best for `context` pairs, and with the one best for t.
struct Curve {
  std::vector<Sample> fixed = std::vector<Sample>(curve_length), retuned = fixed;

  void merge(const Curve& other) {
    for (std::size_t t = 0; t < fixed.size(); ++t) {
      fixed[t].merge(other.fixed[t]);
      retuned[t].merge(other.retuned[t]);
    }
  }
};

double curve_step() { return best_step(task_of(features, context)); }
double retuned_step(Index t) { return best_step(task_of(features, t)); }
double expected_after(Index t, double step) { return expected_loss(task_of(features, t), step); }

Curve sample_curve(Index first, Index last, std::uint64_t seed) {
  const LinearRegression distribution{.features = features, .outputs = features, .context = curve_length};
  const PaperLayer<> layer(features);
  Predictor<PaperLayer<>, double> predict(layer, gradient_step(layer, curve_step()));
  Curve curve;
  for (Index i = first; i < last; ++i) {
    const LinearRegressionTask task = distribution.draw(seed, task_index(Stream::curve, i));
    const Eigen::MatrixXd predictions =
        predict(interleave(task.inputs, task.targets.leftCols(curve_length)), curve_length);
    for (Index t = 1; t <= curve_length; ++t) {
      const auto loss = [&](double scale) {
        return 0.5 * (scale * predictions.col(t - 1) - task.targets.col(t)).squaredNorm() / features;
      };
      const auto at = static_cast<std::size_t>(t - 1);
      curve.fixed[at].add(loss(1));
      curve.retuned[at].add(loss(retuned_step(t) / curve_step()));  // predictions are proportional to the step
    }
  }
  return curve;
}

/// The difference between sampled and expected, in standard errors.
double deviation(const Sample& sampled, double expected) {
  return (sampled.mean() - expected) / sampled.standard_error();
}

double largest_deviation(const Curve& curve) {
  double largest = 0;
  for (Index t = 1; t <= curve_length; ++t) {
    const auto at = static_cast<std::size_t>(t - 1);
    largest = std::max({largest, std::abs(deviation(curve.fixed[at], expected_after(t, curve_step()))),
                        std::abs(deviation(curve.retuned[at], expected_after(t, retuned_step(t))))});
  }
  return largest;
}

// --- Everything

/// Of one seed, or of all.
struct Measured {
  std::vector<Agreement> in_double = std::vector<Agreement>(layer_sizes), in_float = in_double;
  std::vector<StepsMeasured> steps = std::vector<StepsMeasured>(2 * most_steps);
  Curve curve;
  double seconds = 0;

  void merge(const Measured& other) {
    for (std::size_t s = 0; s < in_double.size(); ++s) {
      in_double[s].include(other.in_double[s]);
      in_float[s].include(other.in_float[s]);
    }
    for (std::size_t s = 0; s < steps.size(); ++s) steps[s].merge(other.steps[s]);
    curve.merge(other.curve);
    seconds += other.seconds;
  }
};

Agreement worst(const std::vector<Agreement>& agreements) {
  Agreement all;
  for (const Agreement& one : agreements) all.include(one);
  return all;
}

StepsMeasured worst(const std::vector<StepsMeasured>& steps) {
  StepsMeasured all;
  for (const StepsMeasured& one : steps) all.merge(one);
  return all;
}

Measured measure(const std::vector<Steps>& schedules, std::uint64_t seed, const Effort& effort, int threads,
                 programs::Progress& progress) {
  const auto begin = std::chrono::steady_clock::now();
  Measured all;
  run_parts(layer_sizes, threads, progress, [&](Index size) {
    all.in_double[static_cast<std::size_t>(size)] = compare_layer<double>(size, effort.layer_tasks, seed);
    all.in_float[static_cast<std::size_t>(size)] = compare_layer<float>(size, effort.layer_tasks, seed);
  });

  const auto in_parts = [&](Index tasks, const auto& run) {
    std::vector<Measured> parts(static_cast<std::size_t>(tasks / tasks_a_part));
    run_parts(Index(parts.size()), threads, progress, [&](Index part) {
      run(part * tasks_a_part, (part + 1) * tasks_a_part, parts[static_cast<std::size_t>(part)]);
    });
    for (const Measured& part : parts) all.merge(part);
  };
  in_parts(effort.step_tasks,
           [&](Index first, Index last, Measured& part) { compare_steps(schedules, first, last, seed, part.steps); });
  in_parts(effort.curve_tasks,
           [&](Index first, Index last, Measured& part) { part.curve = sample_curve(first, last, seed); });
  all.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return all;
}

/// The loss of K steps beside the one expected, each with an error of its own.
double steps_deviation(const StepsMeasured& measured, const Steps& schedule) {
  const double errors = std::hypot(measured.loss.standard_error(), schedule.expected.standard_error());
  return (measured.loss.mean() - schedule.expected.mean()) / errors;
}

double largest_steps_deviation(const Measured& all, const std::vector<Steps>& schedules) {
  double largest = 0;
  for (std::size_t s = 0; s < schedules.size(); ++s)
    largest = std::max(largest, std::abs(steps_deviation(all.steps[s], schedules[s])));
  return largest;
}

Record summarise(const Measured& measured) {
  const Agreement in_double = worst(measured.in_double), in_float = worst(measured.in_float);
  const StepsMeasured steps = worst(measured.steps);
  const Sample& loss = measured.curve.fixed[context - 1];
  return {{"layer_difference_double", in_double.difference},
          {"layer_difference_float", in_float.difference},
          {"layer_bound_share_double", in_double.share},
          {"layer_bound_share_float", in_float.share},
          {"stack_difference", steps.stack},
          {"query_difference", steps.query},
          {"construction_loss", loss.mean()},
          {"construction_loss_standard_error", loss.standard_error()},
          {"context_largest_deviation", largest_deviation(measured.curve)}};
}

Index features_of(std::size_t size) { return layer_features[size / std::size(layer_contexts)]; }
Index context_of(std::size_t size) { return layer_contexts[size % std::size(layer_contexts)]; }

std::string listed(const std::vector<double>& sizes) {
  std::string text;
  for (const double size : sizes) text += (text.empty() ? "" : ", ") + rounded(size, 3);
  return text;
}

// Schedules in one list: K = 1..most_steps equal, then K = 1..most_steps of sizes of their own.
std::size_t equal_at(Index K) { return static_cast<std::size_t>(K - 1); }
std::size_t tuned_at(Index K) { return static_cast<std::size_t>(most_steps + K - 1); }

// --- What is written

void add_layer(const Measured& all, Index tasks, Result& result) {
  Table table{"One layer beside an explicit gradient step: largest relative difference over " + grouped(tasks) +
                  " tasks of each size, and largest share of the bound on rounding",
              {"f", "N", "double", "share", "float", "share"},
              {}};
  std::ostringstream csv;
  CsvWriter rows(csv, {"features", "context", "precision", "tasks", "roundings", "largest_relative_difference",
                       "largest_share_of_bound"});
  const std::string in_double = "double", in_float = "float";
  Series doubles{"double", Mark::points, Colour::blue, {}, {}}, floats{"float", Mark::points, Colour::orange, {}, {}};
  Series double_line{"(f + N + 1) u, double", Mark::line, Colour::blue, {}, {}};
  Series float_line{"(f + N + 1) u, float", Mark::line, Colour::orange, {}, {}};
  for (std::size_t s = 0; s < all.in_double.size(); ++s) {
    const Index f = features_of(s), N = context_of(s);
    const Agreement &d = all.in_double[s], &g = all.in_float[s];
    const double n = roundings(f, N);
    table.row({std::to_string(f), std::to_string(N), rounded(d.difference, 2), rounded(d.share, 2),
               rounded(g.difference, 2), rounded(g.share, 2)});
    rows.row(f, N, in_double, tasks, n, d.difference, d.share);
    rows.row(f, N, in_float, tasks, n, g.difference, g.share);
    if (d.difference > 0) {  // zero has no place on a logarithmic axis
      doubles.x.push_back(n);
      doubles.y.push_back(d.difference);
    }
    if (g.difference > 0) {
      floats.x.push_back(n);
      floats.y.push_back(g.difference);
    }
  }
  const Index largest_f = *std::max_element(std::begin(layer_features), std::end(layer_features));
  const Index largest_N = *std::max_element(std::begin(layer_contexts), std::end(layer_contexts));
  for (const double n : {roundings(1, layer_contexts[0]), roundings(largest_f, largest_N)}) {
    double_line.x.push_back(n);
    double_line.y.push_back(n * unit_roundoff<double>());
    float_line.x.push_back(n);
    float_line.y.push_back(n * unit_roundoff<float>());
  }
  const Agreement d = worst(all.in_double), g = worst(all.in_float);
  result.section.push_back(Paragraph{
      "With the weights (7) the layer's prediction is, in exact arithmetic, that of one gradient step from zero. In "
      "floating point both sides add up the same N f products a y x q in orders of their own, each term rounded "
      "at most f + N + 1 times, so output i of one differs from that of the other by at most 2 γ a (|Y| |X|ᵀ |q|)ᵢ, "
      "γ = n u / (1 - n u), n = f + N + 1, u the unit roundoff. No task came closer to that bound than " +
      rounded(d.share, 2) + " of it in double and " + rounded(g.share, 2) +
      " in float. Relative to the prediction's own length, which is short where terms cancel, the largest difference "
      "is " +
      rounded(d.difference, 2) + " in double and " + rounded(g.difference, 2) + " in float."});
  result.section.push_back(
      Figure{"theory-layer",
             "One layer and one explicit gradient step differ by rounding alone. Each point is the largest relative "
             "difference over " +
                 grouped(tasks) + " tasks of one size (f features, N pairs); u is the unit roundoff.",
             {"roundings of each term, f + N + 1", true},
             {"relative difference", true},
             {double_line, float_line, doubles, floats}});
  result.section.push_back(std::move(table));
  result.files.push_back({"theory-layer.csv", csv.str()});
}

void add_steps(const Measured& all, const std::vector<Steps>& schedules, Index tuning, Result& result) {
  const Index tasks = all.steps[0].loss.count();
  Table table{
      "K steps: expected and measured loss (standard error), and largest relative difference from explicit "
      "descent, of the stack and of (10), over " +
          grouped(tasks) + " tasks",
      {"K", "sizes", "expected", "measured", "± s.e.", "stack", "(10)"},
      {}};
  Table size_table{"Individual step sizes, in the order in which they are taken", {"K", "sizes a"}, {}};
  std::ostringstream csv, size_csv;
  CsvWriter rows(csv, {"steps", "sizes", "tasks", "expected_loss", "expected_loss_standard_error", "loss",
                       "standard_error", "stack_difference", "query_difference"});
  CsvWriter size_rows(size_csv, {"steps", "sizes", "k", "size"});
  Record list = Record::list();
  Figure figure{"theory-steps",
                "Loss after K steps of gradient descent, f = N = 10. Lines: expected over maps and queries on " +
                    grouped(tuning) + " contexts. Points: the stack of 2K - 1 layers on " + grouped(tasks) +
                    " other tasks, bars of two standard errors. Sizes of their own go much further than equal ones.",
                {"steps K"},
                {"loss per output"},
                {}};
  for (const bool own : {false, true}) {
    const Colour colour = own ? Colour::orange : Colour::blue;
    const std::string kind = own ? "individual" : "equal";
    Series line{kind + " sizes, expected", Mark::line, colour, {}, {}};
    Series points{kind + " sizes, the stack's", Mark::points, colour, {}, {}};
    for (Index K = 1; K <= most_steps; ++K) {
      const std::size_t at = own ? tuned_at(K) : equal_at(K);
      const Steps& schedule = schedules[at];
      const StepsMeasured& measured = all.steps[at];
      const double expected = schedule.expected.mean(), loss = measured.loss.mean(),
                   error = measured.loss.standard_error();
      line.x.push_back(static_cast<double>(K));
      line.y.push_back(expected);
      points.x.push_back(static_cast<double>(K));
      points.y.push_back(loss);
      points.error.push_back(2 * error);
      table.row({std::to_string(K), own ? "individual" : rounded(schedule.sizes[0], 3), rounded(expected),
                 rounded(loss), rounded(error, 1), rounded(measured.stack, 2), rounded(measured.query, 2)});
      if (own) size_table.row({std::to_string(K), listed(schedule.sizes)});
      rows.row(K, kind, tasks, expected, schedule.expected.standard_error(), loss, error, measured.stack,
               measured.query);
      for (std::size_t k = 0; k < schedule.sizes.size(); ++k) size_rows.row(K, kind, Index(k + 1), schedule.sizes[k]);
      list.push_back({{"steps", K},
                      {"sizes", schedule.sizes},
                      {"expected_loss", expected},
                      {"loss", loss},
                      {"standard_error", error},
                      {"stack_difference", measured.stack},
                      {"query_difference", measured.query}});
    }
    figure.series.push_back(std::move(line));
    figure.series.push_back(std::move(points));
  }
  result.summary["steps"] = std::move(list);
  const StepsMeasured largest = worst(all.steps);
  const auto loss = [&](std::size_t at) { return rounded(schedules[at].expected.mean()); };
  result.section.push_back(Paragraph{
      "K steps are a stack of 2K - 1 layers, combined by Horner's rule, or (10) from the two accumulators of one. "
      "Beside W ← W - a (W S - M), taken explicitly, the stack's prediction differs by at most " +
      rounded(largest.stack, 2) + " and (10)'s by at most " + rounded(largest.query, 2) +
      ", relative, for K = 1 to 10. Two equal steps reach a loss of " + loss(equal_at(2)) + " at best, two of sizes " +
      listed(schedules[tuned_at(2)].sizes) + " reach " + loss(tuned_at(2)) + "; ten equal ones " + loss(equal_at(10)) +
      ", ten of their own sizes " + loss(tuned_at(10)) +
      ". The best sizes are one over the roots of an orthogonal polynomial of the contexts' eigenvalues. Measured and "
      "expected losses are at most " +
      rounded(largest_steps_deviation(all, schedules), 2) + " standard errors apart."});
  result.section.push_back(std::move(figure));
  result.section.push_back(std::move(table));
  result.section.push_back(std::move(size_table));
  result.files.push_back({"theory-steps.csv", csv.str()});
  result.files.push_back({"theory-step-sizes.csv", size_csv.str()});
}

void add_curve(const Measured& all, Result& result) {
  const Index tasks = all.curve.fixed[0].count();
  Table table{"(9) beside its sampled value (standard error) over " + grouped(tasks) +
                  " tasks, after t pairs: with the step that is best after 10, and with the one that is best after t",
              {"t", "(9)", "sampled", "± s.e.", "best a", "(9)", "sampled", "± s.e."},
              {}};
  std::ostringstream csv;
  CsvWriter rows(csv, {"pairs", "step_for", "step", "tasks", "expected_loss", "loss", "standard_error", "deviation"});
  const std::string fixed_name = std::to_string(context) + " pairs", retuned_name = "these pairs";
  Series fixed_line{"(9), step best for 10 pairs", Mark::line, Colour::blue, {}, {}}, fixed_points = fixed_line;
  Series retuned_line{"(9), step best for t pairs", Mark::line, Colour::orange, {}, {}}, retuned_points = retuned_line;
  fixed_points.label = "sampled, step best for 10 pairs";
  retuned_points.label = "sampled, step best for t pairs";
  fixed_points.mark = retuned_points.mark = Mark::points;
  const auto add = [](Series& line, Series& points, Index t, double expected, const Sample& sampled) {
    line.x.push_back(static_cast<double>(t));
    line.y.push_back(expected);
    points.x.push_back(static_cast<double>(t));
    points.y.push_back(sampled.mean());
    points.error.push_back(2 * sampled.standard_error());
  };
  const double step = curve_step();
  for (Index t = 1; t <= curve_length; ++t) {
    const auto at = static_cast<std::size_t>(t - 1);
    const double own_step = retuned_step(t), expected = expected_after(t, step), least = expected_after(t, own_step);
    const Sample &fixed = all.curve.fixed[at], &retuned = all.curve.retuned[at];
    add(fixed_line, fixed_points, t, expected, fixed);
    add(retuned_line, retuned_points, t, least, retuned);
    table.row({std::to_string(t), rounded(expected), rounded(fixed.mean()), rounded(fixed.standard_error(), 2),
               rounded(own_step, 3), rounded(least), rounded(retuned.mean()), rounded(retuned.standard_error(), 2)});
    rows.row(t, fixed_name, step, tasks, expected, fixed.mean(), fixed.standard_error(), deviation(fixed, expected));
    rows.row(t, retuned_name, own_step, tasks, least, retuned.mean(), retuned.standard_error(),
             deviation(retuned, least));
  }
  const Sample& at_context = all.curve.fixed[context - 1];
  result.section.push_back(
      Paragraph{"The layer predicts at every window, so one pass over a sequence gives the whole curve of loss against "
                "context length. For f = N = 10 and inputs uniform on [-1/2, 1/2] the best step (8) is " +
                rounded(step, 5) + " and its loss (9) " + rounded(expected_after(context, step), 5) +
                "; sampled over " + grouped(tasks) + " tasks it is " + rounded(at_context.mean(), 5) + " ± " +
                rounded(at_context.standard_error(), 2) +
                ". A step that is best after ten pairs is too timid before and too bold after, where the loss rises "
                "again. Over both curves the largest difference is " +
                rounded(largest_deviation(all.curve), 3) + " standard errors."});
  result.section.push_back(
      Figure{"theory-context",
             "Loss against context length, f = 10: (9) and the layer's own predictions at every window of " +
                 grouped(tasks) + " tasks, bars of two standard errors.",
             {"pairs seen, t"},
             {"loss per output"},
             {std::move(fixed_line), std::move(fixed_points), std::move(retuned_line), std::move(retuned_points)}});
  result.section.push_back(std::move(table));
  result.files.push_back({"theory-context.csv", csv.str()});
}

void add_overview(const Measured& all, const std::vector<Steps>& schedules, Result& result) {
  const Agreement in_double = worst(all.in_double), in_float = worst(all.in_float);
  const StepsMeasured steps = worst(all.steps);
  const Sample& loss = all.curve.fixed[context - 1];
  Table& table = result.overview;
  table = {"theory: weights in closed form beside explicit gradient descent", {"quantity", "value"}, {}};
  table.row({"one layer beside one step, largest relative difference, double", rounded(in_double.difference, 2)});
  table.row({"the same, float", rounded(in_float.difference, 2)});
  table.row({"largest share of the bound on rounding, double and float",
             rounded(in_double.share, 2) + ", " + rounded(in_float.share, 2)});
  table.row({"K = 1 to 10 steps, the stack beside descent, double", rounded(steps.stack, 2)});
  table.row({"the same, (10) beside descent, double", rounded(steps.query, 2)});
  table.row({"best step (8) for f = N = 10", rounded(curve_step(), 5)});
  table.row({"its loss (9)", rounded(expected_after(context, curve_step()), 5)});
  table.row({"its loss, sampled", rounded(loss.mean(), 5) + " ± " + rounded(loss.standard_error(), 2)});
  table.row({"(9) beside sampling at every context length, largest difference / s.e.",
             rounded(largest_deviation(all.curve), 3)});
  table.row({"loss of ten steps, equal and individual sizes", rounded(schedules[equal_at(10)].expected.mean()) + ", " +
                                                                  rounded(schedules[tuned_at(10)].expected.mean())});
}

void add_weights(const std::vector<Steps>& schedules, Result& result) {
  std::map<std::string, std::string> metadata{{"discretization", "zoh"}, {"targets", "vector"}, {"readout", "none"}};
  const PaperLayer<> layer(features);
  const auto add = [&](const std::string& name, const auto& parameters) {
    result.files.push_back(weights_output(name, weights_file(parameters, metadata)));
  };
  add("theory-layer", gradient_step(layer, curve_step()));
  metadata["stack"] = "horner";
  add("theory-stack", descent_steps(HornerStack(layer, stack_file_steps), schedules[tuned_at(stack_file_steps)].sizes));
}

Result run(const Options& options) {
  const Effort effort = effort_of(options);
  const Index parts_a_seed = layer_sizes + (effort.step_tasks + effort.curve_tasks) / tasks_a_part;
  programs::Progress progress("theory", effort.tuning_contexts / tasks_a_part + options.seeds * parts_a_seed);

  const Spectrum spectrum(options.seed, effort.tuning_contexts, options.threads, progress);
  std::vector<Steps> schedules;
  for (Index K = 1; K <= most_steps; ++K) schedules.push_back(spectrum.equal(K));
  for (Steps& schedule : spectrum.tuned(most_steps)) schedules.push_back(std::move(schedule));

  Measured all;
  Record seeds = Record::list();
  for (Index k = 0; k < options.seeds; ++k) {
    const Measured one = measure(schedules, options.seed_of(k), effort, options.threads, progress);
    Record entry{{"seed", options.seed_of(k)}};
    entry.update(summarise(one));
    entry["seconds"] = one.seconds;
    seeds.push_back(std::move(entry));
    all.merge(one);
  }

  Result result;
  result.summary = summarise(all);
  result.summary["best_step"] = curve_step();
  result.summary["analytic_loss"] = expected_after(context, curve_step());
  result.summary["evaluation_tasks"] = all.curve.fixed[0].count();
  result.summary["steps_largest_deviation"] = largest_steps_deviation(all, schedules);
  add_overview(all, schedules, result);
  add_layer(all, effort.layer_tasks * options.seeds, result);
  add_steps(all, schedules, effort.tuning_contexts, result);
  add_curve(all, result);
  add_weights(schedules, result);
  result.summary["seconds"] = all.seconds / static_cast<double>(options.seeds);
  result.summary["seeds"] = std::move(seeds);
  return result;
}

}  // namespace

extern const Experiment theory{"theory", "The closed form: one layer is one step of gradient descent", &run};

}  // namespace gdssm::reproduce
