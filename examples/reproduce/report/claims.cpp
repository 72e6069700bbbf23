// SPDX-License-Identifier: Apache-2.0
#include "reproduce/report/claims.hpp"

#include <algorithm>
#include <string>

#include "reproduce/report/statistics.hpp"

namespace gdssm::reproduce {
namespace {

/// What was measured, and whether the claim holds.
struct Measured {
  std::string text;
  bool holds;
};

struct Claim {
  const char* text;
  const char* experiment;
  Measured (*measured)(const Record& summary);
};

double number(const Record& summary, const char* name) { return summary.at(name).number(); }

const Record& named(const Record& list, const char* name) {
  const auto& items = list.items();
  return *std::find_if(items.begin(), items.end(), [&](const Record& item) { return item.at("name").text() == name; });
}

Measured trained_step(const Record& s) {
  const double gap = number(s, "worst_gap"), cosine = number(s, "cosine");
  return {
      "loss of the worst seed " + percent(gap) + " over the closed form's, cosine of derivatives " + rounded(cosine, 5),
      gap < 0.01 && cosine > 0.999};
}

// In the order of the paper.
constexpr Claim all_claims[] = {
    {"One layer in closed form takes a step of gradient descent", "theory",
     [](const Record& s) {
       const double apart = number(s, "layer_difference_double");
       return Measured{"apart from explicit descent by " + rounded(apart, 2), apart < 1e-12};
     }},
    {"Its loss is what theory expects, (9)", "theory",
     [](const Record& s) {
       const double deviation = number(s, "context_largest_deviation");
       return Measured{rounded(deviation, 2) + " standard errors away at most", deviation < 4};
     }},
    {"Trained from random weights the layer takes that step: vector targets", "linear-vector", &trained_step},
    {"The same for scalar targets", "linear-scalar", &trained_step},
    {"The same for every number of features", "features",
     [](const Record& s) {
       const double excess = number(s, "worst_excess");
       return Measured{"worst loss " + percent(excess) + " over the closed form's", excess < 0.01};
     }},
    {"Tokens that hold x y^T need no attention", "constructed",
     [](const Record& s) {
       const double excess = number(s, "worst_excess");
       return Measured{"trained, " + percent(excess) + " over the closed form", excess < 0.01};
     }},
    {"Attention and output gate are both needed", "ablations",
     [](const Record& s) {
       const Record& list = s.at("ablations");
       const double attention = number(named(list, "no-attention"), "excess"),
                    gate = number(named(list, "no-gate"), "excess");
       return Measured{"without attention " + percent(attention) + ", without gate " + percent(gate) + " over one step",
                       std::min(attention, gate) > 0.5};
     }},
    {"A stack of layers in closed form takes as many steps", "theory",
     [](const Record& s) {
       const double apart = number(s, "stack_difference");
       return Measured{"apart from explicit descent by " + rounded(apart, 2), apart < 1e-12};
     }},
    {"Trained from random weights a stack does as well as tuned descent", "multi-step",
     [](const Record& s) {
       std::string text;
       double worst = -1;
       for (const Record& stack : s.at("stacks").items()) {
         const double excess = number(stack.at("from_random"), "excess");
         text += (text.empty() ? "K = " : ", ") + std::to_string(stack.at("steps").integer()) + ": " + percent(excess);
         worst = std::max(worst, excess);
       }
       return Measured{text, worst < 0.01};
     }},
    {"Nonlinear problems follow with learned features", "nonlinear",
     [](const Record& s) {
       const Record& losses = s.at("losses");
       const double trained = number(losses.at("trained"), "loss"),
                    fixed = number(losses.at("one_step_best_start"), "loss");
       return Measured{"loss " + rounded(trained, 3) + ", one step on fixed random features " + rounded(fixed, 3),
                       trained < fixed};
     }},
};

}  // namespace

Table claims(const std::map<std::string, Record>& summaries) {
  Table table{"What the paper claims, and what was found", {"claim", "experiment", "measured", "verdict"}, {}};
  for (const Claim& claim : all_claims) {
    const auto summary = summaries.find(claim.experiment);
    if (summary == summaries.end()) continue;
    const Measured found = claim.measured(summary->second);
    table.row({claim.text, claim.experiment, found.text, found.holds ? "holds" : "not shown here"});
  }
  return table;
}

}  // namespace gdssm::reproduce
