// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/dates.hpp"

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace gdssm {
namespace {

TEST_CASE("Dates and times are read in the forms that people write", "[theorem]") {
  const double day = 19783;  // 2024-03-01
  for (const char* text :
       {"2024-03-01", "2024/3/1", "2024.03.01", "1 Mar 2024", "01-Mar-24", "Mar 1, 2024", "Mar 1 2024",
        "March 1st, 2024", "2024-Mar-01", "Fri, 1 Mar 2024", "Friday 1 March 2024", "1. March 2024",
        "2024-03-01T00:00:00Z", "2024-03-01 01:00+01:00", "2024-03-01 00:00:00 UTC"}) {
    CAPTURE(text);
    REQUIRE(read_date(text));
    CHECK(read_date(text)->days == day);
    CHECK(read_date(text)->has_days);
  }
  for (const char* text :
       {"2024-03", "2024/03", "03/2024", "Mar 2024", "March 2024", "2024 Mar", "Mar-24", "2024M03"}) {
    CAPTURE(text);
    REQUIRE(read_date(text));
    CHECK(read_date(text)->days == day);
    CHECK(!read_date(text)->has_days);
  }
  for (const char* text : {"2024Q1", "2024-Q1", "2024 Q1", "Q1 2024", "Q1-2024"}) {
    CAPTURE(text);
    REQUIRE(read_date(text));
    CHECK(read_date(text)->days == day - 60);
  }
  const std::vector<std::pair<const char*, double>> times{{"2024-03-01T06:00:00", day + 0.25},
                                                          {"2024-03-01 18:00", day + 0.75},
                                                          {"2024-03-01T06:00:00.000Z", day + 0.25},
                                                          {"3/1/2024 6:00 PM", day - 19783 + 19783 + 0.75},
                                                          {"2024-03-01T00:00:00-0600", day + 0.25},
                                                          {"2024-03-01 24:00", day + 1},
                                                          {"06:00", 0.25},
                                                          {"12:00 AM", 0}};
  for (const auto& [text, days] : times) {
    CAPTURE(text);
    const auto date = read_date(text);
    REQUIRE(date);
    CHECK((std::string(text).starts_with("3/") ? *date->swapped : date->days) == Approx(days).margin(1e-12));
    CHECK(date->has_time);
  }
}

TEST_CASE("Where only the order tells day and month apart, a date has both readings", "[theorem]") {
  const auto both = read_date("3/1/2024");
  REQUIRE(both);
  CHECK(both->days == read_date("2024-01-03")->days);
  CHECK(both->swapped == read_date("2024-03-01")->days);
  CHECK(!both->has_order);
  const auto day_first = read_date("31/1/2024"), month_first = read_date("1/31/2024");
  CHECK(day_first->has_order);
  CHECK(day_first->days == read_date("2024-01-31")->days);
  CHECK(month_first->has_order);
  CHECK(month_first->days == day_first->days);
  CHECK(read_date("1/2/69")->days == read_date("1969-02-01")->days);
  CHECK(read_date("1/2/68")->days == read_date("2068-02-01")->days);
}

TEST_CASE("What is no date is none", "[misuse]") {
  for (const char* text : {"",
                           "1",
                           "2024",
                           "12",
                           "1-2",
                           "red",
                           "May",
                           "June",
                           "Q1",
                           "2024-13-01",
                           "2023-02-29",
                           "32/1/2024",
                           "31/31/2024",
                           "2024-03-01x",
                           "2024-03-01 25:00",
                           "192.168.0.1",
                           "1.2.3.4",
                           "3/4",
                           "1/2/3",
                           "2024-03-01-02",
                           "Mar",
                           "Mars 2024",
                           "12:60",
                           "2024Q5",
                           "2024M13",
                           "A-1-2024",
                           "2024-03-01T",
                           "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21"}) {
    CAPTURE(text);
    CHECK(!read_date(text));
  }
}

}  // namespace
}  // namespace gdssm
