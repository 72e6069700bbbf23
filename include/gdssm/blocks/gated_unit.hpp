// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/dense.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm {

/// The gated unit that the reference calls half_glu2: a vector times a gate computed from the same vector,
///     n = h * sigma(U^T gelu(h) + b)                                                               (19)
/// with sigma the logistic function, elementwise, and gelu in its tanh form.
/// Shapes  h, b, n (Size), U (Size x Size, stored in, out)
/// Errors  a size below 1: std::invalid_argument (fixed sizes: static_assert)
/// Source  arXiv:2410.11687v1 (code); gelu: Hendrycks, Gimpel, 1606.08415        VJP  `step_vjp`
template <Index Size = Dynamic>
class GatedUnit {
  using Map = Dense<Size, Size>;

 public:
  static constexpr Index size = Size;  ///< entries of h, a number or `Dynamic`

  GatedUnit() requires(Size != Dynamic) : GatedUnit(Size) {}
  explicit GatedUnit(Index length) : map_(length, length) {}

  Index length() const { return map_.input_count(); }  ///< of h
  /// The dense layer of U and b.
  const Map& map() const { return map_; }

  template <class T>
  using Parameters = typename Map::template Parameters<T>;
  template <class T>
  using Coefficients = typename Map::template Coefficients<T>;
  template <class T>
  using State = typename Map::template State<T>;

  template <class T>
  struct Workspace {
    Array<T, Size, 1> activated;  ///< gelu(h), as the last `step` left it
    Array<T, Size, 1> gate;       ///< sigma(U^T gelu(h) + b), as the last `step` left it
    Array<T, Size, 1> opening_bar, activated_bar;
  };

  template <class T>
  Parameters<T> parameters() const {
    return map_.template parameters<T>();
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return map_.template coefficients<T>();
  }
  template <class T>
  State<T> initial_state() const {
    return {};
  }
  template <class T>
  Workspace<T> workspace() const {
    const Array<T, Size, 1> none(length(), 1);
    return {none, none, none, none};
  }

  /// U and b with the initial values of a dense layer.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    map_.draw(p, stream);
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    map_.prepare(p, c);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    map_.prepare_vjp(p, c, c_bar, p_bar);
  }

  /// n = h * sigma(U^T gelu(h) + b).
  template <class P, class S>
  void step(const Coefficients<P>& c, View<const S, Size, 1> h, View<S, Size, 1> n, Workspace<S>& ws) const {
    for (Index i = 0; i < h.size(); ++i) ws.activated[i] = gelu(h[i]);
    map_.step(c, View<const S, Size, 1>(ws.activated.view()), ws.gate.view());
    for (Index i = 0; i < h.size(); ++i) {
      ws.gate[i] = logistic(ws.gate[i]);
      n[i] = h[i] * ws.gate[i];
    }
  }

  /// VJP of `step`, to be called right after it with the same workspace. With s the gate and z its argument:
  /// z_bar = n_bar * h * s (1 - s), then the dense layer's VJP, then sets h_bar = n_bar * s + gelu'(h) * (U z_bar).
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Size, 1> h, View<const S, Size, 1> n_bar,
                Coefficients<S>& c_bar, View<S, Size, 1> h_bar, Workspace<S>& ws) const {
    for (Index i = 0; i < h.size(); ++i) ws.opening_bar[i] = n_bar[i] * h[i] * ws.gate[i] * (S(1) - ws.gate[i]);
    ws.activated_bar.fill(S(0));
    map_.step_vjp(c, View<const S, Size, 1>(ws.activated.view()), View<const S, Size, 1>(ws.opening_bar.view()), c_bar,
                  ws.activated_bar.view());
    for (Index i = 0; i < h.size(); ++i)
      h_bar[i] = multiply_add(gelu_derivative(h[i]), ws.activated_bar[i], n_bar[i] * ws.gate[i]);
  }

 private:
  Map map_;
};

}  // namespace gdssm
