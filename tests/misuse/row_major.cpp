// SPDX-License-Identifier: Apache-2.0
// Refused: row-major Eigen matrices.
#if !defined(CONTROL)
#define EIGEN_DEFAULT_TO_ROW_MAJOR
#endif

#include "gdssm/learners/regression.hpp"
