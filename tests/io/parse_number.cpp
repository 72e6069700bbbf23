// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/parse_number.hpp"

#include <cmath>
#include <limits>
#include <optional>

#include "support/catch.hpp"

namespace {

using gdssm::Dialect;
using gdssm::parse_number;

}  // namespace

TEST_CASE("A number too small for double is what it rounds to, one too large is none", "[csv]") {
  CHECK(parse_number("1e-400") == 0.0);
  CHECK(parse_number("2e-324") == 0.0);
  CHECK(parse_number("3e-324") == std::numeric_limits<double>::denorm_min());
  CHECK(std::signbit(parse_number("-1e-400").value()));
  CHECK(parse_number("-0.00000000000000000000000000000000000001e-400") == 0.0);
  CHECK(parse_number("1e-99999999999999999999") == 0.0);
  CHECK(parse_number("0e999") == 0.0);
  for (const char* text :
       {"1e400", "-1e999", "1e99999999999999999999", "inf", "nan", "", "-", "+-1", "0x1p3", "1e", "1 2"})
    CHECK_FALSE(parse_number(text));
}

TEST_CASE("A number has the marks of its dialect, in their places", "[csv]") {
  const Dialect german{.decimal = ',', .thousands = '.'}, english{.thousands = ','},
      french{.decimal = ',', .thousands = ' '}, plain_comma{.decimal = ','}, swiss{.thousands = '\''};
  CHECK(parse_number("1.234.567,25", german) == 1234567.25);
  CHECK(parse_number("-1.234", german) == -1234.0);
  CHECK(parse_number("1234,5", german) == 1234.5);
  CHECK(parse_number(" +,5e-1 ", german) == 0.05);
  CHECK(parse_number("1,234,567.25", english) == 1234567.25);
  CHECK(parse_number("1\xC2\xA0"
                     "234,5",
                     french) == 1234.5);
  CHECK(parse_number("1\xE2\x80\xAF"
                     "234",
                     french) == 1234.0);
  CHECK(parse_number("1'234.5", swiss) == 1234.5);
  CHECK(parse_number("1,234", plain_comma) == 1.234);
  for (const char* text :
       {"12.34", "1.2345", "1.23,4", "1234.567", "1,5,5", "1,5.000", ".123", "31.12.2024", "", ",", "-"})
    CHECK_FALSE(parse_number(text, german));
  CHECK_FALSE(parse_number("1.5", plain_comma));
  CHECK_FALSE(parse_number("1.234", plain_comma));
}
