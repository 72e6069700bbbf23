// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "gdssm/core/error.hpp"

namespace gdssm::python {

/// Keeps the calls of one object apart. Predictions wait for each other and for what is being learned. A second thread
/// that wants to learn is refused: the result would depend on which came first.
class OneAtATime {
 public:
  /// Held by a call, with Python's lock on entry and on return.
  class Call {
   public:
    Call(OneAtATime& object, bool learns) : object_(object), learns_(learns) {
      if (object.owner_ == std::this_thread::get_id())
        refuse("learner", "is called from within its own call, expected another object there");
      if (learns && object.learning_.exchange(true))
        refuse("learner",
               "another thread is teaching it, expected one at a time; give each thread a copy, and merge them");
      if (!object.mutex_.try_lock()) {
        const nanobind::gil_scoped_release others_run;
        object.mutex_.lock();
      }
      object.owner_ = std::this_thread::get_id();
    }
    ~Call() {
      object_.owner_ = std::thread::id();
      object_.mutex_.unlock();
      if (learns_) object_.learning_ = false;
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    OneAtATime& object_;
    bool learns_;
  };

 private:
  std::mutex mutex_;
  std::atomic<std::thread::id> owner_;
  std::atomic<bool> learning_ = false;
};

}  // namespace gdssm::python
