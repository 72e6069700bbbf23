// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Eigen/Core>

#include "gdssm/core/requirements.hpp"

// Where definitions are that no model's type enters and that take long to compile. With the target gdssm::gdssm they
// are in headers. The target gdssm::compiled defines GDSSM_COMPILED: headers then only declare them, and its library
// holds them.

#ifdef GDSSM_COMPILED
/// Nothing where a definition is compiled once, in the library.
#define GDSSM_INLINE

namespace gdssm::detail {

/// Defined by the library for the alignment of its own Eigen alone. Matrices of another could not be passed to it:
/// compile both for the same processor (-march).
template <int Alignment>
struct CompiledForAlignment {
  static const int value;
};

// Every translation unit refers to it, so that a program of two alignments is not linked.
[[gnu::used]] static const int* const compiled_for_alignment = &CompiledForAlignment<EIGEN_MAX_ALIGN_BYTES>::value;

}  // namespace gdssm::detail
#else
/// As functions in headers are.
#define GDSSM_INLINE inline
#endif
