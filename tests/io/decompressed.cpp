// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/decompressed.hpp"

#include <istream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "gdssm/io/csv_rows.hpp"
#include "io/support.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::Decompressed;
using gdssm::test::message_of;

std::string read(const std::string& bytes) {
  std::istringstream file(bytes);
  Decompressed in(file.rdbuf(), "t");
  std::string text;
  for (int c = in.sbumpc(); c != std::char_traits<char>::eof(); c = in.sbumpc()) text += static_cast<char>(c);
  return text;
}

std::string refusal(const std::string& bytes) {
  return message_of([&] { read(bytes); });
}

std::string deflate(const std::string& text, int window_bits) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string bytes(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  bytes.resize(stream.total_out);
  deflateEnd(&stream);
  return bytes;
}

std::string gzip(const std::string& text) { return deflate(text, 31); }

std::string bzip2(std::string text) {
  auto size = static_cast<unsigned>(text.size() + text.size() / 50 + 700);
  std::string bytes(size, '\0');
  REQUIRE(BZ2_bzBuffToBuffCompress(bytes.data(), &size, text.data(), static_cast<unsigned>(text.size()), 9, 0, 0) ==
          BZ_OK);
  bytes.resize(size);
  return bytes;
}

std::string number(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i, value >>= 8) text += static_cast<char>(value & 0xFF);
  return text;
}

struct Entry {
  std::string name, text;
  int method = 8;
  bool has_descriptor = false;
  int flags = 0;
};

/// A zip file but for what stands in its directory.
std::string zip(const std::vector<Entry>& entries) {
  std::string bytes;
  for (const auto& [name, text, method, has_descriptor, flags] : entries) {
    const std::string data = method == 8 ? deflate(text, -15) : text;
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size()));
    const std::string sizes = number(crc, 4) + number(data.size(), 4) + number(text.size(), 4);
    bytes += "PK\x03\x04" + number(20, 2) + number(static_cast<unsigned>(flags | (has_descriptor ? 8 : 0)), 2) +
             number(static_cast<unsigned>(method), 2) + number(0, 4) +
             (has_descriptor ? std::string(12, '\0') : sizes) + number(name.size(), 2) + number(0, 2) + name + data;
    if (has_descriptor) bytes += "PK\x07\x08" + sizes;
  }
  return bytes + "PK\x01\x02";
}

std::string long_text() {
  std::string text = "a,b\n";
  for (int i = 0; i < 40000; ++i) text += std::to_string(i * 7919 % 10007) + "," + std::to_string(i) + "\n";
  return text;
}

}  // namespace

TEST_CASE("What was compressed is read, whatever the format, and other bytes as they are", "[decompressed]") {
  for (const std::string& text :
       {std::string("a,b\n1,2\n"), std::string(), long_text(), std::string("BZh,PAR1,y\n"), std::string("PK")}) {
    CHECK(read(text) == text);
    CHECK(read(gzip(text)) == text);
    CHECK(read(bzip2(text)) == text);
    CHECK(read(zip({{"t.csv", text}})) == text);
    CHECK(read(zip({{"t.csv", text, 0}})) == text);
    CHECK(read(zip({{"t.csv", text, 8, true}})) == text);
  }
}

TEST_CASE("Several members are one text, and zeros behind them padding", "[decompressed]") {
  CHECK(read(gzip("a,b\n") + gzip("") + gzip("1,2\n")) == "a,b\n1,2\n");
  CHECK(read(bzip2("a,b\n") + bzip2("1,2\n")) == "a,b\n1,2\n");
  CHECK(read(gzip("a\n") + std::string(512, '\0')) == "a\n");
}

TEST_CASE("A zip file holds one file beside folders and what macOS adds", "[decompressed]") {
  const Entry folder{"data/", "", 0}, table{"data/t.csv", "a\n1\n"}, beside{"__MACOSX/data/._t.csv", "\1\2"};
  CHECK(read(zip({folder, table, beside})) == "a\n1\n");
  CHECK(refusal(zip({table, {"u.csv", "b"}})).find("holds 'u.csv' besides 'data/t.csv', expected one file") !=
        std::string::npos);
  CHECK(refusal(zip({{"[Content_Types].xml", "<x/>"}})).starts_with("t: a workbook or another office document"));
  CHECK(refusal(zip({{"t.csv", "a", 8, false, 1}})) ==
        "t: byte 0: the zip file is encrypted, expected it without a password");
  CHECK(refusal(zip({{"t.csv", "a", 99}})).find("'t.csv' is compressed by method 99, expected") != std::string::npos);
}

TEST_CASE("Data that end early or are damaged are refused with the byte", "[decompressed][misuse]") {
  for (const std::string& whole : {gzip(long_text()), bzip2(long_text()), zip({{"t.csv", long_text()}})}) {
    for (const std::size_t size : {std::size_t{40}, whole.size() / 2, whole.size() - 5}) {
      const std::string reason = refusal(whole.substr(0, size));
      CAPTURE(reason);
      CHECK(reason.starts_with("t: byte " + std::to_string(size) + ": the file ends within "));
    }
    std::string damaged = whole;
    damaged[damaged.size() / 2] ^= 0x55;
    CHECK(refusal(damaged).find(" data are damaged: ") != std::string::npos);
  }
  const std::string whole = gzip("a,b\n1,2\n");
  std::string checksum = whole;
  checksum[checksum.size() - 8] ^= 1;
  CHECK(refusal(checksum).ends_with("the gzip data are damaged: incorrect data check"));
  CHECK(refusal(whole + "more") ==
        "t: byte " + std::to_string(whole.size()) + ": found bytes behind the gzip data, expected the end");
}

TEST_CASE("A table's reader hands on what is wrong with the compressed file", "[decompressed][misuse]") {
  const std::string whole = gzip(long_text());
  std::istringstream file(whole.substr(0, whole.size() / 2));
  Decompressed bytes(file.rdbuf(), "t");
  std::istream in(&bytes);
  const std::string reason = message_of([&] {
    gdssm::CsvRows rows(in, "t");
    for (gdssm::CsvRows::Cells cells; rows.next(cells);) continue;
  });
  CHECK(reason.find("the file ends within gzip data") != std::string::npos);
}
