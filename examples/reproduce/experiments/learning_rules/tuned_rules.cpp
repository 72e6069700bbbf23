// SPDX-License-Identifier: Apache-2.0
// How constant controls of learning rules are found, and what the rules lose with them.
#include "reproduce/experiments/learning_rules/tuned_rules.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "gdssm/construction/drift.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/training/batch.hpp"
#include "reproduce/algorithms/simplex_search.hpp"
#include "reproduce/models/any.hpp"
#include "reproduce/report/table.hpp"

namespace gdssm::reproduce {
namespace {

constexpr Index f = rule_features;
constexpr double input_variance = 1.0 / 12;

/// How a number that is searched for becomes a control: a positive one by its logarithm; a decay, by the logarithm of
/// what is missing to 1; a share between 0 and 1; the number itself.
enum class Scale { positive, decay, share, plain };

double from_raw(Scale scale, double z) {
  constexpr double least = -9, most = 9;  // of logarithms: beyond, nothing changes
  if (scale == Scale::plain) return z;
  if (scale == Scale::share) return 1 / (1 + std::exp(-z));
  const double e = std::exp(std::clamp(z, least, most));
  return scale == Scale::positive ? e : z <= least ? 1 : std::max(0.0, 1 - e);
}

/// A number that is searched for.
struct Open {
  std::vector<std::string> names;  ///< of the controls that it is; "beta 0" and "beta 1" are entries of beta
  Scale scale;
  double start;
  bool by_channel = false;  ///< where variances differ, times a power of each channel's, which is searched for too
};

struct Rule {
  std::string row, name;
  RuleFamily family;
  std::vector<Open> open;
  std::map<std::string, double> fixed = {};
  bool readout = false;     ///< it has no rate of its own: a is the readout's
  std::string parent = {};  ///< of whose form it is too, so that its search begins where that one's ended
};

const Open alpha{{"alpha"}, Scale::decay, -4};
Open rate(std::string name, double start = 0) { return {{std::move(name)}, Scale::positive, start}; }

/// A rule and its parent give the same name to the same thing, or this one.
std::string alias(const std::string& name) {
  if (name == "theta" || name == "a" || name == "b" || name == "w" || name == "beta 0") return "beta";
  return name;
}

const std::vector<Rule>& rules() {
  using enum RuleFamily;
  static const std::vector<Rule> all{
      {"linear_attention", "linear attention", additive, {}, {}, true},
      {"retnet", "RetNet", additive, {}, {}, true},
      {"mamba2", "Mamba-2", additive, {}},
      {"gla", "GLA, the paper's layer", additive, {{{"alpha"}, Scale::decay, -4, true}}, {}, true},
      {"mamba3", "Mamba-3", additive, {rate("dt", -0.5), alpha, {{"lambda"}, Scale::share, 2}}},
      {"delta_rule", "delta rule", stochastic, {rate("beta")}},
      {"gated_delta_rule", "gated delta rule", stochastic, {rate("beta"), alpha}, {}, false, "delta_rule"},
      {"kda", "KDA", stochastic, {rate("beta"), {{"alpha"}, Scale::decay, -4, true}}, {}, false, "gated_delta_rule"},
      {"gdn2", "GDN-2", stochastic, {rate("b"), rate("w"), alpha}, {}, false, "gated_delta_rule"},
      {"deltaproduct",
       "DeltaProduct",
       stochastic,
       {rate("beta 0"), rate("beta 1", -3), alpha},
       {},
       false,
       "gated_delta_rule"},
      {"comba",
       "Comba",
       stochastic,
       {rate("beta"), alpha, {{"p"}, Scale::positive, 0, true}},
       {},
       false,
       "gated_delta_rule"},
      {"precond_gated_delta_rule",
       "preconditioned",
       stochastic,
       {rate("beta"), alpha, {{"center"}, Scale::plain, -1}},
       {{"alpha_A", 1}, {"beta_A", 1}},
       false,
       "gated_delta_rule"},
      {"rwkv7",
       "RWKV-7",
       stochastic,
       {{{"a", "k"}, Scale::positive, 0, true}, {{"w"}, Scale::decay, -4}},
       {},
       false,
       "delta_rule"},
      {"gated_oja", "gated Oja", additive, {rate("beta", -3), alpha}, {}, true},
      {"longhorn", "Longhorn", implicit, {rate("beta", 1.5)}},
      {"longhorn_diagonal", "Longhorn's code", implicit, {rate("beta")}},
      {"mesa", "Mesa", stateful, {rate("lambda", -3), alpha}, {{"beta", 1}}},
      {"ttt_linear", "TTT-linear", stochastic, {rate("theta", -0.5)}, {{"eta", 1}}},
      {"ttt_linear_ln",
       "TTT-linear, norm",
       stochastic,
       {rate("theta", -1), rate("ln_weight", -1)},
       {{"eta", 1}, {"ln_bias", 0}},
       true},
      {"titans",
       "Titans",
       stateful,
       {rate("theta"), alpha, {{"eta"}, Scale::share, -3}},
       {},
       false,
       "gated_delta_rule"},
      {"omega", "Omega", stateful, {rate("theta", -1), alpha, {{"eta"}, Scale::share, -3}}, {{"gamma", 1}}}};
  return all;
}

/// Variances of the inputs' coordinates over their mean.
Eigen::VectorXd relative_variances(const RuleLaw& law) {
  Eigen::VectorXd variances = Eigen::VectorXd::Ones(f);
  for (Index i = 0; law.anisotropic && i < f; ++i) variances[i] = 1 / static_cast<double>(i + 1);
  return variances / variances.mean();
}

/// What theory says of one law and length.
class Theory {
 public:
  Theory(const RuleLaw& law, Index context)
      : law_(law), context_(context), drift_{f, context, law.change, uniform_inputs(1.0)} {
    std::vector<InputMoments<>> coordinates;
    for (const double v : relative_variances(law)) coordinates.push_back(uniform_inputs(std::sqrt(v)));
    moments_ = independent_context(coordinates, context);
    decay_ = law.change > 0 ? best_decay(drift_) : 1;
    step_ = law.anisotropic ? best_step(moments_) : best_step(drift_, decay_);
  }

  double step() const { return step_; }

  /// The best controls where a formula gives them.
  std::optional<std::map<std::string, double>> controls(const std::string& row) const {
    const bool still = law_.change == 0, plain = still && !law_.anisotropic;
    const double fourth = 9.0 / 5 * input_variance * input_variance;  // of the uniform law
    using Numbers = std::map<std::string, double>;
    if (row == "linear_attention") return Numbers{};
    if (row == "retnet") return Numbers{{"gamma", decay_}};
    if (row == "mamba2") return Numbers{{"dt", step_}, {"A", std::log(decay_) / step_}};
    if (row == "gla" && !law_.anisotropic) return Numbers{{"alpha", decay_}};
    if (row == "mamba3" && still) return Numbers{{"dt", step_}, {"alpha", 1}, {"lambda", 1}};
    if (row == "delta_rule" && plain)  // (46)
      return Numbers{{"beta", input_variance / (fourth + (f - 1) * input_variance * input_variance)}};
    if (row == "longhorn" && plain) return Numbers{{"beta", 1e6}};               // the limit, (47)
    if (row == "mesa" && still) return Numbers{{"lambda", 1e-4}, {"alpha", 1}};  // the limit 0, (48)
    return std::nullopt;
  }

  /// The loss to expect of these, 0 where theory is silent.
  double expected(const std::string& row) const {
    const auto N = static_cast<double>(context_), kappa = 9.0 / 5;
    const bool plain = law_.change == 0 && !law_.anisotropic;
    if (row == "linear_attention")
      return law_.anisotropic ? expected_loss(moments_, step_) : expected_loss(drift_, best_step(drift_, 1.0), 1.0);
    if (row == "retnet" || row == "mamba2" || (row == "gla" && !law_.anisotropic) ||
        (row == "mamba3" && law_.change == 0))
      return law_.anisotropic ? expected_loss(moments_, step_) : expected_loss(drift_, step_, decay_);
    if (row == "delta_rule" && plain) return zero_loss_of_rules() * std::pow(1 - 1 / (f - 1 + kappa), N);
    if (row == "longhorn" && plain) return zero_loss_of_rules() * std::pow(1 - 1.0 / f, N);
    return 0;
  }

 private:
  RuleLaw law_;
  Index context_;
  DriftingContext<> drift_;
  ContextMoments<> moments_;
  double decay_ = 1, step_ = 0;
};

/// Tasks drawn once for all rules, and their losses.
class Contexts {
 public:
  Contexts(const DriftingRegression& tasks, std::uint64_t seed, std::uint64_t first, Index count)
      : batch_(PaperLayer<>(f).window(), count, tasks.length(), f, 1) {
    const auto groups = static_cast<Index>(batch_.groups().size());
    const TaskSource<Lane> source(task_source(tasks, PaperLayer<>(f).window()), groups);
    for (Index g = 0; g < groups; ++g) source.draw(seed, first, g, batch_);
  }

  /// Sums over tasks that give the loss at any readout.
  struct Sums {
    double yy = 0, oy = 0, oo = 0;
    double best() const { return oo > 0 ? oy / oo : 0; }
    double loss(double a) const { return yy - 2 * a * oy + a * a * oo; }
  };

  /// Losses task by task for -C = a I, and their sums.
  std::pair<std::vector<double>, Sums> losses(const ConstructedRule& rule, const Controls& controls, double a) const {
    std::vector<double> all;
    Sums sums;
    Array<Lane, Dynamic, 1> o(f, 1);
    for (std::size_t g = 0; g < batch_.groups().size(); ++g) {
      const auto& group = batch_.groups()[g];
      rule(controls, group.tokens.view(), o.view());
      Lane yy(0), oy(0), oo(0);
      for (Index i = 0; i < f; ++i) {
        const Lane y = group.targets[i];
        yy = multiply_add(y, y, yy);
        oy = multiply_add(o[i], y, oy);
        oo = multiply_add(o[i], o[i], oo);
      }
      Lane apart(0);  // not from the sums: they cancel where losses are small
      for (Index i = 0; i < f; ++i) {
        const Lane e = group.targets[i] - Lane(static_cast<float>(a)) * o[i];
        apart = multiply_add(e, e, apart);
      }
      const Index used = std::min(lane_count<Lane>, batch_.count() - static_cast<Index>(g) * lane_count<Lane>);
      for (Index l = 0; l < used; ++l) {
        sums.yy += lane(yy, l);
        sums.oy += lane(oy, l);
        sums.oo += lane(oo, l);
        all.push_back(static_cast<double>(lane(apart, l)) / (2 * f));
      }
    }
    return {std::move(all), sums};
  }

 private:
  Batch<Lane> batch_;
};

/// The controls that a point of the search stands for.
Controls controls_at(const Rule& rule, const RuleLaw& law, const Eigen::VectorXd& z) {
  Controls controls;
  for (const auto& [name, value] : rule.fixed) controls[name] = Eigen::VectorXd::Constant(1, value);
  const Eigen::VectorXd variances = relative_variances(law);
  Index next = 0;
  for (const Open& open : rule.open) {
    const double raw = z[next++];
    Eigen::VectorXd value = Eigen::VectorXd::Constant(1, from_raw(open.scale, raw));
    if (open.by_channel && law.anisotropic) {
      const double power = z[next++];
      value.resize(f);
      for (Index i = 0; i < f; ++i) value[i] = from_raw(open.scale, raw + power * std::log(variances[i]));
    }
    for (const std::string& name : open.names) {
      if (const std::size_t space = name.find(' '); space != std::string::npos) {
        Eigen::VectorXd& entries = controls[name.substr(0, space)];
        const Index k = std::stol(name.substr(space));
        entries.conservativeResize(std::max(entries.size(), k + 1));
        entries[k] = value[0];
      } else {
        controls[name] = value;
      }
    }
  }
  return controls;
}

/// Where a search begins: where the parent's ended, as far as it has the same numbers.
Eigen::VectorXd start_of(const Rule& rule, const RuleLaw& law, const std::map<std::string, double>& parent) {
  std::vector<double> z;
  for (const Open& open : rule.open) {
    const auto known = parent.find(open.scale == Scale::decay ? "alpha" : alias(open.names.front()));
    z.push_back(known != parent.end() ? known->second : open.start);
    if (open.by_channel && law.anisotropic) z.push_back(0);
  }
  return Eigen::Map<const Eigen::VectorXd>(z.data(), static_cast<Index>(z.size()));
}

}  // namespace

DriftingRegression RuleLaw::tasks(Index context) const {
  LinearRegression regression{.features = f, .outputs = f, .context = context};
  if (anisotropic) regression.scales = relative_variances(*this).cwiseSqrt();
  return {regression, change};
}

const std::vector<RuleLaw>& rule_laws() {
  static const std::vector<RuleLaw> laws{{"linear", "the paper's tasks", 0, false},
                                         {"drift", "a map that changes", 0.05, false},
                                         {"anisotropic", "unequal variances", 0, true}};
  return laws;
}

double zero_loss_of_rules() { return 0.5 * f * input_variance; }

std::vector<TunedRule> tuned_rules(const RuleLaw& law, Index context, const RuleEffort& effort) {
  const DriftingRegression tasks = law.tasks(context);
  const Contexts to_search(tasks, effort.seed, std::uint64_t{1} << 55, effort.searched),
      to_judge(tasks, effort.seed, std::uint64_t{1} << 56, effort.evaluated);
  const Theory theory(law, context);
  std::map<std::string, std::map<std::string, double>> found;  // where searches ended
  std::vector<double> linear_attention;
  std::vector<TunedRule> tuned;
  for (const Rule& rule : rules()) {
    const ConstructedRule run = constructed_rule(rule.row, f, pairs_at_once);
    TunedRule best{rule.row, rule.name, rule.family};
    const auto measured = [&](const Controls& controls) { return to_search.losses(run, controls, 1).second; };
    if (const auto known = theory.controls(rule.row)) {
      best.by_formula = true;
      best.expected = theory.expected(rule.row);
      for (const auto& [name, value] : rule.fixed) best.controls[name] = Eigen::VectorXd::Constant(1, value);
      for (const auto& [name, value] : *known) best.controls[name] = Eigen::VectorXd::Constant(1, value);
      if (rule.readout) best.readout = theory.step();
      if (rule.row == "linear_attention" && law.change > 0) best.readout = best_step(theory_of(tasks), 1.0);
      for (const Open& open : rule.open)
        if (const auto value = known->find(open.names.front()); value != known->end() && open.scale == Scale::positive)
          found[rule.row][alias(open.names.front())] = std::log(value->second);
    } else {
      const std::map<std::string, double> nothing;
      const auto parent = found.find(rule.parent);
      const Eigen::VectorXd start = start_of(rule, law, parent == found.end() ? nothing : parent->second);
      const auto loss = [&](const Eigen::VectorXd& z) {
        const Contexts::Sums sums = measured(controls_at(rule, law, z));
        return sums.loss(rule.readout ? sums.best() : 1) / sums.yy;
      };
      const Found low = simplex_search(loss, start, 0.7, 40 * start.size());
      best.controls = controls_at(rule, law, low.at);
      if (rule.readout) best.readout = measured(best.controls).best();
      Index next = 0;
      for (const Open& open : rule.open) {
        found[rule.row][open.scale == Scale::decay ? "alpha" : alias(open.names.front())] = low.at[next++];
        if (open.by_channel && law.anisotropic) ++next;
      }
    }
    const std::vector<double> losses = to_judge.losses(run, best.controls, best.readout).first;
    if (rule.row == "linear_attention") linear_attention = losses;
    best.loss = mean_of(losses);
    best.excess = excess(losses, linear_attention);
    tuned.push_back(std::move(best));
  }
  return tuned;
}

std::string text_of(const TunedRule& rule) {
  std::string text;
  const auto add = [&](const std::string& name, const std::string& value) {
    text += (text.empty() ? "" : ", ") + name + " = " + value;
  };
  if (rule.readout != 1) add("a", rounded(rule.readout, 3));
  for (const auto& [name, values] : rule.controls) {
    if (values.size() == 1 || values.isConstant(values[0]))
      add(name, rounded(values[0], 3));
    else
      add(name, rounded(values[0], 3) + " to " + rounded(values[values.size() - 1], 3));
  }
  return text;
}

}  // namespace gdssm::reproduce
