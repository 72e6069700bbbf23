// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/blocks/diagonal_recurrence.hpp"
#include "gdssm/io/reference_weights.hpp"

namespace gdssm {

/// A file's weights, whatever its discretization, for a model whose decays are given, so that one model serves all
/// files:
///     const ReferenceDecays<double, Model> read(file, model);
///     model.predict(read.weights(), tokens);       // Lambda is L by (5), by (6), or as the file has it
///     read.tensors(gradient);                      // the gradient of Lambda_re, log_step and the rest
/// Model  a `PaperLayer<Dynamic, GivenDecay>`, a stack of them, or a `NonlinearSsm` around one
/// Source  arXiv:2410.11687v1 (code); docs/from-jax.md
template <class T, class Model>
class ReferenceDecays {
 public:
  /// The model's parameters in precision T.
  using Parameters = typename Model::template Parameters<T>;

  /// Keeps a reference to `file`.        Errors  as `ReferenceWeights::read`
  ReferenceDecays(const ReferenceWeights& file, const Model& model)
      : file_(file), weights_(model.template parameters<T>()) {
    if (has_steps()) for_each_decay(weights_, [&](auto& Lambda) { log_steps_.emplace_back(Lambda.cols()); });
    const WithSteps all{weights_, log_steps_};
    file.read(all);
    if (!has_steps()) return;
    for_each_decay(weights_, [&](auto& Lambda) {
      Lambdas_.push_back(Lambda);
      of_layer(Lambdas_.size() - 1, [&](const auto& recurrence, const auto& p, const auto& c) {
        static_cast<void>(recurrence), static_cast<void>(p);
        Lambda = c.decay.matrix().transpose();
      });
    });
  }

  /// The weights, with decays in place of Lambda_re and log_step.
  const Parameters& weights() const { return weights_; }

  /// A gradient by `weights`, pulled back to the file's tensors, with their names and shapes.
  std::map<std::string, Tensor> tensors(Parameters gradient) const {
    std::vector<Eigen::VectorX<T>> steps_bar;
    if (has_steps())
      for_each_decay(gradient, [&](auto& Lambda_bar) {
        of_layer(steps_bar.size(), [&](const auto& recurrence, const auto& p, const auto& c) {
          auto c_bar = recurrence.template coefficients<T>();
          c_bar.decay.matrix() = Lambda_bar.transpose();
          auto p_bar = recurrence.template parameters<T>();
          recurrence.prepare_vjp(p, c, c_bar, p_bar);
          Lambda_bar = p_bar.Lambda;
          steps_bar.push_back(p_bar.log_step);
        });
      });
    return file_.tensors(WithSteps{gradient, steps_bar});
  }

 private:
  /// Parameters, and a log_step beside every Lambda if there are any.
  struct WithSteps {
    Parameters& weights;
    std::vector<Eigen::VectorX<T>>& log_steps;

    template <class Visitor, class Self>
    static void visit(Visitor&& visitor, Self&& self) {
      std::size_t layer = 0;
      gdssm::visit(
          [&](const Name& name, auto& matrix) {
            visitor(name, matrix);
            if (self.log_steps.empty() || name.leaf() != "Lambda") return;
            std::string step = name.str();
            step.replace(step.size() - name.leaf().size(), std::string::npos, "log_step");
            visitor(Name{step}, self.log_steps[layer++]);
          },
          self.weights);
    }
  };

  bool has_steps() const { return file_.discretization() != ReferenceWeights::Discretization::none; }

  template <class Act>
  static void for_each_decay(Parameters& weights, Act&& act) {
    visit(
        [&](const Name& name, auto& matrix) {
          if (name.leaf() == "Lambda") act(matrix);
        },
        weights);
  }

  /// act(recurrence, p, c) with the recurrence of the file's discretization, and the parameters and coefficients of
  /// layer k.
  template <class Act>
  void of_layer(std::size_t k, Act&& act) const {
    const auto with = [&]<class Discretization>(Discretization) {
      const DiagonalRecurrence<Dynamic, Dynamic, Discretization> recurrence(file_.feature_count());
      auto p = recurrence.template parameters<T>();
      p.Lambda = Lambdas_[k], p.log_step = log_steps_[k];
      auto c = recurrence.template coefficients<T>();
      recurrence.prepare(p, c);
      act(recurrence, p, c);
    };
    file_.discretization() == ReferenceWeights::Discretization::zoh ? with(ZeroOrderHold()) : with(Bilinear());
  }

  const ReferenceWeights& file_;
  Parameters weights_;
  std::vector<Eigen::MatrixX<T>> Lambdas_;    // of every layer, unless the file gives the decays
  std::vector<Eigen::VectorX<T>> log_steps_;  // likewise
};

}  // namespace gdssm
