// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <ios>
#include <optional>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <string_view>
#include <system_error>

#include "gdssm/core/requirements.hpp"

// Text from a stream that may be slow, in memory that does not grow with it.

namespace gdssm::detail {

/// Turns UTF-16 into UTF-8, piece by piece. Source: RFC 2781. What is none becomes U+FFFD.
class Utf16 {
 public:
  explicit Utf16(bool big_endian) : big_endian_(big_endian) {}

  /// Appends the text of `bytes` to `text`, but for characters whose end is still to come.
  void read(std::string_view bytes, std::string& text) {
    rest_ += bytes;
    std::size_t at = 0;
    for (; at + 2 <= rest_.size(); at += 2) {
      const unsigned unit = byte(at + (big_endian_ ? 0 : 1)) << 8 | byte(at + (big_endian_ ? 1 : 0));
      const bool high = unit >= 0xD800 && unit < 0xDC00, low = unit >= 0xDC00 && unit < 0xE000;
      if (low && high_ != 0) {
        append(0x10000 + ((high_ - 0xD800) << 10 | (unit - 0xDC00)), text);
        high_ = 0;
        continue;
      }
      end(text);
      if (high)
        high_ = unit;
      else
        append(low ? replacement : unit, text);
    }
    rest_.erase(0, at);
  }

  /// Says that no more bytes come.
  void finish(std::string& text) {
    end(text);
    if (!rest_.empty()) append(replacement, text);
    rest_.clear();
  }

 private:
  static constexpr unsigned replacement = 0xFFFD;

  unsigned byte(std::size_t at) const { return static_cast<unsigned char>(rest_[at]); }

  /// The first half of a pair is without its second.
  void end(std::string& text) {
    if (high_ != 0) append(replacement, text);
    high_ = 0;
  }

  static void append(unsigned point, std::string& text) {
    const auto put = [&text](unsigned byte) { text += static_cast<char>(byte); };
    if (point < 0x80) return put(point);
    if (point < 0x800) {
      put(0xC0 | point >> 6);
    } else {
      if (point < 0x10000) {
        put(0xE0 | point >> 12);
      } else {
        put(0xF0 | point >> 18);
        put(0x80 | (point >> 12 & 0x3F));
      }
      put(0x80 | (point >> 6 & 0x3F));
    }
    put(0x80 | (point & 0x3F));
  }

  bool big_endian_;
  unsigned high_ = 0;  // half of a pair; 0: none
  std::string rest_;
};

/// Text of a stream that was read and is not used up, in UTF-8 if it begins with a mark of UTF-16 and as it is
/// otherwise. Positions count from the first byte that is kept.
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
        if (utf16_) utf16_->finish(buffer_);
        return;
      }
      const auto ready = std::clamp<std::streamsize>(source_->in_avail(), 1, chunk);
      std::string& to = utf16_ ? raw_ : buffer_;
      const std::size_t before = to.size();
      to.resize(before + static_cast<std::size_t>(ready));
      to.resize(before + static_cast<std::size_t>(source_->sgetn(to.data() + before, ready)));
    } catch (const std::ios_base::failure&) {
      throw std::runtime_error("reading failed" + (errno == 0 ? "" : ": " + std::generic_category().message(errno)));
    }
    if (!is_known_) find_encoding();
    if (!utf16_) return;
    utf16_->read(raw_, buffer_);
    raw_.clear();
  }

  /// Lets go of the bytes before a position, which is 0 then.
  void drop(std::size_t count) { buffer_.erase(0, count); }

 private:
  /// Looks for a mark of UTF-16 once the first bytes are there. That of UTF-32 begins with the same two.
  void find_encoding() {
    if (buffer_.size() < 4) return;
    is_known_ = true;
    const bool little = buffer_.starts_with("\xFF\xFE") && (buffer_[2] != '\0' || buffer_[3] != '\0');
    if (!little && !buffer_.starts_with("\xFE\xFF")) return;
    utf16_.emplace(!little);
    raw_ = buffer_.substr(2);
    buffer_.clear();
  }

  std::streambuf* source_;
  std::string buffer_;
  bool at_end_ = false;
  bool is_known_ = false;  // whether utf16_ says what the encoding is
  std::optional<Utf16> utf16_;
  std::string raw_;  // bytes of UTF-16
};

}  // namespace gdssm::detail
