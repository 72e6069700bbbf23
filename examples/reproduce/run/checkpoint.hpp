// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gdssm/io/tensors.hpp"

namespace gdssm::reproduce {

/// Where one training run is kept.
class CheckpointPlace {
 public:
  virtual ~CheckpointPlace() = default;
  virtual std::string where() const = 0;
  /// What has been kept, if anything.        Errors  those of reading it
  virtual std::optional<Safetensors> read() = 0;
  /// Errors  those of writing it
  virtual void write(const Safetensors& file) = 0;
  /// The run has ended. Its end is kept, or it came to none that is.
  virtual void finish(bool kept) = 0;
};

/// Where one training run is kept, from time to time and at its end. The default is nowhere: nothing is kept.
class Checkpoint {
 public:
  using Clock = std::chrono::steady_clock;

  Checkpoint() = default;
  Checkpoint(std::shared_ptr<CheckpointPlace> place, std::chrono::duration<double> interval)
      : place_(std::move(place)), interval_(interval), last_(Clock::now()) {}

  explicit operator bool() const { return place_ != nullptr; }
  std::string where() const { return place_ ? place_->where() : ""; }

  /// What has been kept, if anything.
  std::optional<Safetensors> read() const { return place_ ? place_->read() : std::nullopt; }

  /// True when it was kept, or begun, so long ago that it is to be kept again.
  bool is_due() const { return place_ && Clock::now() - last_ >= interval_; }

  void write(const Safetensors& file) {
    if (!place_) return;
    place_->write(file);
    last_ = Clock::now();
  }

  /// To be called at the end of a run, whether its end was kept or not.
  void finish(bool kept) const {
    if (place_) place_->finish(kept);
  }

 private:
  std::shared_ptr<CheckpointPlace> place_;
  std::chrono::duration<double> interval_{};
  Clock::time_point last_;
};

}  // namespace gdssm::reproduce
