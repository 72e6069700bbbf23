// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "gdssm/core/requirements.hpp"

namespace gdssm {

/// The version of gdssm, "major.minor.patch". Defined only here: CMakeLists.txt reads this line.
inline constexpr std::string_view version = "0.2.0";

namespace detail {

/// The number after the first `dots` dots of `version`.
constexpr int version_part(int dots) {
  int part = 0;
  for (const char c : version) {
    if (c == '.') {
      if (dots-- == 0) break;
    } else if (dots == 0) {
      part = 10 * part + (c - '0');
    }
  }
  return part;
}

}  // namespace detail

inline constexpr int version_major = detail::version_part(0);  ///< the first number of `version`
inline constexpr int version_minor = detail::version_part(1);  ///< the second
inline constexpr int version_patch = detail::version_part(2);  ///< the third

}  // namespace gdssm
