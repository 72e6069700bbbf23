// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <functional>
#include <iostream>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>

#include "gdssm/version.hpp"

// What all programs have in common: --help, --version, --threads, and how they end.

namespace gdssm::programs {

namespace detail {

/// Says on standard error, on one line, why the program ends; hands the exit status on.
inline int fail(int status, std::string reason) {
  for (char& c : reason)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  std::cerr << "error: " << reason << '\n';
  return status;
}

}  // namespace detail

/// Adds --threads, a number from 1, which keeps what it holds unless it is given. Results never depend on it.
inline void add_threads_option(CLI::App& app, int& threads) {
  app.add_option("--threads", threads, "Threads to use; results do not depend on it")
      ->check(CLI::Range(1, std::numeric_limits<int>::max()))
      ->capture_default_str();
}

/// Adds --version, reads the command line into the options of `app` and calls `body`; the result is main's.
///     0  `body` returned, or --help or --version was answered
///     2  the command line alone is wrong
///     1  `body` threw, or standard output could not be written
/// In the latter two cases standard error gets one line, "error: " and what is wrong.
inline int run_program(int argc, char** argv, CLI::App& app, const std::function<void()>& body) {
  app.set_version_flag("--version", app.get_name() + " (gdssm) " + std::string(version), "Print the version and exit");
  try {
    try {
      app.parse(argc, argv);
      body();
    } catch (const CLI::Success& answer) {
      app.exit(answer);
    }
    if (!std::cout.flush()) throw std::runtime_error("standard output: cannot write, expected room for all of it");
    return 0;
  } catch (const CLI::ParseError& error) {
    return detail::fail(2, error.what() + std::string(" (see ") + app.get_name() + " --help)");
  } catch (const std::bad_alloc&) {
    return detail::fail(1, "out of memory");
  } catch (const std::exception& error) {
    return detail::fail(1, error.what());
  }
}

}  // namespace gdssm::programs
