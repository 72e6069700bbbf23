// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <iostream>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include <mpi.h>

#include "gdssm/core/error.hpp"
#include "gdssm/core/processes.hpp"

namespace gdssm {

/// What MPI reports, with rank and call: "rank 1 of 4: MPI_Send: MPI_ERR_RANK: invalid rank".
class MpiError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The time between the start and the end of MPI, in which threads may take turns in using it.
/// Errors  MpiError: MPI does not let them
class MpiSession {
 public:
  MpiSession() {
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
    if (provided < MPI_THREAD_SERIALIZED) throw MpiError("MPI_Init_thread: expected that threads may take turns");
  }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;  ///< deleted: MPI ends once
  ~MpiSession() { MPI_Finalize(); }
};

/// The ranks of an MPI communicator as processes that share work, by MPI's C interface. Its messages are its own: it
/// works on a duplicate of the communicator. `run_distributed` makes one of all ranks.
///     run_distributed([](World& world) { auto run = train(layer, tasks, {.updates = 4000}, world); ... });
/// Threads may take turns in using it.
/// Errors  MpiError: what MPI reports; std::invalid_argument: MPI does not run
class World final : public Processes {
 public:
  explicit World(MPI_Comm parent = MPI_COMM_WORLD) {
    int runs = 0, ended = 0;
    if (MPI_Initialized(&runs) != MPI_SUCCESS || MPI_Finalized(&ended) != MPI_SUCCESS || runs == 0 || ended != 0)
      refuse("World", "MPI does not run, expected an MpiSession");
    call("MPI_Comm_dup", MPI_Comm_dup(parent, &comm_));
    call("MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN));
    call("MPI_Comm_rank", MPI_Comm_rank(comm_, &rank_));
    call("MPI_Comm_size", MPI_Comm_size(comm_, &size_));
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;  ///< deleted: a communicator belongs to one
  ~World() override { MPI_Comm_free(&comm_); }

  Index rank() const override { return rank_; }
  Index size() const override { return size_; }

  void send(std::span<const std::byte> bytes, Index to) override {
    in_pieces(bytes, [&](std::span<const std::byte> piece) {
      call("MPI_Send",
           MPI_Send(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, static_cast<int>(to), 0, comm_));
    });
  }

  void receive(std::span<std::byte> bytes, Index from) override {
    in_pieces(bytes, [&](std::span<std::byte> piece) {
      MPI_Status status;
      int count = 0;
      call("MPI_Recv",
           MPI_Recv(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, static_cast<int>(from), 0, comm_, &status));
      call("MPI_Get_count", MPI_Get_count(&status, MPI_BYTE, &count));
      if (static_cast<std::size_t>(count) != piece.size())
        throw MpiError(place("MPI_Recv") + "rank " + std::to_string(from) + " sent " + std::to_string(count) +
                       " bytes, expected " + std::to_string(piece.size()));
    });
  }

  void broadcast(std::span<std::byte> bytes, Index from) override {
    in_pieces(bytes, [&](std::span<std::byte> piece) {
      call("MPI_Bcast",
           MPI_Bcast(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, static_cast<int>(from), comm_));
    });
  }

  std::optional<Index> waiting() override {
    MPI_Status status;
    int found = 0;
    call("MPI_Iprobe", MPI_Iprobe(MPI_ANY_SOURCE, 0, comm_, &found, &status));
    return found == 0 ? std::nullopt : std::optional<Index>(status.MPI_SOURCE);
  }

  /// Prints "error: rank 2: " and the reason on standard error, as one line, and ends all ranks with exit status 1.
  [[noreturn]] void fail(const std::string& reason) override {
    if (size_ == 1) throw std::runtime_error(reason);
    std::string line = reason;
    for (char& c : line)
      if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    // What MPI reports names the rank already.
    if (!line.starts_with("rank ")) line = "rank " + std::to_string(rank_) + ": " + line;
    std::cerr << "error: " + line + "\n" << std::flush;  // at once, so that lines of ranks do not mix
    MPI_Abort(comm_, 1);
    std::terminate();  // MPI_Abort does not return
  }

 private:
  // MPI counts with an int.
  template <class Byte, class Each>
  static void in_pieces(std::span<Byte> bytes, const Each& each) {
    constexpr std::size_t most = std::size_t{1} << 30;
    do {
      const std::span<Byte> piece = bytes.first((std::min)(bytes.size(), most));
      each(piece);
      bytes = bytes.subspan(piece.size());
    } while (!bytes.empty());
  }

  std::string place(const char* function) const {
    return "rank " + std::to_string(rank_) + " of " + std::to_string(size_) + ": " + function + ": ";
  }

  void call(const char* function, int code) const {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw MpiError(place(function) + text);
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
};

/// Runs `body(world)` on every rank between the start and the end of MPI. An exception on one of several ranks ends all
/// of them, by `World::fail`; one of a rank alone passes through.
inline void run_distributed(const std::function<void(World&)>& body) {
  const MpiSession session;
  World world;
  if (world.size() == 1) return body(world);
  try {
    body(world);
  } catch (const std::exception& error) {
    world.fail(error.what());
  }
}

}  // namespace gdssm
