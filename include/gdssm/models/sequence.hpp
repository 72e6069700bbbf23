// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/view.hpp"

namespace gdssm {

/// A sequence as models read it. The mask is absent, or holds a zero or one for each window; at a zero the state does
/// not change. Lanes may thus hold contexts of different lengths, and contexts may lack pairs. Tokens of masked windows
/// must be finite, because gradients multiply them by zero.
/// Shapes  tokens (Features x T), one token a column; mask (windows)
template <class S, Index Features = Dynamic>
struct Sequence {
  View<const S, Features> tokens;
  View<const S> mask = View<const S>::absent();  ///< one number for each window

  /// The mask of one window; null if the mask is absent.
  const S* mask_of(Index window) const { return mask.present() ? mask.data() + window : nullptr; }
};

}  // namespace gdssm
