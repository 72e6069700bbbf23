// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/row_ranges.hpp"

#include <istream>
#include <iterator>
#include <string>

#include "io/support.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

struct File {
  test::TemporaryFolder folder;
  std::string name = (folder / "rows.csv").string();

  explicit File(const std::string& text) { write_file(name, text); }
};

std::string read(std::string before, const std::string& file, const ByteRange& range) {
  RangeBuffer bytes(std::move(before), file, range);
  std::istream in(&bytes);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("pieces of a file are disjoint, together all rows, and end with a line", "[theorem]") {
  for (const std::string text :
       {"a,b\n1,2\n33,44\n\n5,6\n777777777777777777777,8\n9,10\n", "a\n1\n2\n3", "a\n", "a\n\n\n\n"}) {
    const File file(text);
    const std::string rows = text.substr(text.find('\n') + 1);
    for (Index pieces = 1; pieces <= 40; ++pieces) {
      const RowRanges ranges(file.name, text.size() - rows.size(), pieces);
      std::string all;
      std::uint64_t next = text.size() - rows.size();
      for (Index k = 0; k < pieces; ++k) {
        const ByteRange range = ranges[k];
        REQUIRE(range.begin == next);
        next = range.end;
        const std::string piece = read("", file.name, range);
        REQUIRE(piece.size() == range.size());
        if (k + 1 < pieces && !piece.empty() && next < text.size()) REQUIRE(piece.back() == '\n');
        all += piece;
      }
      REQUIRE(all == rows);
    }
  }
}

TEST_CASE("a piece begins where a line does, be it exactly in the middle", "[regression]") {
  const File file("a\n11\n22\n");
  const RowRanges ranges(file.name, 2, 2);
  CHECK((ranges[0] == ByteRange{2, 5}));
  CHECK((ranges[1] == ByteRange{5, 8}));
  CHECK(read("head\n", file.name, ranges[1]) == "head\n22\n");
}

TEST_CASE("the number of pieces depends on the bytes alone, within its limits", "[theorem]") {
  CHECK(RowRanges::pieces_of(0, 100, 8) == 1);
  CHECK(RowRanges::pieces_of(350, 100, 8) == 3);
  CHECK(RowRanges::pieces_of(std::uint64_t{1} << 62, 100, 8) == 8);
}

TEST_CASE("what cannot be read in pieces is refused", "[misuse]") {
  const File file("a\n1\n");
  CHECK(test::message_of([&] { RowRanges(file.name, 9, 1); }) ==
        file.name + ": rows begin at byte 9, expected at most 4");
  CHECK(test::message_of([&] { RowRanges(file.name, 2, 0); }) ==
        file.name + ": the number of pieces is 0, expected at least 1");
  CHECK(test::message_of([&] { RowRanges(file.name, 2, 2)[2]; }) == file.name + ": the piece is 2, expected 0 to 1");
  CHECK(test::message_of([&] { RowRanges("/dev/null", 0, 1); }) ==
        "/dev/null: is no regular file, expected one that can be read in pieces");
  CHECK_THROWS_AS(read("", file.name, {2, 9}), std::runtime_error);
}

}  // namespace
}  // namespace gdssm
