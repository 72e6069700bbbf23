// SPDX-License-Identifier: Apache-2.0
#pragma once

// The compiler features that every header needs. A missing include stops the compilation, unlike an #error.

#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 202002L
#error "gdssm needs C++20: compile with -std=c++20 or later"
#include "gdssm needs C++20"
#endif

#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "gdssm tells NaN and infinity from numbers: compile without -ffast-math, or add -fno-finite-math-only"
#endif

#if defined(EIGEN_DEFAULT_TO_ROW_MAJOR)
#error "gdssm reads Eigen's matrices column by column: compile without EIGEN_DEFAULT_TO_ROW_MAJOR"
#endif
