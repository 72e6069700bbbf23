// SPDX-License-Identifier: Apache-2.0
// `multi-step`: K steps of gradient descent and what is beside them, stacks of 2K - 1 layers in closed form and
// trained, and the reference's two-step stack.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/analysis/canonical.hpp"
#include "gdssm/construction/horner_steps.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "gdssm/training/initialization.hpp"
#include "reproduce/algorithms/spectrum.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/statistics.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

using PaperStack = HornerStack<PaperLayer<10>>;
using ReferenceStack = TwoStepStack<PaperLayer<10>>;
using PaperStackTrainer = Trainer<PaperStack>;
using ReferenceStackTrainer = Trainer<ReferenceStack>;
using Parameters = PaperStack::Parameters<float>;
using Losses = std::vector<double>;

constexpr Index features = 10, context = 10, most_steps = 20, newton_steps = 7, gradients_steps = 10;
constexpr double penalties[] = {0.1, 0.01};

struct Effort {
  std::vector<Index> stacks;
  Index updates, tuning_contexts, sampled_contexts, evaluation_tasks;
};
Effort effort_of(const Options& options) {
  return options.quick ? Effort{{2, 3}, 1500, 2000, 2000, 10000} : Effort{{2, 3, 5, 10}, 4000, 20000, 20000, 50000};
}

LinearRegression tasks() { return {.features = features, .outputs = features, .context = context}; }

// --- Algorithms

/// Loss after K = 1..10 iterations of conjugate gradients on S w = M^T for one row w of W*, expected over queries:
/// 1/2 s2 |w_K - w|^2. From zero, so that iteration K is the best of its degree on the context's own loss.
/// Source  Hestenes, Stiefel, Methods of conjugate gradients for solving linear systems (1952)
std::vector<Sample> conjugate_gradients(std::uint64_t seed, Index contexts, int threads, programs::Progress& progress) {
  const LinearRegression distribution{.features = features, .outputs = 1, .context = context};
  const double s2 = uniform_inputs(1.0).variance;
  constexpr Index parts = 20;
  std::vector<std::vector<Sample>> found(parts, std::vector<Sample>(gradients_steps));
  run_parts(parts, threads, progress, [&](Index part) {
    for (Index i = part * contexts / parts; i < (part + 1) * contexts / parts; ++i) {
      const LinearRegressionTask task =
          distribution.draw(seed, (std::uint64_t{1} << 57) + static_cast<std::uint64_t>(i));
      const Eigen::MatrixXd X = task.inputs.leftCols(context), S = X * X.transpose();
      const Eigen::VectorXd w = task.weights.transpose();
      Eigen::VectorXd fitted = Eigen::VectorXd::Zero(features), residual = S * w, direction = residual;
      for (Index k = 0; k < gradients_steps; ++k) {
        const double square = residual.squaredNorm();
        if (square > 0) {
          const Eigen::VectorXd Sd = S * direction;
          const double size = square / direction.dot(Sd);
          fitted += size * direction;
          residual -= size * Sd;
          direction = residual + residual.squaredNorm() / square * direction;
        }
        found[static_cast<std::size_t>(part)][static_cast<std::size_t>(k)].add(0.5 * s2 * (fitted - w).squaredNorm());
      }
    }
  });
  for (std::size_t part = 1; part < parts; ++part)
    for (std::size_t k = 0; k < found[0].size(); ++k) found[0][k].merge(found[part][k]);
  return found[0];
}

/// Loss after K = 1, 2, ... of something.
struct Algorithm {
  std::string name;
  Colour colour;
  Mark mark;
  std::vector<Estimate> loss{};
};
Estimate estimate(const Sample& sample) { return {sample.mean(), sample.standard_error()}; }

// --- Stacks

enum class Start { random, construction };
const char* name_of(Start start) { return start == Start::random ? "random" : "construction"; }

/// Multiple of the reference's rates: larger ones leave the closed form's neighbourhood before they fall.
double rate_factor(Start start) { return start == Start::random ? 10 : 1; }

struct Job {
  bool residual;  ///< the reference's stack, K = 2
  std::size_t stack;
  Start start;
  std::uint64_t seed;
};

struct Trained {
  Job job{};
  Parameters parameters{};
  Estimate loss{}, excess{};  ///< over the construction without residual, individual sizes
  double seconds = 0;
};

/// A stack of K steps in closed form, with individually tuned sizes.
struct Stack {
  Index steps;
  PaperStackTrainer trainer;
  Parameters construction;
  Losses losses{};
};

Parameters start_of(const Stack& stack, const Job& job) {
  if (job.start == Start::construction) return stack.construction;
  Parameters start = reference_initialization<float>(stack.trainer.model(), job.seed);
  for (auto& layer : start.layers) layer = with_zero_readout(layer);
  return start;
}

/// How far the attention of a stack's layers is from what (7) has there, e_0 e_1^T in M_k and e_0 e_0^T in S_k, and the
/// share of A_22, by which the window's last input, at the end the query, is accumulated: both in canonical scale, the
/// largest over layers.
struct Attention {
  double distance = 0, last = 0;
};
Attention attention_of(const Parameters& parameters) {
  Attention found;
  for (std::size_t l = 0; l < parameters.layers.size(); ++l) {
    Eigen::MatrixXd A = parameters.layers[l].attention.A.cast<double>();
    const Index column = l % 2 == 0 ? 1 : 0;
    A /= A(0, column) < 0 ? -A.norm() : A.norm();
    found.last = std::max(found.last, std::abs(A(2, 2)));
    A(0, column) -= 1;
    found.distance = std::max(found.distance, A.norm());
  }
  return found;
}

Result run(const Options& options) {
  const Effort effort = effort_of(options);
  programs::Progress progress("multi-step", effort.tuning_contexts / Spectrum::contexts_a_part + 20 +
                                                options.seeds * 2 * Index(effort.stacks.size() + 1));
  const Spectrum spectrum(options.seed, effort.tuning_contexts, options.threads, progress);
  const std::vector<Steps> tuned = spectrum.tuned(most_steps);
  std::vector<Algorithm> algorithms{{"equal steps", Colour::blue, Mark::line},
                                    {"individual steps", Colour::orange, Mark::line},
                                    {"conjugate gradients", Colour::green, Mark::line},
                                    {"Newton's iteration", Colour::purple, Mark::line}};
  std::vector<double> equal_sizes;
  for (Index K = 1; K <= most_steps; ++K) {
    const Steps equal = spectrum.equal(K);
    equal_sizes.push_back(equal.sizes.front());
    algorithms[0].loss.push_back(estimate(equal.expected));
    algorithms[1].loss.push_back(estimate(tuned[static_cast<std::size_t>(K - 1)].expected));
  }
  for (const Sample& sample : conjugate_gradients(options.seed, effort.sampled_contexts, options.threads, progress))
    algorithms[2].loss.push_back(estimate(sample));
  // X <- X (2I - S X) from X = a I: I - S X is squared, so K iterations are 2^K equal steps.
  for (Index K = 1; K <= newton_steps; ++K)
    algorithms[3].loss.push_back(estimate(spectrum.equal(Index(1) << K).expected));

  std::vector<Stack> stacks;
  for (const Index K : effort.stacks) {
    const PaperStack stack(PaperLayer<10>(), K);
    const std::vector<double>& sizes = tuned[static_cast<std::size_t>(K - 1)].sizes;
    stacks.push_back(
        {K, {"multi-step", stack, tasks()}, descent_steps(stack, std::vector<float>(sizes.begin(), sizes.end()))});
  }
  const ReferenceStackTrainer reference("multi-step", ReferenceStack(PaperLayer<10>()), tasks());
  const TaskRange range = evaluation_tasks(options.seed, effort.evaluation_tasks);
  Losses with_residual;
  {
    ThreadPool pool(options.threads);
    for (Stack& stack : stacks) stack.losses = stack.trainer.losses(stack.construction, tasks(), range, pool);
    with_residual = reference.losses(stacks.front().construction, tasks(), range, pool);
  }
  std::vector<Job> jobs;
  for (std::size_t s = stacks.size(); s-- > 0;)
    for (const bool residual : {false, true})
      for (const Start start : {Start::random, Start::construction})
        for (Index k = 0; k < options.seeds; ++k)
          if (!residual || s == 0) jobs.push_back({residual, s, start, options.seed_of(k)});
  std::vector<Trained> found(jobs.size());
  run_jobs(Index(jobs.size()), options.threads, progress, [&](Index j, ThreadPool& pool) {
    const auto begin = std::chrono::steady_clock::now();
    const Job& job = jobs[static_cast<std::size_t>(j)];
    const Stack& stack = stacks[job.stack];
    Trained trained{job};
    const std::string name = "K" + std::to_string(stack.steps) + (job.residual ? "-residual" : "") +
                             (job.start == Start::random ? "-random-" : "-construction-") + seed_name(job.seed);
    const auto with = [&](const auto& trainer) {
      trained.parameters = trainer.train(falling_rates(effort.updates, rate_factor(job.start)), job.seed,
                                         start_of(stack, job), pool, options.checkpoint(name));
      return trainer.losses(trained.parameters, tasks(), range, pool);
    };
    const Losses losses = job.residual ? with(reference) : with(stack.trainer);
    trained.loss = mean_of(losses);
    trained.excess = excess(losses, stack.losses);
    trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    found[static_cast<std::size_t>(j)] = std::move(trained);
  });
  const auto of = [&](bool residual, std::size_t stack, Start start) {
    std::vector<Trained> chosen;
    for (const Trained& t : found)
      if (t.job.residual == residual && t.job.stack == stack && t.job.start == start) chosen.push_back(t);
    return chosen;
  };
  const auto loss_of = [](const Trained& t) { return t.loss.value; };
  const auto excess_of = [](const Trained& t) { return t.excess.value; };

  Result result;
  result.overview = {"multi-step: stacks of 2K - 1 layers, " + grouped(effort.updates) + " updates, " +
                         grouped(effort.evaluation_tasks) +
                         " tasks; trained: mean (least to most) over seeds, excess over individually tuned descent",
                     {"K", "equal steps", "individual", "closed form", "from random weights", "excess",
                      "from the closed form", "excess"},
                     {}};
  Table every{"Every trained stack: excess over the closed form with individual sizes, on the same tasks (± s.e.)",
              {"K", "residual", "start", "seed", "loss", "excess"},
              {}};
  Table algorithm_table{
      "Loss after K steps or iterations (± s.e.): steps of one tuned size and of individually tuned "
      "sizes, Newton's iteration for the inverse of S, conjugate gradients",
      {"K"},
      {}};
  for (const Algorithm& algorithm : algorithms) algorithm_table.columns.push_back(algorithm.name);
  std::ostringstream csv, algorithms_csv;
  CsvWriter rows(csv, {"steps", "residual", "start", "seed", "equal_loss", "individual_loss", "construction_loss",
                       "construction_loss_standard_error", "trained_loss", "trained_loss_standard_error", "excess",
                       "excess_standard_error"});
  CsvWriter algorithm_rows(algorithms_csv, {"algorithm", "steps", "loss", "standard_error"});
  Figure figure{
      "multi-step-algorithms",
      "Loss against the number of steps, f = N = 10: algorithms, and trained stacks of 2K - 1 layers, a point "
      "a seed. Least squares, the limit of all, is exact here and loses nothing.",
      {"steps or iterations K"},
      {"loss per output", true},
      {}};
  Record algorithm_list = Record::object();
  for (const Algorithm& algorithm : algorithms) {
    Series series{algorithm.name, algorithm.mark, algorithm.colour, {}, {}};
    Record list = Record::list();
    for (std::size_t k = 0; k < algorithm.loss.size(); ++k) {
      const Estimate& loss = algorithm.loss[k];
      algorithm_rows.row(algorithm.name, k + 1, loss.value, loss.standard_error);
      list.push_back(loss.value);
      if (loss.value < 1e-4) continue;
      series.x.push_back(static_cast<double>(k + 1));
      series.y.push_back(loss.value);
    }
    algorithm_list[algorithm.name] = std::move(list);
    figure.series.push_back(std::move(series));
  }
  for (const std::size_t K : {1u, 2u, 3u, 4u, 5u, 7u, 10u, 15u, 20u}) {
    std::vector<std::string> cells{std::to_string(K)};
    for (const Algorithm& algorithm : algorithms)
      cells.push_back(K <= algorithm.loss.size() ? algorithm.loss[K - 1].text() : "");
    algorithm_table.row(std::move(cells));
  }

  Series points[2] = {{"stacks from random weights", Mark::points, Colour::grey, {}, {}},
                      {"stacks from the closed form", Mark::points, Colour::purple, {}, {}}};
  Record stack_list = Record::list();
  for (std::size_t s = 0; s < stacks.size(); ++s) {
    const Stack& stack = stacks[s];
    const auto at = static_cast<std::size_t>(stack.steps - 1);
    const Estimate closed = mean_of(stack.losses);
    const double equal = algorithms[0].loss[at].value, individual = algorithms[1].loss[at].value;
    std::vector<std::string> cells{std::to_string(stack.steps), rounded(equal), rounded(individual), closed.text()};
    Record entry{{"steps", stack.steps},
                 {"equal_loss", equal},
                 {"individual_loss", individual},
                 {"construction_loss", closed.value},
                 {"construction_loss_standard_error", closed.standard_error}};
    for (const bool residual : {false, true})
      for (const Start start : {Start::random, Start::construction}) {
        const std::vector<Trained> seeds = of(residual, s, start);
        if (seeds.empty()) continue;
        Record list = Record::list();
        for (const Trained& t : seeds) {
          every.row({std::to_string(stack.steps), residual ? "yes" : "no", name_of(start), std::to_string(t.job.seed),
                     rounded(t.loss.value), t.excess.percent_text()});
          rows.row(stack.steps, residual ? "yes" : "no", name_of(start), t.job.seed, equal, individual, closed.value,
                   closed.standard_error, t.loss.value, t.loss.standard_error, t.excess.value, t.excess.standard_error);
          list.push_back({{"seed", t.job.seed},
                          {"trained_loss", t.loss.value},
                          {"excess", t.excess.value},
                          {"excess_standard_error", t.excess.standard_error},
                          {"seconds", t.seconds}});
          auto metadata = vector_metadata();
          if (!residual) metadata["stack"] = "horner";
          result.files.push_back(weights_output("multi-step-K" + std::to_string(stack.steps) +
                                                    (residual ? "-residual" : "") + "-from-" + name_of(start) +
                                                    "-seed-" + std::to_string(t.job.seed),
                                                weights_file(t.parameters, metadata)));
          if (residual) continue;
          Series& series = points[start == Start::random ? 0 : 1];
          series.x.push_back(static_cast<double>(stack.steps));
          series.y.push_back(t.loss.value);
        }
        const Spread loss = spread_over(seeds, loss_of), gap = spread_over(seeds, excess_of);
        if (!residual) {
          cells.push_back(loss.text());
          cells.push_back(gap.percent_text());
        }
        entry[std::string(residual ? "residual_from_" : "from_") + name_of(start)] = {
            {"trained_loss", loss.mean}, {"excess", gap.mean}, {"worst_excess", gap.most}, {"seeds", std::move(list)}};
      }
    result.overview.row(std::move(cells));
    stack_list.push_back(std::move(entry));
  }
  figure.series.push_back(std::move(points[0]));
  figure.series.push_back(std::move(points[1]));
  const Estimate residual_closed = mean_of(with_residual);
  Table two{"Two steps with and without the reference's residual (means over seeds)",
            {"stack", "closed form", "from random weights", "from the closed form"},
            {}};
  for (const bool residual : {false, true})
    two.row({residual ? "with its residual" : "without",
             residual ? residual_closed.text() : mean_of(stacks[0].losses).text(),
             spread_over(of(residual, 0, Start::random), loss_of).text(),
             spread_over(of(residual, 0, Start::construction), loss_of).text()});

  const auto mean_excess = [&](std::size_t s, Start start) { return spread_over(of(false, s, start), excess_of).mean; };
  std::string text =
      "Steps of one tuned size, of sizes tuned one by one, and what else there is for the same linear "
      "problem. Two equal steps reach " +
      rounded(algorithms[0].loss[1].value) + " at best (a = " + rounded(equal_sizes[1], 3) +
      "), two of their own sizes " + rounded(algorithms[1].loss[1].value) + "; after twenty it is " +
      rounded(algorithms[0].loss[19].value, 3) + " and " + rounded(algorithms[1].loss[19].value, 3) +
      ". Conjugate gradients, which choose their steps from each context and output, are at " +
      rounded(algorithms[2].loss[4].value, 3) +
      " after five and exact after ten, individual sizes, the same for all tasks, at " +
      rounded(algorithms[1].loss[4].value, 3) + " after five; Newton's iteration squares what is left and is at " +
      rounded(algorithms[3].loss[4].value, 3) +
      ". These labels have no noise and N = f, so that least squares is exact, and ridge regression only as good "
      "as its penalty is small: ";
  for (const double rho : penalties)
    text += rounded(spectrum.ridge(rho).mean(), 3) + " at ρ = " + rounded(rho) + (rho == penalties[1] ? "." : ", ");
  result.section.push_back(Paragraph{std::move(text)});
  result.section.push_back(std::move(figure));
  result.section.push_back(std::move(algorithm_table));
  text = "Trained stacks beside descent of the same K with individually tuned sizes. ";
  for (std::size_t s = 0; s < stacks.size(); ++s) {
    const double random = mean_excess(s, Start::random), own = mean_excess(s, Start::construction);
    text += "K = " + std::to_string(stacks[s].steps) + ": from random weights " + percent(std::abs(random)) +
            (random < 0 ? " below" : " above") + ", from the closed form " + percent(std::abs(own)) +
            (own < 0 ? " below" : " above") + (s + 1 < stacks.size() ? "; " : ". ");
  }
  const auto attention = [&](bool residual, std::size_t s) {
    Attention most;
    for (const Trained& t : of(residual, s, Start::random)) {
      const Attention one = attention_of(t.parameters);
      most.distance = std::max(most.distance, one.distance);
      most.last = std::max(most.last, one.last);
    }
    return most;
  };
  const double found_more = std::min(mean_excess(0, Start::random), mean_excess(0, Start::construction));
  text +=
      found_more < -0.002
          ? "At K = 2 training finds more than two steps can do. "
          : "At K = 2 training finds no more than two well chosen steps: a polynomial of degree two in S with p(0) = "
            "1 is all that the stack can make of S and M, and its best roots are real. ";
  text +=
      "Trained from random weights its layers are what the construction says, M_1, S_2 and M_2: in canonical scale "
      "the attention of each is at most " +
      rounded(attention(false, 0).distance, 2) + " from e₀e₁ᵀ or e₀e₀ᵀ. ";
  const double deepest =
      std::min(mean_excess(stacks.size() - 1, Start::random), mean_excess(stacks.size() - 1, Start::construction));
  if (deepest > 0.02)
    text +=
        "At K = " + std::to_string(stacks.back().steps) +
        " it does not get there: the loss is then a matter of roots close to the smallest eigenvalues of S, to which "
        "products of 2K - 1 trained layers are not tuned in so many updates. That did not work. ";
  result.section.push_back(Paragraph{std::move(text)});
  result.section.push_back(std::move(every));
  const double random_residual = spread_over(of(true, 0, Start::random), loss_of).mean,
               own_residual = spread_over(of(true, 0, Start::construction), loss_of).mean,
               random_plain = spread_over(of(false, 0, Start::random), loss_of).mean,
               own_plain = spread_over(of(false, 0, Start::construction), loss_of).mean;
  result.section.push_back(Paragraph{
      "The reference's two-step stack adds its input to its output. In closed form that costs " +
      rounded(residual_closed.value - mean_of(stacks[0].losses).value, 3) + " in loss, 1/24 = " + rounded(1 / 24.0, 3) +
      " by theory. Training makes up for part of it: from random weights the stack with its residual ends at " +
      rounded(random_residual) + ", without at " + rounded(random_plain) + "; from the closed form at " +
      rounded(own_residual) + " and " + rounded(own_plain) + ". How: where the stack without has next to no A₂₂ (" +
      rounded(attention(false, 0).last, 2) + " of A's norm at most), the one with its residual has up to " +
      rounded(attention(true, 0).last, 2) +
      " in a layer: it adds a multiple of Σ x_{t+1} x_{t+1}ᵀ q, the query among them, which is not far from a multiple "
      "of q."});
  result.section.push_back(std::move(two));
  result.summary = {{"updates", effort.updates},
                    {"evaluation_tasks", effort.evaluation_tasks},
                    {"equal_size_two_steps", equal_sizes[1]},
                    {"individual_sizes_two_steps", tuned[1].sizes},
                    {"residual_construction_loss", residual_closed.value},
                    {"algorithms", std::move(algorithm_list)},
                    {"stacks", std::move(stack_list)}};
  result.files.push_back({"multi-step.csv", csv.str()});
  result.files.push_back({"multi-step-algorithms.csv", algorithms_csv.str()});
  return result;
}

}  // namespace

extern const Experiment multi_step{"multi-step", "Several steps: stacks and algorithms", &run};

}  // namespace gdssm::reproduce
