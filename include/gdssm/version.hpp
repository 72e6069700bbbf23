// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "gdssm/core/requirements.hpp"

namespace gdssm {

/// The version of gdssm, "major.minor.patch". Defined only here: CMakeLists.txt reads this line.
inline constexpr std::string_view version = "0.2.0";

}  // namespace gdssm
