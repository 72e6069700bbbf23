// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/compiled.hpp"

template <>
const int gdssm::detail::CompiledForAlignment<EIGEN_MAX_ALIGN_BYTES>::value = EIGEN_MAX_ALIGN_BYTES;
