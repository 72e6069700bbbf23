// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/blocks/readout.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"

// Readouts with fewer parameters.
namespace gdssm {

namespace detail {

/// (3) with a diagonal C: `Count` is Size for an entry of its own for each output, or 1 for the same entry for all.
template <Index Size, Index Count>
class ReadoutByDiagonal : public Readout<Size> {
  using Base = Readout<Size>;

 public:
  explicit ReadoutByDiagonal(Index size) : Base(size) {}
  ReadoutByDiagonal() requires(Size != Dynamic) : Base() {}
  template <class T>
  using Coefficients = typename Base::template Coefficients<T>;

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Count, 1> c;  ///< diagonal of C (Size), or every entry of it (1)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"c"}, self.c...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;

  template <class T>
  Parameters<T> parameters() const {
    return {zeros_in<InMatrices<T>, Count, 1>(entry_count(), 1)};
  }
  /// Initial values as in `Readout`: entries of c ~ N(0, 1 / columns).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    const double deviation = 1 / std::sqrt(static_cast<double>(this->col_count()));
    draw_entries(p.c, [&] { return deviation * stream.normal(); });
  }
  /// In the closed form (7) entries of c are -a for the step size a.
  template <class P>
  void construct(Parameters<P>& p, const P& step) const {
    for (Index i = 0; i < p.c.size(); ++i) p.c[i] = -step;
  }

  /// C_ii = c_i, or c.        Errors  std::invalid_argument: weights of other sizes
  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    expect_extents("prepare", Name{"c"}, p.c, entry_count(), 1);
    for (Index i = 0; i < c.C.rows(); ++i) c.C(i, i) = p.c[entry_of(i)];
  }
  /// VJP of `prepare`: c_bar_i += C_bar_ii, or c_bar += sum_i C_bar_ii.        Errors  as `prepare`
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    expect_extents("prepare_vjp", Name{"c"}, p_bar.c, entry_count(), 1);
    for (Index i = 0; i < c_bar.C.rows(); ++i) p_bar.c[entry_of(i)] += c_bar.C(i, i);
  }

 private:
  Index entry_count() const { return Count == Dynamic ? this->output_count() : Count; }
  static constexpr Index entry_of(Index output) { return Count == 1 ? 0 : output; }
};

}  // namespace detail

/// (3) with C = diag(c), one number for each output.
/// Shapes  c (Size), C (Size x Size); else as in `Readout`        VJP  `prepare_vjp`, and as there
template <Index Size = Dynamic>
class DiagonalReadout : public detail::ReadoutByDiagonal<Size, Size> {
  using detail::ReadoutByDiagonal<Size, Size>::ReadoutByDiagonal;
};

/// (3) with C = c I, one number for all outputs, as in (7).
/// Shapes  c (1), C (Size x Size); else as in `Readout`        VJP  `prepare_vjp`, and as there
template <Index Size = Dynamic>
class TiedReadout : public detail::ReadoutByDiagonal<Size, 1> {
  using detail::ReadoutByDiagonal<Size, 1>::ReadoutByDiagonal;
};

}  // namespace gdssm
