// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "gdssm/core/view.hpp"
#include "gdssm/io/text.hpp"
#include "support/figure.hpp"

namespace gdssm::predict {

/// Predictions, targets and running skill at rows that are thinned out as the stream goes on.
class Curve {
 public:
  void add(Index row, double prediction, double target, const std::optional<double>& skill) {
    if (row % stride_ != 0) return;
    if (rows_.size() == 2 * kept) {
      stride_ *= 2;
      for (std::vector<double>* list : {&rows_, &predictions_, &targets_, &skills_}) {
        for (std::size_t i = 0; i < kept; ++i) (*list)[i] = (*list)[2 * i + 1];
        list->resize(kept);
      }
      if (row % stride_ != 0) return;
    }
    rows_.push_back(static_cast<double>(row));
    predictions_.push_back(prediction);
    targets_.push_back(target);
    skills_.push_back(skill ? *skill : 0);
  }

  /// The two figures of one target, one above the other in one document.
  std::string to_svg(const std::string& target) const {
    using namespace programs;
    const Figure values{"prediction",
                        "",
                        {"row"},
                        {target},
                        {{"target", Mark::points, Colour::grey, rows_, targets_},
                         {"prediction", Mark::line, Colour::blue, rows_, predictions_}}};
    const Figure skill{"skill",
                       "",
                       {"row"},
                       {"skill so far"},
                       {{"1 - SSE / SSE of the running mean", Mark::line, Colour::green, rows_, skills_}}};
    std::string document =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"960\" viewBox=\"0 0 760 960\">\n";
    double top = 0;
    for (const Figure* figure : {&values, &skill}) {
      std::string svg = programs::to_svg(*figure);
      svg.erase(0, svg.find("<svg") + 4);
      document += "<svg y=\"" + format_number(top) + "\"" + svg;
      top += 480;
    }
    return document + "</svg>\n";
  }

 private:
  static constexpr std::size_t kept = 1000;

  Index stride_ = 1;
  std::vector<double> rows_, predictions_, targets_, skills_;
};

}  // namespace gdssm::predict
