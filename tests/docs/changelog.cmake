# SPDX-License-Identifier: Apache-2.0
# The newest version in CHANGELOG.md is the one in version.hpp:
#   cmake -DCHANGELOG=<CHANGELOG.md> -DVERSION=<the project's> -P changelog.cmake
file(STRINGS ${CHANGELOG} heading REGEX "^## " LIMIT_COUNT 1)
if(NOT heading MATCHES "^## ([0-9]+\\.[0-9]+\\.[0-9]+) " OR NOT CMAKE_MATCH_1 STREQUAL VERSION)
  message(FATAL_ERROR "${CHANGELOG}: its first heading is \"${heading}\", expected \"## ${VERSION} (...)\", as version.hpp")
endif()
