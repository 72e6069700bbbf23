// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "gdssm/io/atomic_file.hpp"
#include "io/support.hpp"

extern char** environ;

namespace gdssm::test {

/// A program's exit status and its output.
struct Run {
  int status;  ///< its exit status; 128 + n if signal n ended it
  std::string out, err;
};

/// A program's standard output: a file that is kept, closed, a full disk, or a pipe that nobody reads.
enum class Output { kept, closed, full, unread };

/// A running program of this project, with a file as standard input. Killed on destruction unless waited for.
class Process {
 public:
  Process(const std::string& program, const std::vector<std::string>& arguments, Output output = Output::kept,
          const std::string& input = "/dev/null") {
    std::vector<std::string> words = {GDSSM_PROGRAM_DIR "/" + program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);

    int pipe[2] = {-1, -1};
    if (output == Output::unread && ::pipe2(pipe, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    if (pipe[0] >= 0) ::close(pipe[0]);
    const std::string out = output == Output::full ? "/dev/full" : (folder_ / "out").string();
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, input.c_str(), O_RDONLY, 0);
    if (output == Output::closed)
      posix_spawn_file_actions_addclose(&files, 1);
    else if (output == Output::unread)
      posix_spawn_file_actions_adddup2(&files, pipe[1], 1);
    else
      posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_addopen(&files, 2, (folder_ / "err").c_str(), O_WRONLY | O_CREAT, 0600);
    // The parent process may ignore signals, like a shell's background jobs.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&signals, number);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    const int refused = posix_spawn(&child_, argv[0], &files, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (pipe[1] >= 0) ::close(pipe[1]);
    if (refused != 0) throw std::runtime_error("cannot run " + words[0]);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (child_ <= 0) return;
    signal(SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  void signal(int number) const { ::kill(child_, number); }

  /// Waits until the program ends.
  Run end() {
    int ended = 0;
    if (waitpid(child_, &ended, 0) != child_) throw std::runtime_error("cannot wait for a program");
    child_ = 0;
    return {WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended), written("out"), written("err")};
  }

 private:
  std::string written(const std::string& name) const {
    return std::filesystem::exists(folder_ / name) ? read_file(folder_ / name) : "";
  }

  TemporaryFolder folder_;
  pid_t child_ = 0;
};

/// Runs a program of this project until it ends.
inline Run run(const std::string& program, const std::vector<std::string>& arguments, Output output = Output::kept,
               const std::string& input = "/dev/null") {
  return Process(program, arguments, output, input).end();
}

}  // namespace gdssm::test
