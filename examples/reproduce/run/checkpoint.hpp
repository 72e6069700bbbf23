// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "gdssm/io/tensors.hpp"

namespace gdssm::reproduce {

/// Where one training run is kept, from time to time and at its end. The default is nowhere: nothing is kept.
class Checkpoint {
 public:
  using Clock = std::chrono::steady_clock;

  Checkpoint() = default;
  Checkpoint(std::filesystem::path file, std::chrono::duration<double> interval)
      : file_(std::move(file)), interval_(interval), last_(Clock::now()) {}

  explicit operator bool() const { return !file_.empty(); }
  std::string where() const { return file_.string(); }

  /// What has been kept, if anything. Errors  those of `read_safetensors`
  std::optional<Safetensors> read() const;

  /// True when it was kept, or begun, so long ago that it is to be kept again.
  bool is_due() const { return *this && Clock::now() - last_ >= interval_; }

  /// Errors  those of `write_safetensors`
  void write(const Safetensors& file);

 private:
  std::filesystem::path file_;
  std::chrono::duration<double> interval_{};
  Clock::time_point last_;
};

}  // namespace gdssm::reproduce
