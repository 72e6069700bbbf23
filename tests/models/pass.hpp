// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "support/vjp.hpp"

#include "gdssm/analysis/check_gradient.hpp"

namespace gdssm::test {

/// Parameters, tokens and first state -> the last k predictions and the last state of a model.
template <class Model, class Method = StoredHistory>
struct Pass {
  Model model;
  Index windows;
  Index k;
  Index held = 0;              ///< tokens that the first state holds
  std::vector<int> mask = {};  ///< empty, or a number a window

  template <class T>
  auto input() const {
    return pass().template input<T>();
  }
  template <class T>
  auto output(const auto& in) const {
    return pass().template output<T>(in);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    return pass().template pull_back<T>(in, out_bar);
  }

 private:
  gdssm::detail::ModelPass<Model, Method> pass() const { return {model, windows, k, held, mask}; }
};

}  // namespace gdssm::test
