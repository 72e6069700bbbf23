// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

namespace detail {

/// A gate over a sequence of windows laid side by side; what every gate adds to its `step` and `step_vjp`.
template <class Gate>
struct WindowwiseGate {
  /// Shapes  windows (Features x Width n), gates (Rows x n)
  template <class Coefficients, class S, Index Features, Index Rows, class Workspace>
  void forward(const Coefficients& c, View<const S, Features> windows, View<S, Rows> gates, Workspace& ws) const {
    for (Index t = 0; t < gates.cols(); ++t) {
      const View<const S, Gate::features, Gate::width> window = windows.template columns<Gate::width>(t * Gate::width);
      gate().step(c, window, View<S, Gate::rows, 1>(gates.column(t)), ws);
    }
  }

  /// VJP of `forward`: adds to `c_bar` and `windows_bar`.
  template <class Coefficients, class S, Index Features, Index Rows, class CoefficientsBar, class Workspace>
  void vjp(const Coefficients& c, View<const S, Features> windows, View<const S, Rows> gates_bar,
           CoefficientsBar& c_bar, View<S, Features> windows_bar, Workspace& ws) const {
    for (Index t = 0; t < gates_bar.cols(); ++t) {
      const View<const S, Gate::features, Gate::width> window = windows.template columns<Gate::width>(t * Gate::width);
      const View<S, Gate::features, Gate::width> window_bar =
          windows_bar.template columns<Gate::width>(t * Gate::width);
      gate().step_vjp(c, window, View<const S, Gate::rows, 1>(gates_bar.column(t)), c_bar, window_bar, ws);
    }
  }

 private:
  const Gate& gate() const { return static_cast<const Gate&>(*this); }
};

}  // namespace detail

/// The multiplicative output gate: the vector that the implicit model is applied to,
///     o_t = X_t^T d                                                                                (4)
/// Shapes  X_t (Width x Features), d (Width), o_t (Features)
/// Source  arXiv:2410.11687v1; d is the reference's `D`        VJP  `step_vjp`, `vjp`
template <Index Features = Dynamic, Index Width = 3>
class OutputGate : public detail::WindowwiseGate<OutputGate<Features, Width>> {
  static_assert(Features == Dynamic || Features > 0, "OutputGate: the features must be a positive number or Dynamic");
  static_assert(Width > 0, "OutputGate: the width must be positive");

 public:
  static constexpr Index rows = Features;      ///< length of o_t
  static constexpr Index features = Features;  ///< length of a token
  static constexpr Index width = Width;

  OutputGate() requires(Features != Dynamic) : OutputGate(Features) {}
  explicit OutputGate(Index feature_count) : features_(detail::fixed_or<Features>(feature_count)) {
    if (feature_count <= 0) refuse("OutputGate", "the number of features is ", feature_count, ", expected at least 1");
    if (Features != Dynamic) expect_equal("OutputGate", "the number of features", feature_count, Features);
  }

  Index row_count() const { return features_.value(); }
  Index feature_count() const { return features_.value(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Width, 1> d;  ///< weight of each token of the window (Width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"d"}, self.d...);
    }
  };

  template <class T>
  struct Coefficients {
    Array<T, Width, 1> d;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"d"}, self.d...);
    }
  };

  /// Nothing: a gate remembers no earlier window.
  template <class T>
  struct State {
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  struct Workspace {};

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Width, 1>(Width, 1)};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {};
  }
  template <class T>
  State<T> initial_state() const {
    return {};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {};
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    detail::copy(p.d, c.d);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    p_bar.d += c_bar.d.matrix();
  }

  /// o = sum_a d_a x_a over the window's tokens.
  template <class P, class S>
  void step(const Coefficients<P>& c, View<const S, Features, Width> window, View<S, Features, 1> o,
            Workspace<S>&) const {
    S d[Width];
    for (Index a = 0; a < Width; ++a) d[a] = S(c.d[a]);
    kernels::multiply(window, View<const S, Width, 1>(d, Width, 1), o);
  }

  /// VJP of `step`: d_bar_a += <x_a, o_bar>, and, unless `window_bar` is absent, x_bar_a += d_a o_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Features, Width> window, View<const S, Features, 1> o_bar,
                Coefficients<S>& c_bar, View<S, Features, Width> window_bar, Workspace<S>&) const {
    for (Index a = 0; a < Width; ++a) {
      S sum = c_bar.d[a];
      for (Index i = 0; i < o_bar.size(); ++i) sum = multiply_add(window(i, a), o_bar[i], sum);
      c_bar.d[a] = sum;
    }
    if (!window_bar.present()) return;
    for (Index a = 0; a < Width; ++a)
      for (Index i = 0; i < o_bar.size(); ++i) window_bar(i, a) = multiply_add(S(c.d[a]), o_bar[i], window_bar(i, a));
  }

 private:
  [[no_unique_address]] detail::Extent<Features> features_;
};

/// The output gate with a matrix between the implicit model and the gated tokens,
///     o_t = P X_t^T d,
/// which preconditions the inputs of a gradient step (C acts on outputs and can't): docs/theory.md, (8a).
/// Rows may be fewer than features: P then is a projection too, for a state of that many rows.
/// Shapes  P (Rows x Features), o_t (Rows); the others as in `OutputGate`
/// Source  Ahn et al., arXiv:2306.00297, for the preconditioned step        VJP  `step_vjp`, `vjp`
template <Index Features = Dynamic, Index Width = 3, Index Rows = Features>
class PreconditionedGate : public detail::WindowwiseGate<PreconditionedGate<Features, Width, Rows>> {
  using Plain = OutputGate<Features, Width>;

 public:
  static constexpr Index rows = Rows;
  static constexpr Index features = Features;
  static constexpr Index width = Width;

  PreconditionedGate() requires(Features != Dynamic && Rows != Dynamic) : PreconditionedGate(Features, Rows) {}
  explicit PreconditionedGate(Index feature_count) : PreconditionedGate(feature_count, feature_count) {}
  PreconditionedGate(Index feature_count, Index row_count)
      : plain_(feature_count), rows_(detail::fixed_or<Rows>(row_count)) {
    if (row_count <= 0) refuse("PreconditionedGate", "the number of rows is ", row_count, ", expected at least 1");
    if (Rows != Dynamic) expect_equal("PreconditionedGate", "the number of rows", row_count, Rows);
  }

  Index row_count() const { return rows_.value(); }
  Index feature_count() const { return plain_.feature_count(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Width, 1> d;        ///< weight of each token of the window (Width)
    detail::Matrix<T, Rows, Features> P;  ///< preconditioner (Rows x Features)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"d"}, self.d...);
      visitor(Name{"P"}, self.P...);
    }
  };

  template <class T>
  struct Coefficients {
    typename Plain::template Coefficients<T> plain;
    Array<T, Rows, Features> P;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      gdssm::visit(visitor, self.plain...);
      visitor(Name{"P"}, self.P...);
    }
  };

  template <class T>
  using State = typename Plain::template State<T>;

  template <class T>
  struct Workspace {
    typename Plain::template Workspace<T> plain;
    Array<T, Features, 1> ungated;      ///< X^T d, as the last `step` left it
    Array<T, Features, 1> ungated_bar;  ///< P^T o_bar
  };

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Width, 1>(Width, 1), detail::zeros<T, Rows, Features>(row_count(), feature_count())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {{}, Array<T, Rows, Features>(row_count(), feature_count())};
  }
  template <class T>
  State<T> initial_state() const {
    return {};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {{}, Array<T, Features, 1>(feature_count(), 1), Array<T, Features, 1>(feature_count(), 1)};
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    detail::copy(p.d, c.plain.d);
    detail::copy(p.P, c.P);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    p_bar.d += c_bar.plain.d.matrix();
    p_bar.P += c_bar.P.matrix();
  }

  /// o = P (X^T d).
  template <class T, class S>
  void step(const Coefficients<T>& c, View<const S, Features, Width> window, View<S, Rows, 1> o,
            Workspace<S>& ws) const {
    plain_.step(c.plain, window, ws.ungated.view(), ws.plain);
    kernels::multiply(c.P.view(), View<const S, Features, 1>(ws.ungated.view()), o);
  }

  /// VJP of `step`: P_bar += o_bar (X^T d)^T, and the plain gate's with P^T o_bar.
  template <class T, class S>
  void step_vjp(const Coefficients<T>& c, View<const S, Features, Width> window, View<const S, Rows, 1> o_bar,
                Coefficients<S>& c_bar, View<S, Features, Width> window_bar, Workspace<S>& ws) const {
    plain_.step(c.plain, window, ws.ungated.view(), ws.plain);
    kernels::add_outer(o_bar, View<const S, Features, 1>(ws.ungated.view()), c_bar.P.view());
    kernels::multiply_transposed(c.P.view(), o_bar, ws.ungated_bar.view());
    plain_.step_vjp(c.plain, window, View<const S, Features, 1>(ws.ungated_bar.view()), c_bar.plain, window_bar,
                    ws.plain);
  }

 private:
  Plain plain_;
  [[no_unique_address]] detail::Extent<Rows> rows_;
};

/// No gate: what the implicit model is applied to is the same for every window,
///     o_t = d,                                                                                     (4b)
/// so that the query reaches the prediction through the state alone. A control.
/// Shapes  d (Rows), o_t (Rows); windows (Features x Width) aren't read        VJP  `step_vjp`, `vjp`
template <Index Rows = Dynamic, Index Features = Rows, Index Width = 3>
class ConstantGate : public detail::WindowwiseGate<ConstantGate<Rows, Features, Width>> {
  static_assert(Width > 0, "ConstantGate: the width must be positive");

 public:
  static constexpr Index rows = Rows;
  static constexpr Index features = Features;
  static constexpr Index width = Width;

  ConstantGate() requires(Rows != Dynamic && Features != Dynamic) : ConstantGate(Rows, Features) {}
  explicit ConstantGate(Index size) : ConstantGate(size, size) {}
  ConstantGate(Index row_count, Index feature_count)
      : rows_(detail::fixed_or<Rows>(row_count)), features_(detail::fixed_or<Features>(feature_count)) {
    if (row_count <= 0 || feature_count <= 0)
      refuse("ConstantGate", "rows and features are ", row_count, " and ", feature_count, ", expected at least 1");
    if (Rows != Dynamic) expect_equal("ConstantGate", "the number of rows", row_count, Rows);
    if (Features != Dynamic) expect_equal("ConstantGate", "the number of features", feature_count, Features);
  }

  Index row_count() const { return rows_.value(); }
  Index feature_count() const { return features_.value(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Rows, 1> d;  ///< what every window is answered with (Rows)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"d"}, self.d...);
    }
  };

  template <class T>
  struct Coefficients {
    Array<T, Rows, 1> d;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"d"}, self.d...);
    }
  };

  template <class T>
  struct State {
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  struct Workspace {};

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Rows, 1>(row_count(), 1)};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {Array<T, Rows, 1>(row_count(), 1)};
  }
  template <class T>
  State<T> initial_state() const {
    return {};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {};
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    detail::copy(p.d, c.d);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    p_bar.d += c_bar.d.matrix();
  }

  /// o = d.
  template <class P, class S>
  void step(const Coefficients<P>& c, View<const S, Features, Width>, View<S, Rows, 1> o, Workspace<S>&) const {
    for (Index i = 0; i < o.size(); ++i) o[i] = S(c.d[i]);
  }

  /// VJP of `step`: d_bar += o_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>&, View<const S, Features, Width>, View<const S, Rows, 1> o_bar,
                Coefficients<S>& c_bar, View<S, Features, Width>, Workspace<S>&) const {
    for (Index i = 0; i < o_bar.size(); ++i) c_bar.d[i] += o_bar[i];
  }

 private:
  [[no_unique_address]] detail::Extent<Rows> rows_;
  [[no_unique_address]] detail::Extent<Features> features_;
};

/// The gate of a layer without attention: a linear map of the single token, o_t = D c_t.
/// Shapes  c_t (Tokens), D (Rows x Tokens), o_t (Rows)
/// Source  arXiv:2410.11687v1        VJP  `step_vjp`
template <Index Rows = Dynamic, Index Tokens = Dynamic>
class ProjectionGate : public detail::WindowwiseGate<ProjectionGate<Rows, Tokens>> {
 public:
  static constexpr Index rows = Rows;
  static constexpr Index features = Tokens;
  static constexpr Index width = 1;

  ProjectionGate() requires(Rows != Dynamic && Tokens != Dynamic) : ProjectionGate(Rows, Tokens) {}
  ProjectionGate(Index row_count, Index token_size)
      : rows_(detail::fixed_or<Rows>(row_count)), tokens_(detail::fixed_or<Tokens>(token_size)) {
    if (row_count <= 0 || token_size <= 0)
      refuse("ProjectionGate", "the map is ", row_count, " x ", token_size, ", expected at least 1 x 1");
    if (Rows != Dynamic) expect_equal("ProjectionGate", "the number of rows", row_count, Rows);
    if (Tokens != Dynamic) expect_equal("ProjectionGate", "the size of a token", token_size, Tokens);
  }

  Index row_count() const { return rows_.value(); }
  Index feature_count() const { return tokens_.value(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Rows, Tokens> D;  ///< gate's map of the token (Rows x Tokens)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"D"}, self.D...);
    }
  };

  template <class T>
  struct Coefficients {
    Array<T, Rows, Tokens> D;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"D"}, self.D...);
    }
  };

  template <class T>
  struct State {
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  struct Workspace {};

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Rows, Tokens>(row_count(), feature_count())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {Array<T, Rows, Tokens>(row_count(), feature_count())};
  }
  template <class T>
  State<T> initial_state() const {
    return {};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {};
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    detail::copy(p.D, c.D);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    p_bar.D += c_bar.D.matrix();
  }

  /// o = D c.
  template <class P, class S>
  void step(const Coefficients<P>& c, View<const S, Tokens, 1> token, View<S, Rows, 1> o, Workspace<S>&) const {
    kernels::multiply(c.D.view(), token, o);
  }

  /// VJP of `step`: D_bar += o_bar c^T, and, unless `token_bar` is absent, c_bar += D^T o_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Tokens, 1> token, View<const S, Rows, 1> o_bar,
                Coefficients<S>& c_bar, View<S, Tokens, 1> token_bar, Workspace<S>&) const {
    kernels::add_outer(o_bar, token, c_bar.D.view());
    if (!token_bar.present()) return;
    for (Index j = 0; j < token.size(); ++j)
      for (Index i = 0; i < o_bar.size(); ++i) token_bar[j] = multiply_add(S(c.D(i, j)), o_bar[i], token_bar[j]);
  }

 private:
  [[no_unique_address]] detail::Extent<Rows> rows_;
  [[no_unique_address]] detail::Extent<Tokens> tokens_;
};

}  // namespace gdssm
