// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/readout.hpp"

namespace gdssm {

/// `Readout` of a layer to whose output its input is added: C begins at zero, so that a stack of any depth begins as
/// the identity.        VJP  `step_vjp`
template <Index Outputs = Dynamic, Index Cols = Outputs>
class ResidualReadout : public Readout<Outputs, Cols> {
 public:
  using Readout<Outputs, Cols>::Readout;

  /// C = 0.
  template <class Parameters>
  void draw(Parameters&, RandomStream<>&) const {}
};

}  // namespace gdssm
