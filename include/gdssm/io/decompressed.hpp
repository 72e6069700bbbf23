// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <streambuf>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bzlib.h>
#include <zlib.h>

#include "gdssm/core/error.hpp"
#include "gdssm/io/file_kind.hpp"
#include "gdssm/io/text.hpp"

// Compressed files as streams. Opt-in: needs zlib and libbz2, CMake's ZLIB::ZLIB and BZip2::BZip2.

namespace gdssm {

namespace detail {

/// The bytes of a stream from the first that is not used up on, with their position in the file.
class CompressedInput {
 public:
  explicit CompressedInput(std::streambuf* source) : source_(source) {}

  std::string_view bytes() const { return std::string_view(buffer_).substr(at_); }
  std::uintmax_t position() const { return before_ + at_; }
  void skip(std::size_t count) { at_ += count; }

  /// Appends what the stream has ready; waits only for the first byte. False at its end.
  bool refill() {
    buffer_.erase(0, at_);
    before_ += std::exchange(at_, 0);
    using Traits = std::streambuf::traits_type;
    if (Traits::eq_int_type(source_->sgetc(), Traits::eof())) return false;
    const auto ready = std::clamp<std::streamsize>(source_->in_avail(), 1, 1 << 16);
    const std::size_t size = buffer_.size();
    buffer_.resize(size + static_cast<std::size_t>(ready));
    buffer_.resize(size + static_cast<std::size_t>(source_->sgetn(buffer_.data() + size, ready)));
    return true;
  }

  /// Whether `refill` would wait.
  bool waits() const { return source_->in_avail() == 0; }

  /// Waits for this many bytes; false if there are fewer.
  bool expect(std::size_t count) {
    while (bytes().size() < count)
      if (!refill()) return false;
    return true;
  }

  /// Waits for no more bytes than it takes to know.
  bool starts_with(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i)
      if (!expect(i + 1) || bytes()[i] != text[i]) return false;
    return true;
  }

 private:
  std::streambuf* source_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::uintmax_t before_ = 0;
};

/// What a decoder has done with the bytes it was given.
struct Decoded {
  std::size_t read = 0, written = 0;
  bool ended = false;           ///< whether these were the last bytes of what was compressed
  const char* error = nullptr;  ///< why they are none of the format
};

/// Decodes one compressed stream.
class Decoder {
 public:
  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  virtual ~Decoder() = default;
  virtual Decoded decode(std::string_view from, char* to, std::size_t room) = 0;
};

/// Deflated data: in gzip's format (RFC 1952), or without a header (RFC 1951) as in zip files.
class Inflate : public Decoder {
 public:
  enum class Format { gzip, raw };
  explicit Inflate(Format format) {
    if (inflateInit2(&stream_, format == Format::gzip ? 16 + MAX_WBITS : -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~Inflate() override { inflateEnd(&stream_); }

  Decoded decode(std::string_view from, char* to, std::size_t room) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from.data()));  // zlib only reads it
    stream_.avail_in = static_cast<uInt>(from.size());
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    Decoded done{from.size() - stream_.avail_in, room - stream_.avail_out, status == Z_STREAM_END};
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
      done.error = stream_.msg == nullptr ? "no deflated data" : stream_.msg;
    return done;
  }

 private:
  z_stream stream_{};
};

class Bunzip2 : public Decoder {
 public:
  Bunzip2() {
    if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw std::bad_alloc();
  }
  ~Bunzip2() override { BZ2_bzDecompressEnd(&stream_); }

  Decoded decode(std::string_view from, char* to, std::size_t room) override {
    stream_.next_in = const_cast<char*>(from.data());
    stream_.avail_in = static_cast<unsigned>(from.size());
    stream_.next_out = to;
    stream_.avail_out = static_cast<unsigned>(room);
    const int status = BZ2_bzDecompress(&stream_);
    if (status == BZ_MEM_ERROR) throw std::bad_alloc();
    Decoded done{from.size() - stream_.avail_in, room - stream_.avail_out, status == BZ_STREAM_END};
    if (status != BZ_OK && status != BZ_STREAM_END)
      done.error = status == BZ_DATA_ERROR ? "a block or its checksum is wrong" : "no compressed block";
    return done;
  }

 private:
  bz_stream stream_{};
};

/// Bytes that are stored as they are.
class Stored : public Decoder {
 public:
  explicit Stored(std::uint64_t size) : left_(size) {}

  Decoded decode(std::string_view from, char* to, std::size_t room) override {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>({from.size(), room, left_}));
    std::copy_n(from.data(), count, to);
    left_ -= count;
    return {count, count, left_ == 0};
  }

 private:
  std::uint64_t left_;
};

/// The whole number that `count` bytes at a position are, the lowest first.
inline std::uint64_t whole_number(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint64_t number = 0;
  for (std::size_t i = count; i-- > 0;) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

/// The header of a file within a zip file. Source: PKWARE's APPNOTE.TXT 6.3.10, 4.3.7 and 4.5.3.
struct ZipEntry {
  static constexpr std::string_view signature = "PK\x03\x04";
  static constexpr std::size_t fixed_size = 30;

  std::string name;
  bool encrypted, has_descriptor, zip64;
  std::uint64_t method, checksum, compressed_size;
  std::size_t size;  ///< of the header

  /// Folders, and what macOS puts beside files.
  bool is_beside() const { return name.ends_with('/') || name.starts_with("__MACOSX/"); }
  /// Workbooks and text documents of all offices are zip files that begin with one of these.
  bool is_of_document() const {
    return name == "[Content_Types].xml" || name == "mimetype" || name.starts_with("_rels/") ||
           name.starts_with("docProps/") || name.starts_with("xl/");
  }
};

/// Reads the header that begins here; nothing if the file ends within it.
inline std::optional<ZipEntry> read_zip_entry(CompressedInput& input) {
  if (!input.expect(ZipEntry::fixed_size)) return std::nullopt;
  const auto field = [&](std::size_t at, std::size_t count) { return whole_number(input.bytes(), at, count); };
  const std::size_t name_size = field(26, 2), extra = ZipEntry::fixed_size + name_size;
  ZipEntry entry{.name = {},
                 .encrypted = (field(6, 2) & 1) != 0,
                 .has_descriptor = (field(6, 2) & 8) != 0,
                 .zip64 = false,
                 .method = field(8, 2),
                 .checksum = field(14, 4),
                 .compressed_size = field(18, 4),
                 .size = extra + field(28, 2)};
  if (!input.expect(entry.size)) return std::nullopt;
  entry.name = input.bytes().substr(ZipEntry::fixed_size, name_size);
  for (std::size_t at = extra; at + 4 <= entry.size;) {
    const std::size_t id = field(at, 2), size = field(at + 2, 2);
    at += 4;
    if (id == 1 && size >= 16 && at + 16 <= entry.size) {  // the size before compression, the size after
      entry.zip64 = true;
      if (entry.compressed_size == 0xFFFFFFFF) entry.compressed_size = field(at + 8, 8);
    }
    at += size;
  }
  return entry;
}

}  // namespace detail

/// What another stream buffer reads, decompressed if it is compressed, in memory that does not grow with it:
///     Decompressed bytes(file.rdbuf(), "prices.csv.gz");
///     std::istream in(&bytes);
/// The format is told by the first bytes, not by the name: gzip (several members, one after the other, as one), bzip2
/// (the same), zip with a single file; other bytes are handed on as they are.
///
/// Errors  thrown while reading, std::invalid_argument, "name: byte N: found, expected" with bytes of the compressed
///         file counted from 0: data that are damaged or end too early, bytes behind them, a zip file that is
///         encrypted, of another compression, or holds another file (found when the first has been read). An istream's
///         own functions turn exceptions into badbit; `CsvRows` does not.
class Decompressed : public std::streambuf {
 public:
  /// Reads nothing yet. `source` must outlive it.
  Decompressed(std::streambuf* source, std::string name) : input_(source), name_(std::move(name)) {}

 protected:
  /// The next byte, as every stream buffer's.
  int_type underflow() override {
    while (gptr() == egptr())
      if (!advance()) return traits_type::eof();
    return traits_type::to_int_type(*gptr());
  }

  /// Whether a byte can be had without waiting: 0 if that is not known, -1 at the end.
  std::streamsize showmanyc() override {
    if (format_ == Format::ended) return -1;
    const bool has_bytes = format_ != Format::plain && !input_.bytes().empty();  // plain ones were handed on
    return !has_bytes && input_.waits() ? 0 : 1;
  }

 private:
  enum class Format { unknown, plain, gzip, bzip2, zip, ended };

  /// Makes the next step: a header, or some bytes. False at the end.
  bool advance() {
    switch (format_) {
      case Format::unknown:
        return begin();
      case Format::plain:
        return hand_on();
      case Format::ended:
        return false;
      default:
        return decoder_ ? decode() : next_member();
    }
  }

  template <class... Why>
  [[noreturn]] void refuse_here(const Why&... why) const {
    refuse(name_ + ": byte " + std::to_string(input_.position()), why...);
  }

  [[noreturn]] void refuse_truncated() const {
    refuse_here("the file ends within ", format_name(), " data, expected more: it is truncated");
  }

  const char* format_name() const {
    return format_ == Format::gzip ? "gzip" : format_ == Format::bzip2 ? "bzip2" : "zip";
  }

  bool begin() {
    if (input_.starts_with("\x1F\x8B"))
      begin_gzip();
    else if (input_.starts_with("BZh") && input_.expect(10) && file_kind(input_.bytes()) == "a bzip2 file")
      begin_bzip2();
    else if (input_.starts_with(detail::ZipEntry::signature)) {
      format_ = Format::zip;
      begin_zip();
    } else
      format_ = Format::plain;
    return true;
  }

  void begin_gzip() {
    format_ = Format::gzip;
    decoder_ = std::make_unique<detail::Inflate>(detail::Inflate::Format::gzip);
  }

  void begin_bzip2() {
    format_ = Format::bzip2;
    decoder_ = std::make_unique<detail::Bunzip2>();
  }

  void begin_zip() {
    const std::optional<detail::ZipEntry> read = detail::read_zip_entry(input_);
    if (!read) refuse_truncated();
    const detail::ZipEntry& entry = entry_ = *read;
    if (zipped_.empty() && entry.is_of_document())
      refuse(name_, "a workbook or another office document, expected a table as text (save it as CSV)");
    if (entry.encrypted) refuse_here("the zip file is encrypted, expected it without a password");
    if (!entry.is_beside() && !zipped_.empty())
      refuse_here("the zip file holds ", in_quotes(entry.name), " besides ", in_quotes(zipped_), ", expected one file");
    if (entry.method == 0 && !entry.has_descriptor)
      decoder_ = std::make_unique<detail::Stored>(entry.compressed_size);
    else if (entry.method == 8)
      decoder_ = std::make_unique<detail::Inflate>(detail::Inflate::Format::raw);
    else
      refuse_here(in_quotes(entry.name), " is compressed by method ", entry.method,
                  entry.method == 0 ? " with its size behind it" : "", ", expected deflated data (method 8)");
    input_.skip(entry.size);
    if (!entry.is_beside()) zipped_ = entry.name;
    checksum_ = crc32(0, nullptr, 0);
  }

  bool hand_on() {
    input_.skip(static_cast<std::size_t>(egptr() - eback()));
    if (input_.bytes().empty() && !input_.refill()) {
      setg(nullptr, nullptr, nullptr);
      format_ = Format::ended;
      return false;
    }
    char* const begin = const_cast<char*>(input_.bytes().data());  // the buffer's own
    setg(begin, begin, begin + input_.bytes().size());
    return true;
  }

  bool decode() {
    const bool more = !input_.bytes().empty() || input_.refill();
    output_.resize(std::size_t{1} << 16);
    const detail::Decoded done = decoder_->decode(input_.bytes(), output_.data(), output_.size());
    input_.skip(done.read);
    if (done.error != nullptr) refuse_here("the ", format_name(), " data are damaged: ", done.error);
    if (!more && !done.ended && done.written == 0) refuse_truncated();
    if (done.ended) decoder_.reset();
    if (format_ == Format::zip)
      checksum_ = crc32(checksum_, reinterpret_cast<const Bytef*>(output_.data()), static_cast<uInt>(done.written));
    if (format_ != Format::zip || !entry_.is_beside())
      setg(output_.data(), output_.data(), output_.data() + done.written);
    return true;
  }

  /// Goes on behind a member.
  bool next_member() {
    if (format_ == Format::zip) {
      end_zip_entry();
      if (input_.starts_with(detail::ZipEntry::signature)) {
        begin_zip();
        return true;
      }
      if (!input_.starts_with("PK\x01\x02")) refuse_here("found no directory of the zip file, expected it here");
    } else if (format_ == Format::gzip && input_.starts_with("\x1F\x8B")) {
      begin_gzip();
      return true;
    } else if (format_ == Format::bzip2 && input_.starts_with("BZh")) {
      begin_bzip2();
      return true;
    } else {
      while (input_.expect(1) && input_.bytes()[0] == '\0') input_.skip(1);  // padding
      if (!input_.bytes().empty()) refuse_here("found bytes behind the ", format_name(), " data, expected the end");
    }
    format_ = Format::ended;
    return false;
  }

  /// Checks an entry's checksum, which may stand behind it.
  void end_zip_entry() {
    if (entry_.has_descriptor) {
      if (input_.starts_with("PK\x07\x08")) input_.skip(4);
      const std::size_t size = entry_.zip64 ? 20 : 12;
      if (!input_.expect(size)) refuse_truncated();
      entry_.checksum = detail::whole_number(input_.bytes(), 0, 4);
      input_.skip(size);
    }
    if (entry_.checksum != checksum_) refuse_here("the zip data are damaged: the checksum is another");
  }

  detail::CompressedInput input_;
  std::string name_;
  Format format_ = Format::unknown;
  std::unique_ptr<detail::Decoder> decoder_;  // none: between members
  std::vector<char> output_;
  detail::ZipEntry entry_{};
  std::string zipped_;  // the name of the file within
  std::uint64_t checksum_ = 0;
};

}  // namespace gdssm
