// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/version.hpp"

// What all programs have in common: --help, --version, --threads, and how they end, also by a signal.

namespace gdssm::programs {

namespace detail {

/// Says on standard error, on one line, why the program ends; hands the exit status on.
inline int fail(int status, std::string reason) {
  for (char& c : reason)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  std::cerr << "error: " << reason << '\n';
  return status;
}

/// Opens those of descriptors 0, 1 and 2 that are closed, so that using them is an error: the next file that is opened
/// would become standard output otherwise.
inline void occupy_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0) ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

extern "C" inline void end_by_signal(int signal) {
  remove_temporary_files();
  ::raise(signal);  // whose action is the default again
}

/// Whatever asks the program to end ends it, as it would anyway, and takes its temporary files along.
inline void remove_temporary_files_on_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;  // as under nohup
    action.sa_handler = end_by_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // which libraries write as an unsigned number
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace detail

/// A whole number from `least` to `most`, in decimal digits, whatever CLI11 makes of 010 (8) and of 2^64 (2^64 - 1).
inline CLI::Validator whole_number(std::uint64_t least, std::uint64_t most = std::numeric_limits<std::int64_t>::max()) {
  return CLI::Validator(
      [=](std::string& text) {
        std::uint64_t number = 0;
        const char* const end = text.data() + text.size();
        const auto [after, error] = std::from_chars(text.data(), end, number);
        if (error != std::errc() || after != end || number < least || number > most)
          return "got '" + text + "', expected a whole number from " + std::to_string(least) + " to " +
                 std::to_string(most);
        text = std::to_string(number);
        return std::string();
      },
      "");
}

/// A file that an option names; empty: none.
struct NamedFile {
  const char* option;
  std::string file;
};

/// Refuses an output that is an input too, or another output, whatever it is called; devices and pipes may be.
/// Errors  CLI::ValidationError
inline void expect_different_files(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs) {
  namespace fs = std::filesystem;
  // What cannot be looked up is reported, by name, where it is opened.
  std::error_code unknown;
  const auto place = [&](const std::string& name) {
    const fs::path path = fs::absolute(name).lexically_normal(), folder = fs::canonical(path.parent_path(), unknown);
    return unknown ? path : folder / path.filename();
  };
  const auto same = [&](const std::string& a, const std::string& b) {
    if (a.empty() || b.empty()) return false;
    if (fs::exists(a, unknown) && fs::exists(b, unknown))
      return fs::is_regular_file(a, unknown) && fs::equivalent(a, b, unknown);
    return place(a) == place(b);
  };
  for (auto output = outputs.begin(); output != outputs.end(); ++output) {
    const auto check = [&](const NamedFile& other) {
      if (same(output->file, other.file))
        throw CLI::ValidationError(output->option,
                                   std::string("names the same file as ") + other.option + ", expected another");
    };
    std::for_each(inputs.begin(), inputs.end(), check);
    std::for_each(outputs.begin(), output, check);
  }
}

/// Errors  std::runtime_error: standard output takes no more
inline void flush_standard_output() {
  if (!std::cout.flush()) throw std::runtime_error("standard output: cannot write, expected room for all of it");
}

/// Adds --threads, a number from 1, which keeps what it holds unless it is given. Results never depend on it.
inline void add_threads_option(CLI::App& app, int& threads) {
  app.add_option("--threads", threads, "Threads to use at the most; results do not depend on it")
      ->transform(whole_number(1, std::numeric_limits<int>::max()))
      ->capture_default_str();
}

/// Adds --version, reads the command line into the options of `app` and calls `body`; the result is main's.
///     0  `body` returned, or --help or --version was answered
///     2  the command line alone is wrong
///     1  `body` threw, or standard output could not be written
/// In the latter two cases standard error gets one line, "error: " and what is wrong. A pipe whose reader is gone is a
/// file that cannot be written, and so is one at the limit of file sizes. SIGINT, SIGTERM and SIGHUP end the program
/// and leave no temporary file.
inline int run_program(int argc, char** argv, CLI::App& app, const std::function<void()>& body) {
  detail::occupy_standard_streams();
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
  detail::remove_temporary_files_on_signals();
  app.set_version_flag("--version", app.get_name() + " (gdssm) " + std::string(version), "Print the version and exit");
  try {
    try {
      app.parse(argc, argv);
      body();
    } catch (const CLI::Success& answer) {
      app.exit(answer);
    }
    flush_standard_output();
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
