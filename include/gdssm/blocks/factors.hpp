// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/view.hpp"

namespace gdssm {

/// G_t = left^T right of equation (1) as the input side passes it to the recurrence: as factors, never multiplied out.
/// Its rank is at most the window's width.
/// Shapes  left (Rows x Rank), right (Cols x Rank): the rows of the paper's two factors as columns, so that
///         G_ij = sum_a left_ia right_ja
template <class T, Index Rows, Index Cols, Index Rank>
struct Factors {
  View<T, Rows, Rank> left;   ///< (Rows x Rank)
  View<T, Cols, Rank> right;  ///< (Cols x Rank)
};

}  // namespace gdssm
