// SPDX-License-Identifier: Apache-2.0
// `learning-rules`: every learning rule in the recurrence's slot, on the paper's tasks, on drifting and on anisotropic
// ones: in closed form with the best constant controls, and trained.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/blocks/factored_attention.hpp"
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/kda.hpp"
#include "gdssm/blocks/recurrences/learning_recurrence.hpp"
#include "gdssm/blocks/recurrences/longhorn.hpp"
#include "gdssm/io/csv.hpp"
#include "reproduce/experiments/learning_rules/tuned_rules.hpp"
#include "reproduce/models/trainer.hpp"
#include "reproduce/report/weights.hpp"
#include "reproduce/run/experiment.hpp"
#include "reproduce/run/parallel.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {
namespace {

constexpr Index f = rule_features;

struct Effort {
  std::vector<Index> contexts;
  Index searched, evaluated, updates;
  double rate_factor;   ///< of the reference's rates
  std::size_t trained;  ///< laws that layers are trained on, the first ones
};
Effort effort_of(const Options& options) {
  return options.quick ? Effort{{10, 20}, 96, 768, 300, 45, 1} : Effort{{5, 10, 20, 40}, 512, 20000, 3000, 15, 3};
}

/// The length at which a law's rules are compared, and trained.
Index compared(const RuleLaw& law) { return law.change > 0 ? 20 : 10; }

/// A rule that is trained.
struct TrainedRow {
  std::string row, name;  ///< as `TunedRule`'s
  AnyModel<Lane> model;
};

template <class Rule>
AnyModel<Lane> layer_with() {
  return any_model(AugmentedSsm<FactoredAttention<>, LearningRecurrence<Rule>, Readout<>, OutputGate<>>(
      FactoredAttention<>(f), LearningRecurrence<Rule>(Rule(f)), Readout<>(f), OutputGate<>(f)));
}

/// What a seed's training ends with.
struct Trained {
  std::uint64_t seed = 0;
  Estimate loss{};
  bool diverged = false;
  double seconds = 0;
  Safetensors weights{};
};

class LearningRules {
 public:
  explicit LearningRules(const Options& options)
      : options_(options),
        effort_(effort_of(options)),
        laws_(rule_laws()),
        trained_rows_{{"gla", "the paper's layer", any_model(PaperLayer<>(f))},
                      {"delta_rule", "delta rule", layer_with<recurrences::DeltaRule<>>()},
                      {"gated_delta_rule", "gated delta rule", layer_with<recurrences::GatedDeltaRule<>>()},
                      {"kda", "KDA", layer_with<recurrences::Kda<>>()},
                      {"longhorn", "Longhorn", layer_with<recurrences::Longhorn<>>()}} {}

  Result run() {
    tune();
    train();
    Result result;
    add_overview(result);
    add_text(result);
    for (std::size_t l = 0; l < laws_.size(); ++l) add_law(result, l);
    add_trained(result);
    add_files(result);
    return result;
  }

 private:
  const std::vector<TunedRule>& rules_at(std::size_t law, Index context) const {
    const auto at = std::find(effort_.contexts.begin(), effort_.contexts.end(), context);
    return tuned_[law * effort_.contexts.size() + static_cast<std::size_t>(at - effort_.contexts.begin())];
  }
  const TunedRule& rule(std::size_t law, Index context, const std::string& row) const {
    const auto& rules = rules_at(law, context);
    return *std::find_if(rules.begin(), rules.end(), [&](const TunedRule& of) { return of.row == row; });
  }
  const TunedRule& rule(std::size_t law, const std::string& row) const { return rule(law, compared(laws_[law]), row); }
  /// How far a rule's loss is above another's: 0.1 is a tenth.
  double over(std::size_t law, Index context, const std::string& row, const std::string& other) const {
    return rule(law, context, row).loss.value / rule(law, context, other).loss.value - 1;
  }

  void tune() {
    const auto lengths = static_cast<Index>(effort_.contexts.size()),
               parts = lengths * static_cast<Index>(laws_.size());
    tuned_.resize(static_cast<std::size_t>(parts));
    programs::Progress progress("learning-rules: closed forms", parts);
    run_parts(parts, options_.threads, progress, [&](Index part) {
      const Index i = parts - 1 - part;  // long contexts first
      tuned_[static_cast<std::size_t>(i)] = tuned_rules(laws_[static_cast<std::size_t>(i / lengths)],
                                                        effort_.contexts[static_cast<std::size_t>(i % lengths)],
                                                        {effort_.searched, effort_.evaluated, options_.seed});
    });
  }

  void train() {
    const auto rows = static_cast<Index>(trained_rows_.size()),
               jobs = static_cast<Index>(effort_.trained) * rows * options_.seeds;
    trained_.assign(effort_.trained,
                    std::vector<std::vector<Trained>>(trained_rows_.size(),
                                                      std::vector<Trained>(static_cast<std::size_t>(options_.seeds))));
    std::vector<DriftingRegression> tasks;
    for (const RuleLaw& law : laws_) tasks.push_back(law.tasks(compared(law)));
    programs::Progress progress("learning-rules: training", jobs);
    run_jobs(jobs, options_.threads, progress, [&](Index j, ThreadPool& pool) {
      const auto law = static_cast<std::size_t>(j / options_.seeds / rows),
                 row = static_cast<std::size_t>(j / options_.seeds % rows);
      trained_[law][row][static_cast<std::size_t>(j % options_.seeds)] =
          train_one(laws_[law], tasks[law], trained_rows_[row], options_.seed_of(j % options_.seeds), pool);
    });
  }

  /// From the reference's start with the readout at zero.
  Trained train_one(const RuleLaw& law, const DriftingRegression& tasks, const TrainedRow& row, std::uint64_t seed,
                    ThreadPool& pool) const {
    const auto begin = std::chrono::steady_clock::now();
    const AnyTrainer trainer{row.model, task_source(tasks, row.model.window()), VectorTargets()};
    AnyTrainer::Weights start = row.model.draw(seed);
    for (const auto& entry : start.entries())
      if (entry.name.starts_with("readout.")) start.matrix(entry.name).setZero();
    const auto [ended, weights] = trainer.train(falling_rates(effort_.updates, effort_.rate_factor), seed, start, pool,
                                                options_.checkpoint(law.name + "-" + row.row + "-" + seed_name(seed)));
    Trained trained{seed};
    trained.diverged = ended.status == TrainingStatus::diverged;
    if (!trained.diverged)
      trained.loss = mean_of(trainer.losses(weights, evaluation_tasks(options_.seed, effort_.evaluated), pool));
    trained.weights = own_weights_file(weights, "the paper's layer with the rule " + row.row);
    trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return trained;
  }

  void add_overview(Result& result) const {
    result.overview = {"learning-rules: f = 10, loss per output of every rule with its best constant controls, on " +
                           grouped(effort_.evaluated) + " tasks; predicting zero loses " +
                           rounded(zero_loss_of_rules()),
                       {"rule"},
                       {}};
    for (const RuleLaw& law : laws_)
      result.overview.columns.push_back(law.name + ", N = " + std::to_string(compared(law)));
    for (const TunedRule& first : tuned_.front()) {
      std::vector<std::string> cells{first.name};
      for (std::size_t l = 0; l < laws_.size(); ++l) cells.push_back(rounded(rule(l, first.row).loss.value, 3));
      result.overview.row(std::move(cells));
    }
  }

  /// "Mesa 0.0033, Omega 0.114, ...": rules of one row each, the best first.
  std::string ranking(std::size_t law) const {
    std::vector<const TunedRule*> of;
    for (const char* row : {"linear_attention", "retnet", "delta_rule", "gated_delta_rule", "longhorn", "titans",
                            "ttt_linear", "omega", "mesa"})
      of.push_back(&rule(law, row));
    std::stable_sort(of.begin(), of.end(),
                     [](const TunedRule* a, const TunedRule* b) { return a->loss.value < b->loss.value; });
    std::string text;
    for (const TunedRule* one : of) text += (text.empty() ? "" : ", ") + one->name + " " + rounded(one->loss.value, 3);
    return text;
  }

  /// The measured losses' largest deviation from what theory expects, in standard errors.
  double largest_deviation() const {
    double largest = 0;
    for (const auto& rules : tuned_)
      for (const TunedRule& one : rules)
        if (one.expected > 0)
          largest = std::max(largest, std::abs(one.loss.value - one.expected) / one.loss.standard_error);
    return largest;
  }

  /// Whether one rule loses less than another of the same law at every length, beyond doubt.
  bool always_below(std::size_t law, const std::string& row, const std::string& other) const {
    return std::all_of(effort_.contexts.begin(), effort_.contexts.end(), [&](Index N) {
      const TunedRule &one = rule(law, N, row), &two = rule(law, N, other);
      const double error = std::hypot(one.excess.standard_error, two.excess.standard_error);
      return two.excess.value - one.excess.value > 3 * error;
    });
  }

  void add_text(Result& result) const {
    const auto share = [](double over) { return percent(std::abs(over)) + (over < 0 ? " less" : " more"); };
    const std::size_t linear = 0, drift = 1, anisotropic = 2;
    const Index last = effort_.contexts.back(), N = compared(laws_[linear]);
    result.section.push_back(Paragraph{
        "Every rule of docs/recurrences.md in the slot of the recurrence, the others as the closed form (7) has them: "
        "the key is x_t, the value y_t, the query x_{N+1}, and the rates, decays and penalties are constants, chosen "
        "for each law of tasks and each length: by a formula where the table says so, else by a search on " +
        grouped(effort_.searched) +
        " tasks. Rules without a rate of their own have one in the readout, a. Where formulas also give the loss, what "
        "was measured on " +
        grouped(effort_.evaluated) + " other tasks is at most " + rounded(largest_deviation(), 2) +
        " standard errors from it. TTT and the Omega rule read " + std::to_string(pairs_at_once) +
        " pairs at once, DeltaProduct takes two steps on each pair."});

    std::string text =
        "On the paper's tasks at N = " + std::to_string(N) + ", from the least loss: " + ranking(linear) + ". ";
    if (always_below(linear, "delta_rule", "linear_attention"))
      text +=
          "Stochastic steps beat the one batch step at every length: the batch step takes all gradients at zero, where "
          "a pair pulls for what others have explained already, and its loss falls as 1 / N, (9); the delta rule "
          "corrects its own answers, and each pair leaves 1 - 1 / (f - 1 + kappa) of the loss, (46). ";
    if (always_below(linear, "longhorn", "delta_rule"))
      text += "The implicit step is better again, by " + percent(-over(linear, last, "longhorn", "delta_rule")) +
              " at N = " + std::to_string(last) +
              ": its rate adapts to the length of the key, so that a pair is met exactly and 1 - 1 / f is left, (47). "
              "DeltaProduct, with two steps on a pair, comes as near as " +
              percent(over(linear, last, "deltaproduct", "longhorn")) + " to it. ";
    if (always_below(linear, "mesa", "longhorn"))
      text +=
          "Ridge regression wins: without noise its best penalty is the limit 0, and only what the context has not "
          "shown is left, 1 - N / f, and nothing from N = f on, (48). ";
    const auto than_delta = [&](const char* row) { return share(over(linear, N, row, "delta_rule")); };
    const double momentum = over(linear, N, "titans", "delta_rule");
    text += "Momentum by itself " +
            std::string(std::abs(momentum) < 0.01 ? "changes nothing"
                        : momentum < 0            ? "gains"
                                                  : "costs") +
            ": Titans loses " + than_delta("titans") + " than the delta rule, its best eta is " +
            rounded(rule(linear, "titans").controls.at("eta")[0], 2) + ". The Omega rule, with the gradients of " +
            std::to_string(pairs_at_once) + " pairs at every token, loses " + than_delta("omega") +
            " than the delta rule" +
            (always_below(linear, "omega", "longhorn") ? ", and less than the implicit step: it goes over pairs again. "
                                                       : ". ");
    text += "Mini-batches of as many (TTT) lose " + than_delta("ttt_linear") + " than the delta rule" +
            (always_below(linear, "delta_rule", "ttt_linear") ? ": they correct less often. " : ". ");
    double least_decay = 1;
    for (const Index length : effort_.contexts)
      least_decay = std::min(least_decay, rule(linear, length, "gated_delta_rule").controls.at("alpha")[0]);
    const double forgetting = over(linear, N, "gated_delta_rule", "delta_rule");
    text += "Forgetting " + std::string(forgetting > -0.01 ? "does not help" : "helps") +
            " while the map stays: the decays that were found for the gated delta rule are " + rounded(least_decay, 3) +
            " or more, and it loses " + share(forgetting) + " than without.";
    result.section.push_back(Paragraph{std::move(text)});

    const Index D = compared(laws_[drift]);
    const auto decay_gains = [&](Index length) {
      return percent(-over(drift, length, "retnet", "linear_attention")) + " off the batch step's loss (RetNet) and " +
             percent(-over(drift, length, "gated_delta_rule", "delta_rule")) + " off the delta rule's";
    };
    text = "Where the map changes before each pair with probability " + rounded(laws_[drift].change) +
           ", at N = " + std::to_string(D) + ": " + ranking(drift) + ". A decay takes " + decay_gains(D) +
           (last != D ? ", and at N = " + std::to_string(last) + " " + decay_gains(last) : "") + ". ";
    const double mesa = over(drift, D, "mesa", "gated_delta_rule"),
                 implicit = over(drift, D, "longhorn", "gated_delta_rule");
    text += "The implicit step, which has no decay, loses " + share(implicit) + " than the gated delta rule" +
            (implicit > 0 ? ": there forgetting matters more than the rate. " : ". ");
    text += "Ridge regression with a decay of " + rounded(rule(drift, "mesa").controls.at("alpha")[0], 2) +
            " and a penalty of " + rounded(rule(drift, "mesa").controls.at("lambda")[0], 2) + " loses " + share(mesa) +
            " than the gated delta rule" +
            (std::abs(mesa) < 0.5 ? ": old pairs are wrong, whoever fits them, and most of its lead is gone." : ".");
    result.section.push_back(Paragraph{std::move(text)});

    const Index A = compared(laws_[anisotropic]);
    text = "Where variances of the inputs' coordinates fall as 1 / i, at N = " + std::to_string(A) + ": " +
           ranking(anisotropic) + ". What has a number for each channel can precondition: RWKV-7 with the rates " +
           text_of_rates(rule(anisotropic, "rwkv7")) + " of the first and the last coordinate loses " +
           share(over(anisotropic, A, "rwkv7", "delta_rule")) + " than the delta rule, and " +
           share(over(anisotropic, last, "rwkv7", "delta_rule")) + " at N = " + std::to_string(last) +
           "; the preconditioned delta rule, which measures the variances itself, " +
           share(over(anisotropic, A, "precond_gated_delta_rule", "delta_rule")) +
           "; and decays by channel take the paper's layer, a GLA here, to " +
           share(over(anisotropic, A, "gla", "linear_attention")) +
           " than one batch step. Ridge regression needs none of it: it is the "
           "step with the inverse of S.";
    result.section.push_back(Paragraph{std::move(text)});
  }

  static std::string text_of_rates(const TunedRule& of) {
    const Eigen::VectorXd& a = of.controls.at("a");
    return rounded(a[0], 2) + " and " + rounded(a[a.size() - 1], 2);
  }

  /// Curves of rules whose losses are the same to a percent at every length are one, under all of their names.
  Figure figure_of(std::size_t law) const {
    constexpr double floor = 1e-3, same = 0.01;
    Figure figure{
        "learning-rules-" + laws_[law].name,
        "Loss after N pairs, " + laws_[law].title +
            ": every rule with its best constant controls at each length. Rules whose losses are the same to a "
            "percent share a line. Blue: additive rules; orange: steps of stochastic gradient descent; green: implicit "
            "ones; purple: rules with more state than their matrix. Losses below 0.001 are drawn there.",
        {"pairs in the context, N"},
        {"loss per output", true},
        {},
        true};
    std::vector<double> lengths;
    for (const Index N : effort_.contexts) lengths.push_back(static_cast<double>(N));
    figure.series.push_back({"predicting zero", Mark::dashed, Colour::grey, lengths,
                             std::vector<double>(lengths.size(), zero_loss_of_rules())});
    constexpr Colour colours[] = {Colour::blue, Colour::orange, Colour::green, Colour::purple};
    for (const TunedRule& first : rules_at(law, effort_.contexts.front())) {
      Series line{first.name, Mark::line, colours[static_cast<std::size_t>(first.family)], lengths, {}};
      for (const Index N : effort_.contexts) line.y.push_back(std::max(floor, rule(law, N, first.row).loss.value));
      const auto twin = std::find_if(figure.series.begin(), figure.series.end(), [&](const Series& other) {
        return std::equal(line.y.begin(), line.y.end(), other.y.begin(),
                          [](double a, double b) { return std::abs(a - b) < same * b; });
      });
      if (twin == figure.series.end())
        figure.series.push_back(std::move(line));
      else
        twin->label += ", " + line.label;
    }
    return figure;
  }

  void add_law(Result& result, std::size_t law) const {
    const Index N = compared(laws_[law]);
    result.section.push_back(figure_of(law));
    Table table{"Loss per output after N pairs, " + laws_[law].title +
                    "; how the controls were found, and which they are at N = " + std::to_string(N),
                {"rule"},
                {}};
    for (const Index length : effort_.contexts) table.columns.push_back("N = " + std::to_string(length));
    table.columns.insert(table.columns.end(), {"found by", "controls"});
    for (const TunedRule& first : rules_at(law, N)) {
      std::vector<std::string> cells{first.name};
      for (const Index length : effort_.contexts) cells.push_back(rule(law, length, first.row).loss.text(3));
      cells.insert(cells.end(), {first.by_formula ? "formula" : "search", text_of(first)});
      table.row(std::move(cells));
    }
    result.section.push_back(std::move(table));
  }

  static bool has_diverged(const std::vector<Trained>& seeds) {
    return std::any_of(seeds.begin(), seeds.end(), [](const Trained& t) { return t.diverged; });
  }
  static Spread losses_of(const std::vector<Trained>& seeds) {
    return spread_over(seeds, [](const Trained& t) { return t.loss.value; });
  }

  void add_trained(Result& result) const {
    Table table{
        "Trained from the reference's start, " + grouped(effort_.updates) +
            " updates, controls functions of the window (45); loss, mean (least to most) over seeds, beside the "
            "closed form with the best constant controls",
        {"rule"},
        {}};
    for (std::size_t l = 0; l < trained_.size(); ++l)
      table.columns.insert(table.columns.end(), {laws_[l].name, "closed form"});
    std::size_t below = 0, near = 0, count = 0;
    std::string best;
    for (std::size_t r = 0; r < trained_rows_.size(); ++r) {
      std::vector<std::string> cells{trained_rows_[r].name};
      for (std::size_t l = 0; l < trained_.size(); ++l) {
        const bool diverged = has_diverged(trained_[l][r]);
        const double closed = rule(l, trained_rows_[r].row).loss.value;
        cells.insert(cells.end(), {diverged ? "diverged" : losses_of(trained_[l][r]).text(3), rounded(closed, 3)});
        ++count;
        const double over = diverged ? 1 : losses_of(trained_[l][r]).mean / closed - 1;
        if (over < -0.01) ++below;
        if (std::abs(over) <= 0.01) ++near;
      }
      table.row(std::move(cells));
    }
    for (std::size_t l = 0; l < trained_.size(); ++l) {
      const auto loss = [&](std::size_t r) {
        return has_diverged(trained_[l][r]) ? zero_loss_of_rules() : losses_of(trained_[l][r]).mean;
      };
      std::size_t least = 0;
      for (std::size_t r = 1; r < trained_rows_.size(); ++r)
        if (loss(r) < loss(least)) least = r;
      best += (best.empty() ? "" : ", ") + trained_rows_[least].name + " (" + laws_[l].title + ")";
    }
    std::string text =
        "Trained, with attention, readout and gate free as well, layers with these rules end within a percent of "
        "the closed form with constant controls in " +
        std::to_string(near) + " of " + std::to_string(count) + " cases, and further below it in " +
        std::to_string(below) + ". The best are: " + best + ".";
    if (options_.quick) text += " This is the quick form, whose updates are too few.";
    result.section.push_back(Paragraph{std::move(text)});
    result.section.push_back(std::move(table));
  }

  void add_files(Result& result) const {
    std::ostringstream csv, trained_csv;
    CsvWriter rows(csv, {"tasks", "context", "rule", "found_by", "controls", "expected_loss", "loss", "standard_error",
                         "excess_over_linear_attention", "excess_standard_error"});
    CsvWriter trained_rows(trained_csv, {"tasks", "context", "rule", "seed", "loss", "standard_error"});
    Record laws = Record::object();
    for (std::size_t l = 0; l < laws_.size(); ++l) {
      Record contexts = Record::list(), trained = Record::object();
      for (const Index N : effort_.contexts) {
        Record losses = Record::object();
        for (const TunedRule& one : rules_at(l, N)) {
          rows.row(laws_[l].name, N, one.row, one.by_formula ? "formula" : "search", text_of(one), one.expected,
                   one.loss.value, one.loss.standard_error, one.excess.value, one.excess.standard_error);
          Record controls = Record::object();
          for (const auto& [name, values] : one.controls)
            controls[name] =
                values.size() == 1 ? Record(values[0]) : Record(std::vector<double>(values.begin(), values.end()));
          if (one.readout != 1) controls["readout"] = one.readout;
          losses[one.row] = {{"loss", one.loss.value},
                             {"standard_error", one.loss.standard_error},
                             {"expected", one.expected > 0 ? Record(one.expected) : Record()},
                             {"excess_over_linear_attention", one.excess.value},
                             {"excess_standard_error", one.excess.standard_error},
                             {"by_formula", one.by_formula},
                             {"controls", std::move(controls)}};
        }
        contexts.push_back({{"context", N}, {"rules", std::move(losses)}});
      }
      for (std::size_t r = 0; l < trained_.size() && r < trained_rows_.size(); ++r) {
        Record seeds = Record::list();
        const TrainedRow& row = trained_rows_[r];
        for (const Trained& t : trained_[l][r]) {
          seeds.push_back(
              {{"seed", t.seed}, {"loss", t.diverged ? Record() : Record(t.loss.value)}, {"seconds", t.seconds}});
          if (t.diverged) continue;
          trained_rows.row(laws_[l].name, compared(laws_[l]), row.row, t.seed, t.loss.value, t.loss.standard_error);
          result.files.push_back(weights_output(
              "learning-rules-" + laws_[l].name + "-" + row.row + "-seed-" + std::to_string(t.seed), t.weights));
        }
        trained[row.row] = {{"loss", has_diverged(trained_[l][r]) ? Record() : Record(losses_of(trained_[l][r]).mean)},
                            {"seeds", std::move(seeds)}};
      }
      laws[laws_[l].name] = {
          {"compared_context", compared(laws_[l])}, {"contexts", std::move(contexts)}, {"trained", std::move(trained)}};
    }
    result.summary = {{"updates", effort_.updates},
                      {"searched_tasks", effort_.searched},
                      {"evaluation_tasks", effort_.evaluated},
                      {"zero_loss", zero_loss_of_rules()},
                      {"largest_deviation", largest_deviation()},
                      {"tasks", std::move(laws)}};
    result.files.push_back({"learning-rules.csv", csv.str()});
    result.files.push_back({"learning-rules-trained.csv", trained_csv.str()});
  }

  Options options_;
  Effort effort_;
  std::vector<RuleLaw> laws_;
  std::vector<TrainedRow> trained_rows_;
  std::vector<std::vector<TunedRule>> tuned_;               // law by law, length by length
  std::vector<std::vector<std::vector<Trained>>> trained_;  // law, row, seed
};

Result run(const Options& options) { return LearningRules(options).run(); }

}  // namespace

extern const Experiment learning_rules{"learning-rules", "Which learning rule", &run};

}  // namespace gdssm::reproduce
