// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/pieces.hpp"
#include "gdssm/core/random.hpp"

namespace gdssm {

/// A causal convolution of every channel by itself with a few taps, the last of which is the current token's,
///     y_t = sum_j w_j * z_(t - c + 1 + j),   j = 0, ..., c - 1                                     (50)
/// The state is the c - 1 columns before the first, zeros at the start. `forward` and `vjp` read them in front of the
/// stretch: z has c - 1 + T columns.
/// Shapes  w (channels x c), z (channels x (c - 1 + T)), y (channels x T)
/// Errors  std::invalid_argument: no channel or no tap
/// Source  docs/theory.md, deep sequence models        VJP  `vjp`
class ShortConvolution : public PlainBlock<ShortConvolution> {
 public:
  ShortConvolution(Index channels, Index taps) : channels_(channels), taps_(taps) {
    if (channels < 1 || taps < 1)
      refuse("ShortConvolution", "channels and taps are ", channels, " and ", taps, ", expected at least 1 each");
  }

  Index tail() const { return taps_ - 1; }  ///< columns of the state

  template <class Storage>
  struct Weights {
    MatrixIn<Storage> taps;  ///< w (channels x c)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"taps"}, self.taps...);
    }
  };
  template <class Storage>
  Weights<Storage> weights() const {
    return {made_in<Storage>(channels_, taps_)};
  }
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  /// Uniform from -c^(-1/2) to c^(-1/2).
  template <class P>
  void draw(const Weights<InViews<P>>& w, RandomStream<>& stream) const {
    const double most = 1 / std::sqrt(static_cast<double>(taps_));
    for (Index i = 0; i < w.taps.size(); ++i) w.taps[i] = static_cast<P>(most * (2 * stream.uniform() - 1));
  }

  /// y of every token.
  template <class T>
  void forward(const Weights<InViews<const T>>& w, View<const T> z, View<T> y) const {
    for (Index t = 0; t < y.cols(); ++t)
      kernels::each_piece<T>(channels_, [&](const auto& at) {
        auto sum = at.load(w.taps.data()) * at.load(z.data() + t * channels_);
        for (Index j = 1; j < taps_; ++j)
          sum = multiply_add(at.load(w.taps.data() + j * channels_), at.load(z.data() + (t + j) * channels_), sum);
        at.store(y.data() + t * channels_, sum);
      });
  }

  /// VJP of `forward`: w_bar_j += sum_t y_bar_t * z_(t-c+1+j), z_bar_s += sum_j w_j * y_bar_(s+c-1-j).
  template <class T>
  void vjp(const Weights<InViews<const T>>& w, View<const T> z, View<const T> y_bar, const Weights<InViews<T>>& w_bar,
           View<T> z_bar) const {
    for (Index t = 0; t < y_bar.cols(); ++t)
      kernels::each_piece<T>(channels_, [&](const auto& at) {
        const auto bar = at.load(y_bar.data() + t * channels_);
        for (Index j = 0; j < taps_; ++j) {
          T* const tap_bar = w_bar.taps.data() + j * channels_;
          T* const to = z_bar.data() + (t + j) * channels_;
          at.store(tap_bar, multiply_add(bar, at.load(z.data() + (t + j) * channels_), at.load(tap_bar)));
          at.store(to, multiply_add(at.load(w.taps.data() + j * channels_), bar, at.load(to)));
        }
      });
  }

 private:
  Index channels_, taps_;
};

}  // namespace gdssm
