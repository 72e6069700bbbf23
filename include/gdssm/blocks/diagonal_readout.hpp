// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/blocks/readout.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"

// Readouts with fewer parameters.
namespace gdssm {

/// (3) with C = diag(c), one number for each output.
/// Shapes  c (Size), C (Size x Size); else as in `Readout`        VJP  `prepare_vjp`, and as there
template <Index Size = Dynamic>
class DiagonalReadout : public Readout<Size> {
  using Base = Readout<Size>;

 public:
  explicit DiagonalReadout(Index size) : Base(size) {}
  DiagonalReadout() requires(Size != Dynamic) : Base() {}
  template <class T>
  using Coefficients = typename Base::template Coefficients<T>;

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Size, 1> c;  ///< diagonal of C (Size)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"c"}, self.c...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;

  template <class T>
  Parameters<T> parameters() const {
    return {zeros_in<InMatrices<T>, Size, 1>(this->output_count(), 1)};
  }
  /// Initial values as in `Readout`: c_i ~ N(0, 1 / columns).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    const double deviation = 1 / std::sqrt(static_cast<double>(this->col_count()));
    detail::draw_entries(p.c, [&] { return deviation * stream.normal(); });
  }
  /// In the closed form (7) c_i = -a for the step size a.
  template <class P>
  void construct(Parameters<P>& p, const P& step) const {
    for (Index i = 0; i < p.c.size(); ++i) p.c[i] = -step;
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    for (Index i = 0; i < c.C.rows(); ++i) c.C(i, i) = p.c[i];
  }
  /// c_bar_i += C_bar_ii
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    for (Index i = 0; i < c_bar.C.rows(); ++i) p_bar.c[i] += c_bar.C(i, i);
  }
};

/// (3) with C = c I, one number for all outputs, as in (7).
/// Shapes  c (1), C (Size x Size); else as in `Readout`        VJP  `prepare_vjp`, and as there
template <Index Size = Dynamic>
class TiedReadout : public Readout<Size> {
  using Base = Readout<Size>;

 public:
  explicit TiedReadout(Index size) : Base(size) {}
  TiedReadout() requires(Size != Dynamic) : Base() {}
  template <class T>
  using Coefficients = typename Base::template Coefficients<T>;

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, 1, 1> c;  ///< every diagonal entry of C

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"c"}, self.c...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;

  template <class T>
  Parameters<T> parameters() const {
    return {zeros_in<InMatrices<T>, 1, 1>(1, 1)};
  }
  /// Initial values as in `Readout`: c ~ N(0, 1 / columns).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    const double deviation = 1 / std::sqrt(static_cast<double>(this->col_count()));
    detail::draw_entries(p.c, [&] { return deviation * stream.normal(); });
  }
  /// In the closed form (7) c = -a for the step size a.
  template <class P>
  void construct(Parameters<P>& p, const P& step) const {
    for (Index i = 0; i < p.c.size(); ++i) p.c[i] = -step;
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    for (Index i = 0; i < c.C.rows(); ++i) c.C(i, i) = p.c[0];
  }
  /// c_bar += sum_i C_bar_ii
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    for (Index i = 0; i < c_bar.C.rows(); ++i) p_bar.c[0] += c_bar.C(i, i);
  }
};

}  // namespace gdssm
