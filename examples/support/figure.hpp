// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "gdssm/core/view.hpp"

namespace gdssm::programs {

/// An axis; the label ends with the unit in brackets where there is one.
struct Axis {
  std::string label;
  bool logarithmic = false;
  std::vector<std::string> names = {};  ///< of the values 1, 2, ... in place of numbers; on y from the top down
};

/// How a series is drawn. Lines are for what theory or construction says, points for what was measured, bands for the
/// spread of a line beside them.
enum class Mark { line, dashed, points, band };

/// The colours of series, told apart also by readers who do not see red and green.
enum class Colour { blue, orange, green, purple, grey };

struct Series {
  std::string label;
  Mark mark;
  Colour colour;
  std::vector<double> x, y;
  std::vector<double> error = {};  ///< of `points`: half the length of each bar, or none; of a `band`: half its height
};

struct Figure {
  std::string name;     ///< of the file, without its extension
  std::string caption;  ///< what the reader is to see
  Axis x, y;
  std::vector<Series> series;
  bool labels_at_ends = false;  ///< each label beside the right end of its line, in place of a key
};

/// Matrices as coloured squares, row 0 on top, in a grid read row by row.
struct HeatMap {
  struct Panel {
    std::string title;
    Eigen::MatrixXd values;
    double least, most;  ///< ends of its scale of colours; least = -most has white in the middle
  };

  std::string name;     ///< of the file, without its extension
  std::string caption;  ///< what the reader is to see
  Index columns;        ///< panels in a row of the grid
  std::vector<Panel> panels;
};

/// The figure as an SVG document, drawn by gnuplot.
/// Errors  std::runtime_error naming gnuplot, when it cannot be started or draws nothing; std::invalid_argument: a
///         series whose numbers of x, y and errors differ
std::string to_svg(const Figure& figure);
std::string to_svg(const HeatMap& map);

/// Refuses at once where `to_svg` would at the end of a long run.
/// Errors  std::runtime_error naming gnuplot
void expect_gnuplot();

}  // namespace gdssm::programs
