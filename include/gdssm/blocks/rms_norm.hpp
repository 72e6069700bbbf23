// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/pieces.hpp"
#include "gdssm/core/random.hpp"

namespace gdssm {

/// Root mean square normalisation of every column, or of its parts, such as the heads of a layer, each by itself and
/// with its own gain,
///     y = g * x / sqrt(mean(x^2) + 1e-6)                                                          (49)
/// Shapes  x, y (size parts x T), g (size x parts)
/// Errors  std::invalid_argument: sizes below 1
/// Source  Zhang, Sennrich, arXiv:1910.07467        VJP  `vjp`
class RmsNorm : public PlainBlock<RmsNorm>, public Stateless {
 public:
  explicit RmsNorm(Index size, Index parts = 1) : size_(size), parts_(parts) {
    if (size < 1 || parts < 1)
      refuse("RmsNorm", "size and parts are ", size, " and ", parts, ", expected at least 1 each");
  }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage> gain;  ///< g (size x parts)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"gain"}, self.gain...);
    }
  };
  template <class Storage>
  Weights<Storage> weights() const {
    return {made_in<Storage>(size_, parts_)};
  }
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  /// g = 1.
  template <class P>
  void draw(const Weights<InViews<P>>& w, RandomStream<>&) const {
    w.gain.fill(P(1));
  }

  /// y of every column.
  template <class T>
  void forward(const Weights<InViews<const T>>& w, View<const T> x, View<T> y) const {
    for (Index v = 0; v < x.cols() * parts_; ++v) {
      const T* const from = x.data() + v * size_;
      const T* const gain = w.gain.data() + v % parts_ * size_;
      const T scale = inverse_size(from);
      kernels::each_piece<T>(size_, [&](const auto& at) {
        at.store(y.data() + v * size_, at.load(gain) * (at.load(from) * spread(at, scale)));
      });
    }
  }

  /// VJP of `forward`: with s = (mean(x^2) + 1e-6)^(-1/2) and x^ = s x, g_bar += y_bar * x^ and
  /// x_bar += s (g * y_bar - x^ mean(g * y_bar * x^)).
  template <class T>
  void vjp(const Weights<InViews<const T>>& w, View<const T> x, View<const T> y_bar, const Weights<InViews<T>>& w_bar,
           View<T> x_bar) const {
    for (Index v = 0; v < x.cols() * parts_; ++v) {
      const T* const from = x.data() + v * size_;
      const T* const bar = y_bar.data() + v * size_;
      const T* const gain = w.gain.data() + v % parts_ * size_;
      const T scale = inverse_size(from);
      const T along = kernels::sum_of_pieces<T>(size_, [&](const auto& at, auto& sum) {
        sum = multiply_add(at.load(gain) * at.load(bar), at.load(from), sum);
      });
      const T back = scale * scale * along / detail::constant<T>(static_cast<double>(size_));
      kernels::each_piece<T>(size_, [&](const auto& at) {
        const auto unit = at.load(from) * spread(at, scale);
        at.add(w_bar.gain.data() + v % parts_ * size_, at.load(bar) * unit);
        at.add(x_bar.data() + v * size_, spread(at, scale) * (at.load(gain) * at.load(bar)) - unit * spread(at, back));
      });
    }
  }

 private:
  template <class At, class T>
  static auto spread(const At&, const T& number) {
    return typename At::Value(number);
  }
  template <class T>
  T inverse_size(const T* x) const {
    using std::sqrt;
    const T squares = kernels::sum_of_pieces<T>(size_, [&](const auto& at, auto& sum) {
      const auto entry = at.load(x);
      sum = multiply_add(entry, entry, sum);
    });
    return T(1) / sqrt(squares / detail::constant<T>(static_cast<double>(size_)) + detail::constant<T>(1e-6));
  }

  Index size_, parts_;
};

}  // namespace gdssm
