// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include <Eigen/Core>

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm::reproduce {

/// What controls a rule at every token, and its constants, by their names in docs/recurrences.md: one number, or one
/// for each channel. The name of a key gives the factor of the input that it is, 1 where it is missing.
using Controls = std::map<std::string, Eigen::VectorXd, std::less<>>;

/// A learning rule as the closed form (7) sets the slots around it: keys are x_t, values y_t, the query is x_{N+1}, and
/// controls are constants. Predicts the query's target from the normal tokens of a task a lane; the readout's -C is I.
/// Shapes  tokens (f x (2N+1)), prediction (f)
using ConstructedRule =
    std::function<void(const Controls&, View<const Lanes<float>> tokens, View<Lanes<float>, Dynamic, 1> prediction)>;

/// A rule by its row's name in docs/recurrences.md, for f features. Rules that read several pairs at once,
/// `ttt_linear`, `ttt_linear_ln` and `omega`, read `several`; `deltaproduct` takes two steps on each pair. Errors
/// std::invalid_argument: no rule has the name; when called, controls that are missing or of other sizes
ConstructedRule constructed_rule(std::string_view row, Index f, Index several);

}  // namespace gdssm::reproduce
