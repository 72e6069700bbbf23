// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <utility>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/io/atomic_file.hpp"

// Parts of one large table, each of which can be read by itself.

namespace gdssm {

/// Bytes begin, ..., end - 1 of a file.
struct ByteRange {
  std::uint64_t begin = 0;  ///< the first
  std::uint64_t end = 0;    ///< one past the last

  std::uint64_t size() const { return end - begin; }  ///< number of bytes
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// The rows of a file, from byte `begin` on, in pieces of about the same size, cut at line ends:
///     piece k ends behind the first line end from byte begin + (k + 1) (size - begin) / pieces - 1 on
/// Pieces are disjoint and together all rows; those in which no line ends are empty. Each is found by reading one line
/// at either end, and depends on the file and the number of pieces alone. A line end within quotes is taken for one.
/// Errors  std::invalid_argument: no regular file, fewer than one piece, a beginning behind the end, no such piece;
///         std::runtime_error: reading fails
class RowRanges {
 public:
  RowRanges(std::string file, std::uint64_t begin, Index pieces, char line_end = '\n')
      : file_(std::move(file)), begin_(begin), pieces_(pieces), line_end_(line_end) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(file_, error))
      refuse(file_, "is no regular file, expected one that can be read in pieces");
    size_ = std::filesystem::file_size(file_);
    if (pieces < 1) refuse(file_, "the number of pieces is ", pieces, ", expected at least 1");
    if (begin > size_) refuse(file_, "rows begin at byte ", begin, ", expected at most ", size_);
  }

  /// About a piece for each `bytes` bytes of rows, at least 1 and at most `most`.
  static Index pieces_of(std::uint64_t bytes_of_rows, std::uint64_t bytes, Index most) {
    return static_cast<Index>((std::max)(std::uint64_t{1}, (std::min)(bytes_of_rows / bytes, std::uint64_t(most))));
  }

  Index count() const { return pieces_; }            ///< number of pieces
  const std::string& file() const { return file_; }  ///< its name
  std::uint64_t file_size() const { return size_; }  ///< in bytes

  /// Piece k, from 0.
  ByteRange operator[](Index k) const {
    if (k < 0 || k >= pieces_) refuse(file_, "the piece is ", k, ", expected 0 to ", pieces_ - 1);
    return {cut(k), cut(k + 1)};
  }

 private:
  std::uint64_t cut(Index k) const {
    if (k == 0) return begin_;
    if (k == pieces_) return size_;
    // Without overflow: size and pieces fill 64 bits only together.
    const std::uint64_t rows = size_ - begin_, n = static_cast<std::uint64_t>(pieces_),
                        i = static_cast<std::uint64_t>(k);
    const std::uint64_t at = begin_ + rows / n * i + rows % n * i / n;
    if (at == begin_) return begin_;
    std::ifstream in = open_input(file_);
    in.seekg(static_cast<std::streamoff>(at - 1));
    in.ignore((std::numeric_limits<std::streamsize>::max)(), std::char_traits<char>::to_int_type(line_end_));
    if (in.bad()) throw std::runtime_error(file_ + ": cannot be read at byte " + std::to_string(at));
    return in.eof() ? size_ : static_cast<std::uint64_t>(in.tellg());
  }

  std::string file_;
  std::uint64_t begin_, size_ = 0;
  Index pieces_;
  char line_end_;
};

/// A text, and then bytes of a file, as one stream: the header of a table before some of its rows.
///     RangeBuffer bytes(header, "prices.csv", ranges[k]);
///     std::istream in(&bytes);
/// Errors  those of `open_input`; reading throws std::runtime_error where the file has become shorter
class RangeBuffer : public std::streambuf {
 public:
  RangeBuffer(std::string before, const std::string& file, const ByteRange& range)
      : before_(std::move(before)), name_(file), in_(open_input(file)), left_(range.size()) {
    in_.seekg(static_cast<std::streamoff>(range.begin));
    setg(before_.data(), before_.data(), before_.data() + before_.size());
  }

 protected:
  /// Reads on, within the range.
  int_type underflow() override {
    if (gptr() != egptr()) return traits_type::to_int_type(*gptr());
    if (left_ == 0) return traits_type::eof();
    const auto wanted = static_cast<std::streamsize>((std::min)(left_, std::uint64_t(buffer_.size())));
    in_.read(buffer_.data(), wanted);
    if (in_.gcount() != wanted) throw std::runtime_error(name_ + ": ends before the last row, it has become shorter");
    left_ -= static_cast<std::uint64_t>(wanted);
    setg(buffer_.data(), buffer_.data(), buffer_.data() + wanted);
    return traits_type::to_int_type(*gptr());
  }

  /// Whether there is more: the rest of the range is at hand.
  std::streamsize showmanyc() override { return left_ > 0 ? 1 : -1; }

 private:
  std::string before_, name_;
  std::ifstream in_;
  std::uint64_t left_;
  std::array<char, 1 << 16> buffer_{};
};

}  // namespace gdssm
