// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/targets.hpp"

namespace gdssm {

/// The relative distance between the implicit models W_t = -E_t of two layers after t = 1..N pairs, over tasks:
///     |W_t - W'_t|_F / |W'_t|_F
/// For scalar targets it compares the last row alone. Pass `canonicalised` parameters: it does not undo symmetries.
/// Gives the same bits on any number of threads.
///     `S`     the type of tokens, which is the parameters' scalar type
///     `Kind`  VectorTargets or ScalarTargets
/// Errors  std::invalid_argument: an empty range, tasks that do not fit the layer
/// Source  docs/theory.md, training and alignment
template <class S, class Kind, class Layer, class Tasks>
std::vector<Sample> implicit_weight_error(const Layer& layer, const typename Layer::template Parameters<S>& one,
                                          const typename Layer::template Parameters<S>& other, const Tasks& tasks,
                                          const TaskRange& range, ThreadPool& pool) {
  using State = typename Layer::template State<S>;
  using View = gdssm::View<S, Layer::outputs>;
  const auto c = layer.prepare(one), d = layer.prepare(other);
  const State start = layer.template initial_state<S>();
  const Index windows = layer.window().windows(tasks.length(), start.window), outputs = layer.output_count();
  const Index rows = std::is_same_v<Kind, ScalarTargets> ? 1 : outputs;
  const auto make = [&] {
    return
        [&, ws = layer.template workspace<S>()](const LaneGroup<S>& group, Index, std::vector<Sample>& errors) mutable {
          State a = start, b = start;
          Index end = 0;
          for (Index t = 0; t < windows; ++t) {
            const Index begin = end;
            end = group.tokens.cols() - (windows - 1 - t) * Layer::Window::stride;
            const Sequence<S, Layer::features> part{group.tokens.view().columns(begin, end - begin)};
            layer.forward(c, part, a, View(nullptr, outputs, 0), ws);
            layer.forward(d, part, b, View(nullptr, outputs, 0), ws);
            const auto W = layer.implicit_weights(c, a).bottomRows(rows).eval();
            const auto W_other = layer.implicit_weights(d, b).bottomRows(rows).eval();
            errors[static_cast<std::size_t>(t)].add(static_cast<double>((W - W_other).norm() / W_other.norm()));
          }
        };
  };
  const auto merge = [](std::vector<Sample>& whole, const std::vector<Sample>& part) {
    for (std::size_t t = 0; t < whole.size(); ++t) whole[t].merge(part[t]);
  };
  return detail::measure_tasks<S, std::vector<Sample>>(layer.window(), outputs, TaskSource<S>(tasks, layer.window(), 1),
                                                       range, 1, std::vector<Sample>(static_cast<std::size_t>(windows)),
                                                       make, merge, pool);
}

}  // namespace gdssm
