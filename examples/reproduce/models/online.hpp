// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gdssm/analysis/sample.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/models/augmented_ssm.hpp"

// The layer on one endless stream of pairs (x, W* x); before each pair the map W* is drawn anew with probability
// 1 / life.
namespace gdssm::reproduce::online {

inline constexpr Index features = 10, life = 50, pairs_an_update = 64, points = 80;

using Layer = PaperLayer<features>;
using Parameters = Layer::Parameters<float>;

/// The loss of weights that are held, from the moment when the state holds no trace of its empty beginning.
/// Blocks of 1,000 pairs, twenty maps each, are nearly independent, which gives the standard error.
Sample held_loss(const Layer& layer, const Parameters& parameters, std::uint64_t seed, Index pairs);

/// What a seed's stream leaves: the weights, and of each point of the curve a row of pairs, loss, step and decay.
struct Learned {
  Parameters parameters;
  Eigen::MatrixXd curve = Eigen::MatrixXd::Zero(points, 4);

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visit_part("parameters", visitor, self.parameters...);
    visitor(Name{"curve"}, self.curve...);
  }
  template <class Visitor, class... Self>
  static void visit_counters(Visitor&&, Self&&...) {}
};

/// Learns from so many pairs of a seed's stream, by the exact online gradient (12), (13).
void learn(const Layer& layer, std::uint64_t seed, Index pairs, Learned& learned);

}  // namespace gdssm::reproduce::online
