// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <zlib.h>
#include <nlohmann/json.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/learners/regression.hpp"
#include "gdssm/version.hpp"
#include "io/support.hpp"
#include "programs/run.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

namespace {

using gdssm::CsvReader;
using gdssm::Index;
using gdssm::is_missing;
using gdssm::test::Run;
using gdssm::test::TemporaryFolder;
using Json = nlohmann::json;
using Strings = std::vector<std::string>;

const std::string sunspots = GDSSM_DATA_DIR "/sunspots_lags.csv";

Run predict(const Strings& arguments) { return gdssm::test::run("predict", arguments); }

struct Table {
  Strings columns;
  std::vector<std::vector<double>> rows;
};

Table read_table(const std::string& text) {
  std::istringstream in(text);
  CsvReader reader(in, "table");
  Table table{reader.columns(), {}};
  for (std::vector<double> row; reader.next(row);) table.rows.push_back(row);
  return table;
}

/// Runs `predict` on a file with this text, "data.csv" in its own folder.
class File {
 public:
  explicit File(const std::string& text) : path_((folder_ / "data.csv").string()) { gdssm::write_file(path_, text); }

  const std::string& path() const { return path_; }
  std::string beside(const std::string& name) const { return (folder_ / name).string(); }
  auto names() const { return folder_.names(); }

  Run run(Strings options = {}) const {
    options.insert(options.begin(), path_);
    return predict(options);
  }
  /// The predictions on standard output.
  Table predictions(const Strings& options = {}) const {
    const Run result = run(options);
    REQUIRE(result.status == 0);
    return read_table(result.out);
  }
  /// The error message, without "error: ", the folder and the line's end.
  std::string refusal(const Strings& options = {}, int status = 1) const {
    const Run result = run(options);
    CHECK(result.status == status);
    REQUIRE(result.err.starts_with("error: "));
    CHECK(result.err.find('\n') == result.err.size() - 1);
    std::string reason = result.err.substr(7, result.err.size() - 8);
    if (reason.starts_with(path_)) reason.replace(0, path_.size(), "data.csv");
    return reason;
  }

 private:
  TemporaryFolder folder_;
  std::string path_;
};

/// A program whose standard input and output are pipes of the test.
class Session {
 public:
  explicit Session(const Strings& arguments) {
    std::array<int, 2> in{}, out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    Strings words{GDSSM_PROGRAM_DIR "/predict"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_addopen(&files, 2, (folder_ / "err").c_str(), O_WRONLY | O_CREAT, 0600);
    const int refused = posix_spawn(&child_, argv[0], &files, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (refused != 0) throw std::runtime_error("cannot run " + words[0]);
    ::close(in[0]);
    ::close(out[1]);
    to_ = in[1];
    from_ = out[0];
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    close_input();
    close_output();
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
  }

  void write(const std::string& text) {
    REQUIRE(::write(to_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  /// The next line without its end; "" at the end, or when none has come within ten seconds.
  std::string line() {
    std::string text;
    for (char c = 0;;) {
      pollfd waiting{from_, POLLIN, 0};
      if (::poll(&waiting, 1, 10000) != 1 || ::read(from_, &c, 1) != 1 || c == '\n') return text;
      text += c;
    }
  }
  /// The peak memory of the program so far, according to the system.
  long peak_kilobytes() const {
    std::ifstream status("/proc/" + std::to_string(child_) + "/status");
    long kilobytes = 0;
    for (std::string word; status >> word;)
      if (word == "VmHWM:") status >> kilobytes;
    REQUIRE(kilobytes > 0);
    return kilobytes;
  }
  void close_input() { close(to_); }
  void close_output() { close(from_); }
  Run end() {
    int ended = 0;
    ::waitpid(child_, &ended, 0);
    child_ = 0;
    return {WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended), "", gdssm::read_file(folder_ / "err")};
  }

 private:
  static void close(int& descriptor) {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
  }

  TemporaryFolder folder_;
  pid_t child_ = 0;
  int to_ = -1, from_ = -1;
};

/// "a,b,target" and rows of numbers.
std::string linear_table(int rows, const std::string& line_end = "\n") {
  gdssm::test::Random random(1);
  std::string text = "a,b,target" + line_end;
  for (int t = 0; t < rows; ++t) {
    const double a = random(), b = 100 * random(), target = 3 * a - b + 7 + 0.1 * random();
    text += gdssm::format_number(a) + "," + gdssm::format_number(b) + "," + gdssm::format_number(target) + line_end;
  }
  return text;
}

double square(double x) { return x * x; }

TEST_CASE("Sunspots are predicted with a skill above 0.8 and far better than by last year's number", "[program]") {
  const TemporaryFolder folder;
  const std::string out = (folder / "out.csv").string(), summary_file = (folder / "s.json").string();
  const Run result = predict({sunspots, "--out", out, "--summary", summary_file});
  REQUIRE(result.status == 0);
  CHECK(result.out == "");
  CHECK(result.err.starts_with("target: 290 of 300 rows scored, "));
  CHECK(folder.names() == std::set<std::string>{"out.csv", "s.json"});

  const Json summary = Json::parse(gdssm::read_file(summary_file));
  CHECK(summary.size() == 7);
  CHECK(summary["rows"] == 300);
  CHECK(summary["scored_rows"] == 290);
  CHECK(summary["skill"] > 0.8);
  CHECK(summary["skill_last_value"] > 0.5);
  CHECK(summary["rmse"] < 16.5);
  CHECK(summary["seconds"] > 0);

  // Recomputes every figure from the predictions and the data.
  const Table data = read_table(gdssm::read_file(sunspots)), table = read_table(gdssm::read_file(out));
  CHECK(table.columns == Strings{"row", "prediction", "target", "low", "high"});
  REQUIRE(table.rows.size() == 300);
  double sum = 0, absolute = 0, squared = 0, squared_mean = 0, squared_last = 0;
  for (std::size_t t = 0; t < 300; ++t) {
    const double prediction = table.rows[t][1], target = data.rows[t].back();
    REQUIRE(table.rows[t][0] == static_cast<double>(t + 1));
    REQUIRE(table.rows[t][2] == target);
    if (t >= 10) {
      absolute += std::abs(prediction - target);
      squared += square(prediction - target);
      squared_mean += square(sum / static_cast<double>(t) - target);
      squared_last += square(data.rows[t - 1].back() - target);
    }
    sum += target;
  }
  const auto close = [&](const char* name, double expected) {
    CAPTURE(name);
    CHECK(std::abs(summary[name].get<double>() - expected) < 1e-12 * std::abs(expected));
  };
  close("mae", absolute / 290);
  close("rmse", std::sqrt(squared / 290));
  close("skill", 1 - squared / squared_mean);
  close("skill_last_value", 1 - squared / squared_last);
}

// Not to the last digit, since this file and the program are compiled separately and may fuse products differently.
TEST_CASE("A prediction is the learner's, to rounding", "[program]") {
  const File file(linear_table(40));
  const Table data = read_table(linear_table(40));
  for (const Strings& options : {Strings{"--learner", "descent"}, Strings{"--steps", "7", "--ridge", "0.5"},
                                 Strings{"--steps", "100", "--threads", "2"}}) {
    const Table table = file.predictions(options);
    gdssm::DescentSettings<> settings;
    if (options[1] == "7") settings = {.steps = 7, .ridge = 0.5};
    gdssm::GradientDescentLearner<> learner(2, 1, settings);
    for (std::size_t t = 0; t < 40; ++t) {
      const Eigen::Vector2d x(data.rows[t][0], data.rows[t][1]);
      const Eigen::VectorXd y = Eigen::VectorXd::Constant(1, data.rows[t][2]);
      REQUIRE(table.rows[t][1] == Approx(learner.predict(x)[0]).epsilon(1e-10).margin(1e-12));
      learner.observe(x, y);
    }
  }
}

TEST_CASE("Standard output and --out get the same bytes, and lines may end with CRLF", "[program]") {
  const File file(linear_table(30)), crlf(linear_table(30, "\r\n"));
  const Run streamed = file.run();
  CHECK(streamed.out.starts_with("row,prediction,target,low,high\n1,0,"));
  const std::string out = file.beside("out.csv");
  CHECK(file.run({"--out", out}).status == 0);
  CHECK(gdssm::read_file(out) == streamed.out);
  CHECK(crlf.run().out == streamed.out);
}

TEST_CASE("Changing a row changes no prediction before it", "[program]") {
  const Table before = File(linear_table(30)).predictions();
  std::string text = linear_table(30);
  std::size_t begin = 0;
  for (int line = 0; line < 20; ++line) begin = text.find('\n', begin) + 1;  // row 20
  const std::size_t end = text.find('\n', begin), last_comma = text.rfind(',', end);
  std::string target_changed = text, row_changed = text;
  target_changed.replace(last_comma, end - last_comma, ",1000");
  row_changed.replace(begin, end - begin, "5,-1000,1000");
  const Table other_target = File(target_changed).predictions(), other_row = File(row_changed).predictions();
  for (std::size_t t = 0; t < 30; ++t) {
    CAPTURE(t);
    CHECK((other_target.rows[t][1] == before.rows[t][1]) == (t < 20));
    CHECK((other_row.rows[t][1] == before.rows[t][1]) == (t < 19));
  }
}

TEST_CASE("Rows from a pipe are answered one by one", "[program]") {
  Session session({"-"});
  session.write("x,target\n");
  CHECK(session.line() == "row,prediction,target,low,high");
  session.write("1,10\n");
  CHECK(session.line() == "1,0,10,,");  // no error is known, so there is no interval
  session.write("2,20\r\n");
  CHECK(session.line() == "2,10,20,,");
  session.write("3,");
  session.write("\n");
  const std::string third = session.line();
  CHECK(third.starts_with("3,"));
  CHECK(third.find(",,") != std::string::npos);  // no target
  session.close_input();
  CHECK(session.line() == "");
  CHECK(session.end().status == 0);
}

TEST_CASE("Memory does not grow with the rows", "[program]") {
  const std::string table = linear_table(1000), rows = table.substr(table.find('\n') + 1);
  Session session({"-", "--learner", "ridge", "--out", "/dev/null"});
  session.write(table);
  for (int block = 0; block < 10; ++block) session.write(rows);
  const long peak = session.peak_kilobytes();
  for (int block = 0; block < 200; ++block) session.write(rows);  // 4.8 MB of numbers
  CHECK(session.peak_kilobytes() <= peak + 200);
  session.close_input();
  CHECK(session.end().status == 0);
}

TEST_CASE("A pipe that nobody reads any more ends the program with an error", "[program][misuse]") {
  Session session({"-"});
  session.write("x,target\n");
  CHECK(session.line() == "row,prediction,target,low,high");
  session.close_output();
  session.write("1,10\n2,20\n");
  session.close_input();
  const Run result = session.end();
  CHECK(result.status == 1);
  CHECK(result.err.starts_with("error: standard output: "));
  CHECK(result.err.find('\n') == result.err.size() - 1);
}

TEST_CASE("A row without its target is predicted, not learned and not scored", "[program]") {
  std::string text = linear_table(30), without = text;
  std::size_t begin = 0;
  for (int line = 0; line < 20; ++line) begin = text.find('\n', begin) + 1;
  const std::size_t end = text.find('\n', begin), last_comma = text.rfind(',', end);
  text.erase(last_comma + 1, end - last_comma - 1);
  without.erase(begin, end + 1 - begin);
  const File file(text);
  // Of a learner without a past, which does not know that a row has passed.
  const Table table = file.predictions({"--learner", "ridge", "--summary", file.beside("s.json")}),
              rest = File(without).predictions({"--learner", "ridge"});
  CHECK(is_missing(table.rows[19][2]));
  CHECK(std::isfinite(table.rows[19][1]));
  for (std::size_t t = 0; t < 29; ++t) CHECK(table.rows[t < 19 ? t : t + 1][1] == rest.rows[t][1]);
  const Json summary = Json::parse(gdssm::read_file(file.beside("s.json")));
  CHECK(summary["rows"] == 30);
  CHECK(summary["scored_rows"] == 19);
}

TEST_CASE("Several targets are predicted each as if it were alone", "[program]") {
  gdssm::test::Random random(2);
  std::string both = "u,a,\"v, w\",b\n", one = "a,b,u\n", other = "a,b,v\n";
  for (int t = 0; t < 25; ++t) {
    const double a = random(), b = random(), u = a + b, v = a - 2 * b;
    const std::string A = gdssm::format_number(a), B = gdssm::format_number(b);
    const std::string U = t == 12 ? "" : gdssm::format_number(u), V = gdssm::format_number(v);
    both += U + "," + A + "," + V + "," + B + "\n";
    one += A + "," + B + "," + U + "\n";
    other += A + "," + B + "," + V + "\n";
  }
  const File file(both), first(one), second(other);
  const Table table = file.predictions({"--target", "v, w", "--target", "u", "--summary", file.beside("s.json")});
  CHECK(table.columns == Strings{"row", "prediction_v, w", "target_v, w", "low_v, w", "high_v, w", "prediction_u",
                                 "target_u", "low_u", "high_u"});
  const Table u = first.predictions({"--summary", first.beside("s.json")}), v = second.predictions();
  for (std::size_t t = 0; t < 25; ++t) {
    CHECK(table.rows[t][1] == v.rows[t][1]);
    CHECK(table.rows[t][5] == u.rows[t][1]);
    CHECK(is_missing(table.rows[t][6]) == (t == 12));
  }
  const Json summary = Json::parse(gdssm::read_file(file.beside("s.json")))["targets"];
  const Json alone = Json::parse(gdssm::read_file(first.beside("s.json")));
  CHECK(summary.size() == 2);
  CHECK(summary["u"]["rows"] == 25);
  CHECK(summary["u"]["scored_rows"] == 14);
  CHECK(summary["v, w"]["scored_rows"] == 15);
  for (const char* name : {"mae", "rmse", "skill", "skill_last_value"}) CHECK(summary["u"][name] == alone[name]);
}

TEST_CASE("A target in the middle leaves the other columns as features", "[program]") {
  const File middle("a,y,b\n1,2,3\n2,4,5\n5,8,1\n2,3,4\n"), last("a,b,y\n1,3,2\n2,5,4\n5,1,8\n2,4,3\n");
  CHECK(middle.run({"--target", "y"}).out == last.run().out);
  CHECK(middle.run({"--target", "y"}).out != middle.run().out);
  const Run before_file = predict({"--target", "y", middle.path()});
  CHECK(before_file.out == last.run().out);
}

TEST_CASE("The burn-in is learned but not scored, and what no row defines is null", "[program]") {
  const auto summary_of = [](const std::string& text, const Strings& options) {
    const File file(text);
    Strings all{"--summary", file.beside("s.json")};
    all.insert(all.end(), options.begin(), options.end());
    REQUIRE(file.run(all).status == 0);
    return Json::parse(gdssm::read_file(file.beside("s.json")));
  };
  CHECK(summary_of(linear_table(30), {"--burn-in", "0"})["scored_rows"] == 30);
  CHECK(summary_of(linear_table(30), {"--burn-in", "29"})["scored_rows"] == 1);
  const Json nothing = summary_of(linear_table(5), {});
  CHECK(nothing["rows"] == 5);
  CHECK(nothing["scored_rows"] == 0);
  for (const char* name : {"mae", "rmse", "skill", "skill_last_value"}) CHECK(nothing[name].is_null());
  CHECK(summary_of("x,y\n1,\n2,\n3,5\n4,6\n5,7\n", {"--burn-in", "2"})["scored_rows"] == 1);  // targets count, not rows
  const Json constant = summary_of("x,y\n1,5\n2,5\n3,5\n", {"--burn-in", "1"});
  CHECK(constant["rmse"] == 0);
  CHECK(constant["skill"].is_null());
  CHECK(constant["skill_last_value"].is_null());
}

TEST_CASE("A file that is not a table of numbers is refused with its line", "[program][misuse]") {
  const auto refusal = [](const std::string& text) { return File(text).refusal(); };
  CHECK(refusal("") == "data.csv: no header: the input is empty, expected a line with the columns' names");
  CHECK(refusal("1,2\n3,4\n").starts_with("data.csv:1: no header: "));
  CHECK(refusal("a,b\n").starts_with("data.csv: a header without rows"));
  CHECK(File("1,2\n3,4\n").run({"--no-header"}).status == 0);
  CHECK(refusal("a,a\n1,2\n").starts_with("data.csv:1: column 2: the name 'a' occurs twice"));
  CHECK(refusal("a,b\n1,2\n3\n").starts_with("data.csv:3: got 1 cells, expected 2"));
  CHECK(refusal("a,b\n1,2\n3,4,5\n").starts_with("data.csv:3: got 3 cells, expected 2"));
  for (const char* cell : {"inf", "1e999", "abc", "2024-01-01"}) {
    const std::string text = cell;
    CHECK(refusal("a,b\n1,2\n3," + text + "\n") ==
          "data.csv:3: column 'b': '" + text +
              "' is not a finite number, as a target must be; columns with numbers are "
              "'a', expected --target with one of them, or --classify");
  }
  CHECK(
      refusal("b\n1\nred\n").ends_with("as a target must be; no other column has numbers so far, expected --classify"));
  CHECK(refusal("a,b\n1,2\n1e101,4\n") ==
        "data.csv:3: column 'a': 1e+101 is too large, expected a magnitude of at most 1e+100");
  CHECK(refusal("a,b\n1,2\n1,-1e101\n").starts_with("data.csv:3: column 'b': -1e+101 is too large"));
  CHECK(File("a,b\n1,2\n").refusal({"--target", "c"}) == "data.csv: no column 'c', expected one of 'a', 'b'");
  const Run missing = predict({"/nowhere/data.csv"});
  CHECK(missing.status == 1);
  CHECK(missing.err == "error: /nowhere/data.csv: cannot open: No such file or directory\n");
  CHECK(predict({"-"}).err.starts_with("error: standard input: no header"));
}

TEST_CASE("The same table is predicted the same in any dialect, and compressed", "[program]") {
  const std::string text = linear_table(40), expected = File(text).run().out;
  const auto with = [&](char delimiter, char decimal, const std::string& line_end) {
    std::string other;
    for (const char c : text)
      if (c == '\n')
        other += line_end;
      else
        other += c == ',' ? delimiter : c == '.' ? decimal : c;
    return other;
  };
  CHECK(File(with(';', ',', "\n")).run().out == expected);
  CHECK(File(with('\t', '.', "\r")).run().out == expected);
  CHECK(File(with(' ', ',', "\r\n")).run().out == expected);
  CHECK(File(with('|', '.', "\n")).run().out == expected);
  CHECK(File(with('/', '.', "\n")).run({"--delimiter", "/"}).out == expected);
  CHECK(File(with(';', ',', "\n")).run({"--delimiter", "semicolon", "--decimal", "comma"}).out == expected);
  CHECK(File("sep=;\n" + with(';', ',', "\n")).run().out == expected);
  CHECK(File("# a comment\n" + text).run().out == expected);
  CHECK(File("A title\n" + text).run().out == expected);
  const std::string header = text.substr(0, text.find('\n') + 1), rows = text.substr(header.size());
  CHECK(File(text + header + rows).run().out == File(text + rows).run().out);
  CHECK(File(rows).run({"--no-header"}).out == expected);
}

TEST_CASE("Compressed files are read, and refused with the byte where they end early", "[program]") {
  const std::string text = linear_table(40), expected = File(text).run().out;
  const auto deflated = [&](int window_bits) {
    z_stream stream{};
    std::string bytes(text.size() + 100, '\0');
    deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
    stream.avail_out = static_cast<uInt>(bytes.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    bytes.resize(stream.total_out);
    deflateEnd(&stream);
    return bytes;
  };
  const std::string bytes = deflated(31);
  CHECK(File(bytes).run().out == expected);
  CHECK(File(bytes.substr(0, bytes.size() / 2)).refusal() ==
        "data.csv: byte " + std::to_string(bytes.size() / 2) +
            ": the file ends within gzip data, expected more: it is truncated");
  Session session({"-"});
  session.write(bytes);
  session.close_input();
  std::string all;
  for (std::string line; (line = session.line()) != "";) all += line + "\n";
  CHECK(all == expected);
}

TEST_CASE("After an error there is no output file, and an older one is untouched", "[program][misuse]") {
  const File file("a,b\n1,2\n3,x\n");
  const Strings options{"--out", file.beside("out.csv"), "--summary", file.beside("s.json")};
  CHECK(file.run(options).status == 1);
  CHECK(file.names() == std::set<std::string>{"data.csv"});
  gdssm::write_file(file.beside("out.csv"), "old");
  CHECK(file.run(options).status == 1);
  CHECK(gdssm::read_file(file.beside("out.csv")) == "old");
  const File good("a,b\n1,2\n3,4\n");
  CHECK(good.refusal({"--out", "/nowhere/out.csv"}).starts_with("/nowhere/out.csv: cannot "));
  CHECK(good.refusal({"--out", good.beside("out.csv"), "--summary", "/nowhere/s"}).starts_with("/nowhere/s: cannot "));
  CHECK(good.names() == std::set<std::string>{"data.csv"});
}

const Strings learners{"default",       "ridge",  "descent",   "chebyshev", "heavy-ball", "conjugate-gradients",
                       "least-squares", "window", "delta",     "longhorn",  "nlms",       "recursive-least-squares",
                       "tree",          "mean",   "last-value"};

TEST_CASE("Every learner, with every kind of features, is causal and finite on awkward columns", "[program]") {
  gdssm::test::Random random(7);
  std::string text = "zero,twin,other_twin,large,y\n";
  for (int t = 0; t < 60; ++t) {
    const double twin = random(), large = t < 30 ? 1e9 : 1e9 + 1e6 * random(),
                 y = twin + 1e-6 * (large - 1e9) + 0.1 * random();
    text += "0," + gdssm::format_number(twin) + "," + gdssm::format_number(twin) + "," + gdssm::format_number(large) +
            "," + gdssm::format_number(y) + "\n";
  }
  std::string changed = text;
  changed.replace(changed.rfind(',') + 1, std::string::npos, "1e99\n");  // the last target
  const File file(text), other(changed);
  const auto expect_sound = [&](const Strings& options) {
    CAPTURE(options.back());
    const Table table = file.predictions(options), last_changed = other.predictions(options);
    REQUIRE(table.rows.size() == 60);
    for (std::size_t t = 0; t < 60; ++t) {
      REQUIRE(std::isfinite(table.rows[t][1]));
      REQUIRE(table.rows[t][1] == last_changed.rows[t][1]);
    }
  };
  for (const std::string& name : learners) expect_sound({"--lags", "2", "--learner", name});
  for (const char* features : {"linear", "polynomial:2", "fourier:20"})
    expect_sound({"--ridge", "1", "--features", features});
}

TEST_CASE("A run that was cut in two with --state predicts what one run would, to the byte", "[program]") {
  const std::string text = linear_table(60);
  std::size_t middle = 0;
  for (int line = 0; line < 26; ++line) middle = text.find('\n', middle) + 1;
  const std::string header = text.substr(0, text.find('\n') + 1);
  const File whole(text), first(text.substr(0, middle)), second(header + text.substr(middle));
  for (const Strings& options : {Strings{}, Strings{"--learner", "window", "--lags", "2"}, Strings{"--learner", "nlms"},
                                 Strings{"--learner", "recursive-least-squares"}}) {
    const TemporaryFolder folder;
    Strings with_state = options;
    with_state.insert(with_state.end(), {"--state", (folder / "state").string()});
    const Table all = whole.predictions(options);
    first.predictions(with_state);
    const Table rest = second.predictions(with_state);
    REQUIRE(rest.rows.size() == 35);
    for (std::size_t t = 0; t < 35; ++t)
      for (std::size_t column = 1; column < 5; ++column) REQUIRE(rest.rows[t][column] == all.rows[t + 25][column]);
  }
}

TEST_CASE("A run that goes on from a state is scored as one run's later rows, whatever their number", "[program]") {
  const std::string text = linear_table(40);
  const std::string header = text.substr(0, text.find('\n') + 1);
  const File whole(text);
  REQUIRE(whole.run({"--burn-in", "35", "--summary", whole.beside("s.json")}).status == 0);
  const Json expected = Json::parse(gdssm::read_file(whole.beside("s.json")));

  std::vector<Json> parts;
  for (std::size_t begin = header.size(); begin < text.size();) {
    std::size_t end = begin;
    for (int line = 0; line < 5; ++line) end = text.find('\n', end) + 1;
    const File part(header + text.substr(begin, end - begin));
    REQUIRE(part.run({"--state", whole.beside("state"), "--summary", part.beside("s.json")}).status == 0);
    parts.push_back(Json::parse(gdssm::read_file(part.beside("s.json"))));
    begin = end;
  }
  REQUIRE(parts.size() == 8);
  for (std::size_t i = 0; i < 8; ++i) CHECK(parts[i]["scored_rows"] == (i < 2 ? 0 : 5));
  for (const char* name : {"scored_rows", "mae", "rmse", "skill", "skill_last_value"}) {
    CAPTURE(name);
    CHECK(parts.back()[name] == expected[name]);
  }
}

TEST_CASE("A state moves on only when all that was said of its rows is out", "[program][misuse]") {
  const File file(linear_table(20));
  const std::string state = file.beside("state");
  file.predictions({"--state", state});
  const std::string before = gdssm::read_file(state);
  for (const Strings& options : {Strings{"--compare"}, Strings{}}) {
    Strings all{file.path(), "--state", state};
    all.insert(all.end(), options.begin(), options.end());
    const Run result = gdssm::test::run("predict", all, gdssm::test::Output::full);
    CHECK(result.status == 1);
    CHECK(result.err.starts_with("error: standard output: "));
    CHECK(gdssm::read_file(state) == before);
  }
}

TEST_CASE("A state's names are UTF-8, and a state is a file", "[program][misuse]") {
  const File file(
      "gr\xf6\xdf"
      "e,y\n1,2\n2,3\n");
  CHECK(file.run().status == 0);
  CHECK(file.refusal({"--state", file.beside("state"), "--out", file.beside("out")}) ==
        "data.csv:1: column 'gr\xf6\xdf"
        "e' has a name that is not UTF-8, which --state needs");
  CHECK(file.names() == std::set<std::string>{"data.csv"});
  CHECK(file.refusal({"--state", "/dev/full"}) == "/dev/full: is not a regular file, expected a state of predict");
}

TEST_CASE("Two states join to that of both files' rows", "[program]") {
  const std::string text = linear_table(60);
  std::size_t middle = 0;
  for (int line = 0; line < 26; ++line) middle = text.find('\n', middle) + 1;
  const std::string header = text.substr(0, text.find('\n') + 1);
  const File first(text.substr(0, middle)), second(header + text.substr(middle)), both(text),
      query("a,b,target\n0.25,-30,\n");
  const std::string a = first.beside("a"), b = first.beside("b"), ab = first.beside("ab"),
                    joined = first.beside("joined");
  for (const Strings& options : {Strings{"--learner", "ridge"}, Strings{"--ridge", "2", "--forgetting", "0.9"}}) {
    const auto with = [&](const std::string& option, const std::string& name) {
      Strings all = options;
      all.insert(all.end(), {option, name});
      return all;
    };
    for (const std::string& file : {a, b, ab, joined}) std::filesystem::remove(file);
    first.predictions(with("--state", a));
    second.predictions(with("--state", b));
    both.predictions(with("--state", ab));
    REQUIRE(predict({"--merge", a, b, "--state", joined}).status == 0);
    const double expected = query.predictions({"--state", ab}).rows[0][1];
    CHECK(query.predictions({"--state", joined}).rows[0][1] == Approx(expected).epsilon(1e-12));
    CHECK(query.predictions({"--merge", a, b}).rows[0][1] == Approx(expected).epsilon(1e-12));
    CHECK(query.predictions({"--merge", a, a}).rows[0][1] != Approx(expected).epsilon(1e-6));
  }
  CHECK(query.refusal({"--learner", "mean", "--state", ab}).find("its learner is {") != std::string::npos);
  CHECK(File("a,c,target\n1,2,3\n").refusal({"--state", ab}) ==
        "data.csv:1: no column 'b', from which " + ab +
            " has learned, expected it, or --ignore b to take its cells as "
            "missing");
  CHECK(File("1\n").refusal({"--state", query.path()}).starts_with(query.path() + ": "));
  CHECK(gdssm::read_file(query.path()).starts_with("a,b,target"));
}

TEST_CASE("With --compare, predict prints a line a learner, the summary has them, and predictions stay as they are",
          "[program]") {
  const File file(linear_table(60));
  const Run table = file.run({"--compare", "--summary", file.beside("s.json"), "--out", file.beside("out.csv")});
  REQUIRE(table.status == 0);
  CHECK(table.out.starts_with("target "));
  const Json summary = Json::parse(gdssm::read_file(file.beside("s.json")));
  CHECK(summary["learners"].size() == learners.size() - 1);
  for (const std::string& name : learners) {
    CAPTURE(name);
    CHECK(table.out.find("\n" + name + " ") != std::string::npos);
    if (name != "default") CHECK(summary["learners"][name]["rmse"].is_number());
  }
  CHECK(gdssm::read_file(file.beside("out.csv")) == file.run().out);
  const File alone(linear_table(60));
  const Run ridge = alone.run({"--learner", "ridge", "--summary", alone.beside("s.json")});
  CHECK(Json::parse(gdssm::read_file(alone.beside("s.json")))["rmse"] == summary["learners"]["ridge"]["rmse"]);
}

TEST_CASE("What reads no features is the same with every kind of them", "[program]") {
  const File file(linear_table(30));
  for (const char* learner : {"mean", "last-value"})
    for (const char* features : {"polynomial:2", "fourier:5"})
      CHECK(file.run({"--learner", learner, "--features", features, "--lags", "2"}).out ==
            file.run({"--learner", learner}).out);
}

TEST_CASE("A series without features is predicted from its own past", "[program]") {
  std::string text = "y\n";
  gdssm::test::Random random(4);
  double y = 0;
  for (int t = 0; t < 300; ++t) text += gdssm::format_number(y = 0.9 * y + random()) + "\n";
  const File file(text);
  const auto squares = [&](const Strings& options) {
    double sum = 0;
    for (const auto& row : file.predictions(options).rows) sum += square(row[2] - row[1]);
    return sum;
  };
  // The variance is 1 / (1 - 0.9^2) = 5.3 times that of the innovations.
  CHECK(squares({"--lags", "1"}) < squares({"--lags", "1", "--learner", "mean"}) / 3);
}

/// Text, dates, gaps, an index and truth values, "y" last.
std::string mixed_table(int rows, int changed = -1) {
  gdssm::test::Random random(5);
  std::string text = "\"\",when,species,\"length\",town,smoker,y\n";
  for (int t = 0; t < rows; ++t) {
    const int species = static_cast<int>((random() + 0.5) * 3), town = static_cast<int>((random() + 0.5) * 20);
    const double length = random(), y = species + 0.1 * town + 2 * length + 0.1 * random();
    const std::string date = "2024-0" + std::to_string(1 + t / 28) + "-" + std::to_string(1 + t % 28);
    text += "\"" + std::to_string(t + 1) + "\"," + date + "," + std::string(1, char('A' + species)) + "," +
            (t % 11 == 5 ? "NA" : gdssm::format_number(length)) + ",town" + std::to_string(town) + "," +
            (t % 2 ? "TRUE" : "FALSE") + "," +
            (t % 13 == 7    ? "NA"
             : t == changed ? "100"
                            : gdssm::format_number(y)) +
            "\n";
  }
  return text;
}

TEST_CASE("Text, dates, missing cells, truth values and an index are taken without an option", "[program]") {
  const File file(mixed_table(150));
  const Run run = file.run({"--summary", file.beside("s.json"), "--out", file.beside("out.csv")});
  REQUIRE(run.status == 0);
  CHECK(run.err.starts_with("columns: '': index, left out; 'when': dates; 'species': text, 3 values so far; 'town': "));
  CHECK(run.err.find("'smoker': true or false\ny: ") != std::string::npos);
  const Json summary = Json::parse(gdssm::read_file(file.beside("s.json")));
  CHECK(summary["rows"] == 150);
  CHECK(summary["scored_rows"] == 150 - 11 - 10);
  CHECK(summary["skill"] > 0.7);
}

TEST_CASE("What a file is written in is said where it is not usual", "[program]") {
  const auto said = [](const std::string& text, const Strings& options = {}) {
    const std::string err = File(text).run(options).err;
    return err.substr(0, err.rfind("y: "));
  };
  CHECK(said("a,y\n1,2\n3,4\n") == "");
  CHECK(said("y\n1\n2\n") == "");
  CHECK(said("a;y\n1,5;2\n3;4\n") == "file: cells separated by semicolons, decimal commas\n");
  CHECK(said("a;y\n1,5;2\n3;4\n", {"--delimiter", ";", "--decimal", "comma"}) == "");
  CHECK(said("Station 7\n\na,b,y\n1,1,2\n3,4,5\n") == "file: cells separated by commas, lines 1 to 2 left out\n");
  CHECK(said("a,,y\n1,1,2\n3,4,5\n") == "columns without a name: 2 is called 'x2'\n");
  CHECK(said("# made by hand\na,y\n1,2\na,y\n# more\n3,4\n") ==
        "left out: 2 lines beginning with #, 1 line repeating the header\n");
}

TEST_CASE("An interval is empty before the first error that counts", "[program]") {
  const Table table = File("a,y\n1,2\n2,4\n3,5\n4,7\n").predictions();
  for (std::size_t t = 0; t < 4; ++t) {
    CHECK(is_missing(table.rows[t][3]) == (t < 2));
    CHECK(is_missing(table.rows[t][4]) == (t < 2));
  }
}

TEST_CASE("No prediction depends on a later row, whatever the columns", "[program]") {
  for (const Strings& options : {Strings{}, Strings{"--delay", "3"}, Strings{"--learner", "ridge", "--lags", "2"}}) {
    const Table a = File(mixed_table(110)).predictions(options), b = File(mixed_table(110, 80)).predictions(options);
    const std::size_t known = options.size() == 2 && options[0] == "--delay" ? 84 : 81;  // rows that could not know it
    for (std::size_t t = 0; t < 110; ++t) {
      CAPTURE(t);
      REQUIRE((a.rows[t][1] == b.rows[t][1]) == (t < known));
    }
  }
}

TEST_CASE("A stream of all kinds of columns goes on from its state to the byte, in any order of columns", "[program]") {
  const std::string text = mixed_table(140);
  std::size_t middle = 0;
  for (int line = 0; line < 60; ++line) middle = text.find('\n', middle) + 1;
  const std::string header = text.substr(0, text.find('\n') + 1);
  const File whole(text), first(text.substr(0, middle)), second(header + text.substr(middle));
  // The columns backwards, with one more.
  std::string reversed;
  std::istringstream lines(header + text.substr(middle));
  for (std::string line; std::getline(lines, line);) {
    std::string back = "extra";
    for (std::size_t end = line.size();;) {
      const std::size_t comma = line.rfind(',', end - 1);
      back += "," + line.substr(comma + 1, end - comma - 1);
      if (comma == std::string::npos) break;
      end = comma;
    }
    reversed += back.substr(0, back.rfind(',')) + "\n";  // without the index
  }
  const File backwards(reversed);
  for (const Strings& options : {Strings{}, Strings{"--learner", "ridge", "--features", "polynomial:2"}}) {
    const TemporaryFolder folder;
    const std::string state = (folder / "state").string(), copy = (folder / "copy").string();
    Strings with_state = options;
    with_state.insert(with_state.end(), {"--state", state});
    const Table all = whole.predictions(options);
    first.predictions(with_state);
    std::filesystem::copy_file(state, copy);
    const Table rest = second.predictions(with_state);
    with_state.back() = copy;
    const Run run = backwards.run(with_state);
    REQUIRE(run.status == 0);
    CHECK(run.err.starts_with("'extra': unknown to " + copy + ", left out\n"));
    const Table other = read_table(run.out);
    REQUIRE(rest.rows.size() == 81);
    for (std::size_t t = 0; t < 81; ++t)
      for (const std::size_t column : {1u, 3u, 4u}) {
        REQUIRE(rest.rows[t][column] == all.rows[t + 59][column]);
        REQUIRE(other.rows[t][column] == all.rows[t + 59][column]);
      }
  }
}

TEST_CASE("A file without the target is predicted from a state, and one without an input is refused or told",
          "[program]") {
  const File first("a,b,y\n1,2,3\n2,1,4\n3,3,6\n");
  const std::string state = first.beside("s");
  first.predictions({"--state", state});
  const std::string learned = gdssm::read_file(state);
  const Run alone = File("a,b\n1,2\n2,1\n").run({"--state", state, "--learner", "default"});
  CHECK(alone.status == 0);
  CHECK(alone.err.starts_with("'y': no such column, rows are predicted alone\n"));
  CHECK(read_table(alone.out).rows.size() == 2);
  CHECK(is_missing(read_table(alone.out).rows[0][2]));
  gdssm::write_file(state, learned);
  CHECK(File("a,y\n1,2\n").refusal({"--state", state}) ==
        "data.csv:1: no column 'b', from which " + state +
            " has learned, expected it, or --ignore b to take its cells "
            "as missing");
  CHECK(File("a,y\n1,2\n").run({"--state", state, "--ignore", "b"}).status == 0);
}

TEST_CASE("A state of version 0.1 is refused by name", "[program][misuse]") {
  const File file("a,y\n1,2\n");
  gdssm::Safetensors old;
  old.metadata = {{"format", "gdssm predict state 1"}};
  gdssm::write_file(file.beside("s"), gdssm::serialize(old, "s"));
  CHECK(file.refusal({"--state", file.beside("s")}) ==
        file.beside("s") + ": is a state of predict 0.1, expected one of 0.2; begin anew from the rows");
}

TEST_CASE("A row without its target keeps its place in the past", "[program]") {
  std::string whole = "n,y\n", gap = whole;
  for (int t = 0; t < 60; ++t) {
    const std::string y = std::to_string(std::array{0, 10, 2, -8}[static_cast<std::size_t>(t) % 4]);
    whole += "0," + y + "\n";
    gap += "0," + (t == 30 ? "" : y) + "\n";
  }
  const Table expected = File(whole).predictions({"--learner", "ridge", "--lags", "4"}),
              got = File(gap).predictions({"--learner", "ridge", "--lags", "4"});
  for (std::size_t t = 0; t < 60; ++t) CHECK(got.rows[t][1] == Approx(expected.rows[t][1]).margin(0.1));
}

TEST_CASE("Targets that come late are foreseen from those known by then", "[program]") {
  const File file(linear_table(40));
  const Table late = file.predictions({"--learner", "ridge", "--delay", "5"}),
              prompt = file.predictions({"--learner", "ridge"});
  for (std::size_t t = 0; t < 40; ++t) {
    CAPTURE(t);
    if (t < 6) CHECK(late.rows[t][1] == 0);
    if (t == 12) {
      gdssm::RidgeLearner<> learner(2, 1);
      const Table data = read_table(linear_table(40));
      for (std::size_t s = 0; s < 7; ++s)
        learner.observe(Eigen::Vector2d(data.rows[s][0], data.rows[s][1]),
                        Eigen::VectorXd::Constant(1, data.rows[s][2]));
      CHECK(late.rows[t][1] == Approx(learner.predict(Eigen::Vector2d(data.rows[t][0], data.rows[t][1]))[0]));
    }
  }
  CHECK(file.run({"--delay", "0"}).out == file.run().out);
  CHECK(late.rows[12][1] != prompt.rows[12][1]);
  // A period of four is foreseen five rows ahead, through the guesses in between.
  std::string text = "y\n";
  for (int t = 0; t < 200; ++t)
    text += std::array{"0", "10", "2", "-8"}[static_cast<std::size_t>(t) % 4] + std::string("\n");
  for (const auto& row : File(text).predictions({"--learner", "ridge", "--lags", "4", "--delay", "5"}).rows)
    if (row[0] > 100) CHECK(row[1] == Approx(row[2]).margin(0.5));
}

TEST_CASE("Dates and a value alone are foreseen from the value's past", "[program]") {
  std::string text = "month,value\n";
  for (int t = 0; t < 72; ++t)
    text += std::to_string(2018 + t / 12) + (t % 12 < 9 ? "-0" : "-") + std::to_string(1 + t % 12) + "," +
            gdssm::format_number(100 + t + 10 * std::sin(t * 2 * 3.14159265358979 / 12)) + "\n";
  const File file(text);
  CHECK(file.run().out == file.run({"--lags", "6"}).out);
  CHECK(file.run().out != file.run({"--lags", "0"}).out);
  REQUIRE(file.run({"--summary", file.beside("s.json")}).status == 0);
  CHECK(Json::parse(gdssm::read_file(file.beside("s.json")))["skill_last_value"] > 0.9);
}

/// The cells of a table without quotes.
std::vector<Strings> cells_of(const std::string& text) {
  std::vector<Strings> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Strings cells(1);
    for (const char c : line)
      if (c == ',')
        cells.emplace_back();
      else
        cells.back() += c;
    rows.push_back(cells);
  }
  return rows;
}

TEST_CASE("A target of text is predicted as a class, with a probability of each, and scored by what is printed",
          "[program]") {
  gdssm::test::Random random(8);
  std::string text = "a,b,colour\n";
  for (int t = 0; t < 300; ++t) {
    const double a = random(), b = random(), noise = 0.2 * random();
    text += gdssm::format_number(a) + "," + gdssm::format_number(b) + "," +
            (t == 77            ? ""
             : t < 100 && a > 0 ? "red"
             : a + noise > 0    ? b > 0 ? "red" : "green"
                                : "blue") +
            "\n";
  }
  const File file(text);
  const Run run = file.run({"--summary", file.beside("s.json"), "--out", file.beside("out.csv")});
  REQUIRE(run.status == 0);
  const auto rows = cells_of(gdssm::read_file(file.beside("out.csv")));
  REQUIRE(rows.size() == 301);
  CHECK(rows[0].size() == 6);
  CHECK(
      std::set<std::string>(rows[0].begin(), rows[0].end()) ==
      std::set<std::string>{"row", "prediction", "target", "probability_blue", "probability_green", "probability_red"});
  CHECK(rows[1][1].empty());  // no class is known
  double log_loss = 0, brier = 0, right = 0, known = 0, scored = 0;
  std::map<std::string, double> counts;
  for (std::size_t t = 1; t <= 300; ++t) {
    std::map<std::string, double> p;
    double sum = 0;
    for (std::size_t k = 3; k < 6; ++k) sum += p[rows[0][k].substr(12)] = std::stod(rows[t][k]);
    REQUIRE(std::abs(sum - 1) < 1e-9);
    const std::string target = rows[t][2];
    if (target.empty()) continue;
    if (known >= 10) {
      log_loss -= std::log(p[target]);
      right += rows[t][1] == target ? 1 : 0;
      for (const auto& [name, probability] : p) brier += square(probability - (name == target ? 1 : 0));
      ++scored;
    }
    ++known;
  }
  const Json summary = Json::parse(gdssm::read_file(file.beside("s.json")));
  CHECK(summary["rows"] == 300);
  CHECK(summary["classes"] == 3);
  CHECK(summary["scored_rows"] == scored);
  CHECK(summary["log_loss"].get<double>() == Approx(log_loss / scored));
  CHECK(summary["brier"].get<double>() == Approx(brier / scored));
  CHECK(summary["accuracy"].get<double>() == Approx(right / scored));
  CHECK(summary["accuracy"] > 0.75);
  CHECK(summary["skill"] > 0.3);
  CHECK(run.err.find("colour: 289 of 300 rows scored, log loss ") != std::string::npos);

  CHECK(file.run().out == gdssm::read_file(file.beside("out.csv")));
  const Run table = file.run({"--compare", "--summary", file.beside("c.json")});
  CHECK(table.status == 0);
  CHECK(table.out.find("log loss    accuracy       Brier       skill\ndefault ") != std::string::npos);
  const Json compared = Json::parse(gdssm::read_file(file.beside("c.json")));
  CHECK(compared["log_loss"] == summary["log_loss"]);
  CHECK(compared["learners"]["frequencies"]["skill"].get<double>() == Approx(0).margin(1e-12));
  for (const char* name : {"newton", "one-step", "descent", "transitions"}) CHECK(compared["learners"].contains(name));
  for (const Strings& options : {Strings{"--learner", "descent", "--steps", "3", "--window", "20"},
                                 Strings{"--delay", "3"}, Strings{"--classify"}})
    CHECK(file.run(options).status == 0);
  CHECK(file.refusal({"--learner", "newton", "--steps", "3"}) == "--steps: the classifier newton does not take it");
  CHECK(
      file.refusal({"--learner", "ridge"}).starts_with("--learner: there is no classifier 'ridge', expected one of "));
  CHECK(file.refusal({"--state", file.beside("state")}).find("target") != std::string::npos);
}

TEST_CASE("Numbers are classes where the command line says so, also from a pipe, and no class depends on a later row",
          "[program]") {
  Session session({"-", "--classify"});
  session.write("x,y\n");
  CHECK(session.line() == "row,prediction,target,probability");
  session.write("1,7\n");
  CHECK(session.line() == "1,,\"7\",");
  session.write("2,7\n");
  CHECK(session.line().starts_with("2,\"7\",\"7\",0."));
  session.close_input();
  CHECK(session.end().status == 0);

  std::string text = "x,y\n", changed = text;
  for (int t = 0; t < 60; ++t) {
    const std::string x = std::to_string(t * 7 % 11) + ",";
    text += x + (t * 7 % 11 > 5 ? "b" : "a") + "\n";
    changed += x + (t == 40 ? "c" : t * 7 % 11 > 5 ? "b" : "a") + "\n";
  }
  const auto one = cells_of(File(text).run({"--learner", "newton"}).out),
             other = cells_of(File(changed).run({"--learner", "newton"}).out);
  for (std::size_t t = 1; t <= 60; ++t) CHECK((one[t][1] == other[t][1] || t > 41));
}

TEST_CASE("Columns are taken for what the command line says", "[program]") {
  const File file(mixed_table(60));
  CHECK(file.run({"--ignore", "species"}).err.find("species") == std::string::npos);
  CHECK(file.run({"--text", "length"}).err.find("'length': text") != std::string::npos);
  CHECK(file.run({"--number", "town"}).err.find("town") == std::string::npos);
  CHECK(file.run({"--ignore", "y", "--number", "smoker", "--target", "length"}).status == 0);
  CHECK(file.run({"--ignore", "y"}).err.find("smoker: ") != std::string::npos);  // the last that is left, true or false
  CHECK(file.refusal({"--ignore", "z"}).starts_with("data.csv: no column 'z', expected one of "));
  CHECK(file.refusal({"--ignore", "y", "--target", "y"}, 2)
            .starts_with("--ignore: 'y' is a target, expected another column"));
  CHECK(file.refusal({"--text", "y", "--date", "y"}, 2).find("'y' is given twice") != std::string::npos);
}

TEST_CASE("A plot of a stream without targets, or of a name of two lines, is a plot", "[program]") {
  for (const std::string text : {"x,y\n1,\n2,\n", "x,\"y\nz\"\n1,2\n2,3\n"}) {
    const File file(text);
    REQUIRE(file.run({"--plot", file.beside("plot.svg")}).status == 0);
    CHECK(gdssm::read_file(file.beside("plot.svg")).ends_with("</svg>\n"));
  }
}

TEST_CASE("No output takes the place of an input or of another output, whatever it is called", "[program][misuse]") {
  const File file(linear_table(5));
  const std::string text = gdssm::read_file(file.path()), link = file.beside("link"), a = file.beside("a");
  std::filesystem::create_symlink("data.csv", link);
  for (const char* option : {"--out", "--summary", "--plot", "--state"})
    for (const std::string& name : {file.path(), link, file.beside("./data.csv")}) {
      CHECK(file.refusal({option, name}, 2).starts_with(option + std::string(": names the same file as FILE")));
      CHECK(gdssm::read_file(file.path()) == text);
    }
  CHECK(file.refusal({"--out", a, "--summary", file.beside("./a")}, 2)
            .starts_with("--summary: names the same file as --out, expected another"));
  CHECK(file.run({"--out", "/dev/null", "--summary", "/dev/null"}).status == 0);

  file.predictions({"--state", a});
  CHECK(file.refusal({"--merge", a, a, "--out", a}, 2).starts_with("--out: names the same file as --merge, expected"));
  CHECK(predict({"--merge", a, a, "--state", a}).status == 0);
}

TEST_CASE("The plot is one document with both figures, however long the stream", "[program]") {
  const File file(linear_table(3000));
  const std::string plot = file.beside("plot.svg");
  const Run result = file.run({"--learner", "ridge", "--plot", plot, "--out", file.beside("out.csv")});
  REQUIRE(result.status == 0);
  const std::string svg = gdssm::read_file(plot);
  CHECK(svg.starts_with("<svg "));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(svg.find("skill so far") != std::string::npos);
  CHECK(svg.size() < 400000);
}

TEST_CASE("The intervals hold 93 to 97 % of the targets", "[program]") {
  gdssm::test::Random random(3);
  std::string text = "x,y\n";
  double noise = 1;
  for (int t = 0; t < 3000; ++t) {
    const double x = random();
    if (t % 500 == 0) noise = 0.1 + 3 * (random() + 0.5);
    double error = 0;
    for (int i = 0; i < 12; ++i) error += random();
    text += gdssm::format_number(x) + "," + gdssm::format_number(3 * x + noise * error) + "\n";
  }
  const Table table = File(text).predictions();
  int covered = 0;
  for (const auto& row : table.rows) covered += row[3] <= row[2] && row[2] <= row[4];
  CHECK(covered > 0.93 * 3000);
  CHECK(covered < 0.97 * 3000);
}

TEST_CASE("A wrong command line ends with status 2 and one line", "[program][misuse]") {
  const File file("a,b\n1,2\n3,4\n");
  CHECK(file.refusal({"--target", "a", "--target", "a"}, 2).starts_with("--target: 'a' is given twice"));
  CHECK(file.refusal({"--out", "x", "--summary", "x"}, 2).starts_with("--summary: "));
  for (const Strings& options :
       {Strings{"--burn-in", "-1"},   Strings{"--burn-in", "1.5"},    Strings{"--steps", "-1"},
        Strings{"--steps", "many"},   Strings{"--learner", "oracle"}, Strings{"--learner", "ridge", "--steps", "3"},
        Strings{"--forgetting", "0"}, Strings{"--forgetting", "1.1"}, Strings{"--window", "0"},
        Strings{"--lags", "-1"},      Strings{"--features", "cubic"}, Strings{"--window", "9", "--steps", "9"},
        Strings{"--merge", "one"},    Strings{"--ridge", "-1"},       Strings{"--ridge", "nan"},
        Strings{"--ridge", "inf"},    Strings{"--threads", "0"},      Strings{"--out"},
        Strings{"--delimiter", ",;"}, Strings{"--decimal", ";"},      Strings{"--nonsense"},
        Strings{"more.csv"}}) {
    CAPTURE(options.front());
    CHECK(file.refusal(options, 2) != "");
  }
  CHECK(file.refusal({"--burn-in", "99999999999999999999"}, 2).find("expected a whole number from 0 to ") !=
        std::string::npos);
  CHECK(File(linear_table(20)).run({"--burn-in", "010"}).err.starts_with("target: 10 of 20 rows scored"));
  for (const Strings& more : {Strings{"--out", "x"}, Strings{"--lags", "2"}, Strings{"--compare"}}) {
    Strings all{"--merge", "a", "b", "--state", "ab"};
    all.insert(all.end(), more.begin(), more.end());
    CHECK(predict(all).err.starts_with("error: " + more[0] + ": is given without FILE, expected --merge and --state"));
  }
  CHECK(predict({}).status == 2);
  CHECK(predict({"--target", "b"}).status == 2);
}

TEST_CASE("Help and version are answered on standard output", "[program]") {
  const Run help = predict({"--help"}), version = predict({"--version"});
  CHECK(help.status == 0);
  CHECK(help.err == "");
  for (const char* option :
       {"FILE",    "--target",     "--out",     "--summary",   "--burn-in", "--learner",   "--steps",
        "--ridge", "--forgetting", "--lags",    "--features",  "--compare", "--plot",      "--state",
        "--merge", "--threads",    "--version", "--delimiter", "--decimal", "--no-header", "--ignore",
        "--text",  "--number",     "--date",    "--delay"})
    CHECK(help.out.find(option) != std::string::npos);
  CHECK(version.status == 0);
  CHECK(version.out == "predict (gdssm) " + std::string(gdssm::version) + "\n");
}

}  // namespace
