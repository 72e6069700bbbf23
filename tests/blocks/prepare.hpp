// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/vjp.hpp"

namespace gdssm::test {

/// A block's parameters -> its coefficients.
template <class Block>
struct Prepare {
  Block block;

  template <class T>
  auto input() const {
    return bundle({"parameters"}, block.template parameters<T>());
  }
  template <class T>
  auto output(const auto& in) const {
    auto c = block.template coefficients<T>();
    block.prepare(std::get<0>(in.parts), c);
    return bundle({"coefficients"}, c);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto out = output<T>(in);
    auto in_bar = input<T>();
    block.prepare_vjp(std::get<0>(in.parts), std::get<0>(out.parts), std::get<0>(out_bar.parts),
                      std::get<0>(in_bar.parts));
    return in_bar;
  }
};

}  // namespace gdssm::test
