// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/view.hpp"

namespace gdssm {

/// A sequence as models read it.
/// Shapes  tokens (Features x T), one token a column; mask (windows), absent or a row of zeros and ones: a zero leaves
///         the state as it was, so lanes may hold contexts of different lengths, and pairs may be missing. Tokens of
///         masked windows must be finite all the same: gradients multiply them by zero.
template <class S, Index Features = Dynamic>
struct Sequence {
  View<const S, Features> tokens;
  View<const S> mask = View<const S>::absent();  ///< one number a window

  /// The mask of one window, null where there is none.
  const S* mask_of(Index window) const { return mask.present() ? mask.data() + window : nullptr; }
};

}  // namespace gdssm
