// SPDX-License-Identifier: Apache-2.0
#pragma once

// Catch2 2.13 has one header, Catch2 3 another; tests include this file and use what both have.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // as in 2.13
#else
#include <catch2/catch.hpp>
#endif
