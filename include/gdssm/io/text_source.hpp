// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <ios>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <string_view>
#include <system_error>

// Text from a stream that may be slow, in memory that does not grow with it.

namespace gdssm::detail {

/// Text of a stream that was read and is not used up. Positions count from the first byte that is kept.
class TextSource {
 public:
  explicit TextSource(std::streambuf* source) : source_(source) {}

  /// As much as is appended at most by one `refill`.
  static constexpr std::size_t chunk = 1 << 16;

  std::string_view text() const { return buffer_; }
  char* data() { return buffer_.data(); }
  std::size_t size() const { return buffer_.size(); }

  /// Whether nothing follows `text()`.
  bool at_end() const { return at_end_; }

  /// Whether `refill` would wait for the stream.
  bool waits() const { return !at_end_ && source_->in_avail() == 0; }

  /// Appends the bytes that the stream has ready, or says that there are none any more; waits only for the first.
  /// Errors  std::runtime_error: reading failed; and what the stream's buffer throws
  void refill() {
    using Traits = std::streambuf::traits_type;
    errno = 0;
    try {
      if (Traits::eq_int_type(source_->sgetc(), Traits::eof())) {
        at_end_ = true;
        return;
      }
      const auto ready = std::clamp<std::streamsize>(source_->in_avail(), 1, chunk);
      const std::size_t before = buffer_.size();
      buffer_.resize(before + static_cast<std::size_t>(ready));
      buffer_.resize(before + static_cast<std::size_t>(source_->sgetn(buffer_.data() + before, ready)));
    } catch (const std::ios_base::failure&) {
      throw std::runtime_error("reading failed" + (errno == 0 ? "" : ": " + std::generic_category().message(errno)));
    }
  }

  /// Lets go of the bytes before a position, which is 0 then.
  void drop(std::size_t count) { buffer_.erase(0, count); }

 private:
  std::streambuf* source_;
  std::string buffer_;
  bool at_end_ = false;
};

}  // namespace gdssm::detail
