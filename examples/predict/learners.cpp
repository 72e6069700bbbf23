// SPDX-License-Identifier: Apache-2.0
#include "predict/learners.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <type_traits>
#include <utility>

#include "gdssm/core/error.hpp"
#include "gdssm/io/text.hpp"
#include "gdssm/learners/adaptors.hpp"
#include "gdssm/learners/default_learner.hpp"
#include "gdssm/learners/delta_rule.hpp"
#include "gdssm/learners/features.hpp"
#include "gdssm/learners/mean_and_last_value.hpp"
#include "gdssm/learners/model_tree.hpp"
#include "gdssm/learners/recursive_least_squares.hpp"
#include "gdssm/learners/regression.hpp"
#include "gdssm/learners/scaling.hpp"
#include "gdssm/learners/sliding_window.hpp"

namespace gdssm::predict {
namespace {

struct Entry {
  std::string_view name;
  bool steps, ridge, forgetting, window;  // what it takes
  bool reads_inputs = true;
  bool merges_exactly = false;
};

// In the order in which a learner is looked for when options are given without a name.
constexpr std::array entries{Entry{"default", false, false, false, false},
                             Entry{"ridge", false, true, true, false, true, true},
                             Entry{"descent", true, true, true, false, true, true},
                             Entry{"chebyshev", true, true, true, false, true, true},
                             Entry{"heavy-ball", true, true, true, false, true, true},
                             Entry{"conjugate-gradients", true, true, true, false, true, true},
                             Entry{"least-squares", false, false, true, false, true, true},
                             Entry{"recursive-least-squares", false, true, true, false},
                             Entry{"window", false, true, false, true},
                             Entry{"delta", false, false, true, false},
                             Entry{"longhorn", false, false, true, false},
                             Entry{"nlms", false, false, true, false},
                             Entry{"tree", false, true, false, false},
                             Entry{"mean", false, false, true, false, false, true},
                             Entry{"last-value", false, false, false, false, false, true}};

std::string all_names() {
  std::string names;
  for (const Entry& entry : entries) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

void expect_taken(const Entry& entry, const LearnerOptions& options) {
  const auto check = [&](const char* option, bool given, bool taken, bool Entry::*takes) {
    if (!given || taken) return;
    std::string others;
    for (const Entry& other : entries)
      if (other.*takes) others += (others.empty() ? "" : ", ") + std::string(other.name);
    refuse(option, "the learner ", entry.name, " does not take it, expected one of ", others);
  };
  check("--steps", options.steps.has_value(), entry.steps, &Entry::steps);
  check("--ridge", options.ridge.has_value(), entry.ridge, &Entry::ridge);
  check("--forgetting", options.forgetting.has_value(), entry.forgetting, &Entry::forgetting);
  check("--window", options.window.has_value(), entry.window, &Entry::window);
}

/// The number after "name:", if the text is that.
std::optional<Index> number_after(std::string_view text, std::string_view name) {
  if (!text.starts_with(name) || text.size() <= name.size() + 1 || text[name.size()] != ':') return std::nullopt;
  Index number = 0;
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data() + name.size() + 1, end, number);
  return error == std::errc() && after == end && number >= 1 ? std::optional(number) : std::nullopt;
}

/// `first` is the number of inputs that there were at the beginning.
AnyLearner<> make_plain(const std::string& name, const LearnerOptions& options, Index f, Index first) {
  const double ridge = options.ridge.value_or(1), decay = options.forgetting.value_or(1);
  const DescentSettings<> descent{.steps = options.steps.value_or(100), .ridge = ridge, .decay = decay};
  if (name == "ridge") return AnyLearner(RidgeLearner<>(f, 1, {.ridge = ridge, .decay = decay}));
  if (name == "least-squares") return AnyLearner(RidgeLearner<>(f, 1, {.ridge = 0, .decay = decay}));
  if (name == "descent") return AnyLearner(GradientDescentLearner<>(f, 1, descent));
  if (name == "chebyshev") return AnyLearner(ChebyshevLearner<>(f, 1, descent));
  if (name == "heavy-ball") return AnyLearner(HeavyBallLearner<>(f, 1, descent));
  if (name == "conjugate-gradients") return AnyLearner(ConjugateGradientsLearner<>(f, 1, descent));
  if (name == "window") return AnyLearner(SlidingWindowLearner<>(f, 1, options.window.value_or(100), ridge));
  if (name == "recursive-least-squares") {
    const RecursiveLeastSquares<>::Settings settings{.ridge = ridge, .decay = options.forgetting.value_or(0.99)};
    return AnyLearner(WithScaling(RecursiveLeastSquares<>(f, 1, settings)));
  }
  if (name == "delta") return AnyLearner(WithScaling(DeltaLearner<>(f, 1, {.a = 0.01}, decay)));
  if (name == "longhorn") return AnyLearner(WithScaling(LonghornLearner<>(f, 1, {.a = 0.1}, decay)));
  if (name == "nlms") return AnyLearner(WithScaling(NlmsLearner<>(f, 1, {.a = 0.1, .epsilon = 1}, decay)));
  if (name == "tree") return AnyLearner(ModelTree<>(f, 1, {.ridge = ridge}));
  if (name == "mean") return AnyLearner(RunningMean<>(f, 1, decay));
  if (name == "last-value") return AnyLearner(LastValue<>(f, 1));
  return AnyLearner(default_learner(f, 1, first));
}

/// The features are those of the first inputs and of the last ones.
AnyLearner<> make_featured(const std::string& name, const LearnerOptions& options, Index f, Index first, Index last) {
  const Index mapped = first + last;
  const auto plain = [&](Index inputs, Index) { return make_plain(name, options, inputs, inputs - (f - mapped)); };
  if (const auto degree = number_after(options.features, "polynomial"))
    return AnyLearner(WithFeatures(OfEnds(Polynomial<>(mapped, *degree), f, last), 1, plain));
  if (const auto count = number_after(options.features, "fourier")) {
    // Scaled inputs are about sqrt(2 f) from one another.
    const Joined map(Identity<>(mapped), RandomFourier<>(mapped, *count, std::sqrt(static_cast<double>(mapped))));
    return AnyLearner(WithScaling(WithFeatures(OfEnds(map, f, last), 1, plain)));
  }
  return make_plain(name, options, f, mapped);
}

}  // namespace

std::vector<std::string> learner_names() {
  std::vector<std::string> names;
  names.reserve(entries.size());
  for (const Entry& entry : entries) names.emplace_back(entry.name);
  return names;
}

std::string learner_of(const LearnerOptions& options) {
  if (options.learner) {
    for (const Entry& entry : entries)
      if (entry.name == *options.learner) {
        expect_taken(entry, options);
        return *options.learner;
      }
    refuse("--learner", "there is no ", in_quotes(*options.learner), ", expected one of ", all_names());
  }
  for (const Entry& entry : entries) {
    const bool takes_all = (entry.steps || !options.steps) && (entry.ridge || !options.ridge) &&
                           (entry.forgetting || !options.forgetting) && (entry.window || !options.window);
    if (takes_all) return std::string(entry.name);
  }
  refuse("--learner", "no learner takes all of the options that are given, expected fewer of them");
}

LearnerOptions options_for(const std::string& learner, LearnerOptions options) {
  options.learner = learner;
  for (const Entry& entry : entries) {
    if (entry.name != learner) continue;
    if (!entry.steps) options.steps.reset();
    if (!entry.ridge) options.ridge.reset();
    if (!entry.forgetting) options.forgetting.reset();
    if (!entry.window) options.window.reset();
  }
  return options;
}

std::string in_words(const LearnerOptions& options) {
  const auto say = [](const char* name, const auto& value) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(*value)>, double>)
      return value ? std::string(" --") + name + " " + format_number(*value) : "";
    else
      return value ? std::string(" --") + name + " " + std::to_string(*value) : "";
  };
  return learner_of(options) + say("steps", options.steps) + say("window", options.window) +
         say("ridge", options.ridge) + say("forgetting", options.forgetting) + say("lags", options.lags) +
         " --features " + options.features;
}

void expect_exact_merge(const LearnerOptions& options) {
  const std::string name = learner_of(options);
  std::string others;
  for (const Entry& entry : entries) {
    if (!entry.merges_exactly) continue;
    if (entry.name == name) others = name;
    if (others != name) others += (others.empty() ? "" : ", ") + std::string(entry.name);
  }
  if (others != name)
    refuse("--fit", "states of the learner ", name, " do not merge exactly, expected one of ", others);
  if (options.lags.value_or(0) > 0) refuse("--lags", "--fit learns rows without those before them, expected no lags");
  if (options.features.starts_with("fourier"))
    refuse("--features", "--fit cannot merge the scales of ", options.features, ", expected linear or polynomial");
}

void expect_features(const std::string& features) {
  if (features != "linear" && !number_after(features, "polynomial") && !number_after(features, "fourier"))
    refuse("--features", "got ", in_quotes(features), ", expected linear, polynomial:DEGREE or fourier:COUNT");
}

AnyLearner<> make_learner(const LearnerOptions& options, Index inputs, Index first) {
  const std::string name = learner_of(options);
  expect_features(options.features);
  for (const Entry& entry : entries)
    if (entry.name == name && !entry.reads_inputs) return make_plain(name, options, inputs, first);
  const Index lags = options.lags.value_or(0);
  if (lags == 0) return make_featured(name, options, inputs, first, 0);
  return AnyLearner(WithPast(inputs, 1, Beside(Levels{}, RecentTargets{lags}),
                             [&](Index all, Index) { return make_featured(name, options, all, first, lags); }));
}

}  // namespace gdssm::predict
