// SPDX-License-Identifier: Apache-2.0
// Refused: a gate without a state; the message names the missing part.
#include "gdssm/models/augmented_ssm.hpp"

#if defined(CONTROL)
using Base = gdssm::Stateless;
#else
struct Base {
  template <class T>
  struct Workspace {};
};
#endif

class Gate : public gdssm::PlainBlock<Gate>, public Base {
 public:
  static constexpr gdssm::Index rows = 3, features = 3, width = 3;
  gdssm::Index row_count() const { return 3; }
  gdssm::Index feature_count() const { return 3; }

  template <class Storage>
  struct Weights {
    gdssm::MatrixIn<Storage, 3, 1> d;
    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(gdssm::Name{"d"}, self.d...);
    }
  };
  template <class Storage>
  Weights<Storage> weights() const {
    return {gdssm::zeros_in<Storage, 3, 1>()};
  }
  template <class T>
  using Parameters = Weights<gdssm::InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<gdssm::InArrays<T>>;

  template <class P, class S>
  void step(const Coefficients<P>& c, gdssm::View<const S, 3, 3>, gdssm::View<S, 3, 1> o, Workspace<S>&) const {
    for (gdssm::Index i = 0; i < 3; ++i) o[i] = S(c.d[i]);
  }
  template <class P, class S>
  void step_vjp(const Coefficients<P>&, gdssm::View<const S, 3, 3>, gdssm::View<const S, 3, 1> o_bar,
                Coefficients<S>& c_bar, gdssm::View<S, 3, 3>, Workspace<S>&) const {
    for (gdssm::Index i = 0; i < 3; ++i) c_bar.d[i] += o_bar[i];
  }
};

gdssm::AugmentedSsm<gdssm::LocalAttention<3>, gdssm::DiagonalRecurrence<3>, gdssm::Readout<3>, Gate> model;
