// SPDX-License-Identifier: Apache-2.0
// The main function of every test executable under Catch2 2.13; Catch2 3 has one in a library of its own.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
