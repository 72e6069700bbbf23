// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "gdssm/io/atomic_file.hpp"
#include "io/support.hpp"

extern char** environ;

namespace gdssm::test {

/// How a program ended, and what it wrote.
struct Run {
  int status;  ///< its exit status; 128 + n if signal n ended it
  std::string out, err;
};

/// Runs one of this project's programs to its end, with no standard input.
inline Run run(const std::string& program, const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  std::vector<std::string> words = {GDSSM_PROGRAM_DIR "/" + program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, (folder / "out").c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&files, 2, (folder / "err").c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t child = 0;
  const int refused = posix_spawn(&child, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (refused != 0) throw std::runtime_error("cannot run " + words[0]);
  int ended = 0;
  if (waitpid(child, &ended, 0) != child) throw std::runtime_error("cannot wait for " + words[0]);
  return {WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended), read_file(folder / "out"),
          read_file(folder / "err")};
}

}  // namespace gdssm::test
