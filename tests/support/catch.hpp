// SPDX-License-Identifier: Apache-2.0
#pragma once

// Catch2 2.13 and 3 have different headers. Tests include this file and use the common subset.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // as in 2.13
#else
#include <catch2/catch.hpp>
#endif
