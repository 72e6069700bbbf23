// SPDX-License-Identifier: Apache-2.0
// `baselines`: other sequence models on the paper's tasks, at one budget of parameters, with a sweep of the learning
// rate for each, beside the algorithms that they may be learning. docs/baselines.md defines them.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Eigenvalues>

#include "gdssm/algorithms/gd_plus_plus.hpp"
#include "gdssm/algorithms/least_squares.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "reproduce/experiments/baselines/candidates.hpp"
#include "reproduce/experiments/experiments.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

constexpr Index features = 10, outputs = 1, context = 10, budget = 5000, tuning_contexts = 2000;
constexpr double rates[] = {1e-3, 3e-3, 1e-2}, ridge = 0.01;
// A model that leaves less than this share of the loss of predicting zero has learned something.
constexpr double trained_share = 0.95;

struct Effort {
  Index updates, validation_tasks, evaluation_tasks;
  bool everything;
};
Effort effort_of(const Options& options) {
  return options.quick ? Effort{150, 1024, 2000, false} : Effort{5000, 4096, 20000, true};
}

// Tasks that no run trains on; those that choose the rate are none of those that judge the choice.
TaskRange validation(const Options& options, const Effort& effort) {
  return {options.seed, effort.validation_tasks, std::uint64_t{1} << 55};
}
TaskRange evaluation(const Options& options, const Effort& effort) {
  return {options.seed, effort.evaluation_tasks, std::uint64_t{1} << 56};
}

const LinearRegression tasks{.features = features, .outputs = outputs, .context = context};

Sample sample_of(const std::vector<double>& losses) {
  Sample sample;
  for (const double loss : losses) sample.add(loss);
  return sample;
}

// --- Algorithms

/// The least of a function of a few numbers: one of them at a time is moved by a step, and where none helps the step is
/// halved, to a thousandth of what it was.
std::vector<double> tuned(std::vector<double> at, const std::function<double(const std::vector<double>&)>& loss) {
  double least = loss(at);
  for (double step = 0.2; step > 2e-4; step /= 2)
    for (bool better = true; better;) {
      better = false;
      for (double& entry : at)
        for (const double by : {step, -step}) {
          entry += by;
          const double moved = loss(at);
          if (moved < least) {
            least = moved;
            better = true;
          } else {
            entry -= by;
          }
        }
    }
  return at;
}

/// Steps of GD++, of which descent is the case of gammas that are zero.
struct Steps {
  std::vector<double> a, gamma;
};

/// Contexts as polynomials in S see them: with W* the map and without noise M = W* S, so that what (10b) leaves of a
/// query is W* r(S) q, and the expected loss is half the mean of r(s)^2 over eigenvalues s, times f / 12.
class Spectra {
 public:
  explicit Spectra(std::uint64_t seed) {
    for (Index i = 0; i < tuning_contexts; ++i) {
      const Eigen::MatrixXd x =
          tasks.draw(seed, (std::uint64_t{1} << 57) + static_cast<std::uint64_t>(i)).inputs.leftCols(context);
      const Eigen::VectorXd values =
          Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(x * x.transpose(), Eigen::EigenvaluesOnly).eigenvalues();
      eigenvalues_.insert(eigenvalues_.end(), values.begin(), values.end());
    }
  }

  double loss(const Steps& steps) const {
    double sum = 0;
    for (const double eigenvalue : eigenvalues_) {
      double rest = 1, m = eigenvalue, q = 1, s = eigenvalue;
      for (std::size_t k = 0; k < steps.a.size(); ++k) {
        const double transform = 1 - steps.gamma[k] * s;
        rest -= steps.a[k] * m * q;
        m *= (1 - steps.a[k] * s) * transform;
        q *= transform;
        s *= transform * transform;
      }
      sum += rest * rest;
    }
    return sum / (2 * 12 * static_cast<double>(tuning_contexts));
  }

  /// The best K steps; the last gamma, which transforms for no step after it, stays zero.
  Steps best(Index K, bool transforms) const {
    const auto count = static_cast<std::size_t>(K);
    const auto steps_of = [&](const std::vector<double>& numbers) {
      Steps steps{{numbers.begin(), numbers.begin() + K}, std::vector<double>(count, 0.0)};
      std::copy(numbers.begin() + K, numbers.end(), steps.gamma.begin());
      return steps;
    };
    std::vector<double> start(transforms ? 2 * count - 1 : count, 0.0);
    for (std::size_t k = 0; k < count; ++k) start[k] = 0.4 + 0.4 * static_cast<double>(k);
    return steps_of(tuned(start, [&](const std::vector<double>& numbers) { return loss(steps_of(numbers)); }));
  }

 private:
  std::vector<double> eigenvalues_;
};

struct Algorithm {
  std::string name;
  std::string settings;
  std::function<Eigen::VectorXd(const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, const Eigen::VectorXd& q)> predict;
  Steps steps = {};
  Sample loss = {};
};

std::string listed(const std::vector<double>& numbers) {
  std::string text;
  for (const double number : numbers) text += (text.empty() ? "" : ", ") + rounded(number, 3);
  return text;
}

std::vector<Algorithm> algorithms(std::uint64_t seed, const TaskRange& range, int threads) {
  std::vector<Algorithm> all;
  const Spectra spectra(seed);
  const auto add_steps = [&](Index K, bool transforms) {
    const Steps steps = spectra.best(K, transforms);
    const std::string count = std::to_string(K) + (K == 1 ? " step" : " steps");
    all.push_back({transforms ? "GD++, " + count : "gradient descent, " + count,
                   "a = " + listed(steps.a) + (transforms ? "; γ = " + listed(steps.gamma) : ""),
                   [steps](const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, const Eigen::VectorXd& q) {
                     const Eigen::MatrixXd S = x * x.transpose(), M = y * x.transpose();
                     return Eigen::VectorXd(
                         predict_by_gd_plus_plus(S, M, q, StepSizes<double>(steps.a), StepSizes<double>(steps.gamma)));
                   },
                   steps});
  };
  for (const Index K : {1, 2, 3}) add_steps(K, false);  // the first is what all are measured against
  for (const Index K : {2, 3}) add_steps(K, true);
  all.push_back({"ridge regression", "ρ = " + rounded(ridge),
                 [](const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, const Eigen::VectorXd& q) {
                   const Eigen::MatrixXd S = x * x.transpose(), M = y * x.transpose();
                   return Eigen::VectorXd(ridge_regression(S, M, ridge) * q);
                 }});
  all.push_back({"least squares", "", [](const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, const Eigen::VectorXd& q) {
                   return Eigen::VectorXd(least_squares(x, y) * q);
                 }});
  all.push_back({"predicting zero", "", [](const Eigen::MatrixXd&, const Eigen::MatrixXd&, const Eigen::VectorXd&) {
                   return Eigen::VectorXd::Zero(outputs).eval();
                 }});

  constexpr Index parts = 16;
  std::vector<std::vector<Sample>> found(static_cast<std::size_t>(parts), std::vector<Sample>(all.size()));
  programs::Progress quiet("", 0);
  run_parts(parts, threads, quiet, [&](Index part) {
    for (Index i = part * range.count / parts; i < (part + 1) * range.count / parts; ++i) {
      const LinearRegressionTask task = tasks.draw(range.seed, range.first + static_cast<std::uint64_t>(i));
      const Eigen::MatrixXd x = task.inputs.leftCols(context), y = task.targets.leftCols(context);
      for (std::size_t k = 0; k < all.size(); ++k) {
        const Eigen::VectorXd error = all[k].predict(x, y, task.inputs.col(context)) - task.targets.col(context);
        found[static_cast<std::size_t>(part)][k].add(error.squaredNorm() / (2 * static_cast<double>(outputs)));
      }
    }
  });
  for (const auto& part : found)
    for (std::size_t k = 0; k < all.size(); ++k) all[k].loss.merge(part[k]);
  return all;
}

// --- Models

struct Swept {
  double rate = 0;
  Outcome outcome{};
};

struct Measured {
  std::uint64_t seed = 0;
  bool diverged = false;
  Sample loss{};  ///< on evaluation tasks
};

struct Row {
  Candidate candidate;
  std::vector<Swept> sweep{};
  double rate = 0;  ///< the best of the sweep
  std::vector<Measured> seeds{};
  Safetensors weights{};  ///< of the first seed

  bool diverged() const {
    return std::any_of(seeds.begin(), seeds.end(), [](const Measured& m) { return m.diverged; });
  }
  double mean() const {
    return over_seeds([](double sum, double loss) { return sum + loss; }, 0) / double(seeds.size());
  }
  double least() const {
    return over_seeds([](double a, double b) { return std::min(a, b); }, 1e300);
  }
  double most() const {
    return over_seeds([](double a, double b) { return std::max(a, b); }, 0);
  }

 private:
  template <class Fold>
  double over_seeds(const Fold& fold, double start) const {
    for (const Measured& measured : seeds) start = fold(start, measured.loss.mean());
    return start;
  }
};

class BaselineExperiment {
 public:
  explicit BaselineExperiment(const Options& options) : options_(options), effort_(effort_of(options)) {}

  Result run() {
    const auto start = std::chrono::steady_clock::now();
    add_candidates();
    sweep();
    train_seeds();
    const TaskRange judged = evaluation(options_, effort_);
    algorithms_ = algorithms(options_.seed, judged, options_.threads);
    for (const Algorithm& algorithm : algorithms_) {
      if (algorithm.steps.a.empty()) continue;
      const Sample attention =
          sample_of(constructed_attention_losses(algorithm.steps.a, algorithm.steps.gamma, judged));
      constructed_.push_back({algorithm.name, static_cast<Index>(algorithm.steps.a.size()), attention,
                              std::abs(attention.mean() - algorithm.loss.mean()) / algorithm.loss.mean()});
    }
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

    Result result;
    add_overview(result);
    add_text(result);
    add_algorithms(result);
    add_sweep(result);
    add_files(result);
    add_summary(result);
    return result;
  }

 private:
  struct Constructed {
    std::string name;
    Index layers;
    Sample loss;
    double difference;  ///< of the means, relative
  };

  void add_candidates() {
    for (Candidate& candidate : all_candidates(budget))
      if (effort_.everything || (candidate.depth == 1 && candidate.reads != "vec(X), vec(G)"))
        rows_.push_back({std::move(candidate)});
  }

  Outcome train(const Row& row, std::uint64_t seed, double rate) const {
    const std::string name = row.candidate.slug + "-rate-" + format_number(rate) + "-" + seed_name(seed);
    return run_candidate(row.candidate, {seed, rate, effort_.updates, validation(options_, effort_),
                                         evaluation(options_, effort_), options_.checkpoint(name)});
  }

  /// The first seed at every rate.
  void sweep() {
    const Index count = static_cast<Index>(std::size(rates)), jobs = count * static_cast<Index>(rows_.size());
    for (Row& row : rows_) row.sweep.resize(std::size(rates));
    programs::Progress progress("baselines: rates", jobs);
    run_parts(jobs, options_.threads, progress, [&](Index i) {
      Row& row = rows_[static_cast<std::size_t>(i / count)];
      row.sweep[static_cast<std::size_t>(i % count)] = {rates[i % count], train(row, options_.seed, rates[i % count])};
    });
    for (Row& row : rows_) {
      Swept* best = nullptr;
      for (Swept& swept : row.sweep)
        if (!swept.outcome.diverged && (!best || swept.outcome.validation.mean() < best->outcome.validation.mean()))
          best = &swept;
      row.seeds.resize(static_cast<std::size_t>(options_.seeds));
      if (!best) {  // which is a finding too, and the other seeds' at the lowest rate
        row.rate = rates[0];
        row.seeds.front() = {options_.seed, true, {}};
        continue;
      }
      row.rate = best->rate;
      row.seeds.front() = {options_.seed, false, best->outcome.evaluation};
      row.weights = std::move(best->outcome.weights);
    }
  }

  /// The other seeds at the best rate.
  void train_seeds() {
    const Index others = options_.seeds - 1, jobs = others * static_cast<Index>(rows_.size());
    programs::Progress progress("baselines: seeds", jobs);
    run_parts(jobs, options_.threads, progress, [&](Index i) {
      Row& row = rows_[static_cast<std::size_t>(i / others)];
      const Index k = i % others + 1;
      const Outcome outcome = train(row, options_.seed_of(k), row.rate);
      row.seeds[static_cast<std::size_t>(k)] = {options_.seed_of(k), outcome.diverged, outcome.evaluation};
    });
  }

  /// Losses on the tasks that the models are judged by, which differ from expected ones by the luck of the draw.
  double loss_of(const std::string& algorithm) const {
    return std::find_if(algorithms_.begin(), algorithms_.end(), [&](const Algorithm& a) { return a.name == algorithm; })
        ->loss.mean();
  }
  double one_step() const { return algorithms_.front().loss.mean(); }
  double zero_loss() const { return loss_of("predicting zero"); }
  std::string times_one_step(double loss) const { return rounded(loss / one_step(), 3); }

  std::string spread(const Row& row) const {
    if (row.diverged()) return "diverged in a seed";
    if (row.seeds.size() == 1) return rounded(row.mean());
    return rounded(row.mean()) + " (" + rounded(row.least()) + " to " + rounded(row.most()) + ")";
  }

  void add_overview(Result& result) const {
    Table& table = result.overview;
    table = {"baselines: loss on " + grouped(effort_.evaluation_tasks) + " tasks after " + grouped(effort_.updates) +
                 " updates at the best of three rates, " +
                 (options_.seeds == 1 ? "one seed" : std::to_string(options_.seeds) + " seeds: mean (least to most)") +
                 "; one gradient step loses " + rounded(one_step()) + ", zero " + rounded(zero_loss()),
             {"model", "reads", "depth", "parameters", "rate", "loss", "in gradient steps' losses"},
             {}};
    for (const Row& row : rows_)
      table.row({row.candidate.name, row.candidate.reads, std::to_string(row.candidate.depth),
                 grouped(row.candidate.model.weights().count()), rounded(row.rate, 2), spread(row),
                 row.diverged() ? "" : times_one_step(row.mean())});
  }

  /// The rows of an input, best first.
  std::vector<const Row*> ranked(const std::string& reads) const {
    std::vector<const Row*> rows;
    for (const Row& row : rows_)
      if (row.candidate.reads == reads && !row.diverged()) rows.push_back(&row);
    std::sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) { return a->mean() < b->mean(); });
    return rows;
  }

  static std::string called(const Row& row) {
    return row.candidate.name + " of depth " + std::to_string(row.candidate.depth);
  }

  void add_text(Result& result) const {
    Index least = 0, most = 0;
    for (const Row& row : rows_)
      if (&row != &rows_.front()) {
        least =
            least == 0 ? row.candidate.model.weights().count() : std::min(least, row.candidate.model.weights().count());
        most = std::max(most, row.candidate.model.weights().count());
      }
    std::string text = "Every model but the first has as nearly as its width allows " + grouped(budget) +
                       " parameters (" + grouped(least) + " to " + grouped(most) + "); the augmented SSM has " +
                       grouped(rows_.front().candidate.model.weights().count()) +
                       ". All are trained with Adam on 64 fresh tasks an update, gradients longer than 1 shortened to "
                       "it, the rate rising over a twentieth of the run and "
                       "falling to zero along a cosine; its highest value is chosen from three by the loss of seed " +
                       std::to_string(options_.seed) + " on " + grouped(effort_.validation_tasks) +
                       " validation tasks. Definitions are in docs/baselines.md.";
    if (!effort_.everything)
      text += " This is the quick form: depth 1 only, none of the models that read local attention, and " +
              grouped(effort_.updates) +
              " updates, too few for any of them to finish. It shows that all of it runs, "
              "not which is better.";
    result.section.push_back(Paragraph{text});
    if (!effort_.everything) return;

    std::string found;
    for (const char* const reads : {"pairs", "vec(X)", "vec(X), vec(G)"}) {
      const auto rows = ranked(reads);
      if (rows.empty()) continue;
      Index below = 0, untrained = 0;
      for (const Row* row : rows) {
        below += row->mean() < one_step();
        untrained += row->mean() > trained_share * zero_loss();
      }
      found += (found.empty() ? "Of the models that read " : " Of those that read ") + std::string(reads) +
               " the best is " + called(*rows.front()) + ", " + rounded(rows.front()->mean()) + " or " +
               times_one_step(rows.front()->mean()) + " times the loss of one gradient step, the worst " +
               called(*rows.back()) + ", " + rounded(rows.back()->mean()) + "; " + std::to_string(below) + " of " +
               std::to_string(rows.size()) + " end below one gradient step";
      found += untrained == 0 ? "."
                              : ", and " + std::to_string(untrained) + (untrained == 1 ? " stays" : " stay") +
                                    " within 5 % of the loss of predicting zero at every rate tried.";
    }
    found += " What they would reach with more updates these numbers don't say.";
    result.section.push_back(Paragraph{found});

    std::string gains;
    Index helped = 0, compared = 0;
    for (const Row& windows : rows_)
      for (const Row& attended : rows_)
        if (windows.candidate.reads == "vec(X)" && attended.candidate.reads == "vec(X), vec(G)" &&
            !windows.diverged() && !attended.diverged() && windows.candidate.name == attended.candidate.name &&
            windows.candidate.depth == attended.candidate.depth) {
          ++compared;
          helped += attended.most() < windows.least();
          gains += (gains.empty() ? "" : "; ") + called(windows) + " " + rounded(windows.mean()) + " and " +
                   rounded(attended.mean());
        }
    result.section.push_back(Paragraph{
        "What local attention is worth to a recurrence that is not built around it, loss without and with its "
        "output: " +
        gains + ". In " + std::to_string(helped) + " of " + std::to_string(compared) +
        " comparisons every seed with it is better than every seed without."});
  }

  void add_algorithms(Result& result) const {
    Table table{"Algorithms on the same tasks, steps tuned one by one on " + grouped(tuning_contexts) +
                    " other contexts, and linear self-attention on pairs in closed form, a layer a step",
                {"algorithm", "settings", "loss", "in gradient steps' losses", "attention in closed form"},
                {}};
    for (std::size_t k = 0; k < algorithms_.size(); ++k) {
      const Algorithm& algorithm = algorithms_[k];
      table.row({algorithm.name, algorithm.settings,
                 rounded(algorithm.loss.mean()) + " ± " + rounded(algorithm.loss.standard_error(), 1),
                 times_one_step(algorithm.loss.mean()),
                 k < constructed_.size() ? rounded(constructed_[k].loss.mean()) : ""});
    }
    double apart = 0;
    for (const Constructed& constructed : constructed_) apart = std::max(apart, constructed.difference);
    result.section.push_back(Paragraph{
        "A layer of linear self-attention in closed form, (B7), is a step of gradient descent or of GD++: its "
        "mean loss, in single precision, is the algorithm's to a relative " +
        rounded(apart, 1) + "."});
    result.section.push_back(std::move(table));
  }

  void add_sweep(Result& result) const {
    Table table{"The sweep: loss on " + grouped(effort_.validation_tasks) + " validation tasks, seed " +
                    std::to_string(options_.seed) + "; the best rate is the one used",
                {"model", "reads", "depth"},
                {}};
    for (const double rate : rates) table.columns.push_back("rate " + rounded(rate, 2));
    for (const Row& row : rows_) {
      std::vector<std::string> cells{row.candidate.name, row.candidate.reads, std::to_string(row.candidate.depth)};
      for (const Swept& swept : row.sweep)
        cells.push_back(swept.outcome.diverged
                            ? "diverged"
                            : rounded(swept.outcome.validation.mean()) + (swept.rate == row.rate ? " *" : ""));
      table.row(std::move(cells));
    }
    result.section.push_back(std::move(table));

    const std::pair<const char*, const char*> inputs[] = {
        {"pairs", "pairs"}, {"vec(X)", "windows"}, {"vec(X), vec(G)", "attended"}};
    std::vector<std::string> rate_names;
    for (const double rate : rates) rate_names.push_back(rounded(rate, 2));
    for (const auto& [reads, suffix] : inputs) {
      Figure figure{std::string("baselines-sweep-") + suffix,
                    std::string("Loss on validation tasks against the learning rate, models that read ") + reads +
                        ": depth 1 drawn through, depth 2 dashed, and one gradient step.",
                    {"highest learning rate", false, rate_names},
                    {"loss"},
                    {}};
      constexpr Colour colours[] = {Colour::blue, Colour::orange, Colour::green, Colour::purple};
      std::vector<std::string> names;
      for (const Row& row : rows_) {
        if (row.candidate.reads != reads) continue;
        auto at = std::find(names.begin(), names.end(), row.candidate.name);
        if (at == names.end()) at = names.insert(names.end(), row.candidate.name);
        Series series{row.candidate.depth == 1 ? row.candidate.name : "",
                      row.candidate.depth == 1 ? Mark::line : Mark::dashed,
                      colours[(at - names.begin()) % 4],
                      {},
                      {}};
        for (std::size_t k = 0; k < row.sweep.size(); ++k)
          if (!row.sweep[k].outcome.diverged) {
            series.x.push_back(static_cast<double>(k + 1));
            series.y.push_back(row.sweep[k].outcome.validation.mean());
          }
        figure.series.push_back(std::move(series));
      }
      if (figure.series.empty()) continue;
      figure.series.push_back({"one gradient step",
                               Mark::dashed,
                               Colour::grey,
                               {1, static_cast<double>(std::size(rates))},
                               {one_step(), one_step()}});
      result.section.push_back(std::move(figure));
    }
  }

  void add_files(Result& result) const {
    std::ostringstream losses, sweeps;
    CsvWriter loss_rows(losses, {"model", "reads", "depth", "parameters", "rate", "seed", "loss", "standard_error"});
    CsvWriter sweep_rows(sweeps,
                         {"model", "reads", "depth", "parameters", "rate", "validation_loss", "standard_error"});
    for (const Row& row : rows_) {
      const Candidate& c = row.candidate;
      for (const Measured& measured : row.seeds)
        if (!measured.diverged)
          loss_rows.row(c.name, c.reads, c.depth, c.model.weights().count(), row.rate, measured.seed,
                        measured.loss.mean(), measured.loss.standard_error());
      for (const Swept& swept : row.sweep)
        if (!swept.outcome.diverged)
          sweep_rows.row(c.name, c.reads, c.depth, c.model.weights().count(), swept.rate,
                         swept.outcome.validation.mean(), swept.outcome.validation.standard_error());
      if (!row.weights.tensors.empty()) result.files.push_back(weights_output("baselines-" + c.slug, row.weights));
    }
    result.files.push_back({"baselines-losses.csv", losses.str()});
    result.files.push_back({"baselines-sweep.csv", sweeps.str()});
  }

  void add_summary(Result& result) const {
    using Json = Record;
    auto& summary = result.summary;
    summary = {{"budget", budget},
               {"updates", effort_.updates},
               {"validation_tasks", effort_.validation_tasks},
               {"evaluation_tasks", effort_.evaluation_tasks},
               {"zero_loss", zero_loss()},
               {"one_step_loss", one_step()},
               {"models", Json::list()},
               {"algorithms", Json::list()},
               {"seconds", seconds_}};
    for (const Row& row : rows_) {
      Json sweep = Json::list(), seeds = Json::list();
      for (const Swept& swept : row.sweep)
        sweep.push_back({{"rate", swept.rate},
                         {"validation_loss", swept.outcome.diverged ? Json() : Json(swept.outcome.validation.mean())}});
      for (const Measured& measured : row.seeds)
        seeds.push_back({{"seed", measured.seed},
                         {"loss", measured.diverged ? Json() : Json(measured.loss.mean())},
                         {"standard_error", measured.diverged ? Json() : Json(measured.loss.standard_error())}});
      summary["models"].push_back({{"name", row.candidate.name},
                                   {"reads", row.candidate.reads},
                                   {"depth", row.candidate.depth},
                                   {"parameters", row.candidate.model.weights().count()},
                                   {"rate", row.rate},
                                   {"loss", row.diverged() ? Json() : Json(row.mean())},
                                   {"sweep", std::move(sweep)},
                                   {"seeds", std::move(seeds)}});
    }
    for (std::size_t k = 0; k < algorithms_.size(); ++k) {
      const Algorithm& algorithm = algorithms_[k];
      Json entry{{"name", algorithm.name},
                 {"loss", algorithm.loss.mean()},
                 {"standard_error", algorithm.loss.standard_error()}};
      if (k < constructed_.size()) {
        entry["sizes"] = algorithm.steps.a;
        entry["transforms"] = algorithm.steps.gamma;
        entry["attention_loss"] = constructed_[k].loss.mean();
      }
      summary["algorithms"].push_back(std::move(entry));
    }
  }

  Options options_;
  Effort effort_;
  std::vector<Row> rows_;
  std::vector<Algorithm> algorithms_;
  std::vector<Constructed> constructed_;
  double seconds_ = 0;
};

Result run(const Options& options) { return BaselineExperiment(options).run(); }

}  // namespace

extern const Experiment baselines{"baselines", "Other sequence models on the same tasks", &run};

}  // namespace gdssm::reproduce
