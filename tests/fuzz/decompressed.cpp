// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/decompressed.hpp"

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <string_view>

#include "fuzz/harness.hpp"

namespace {

/// Hands out a few bytes at a time.
class Pieces : public std::streambuf {
 public:
  Pieces(std::string_view bytes, std::size_t size) : bytes_(bytes), size_(size) {}

 protected:
  int_type underflow() override {
    if (bytes_.empty()) return traits_type::eof();
    piece_ = bytes_.substr(0, size_);
    bytes_.remove_prefix(piece_.size());
    setg(piece_.data(), piece_.data(), piece_.data() + piece_.size());
    return traits_type::to_int_type(piece_.front());
  }

 private:
  std::string_view bytes_;
  std::size_t size_;
  std::string piece_;
};

/// What is read, up to a megabyte; nothing if it is refused.
std::optional<std::string> read(std::string_view bytes, std::size_t size) {
  Pieces pieces(bytes, size);
  gdssm::Decompressed in(&pieces, "fuzz");
  std::string text;
  try {
    for (int c = in.sbumpc(); c != std::char_traits<char>::eof() && text.size() < 1 << 20; c = in.sbumpc())
      text += static_cast<char>(c);
  } catch (const std::invalid_argument& refusal) {
    expect(std::string_view(refusal.what()).starts_with("fuzz: "), "a refusal names the file");
    return std::nullopt;
  }
  return text;
}

}  // namespace

// What is read does not depend on the pieces in which the file comes.
void read_bytes(std::string_view bytes) { expect(read(bytes, 1 << 16) == read(bytes, 7), "the same text"); }
