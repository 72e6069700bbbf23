// SPDX-License-Identifier: Apache-2.0
#include "support/figure.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "gdssm/core/error.hpp"
#include "gdssm/io/text.hpp"

namespace gdssm::programs {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error("gnuplot: " + what + ", expected gnuplot 5 or later on the PATH (package gnuplot-nox)");
}

/// A nameless file that is gone with the program.
class Scratch {
 public:
  Scratch() : file_(std::tmpfile(), &std::fclose) {
    if (!file_) fail(std::string("no temporary file: ") + std::strerror(errno));
  }
  int descriptor() const { return ::fileno(file_.get()); }
  void write(std::string_view text) {
    const bool whole = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
    if (!whole || std::fflush(file_.get()) != 0) fail(std::string("no temporary file: ") + std::strerror(errno));
    std::rewind(file_.get());
  }
  std::string read() {
    std::rewind(file_.get());
    std::string text;
    std::array<char, 4096> piece;
    while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), file_.get()))
      text.append(piece.data(), size);
    return text;
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

/// Standard output of gnuplot for a script on its standard input. Files at both ends, so that neither waits.
std::string run_gnuplot(const std::string& script) {
  Scratch in, out, messages;
  in.write(script);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.descriptor(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out.descriptor(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, messages.descriptor(), STDERR_FILENO);
  // --default-settings: a user's own settings are not to change the figure.
  std::array<std::string, 2> words{"gnuplot", "--default-settings"};
  std::array<char*, 3> arguments{words[0].data(), words[1].data(), nullptr};
  pid_t process = 0;
  const int error = ::posix_spawnp(&process, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail(std::string("cannot be started: ") + std::strerror(error));
  int status = 0;
  while (::waitpid(process, &status, 0) < 0)
    if (errno != EINTR) fail(std::string("lost: ") + std::strerror(errno));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("failed with " + in_quotes(messages.read(), 300));
  return out.read();
}

/// Text between gnuplot's single quotes.
std::string in_double_quotes(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "''" : std::string(1, static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  return result + "'";
}

std::string rgb(Colour colour) {
  // Okabe and Ito's, dark enough for thin lines on white.
  constexpr std::array names{"#0072b2", "#c94f00", "#00805f", "#8b4fa8", "#6e7781"};
  return names[static_cast<std::size_t>(colour)];
}

constexpr auto ink = "#1f2328";

std::string axis_commands(const std::string& name, const Axis& axis) {
  std::string text =
      "set " + name + "label " + in_double_quotes(axis.label) + " noenhanced textcolor rgb '" + ink + "' font ',15'\n";
  if (axis.logarithmic)
    text += "set logscale " + name + " 10\nset format " + name + " '10^{%T}'\nunset m" + name + "tics\n";
  if (!axis.names.empty()) {
    text += "set " + name + "tics noenhanced (";
    for (std::size_t i = 0; i < axis.names.size(); ++i)
      text += (i > 0 ? ", " : "") + in_double_quotes(axis.names[i]) + " " + std::to_string(i + 1);
    text += ")\n";
  }
  return text;
}

/// An SVG canvas of so many pixels; `name` leads its ids.
std::string terminal(std::string name, Index width, Index height) {
  std::replace(name.begin(), name.end(), '-', '_');  // gnuplot takes no others
  return "set encoding utf8\nset terminal svg size " + std::to_string(width) + "," + std::to_string(height) +
         " font 'sans-serif,14' enhanced background '#ffffff' name " + in_double_quotes(name) + "\n";
}

/// What gnuplot draws.
std::string draw(const std::string& name, const std::string& script) {
  std::string svg = run_gnuplot(script);
  if (!svg.ends_with("</svg>\n\n") && !svg.ends_with("</svg>\n")) fail("drew no figure " + in_quotes(name));
  return svg;
}

/// Room at both ends, so that no point lies on the frame; where there is no point, axes all the same.
std::string range_command(const std::string& name, const Axis& axis, double least, double most) {
  if (!axis.names.empty()) {
    const std::string first = "0.4", last = format_number(static_cast<double>(axis.names.size()) + 0.6);
    return "set " + name + "range [" + (name == "y" ? last + ":" + first : first + ":" + last) + "]\n";
  }
  if (!(least <= most)) return axis.logarithmic ? "set " + name + "range [1:10]\n" : "set " + name + "range [0:1]\n";
  const double room = least < most ? 0.04 * (most - least) : 0.5;
  if (axis.logarithmic) return "";
  return "set " + name + "range [" + format_number(least >= 0 && name == "y" ? 0.0 : least - room) + ":" +
         format_number(most + room) + "]\n";
}

/// A label in lines of at most so many characters, broken after commas.
std::vector<std::string> lines_of(const std::string& label, std::size_t most) {
  std::vector<std::string> lines{""};
  for (std::size_t at = 0; at < label.size();) {
    const std::size_t comma = label.find(", ", at), end = comma == std::string::npos ? label.size() : comma + 2;
    if (!lines.back().empty() && lines.back().size() + end - at > most) lines.emplace_back();
    lines.back() += label.substr(at, end - at);
    at = end;
  }
  return lines;
}

/// Labels beside the right ends of lines, moved apart where they would cover one another; with the ranges of the axes,
/// which places depend on, ticks of a logarithmic one, and room on the right.
std::string end_labels(const Figure& figure, double x_least, double x_most, double y_least, double y_most) {
  constexpr double line_height = 0.037, gap = 0.008;  // of the figure's height
  constexpr std::size_t line_length = 36;
  const auto height = [&](double y) {
    return figure.y.logarithmic ? std::log(y / y_least) / std::log(y_most / y_least)
                                : (y - y_least) / (y_most - y_least);
  };
  struct Label {
    const Series* series;
    std::vector<std::string> lines;
    double end, middle;
    double half() const { return (static_cast<double>(lines.size()) * line_height + gap) / 2; }
  };
  std::vector<Label> labels;
  for (const Series& series : figure.series)
    if (!series.label.empty() && !series.y.empty())
      labels.push_back({&series, lines_of(series.label, line_length), height(series.y.back()), 0});
  std::stable_sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.end < b.end; });
  double below = 0;
  for (Label& label : labels) {
    label.middle = std::max(label.end, below + label.half());
    below = label.middle + label.half();
  }
  double above = 1.04;  // labels pushed beyond the top come back down
  for (std::size_t k = labels.size(); k-- > 0;) {
    labels[k].middle = std::min(labels[k].middle, above - labels[k].half());
    above = labels[k].middle - labels[k].half();
  }
  std::string text = "unset key\nset rmargin " + std::to_string(line_length - 2) + "\nset xrange [" +
                     format_number(x_least) + ":" + format_number(x_most) + "]\nset yrange [" + format_number(y_least) +
                     ":" + format_number(y_most) + "]\n";
  if (figure.y.logarithmic) {
    std::string ticks;
    for (double decade = std::pow(10, std::floor(std::log10(y_least))); decade <= y_most; decade *= 10)
      for (const double tick : {decade, 2 * decade, 5 * decade})
        if (tick >= y_least * (1 - 1e-9) && tick <= y_most) ticks += (ticks.empty() ? "" : ", ") + format_number(tick);
    text += "set format y '%g'\nset ytics (" + ticks + ")\n";
  }
  for (const Label& label : labels) {
    const std::string colour = "rgb '" + rgb(label.series->colour) + "'";
    text += "set arrow from graph 1," + format_number(label.end) + " to graph 1.025," + format_number(label.middle) +
            " nohead linecolor " + colour + "\n";
    double at = label.middle + line_height * static_cast<double>(label.lines.size() - 1) / 2;
    for (const std::string& line : label.lines) {
      text += "set label " + in_double_quotes(line) + " at graph 1.03," + format_number(at) + " noenhanced textcolor " +
              colour + " font ',13'\n";
      at -= line_height;
    }
  }
  return text;
}

}  // namespace

std::string to_svg(const Figure& figure) {
  std::string data, plots;
  double x_least = 1, x_most = 0, y_least = 1, y_most = 0;
  const auto widen = [](double& least, double& most, double value) {
    const bool first = least > most;
    least = first ? value : std::min(least, value);
    most = first ? value : std::max(most, value);
  };
  for (std::size_t i = 0; i < figure.series.size(); ++i) {
    const Series& series = figure.series[i];
    const bool bars = !series.error.empty();
    expect_equal(figure.name.c_str(), "the number of a series' y", series.y.size(), series.x.size());
    if (bars) expect_equal(figure.name.c_str(), "the number of a series' errors", series.error.size(), series.x.size());
    const std::string block = "$series" + std::to_string(i), colour = " linecolor rgb '" + rgb(series.colour) + "'";
    data += block + " << END\n";
    for (std::size_t k = 0; k < series.x.size(); ++k) {
      const double error = bars ? series.error[k] : 0;
      data += format_number(series.x[k]) + " " + format_number(series.y[k]) + " " + format_number(error) + "\n";
      widen(x_least, x_most, series.x[k]);
      widen(y_least, y_most, series.y[k] - error);
      widen(y_least, y_most, series.y[k] + error);
    }
    data += "END\n";
    const std::string with = series.mark == Mark::line     ? "using 1:2 with lines linewidth 2"
                             : series.mark == Mark::dashed ? "using 1:2 with lines dashtype (8,6) linewidth 2"
                             : series.mark == Mark::band
                                 ? "using 1:($2-$3):($2+$3) with filledcurves fillstyle transparent solid 0.25 noborder"
                             : bars ? "using 1:2:3 with yerrorbars pointtype 7 pointsize 0.7 linewidth 1.5"
                                    : "using 1:2 with points pointtype 7 pointsize 0.7";
    plots.append(i > 0 ? ", " : "plot ").append(block).append(" ").append(with).append(colour);
    plots.append(" title ").append(in_double_quotes(series.label)).append(" noenhanced");
  }
  const bool at_ends = figure.labels_at_ends;
  const auto height = std::max<Index>(at_ends ? 600 : 480, 140 + 24 * static_cast<Index>(figure.y.names.size()));
  return draw(
      figure.name,
      terminal(figure.name, at_ends ? 900 : 760, height) + "set border 3 linecolor rgb '" + ink +
          "'\nset tics nomirror textcolor rgb '" + ink +
          "'\nset grid linecolor rgb '#d8dee4' linewidth 1\nset bars 0.6\n"
          "set key tmargin center horizontal maxcols 2 spacing 1.3 samplen 2.5 Left reverse noenhanced textcolor "
          "rgb '" +
          ink + "'\n" + axis_commands("x", figure.x) + axis_commands("y", figure.y) +
          range_command("x", figure.x, x_least, x_most) + range_command("y", figure.y, y_least, y_most) +
          (at_ends ? end_labels(figure, x_least, x_most, y_least, y_most) : "") + data + plots + "\n");
}

std::string to_svg(const HeatMap& map) {
  const Index columns = map.columns, rows = (static_cast<Index>(map.panels.size()) + columns - 1) / columns;
  std::string data, script = terminal(map.name, 240 * columns, 240 * rows) + "set multiplot layout " +
                             std::to_string(rows) + "," + std::to_string(columns) +
                             " margins char 4,char 9,char 2,char 2 spacing char 12,char 5\nset tics nomirror out scale "
                             "0.4\nunset key\nset border 15 linecolor rgb '" +
                             ink + "'\n";
  const auto tics = [](Index count) {
    return "0," + std::to_string(count > 5 ? 3 : 1) + "," + std::to_string(count - 1);
  };
  for (std::size_t i = 0; i < map.panels.size(); ++i) {
    const auto& [title, values, least, most] = map.panels[i];
    const std::string block = "$panel" + std::to_string(i);
    data += block + " << END\n";
    for (Index row = 0; row < values.rows(); ++row)
      for (Index column = 0; column < values.cols(); ++column)
        data += std::to_string(column) + " " + std::to_string(row) + " " + format_number(values(row, column)) + "\n";
    data += "END\n";
    const auto height = static_cast<double>(values.rows()), width = static_cast<double>(values.cols());
    script += "set title " + in_double_quotes(title) +
              " noenhanced offset 0,-0.5\nset xrange [-0.5:" + format_number(width - 0.5) + "]\nset yrange [" +
              format_number(height - 0.5) + ":-0.5]\nset xtics " + tics(values.cols()) + "\nset ytics " +
              tics(values.rows()) + "\nset size ratio " + format_number(height / width) + "\nset cbrange [" +
              format_number(least) + ":" + format_number(most) + "]\nset cbtics " + format_number((most - least) / 2) +
              "\nset palette defined " +
              (least < 0 ? "(-1 '#0072b2', 0 '#ffffff', 1 '#c94f00')" : "(0 '#ffffff', 1 '#c94f00')") + "\nplot " +
              block + " using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid 1 noborder linecolor palette\n";
  }
  return draw(map.name, data + script + "unset multiplot\n");
}

void expect_gnuplot() { run_gnuplot("exit\n"); }

}  // namespace gdssm::programs
