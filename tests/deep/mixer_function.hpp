// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/random.hpp"
#include "support/vjp.hpp"

#include "gdssm/core/parameters.hpp"
#include "gdssm/deep/mixer.hpp"

namespace gdssm::test {

/// A mixer along a few tokens, for `check_vjp`: weights, u and the first state -> r and the last state. The derivative
/// goes in chunks, the function in steps.
template <class Mixer>
struct MixerFunction {
  const Mixer& mixer;
  Index width, rows, tokens;

  template <class T>
  auto input() const {
    return bundle({"weights", "u", "state"}, mixer.template coefficients<T>(), Array<T>(width, tokens),
                  mixer.template state<InArrays<T>>());
  }
  template <class T>
  auto output(const auto& in) const {
    auto ws = mixer.template workspace<T>(tokens);
    auto state = std::get<2>(in.parts);
    Array<T> r(rows, tokens);
    run(in, state, r, Along::steps, ws);
    return bundle({"r", "state"}, r, state);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    auto ws = mixer.template workspace<T>(tokens);
    auto state = std::get<2>(in.parts);
    Array<T> r(rows, tokens);
    run(in, state, r, Along::chunks, ws);
    auto in_bar = input<T>();
    auto& [w_bar, u_bar, state_bar] = in_bar.parts;
    state_bar = std::get<1>(out_bar.parts);
    const auto& [w, u, first] = in.parts;
    mixer.vjp(views_of(mixer.template weights<InViews<const T>>(), w), u.view(), first.state.view(),
              std::get<0>(out_bar.parts).view(), views_of(mixer.template state<InViews<T>>(), state_bar),
              views_of(mixer.template weights<InViews<T>>(), w_bar), u_bar.view(), ws);
    return in_bar;
  }

 private:
  template <class T, class Workspace>
  void run(const auto& in, auto& state, Array<T>& r, Along along, Workspace& ws) const {
    const auto& [w, u, first] = in.parts;
    mixer.forward(views_of(mixer.template weights<InViews<const T>>(), w), u.view(),
                  views_of(mixer.template state<InViews<T>>(), state), r.view(), along, ws);
  }
};

/// Checks a mixer's derivative at zero and at a point so large that norms and lengths are not near zero, where what
/// they divide is almost a step.
template <class Mixer>
void expect_mixer_vjp(const MixerFunction<Mixer>& function) {
  auto point = function.template input<double>();
  expect_vjp_at(function, point);
  Random random(4);
  visit(
      [&](const Name&, auto& member) {
        for (Index i = 0; i < member.size(); ++i) member[i] = 4 * random();
      },
      point);
  expect_vjp_at(function, point);
}

}  // namespace gdssm::test
