// SPDX-License-Identifier: Apache-2.0
#include "predict/classify.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "gdssm/core/error.hpp"
#include "gdssm/io/text.hpp"
#include "support/figure.hpp"

namespace gdssm::predict {

void ClassScore::add(const Eigen::VectorXd& probabilities, double own, bool is_right, double frequency) {
  ++scored_;
  log_loss_ -= std::log(own);
  frequencies_ -= std::log(frequency);
  right_ += is_right ? 1 : 0;
  brier_ += probabilities.squaredNorm() - 2 * own + 1;
}

void Reliability::add(double probability, bool came) {
  const auto bin = std::min(bins - 1, static_cast<std::size_t>(probability * static_cast<double>(bins)));
  count_[bin] += 1;
  probability_[bin] += probability;
  came_[bin] += came ? 1 : 0;
}

void Reliability::add_skill(Index row, const std::optional<double>& skill) {
  if (!skill || row % stride_ != 0) return;
  if (rows_.size() == 2 * kept) {
    stride_ *= 2;
    for (std::vector<double>* list : {&rows_, &skills_}) {
      for (std::size_t i = 0; i < kept; ++i) (*list)[i] = (*list)[2 * i + 1];
      list->resize(kept);
    }
    if (row % stride_ != 0) return;
  }
  rows_.push_back(static_cast<double>(row));
  skills_.push_back(*skill);
}

std::string Reliability::to_svg(const std::string& target) const {
  using namespace programs;
  std::vector<double> said, came, errors;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    if (count_[bin] == 0) continue;
    const double share = came_[bin] / count_[bin];
    said.push_back(probability_[bin] / count_[bin]);
    came.push_back(share);
    errors.push_back(2 * std::sqrt(share * (1 - share) / count_[bin]));
  }
  const Figure reliability{"reliability",
                           "",
                           {"probability given to a class of " + target},
                           {"share of rows in which it came"},
                           {{"as often as said", Mark::dashed, Colour::grey, {0, 1}, {0, 1}},
                            {"by tenths, with two standard errors", Mark::points, Colour::blue, said, came, errors}}};
  const Figure skill{
      "skill",
      "",
      {"row"},
      {"skill so far"},
      {{"1 - log loss / log loss of the running frequencies", Mark::line, Colour::green, rows_, skills_}}};
  std::string document =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"960\" viewBox=\"0 0 760 960\">\n";
  double top = 0;
  for (const Figure* figure : {&reliability, &skill}) {
    std::string svg = programs::to_svg(*figure);
    svg.erase(0, svg.find("<svg") + 4);
    document += "<svg y=\"" + format_number(top) + "\"" + svg;
    top += 480;
  }
  return document + "</svg>\n";
}

const Eigen::VectorXd& ClassTarget::predict() {
  now_.guesses.clear();
  now_.guesses.push_back(guess(learner_));
  now_.guesses.push_back(guess(frequencies_));
  for (ComparedClassifier& other : others_) now_.guesses.push_back(guess(other.learner));
  return now_.guesses[0];
}

/// Rows whose classes are still to come are passed first, with guesses in their place.
Eigen::VectorXd ClassTarget::guess(GrowingClassifier& learner) {
  const Eigen::VectorXd& x = now_.row.x;
  if (late_.empty()) return complete(learner.predict(x));
  GrowingClassifier ahead = learner;
  for (const Row& late : late_) {
    const Eigen::VectorXd between = ahead.predict(late.row.x);
    ahead.skip(late.row.x, between);
  }
  return complete(ahead.predict(x));
}

/// Where all names are known, those that have not come yet have equal shares of the last entry.
Eigen::VectorXd ClassTarget::complete(const Eigen::VectorXd& p) {
  known_ = p.size() - 1;
  const auto all = static_cast<Index>(settings_.names.size());
  if (all == 0) return p;
  Eigen::VectorXd shares(all);
  if (known_ < all) {
    shares.head(known_) = p.head(known_);
    shares.tail(all - known_).setConstant(p[known_] / static_cast<double>(all - known_));
  } else {
    shares = p.head(all) / p.head(all).sum();
  }
  return shares;
}

std::string_view ClassTarget::likeliest() const {
  const Index best = likeliest_of(now_.guesses[0]);
  return best < 0 ? std::string_view() : classes_[static_cast<std::size_t>(best)];
}

Index ClassTarget::likeliest_of(const Eigen::VectorXd& p) const {
  Index best = -1;
  if (known_ > 0) p.head(known_).maxCoeff(&best);
  return best;
}

void ClassTarget::take(const std::optional<std::string>& label, Index row, bool draws) {
  now_.label = -1;
  if (label) {
    const auto found = std::find(classes_.begin(), classes_.end(), *label);
    now_.label = static_cast<Index>(found - classes_.begin());
    if (found == classes_.end()) {
      if (classes_.size() == most_classes)
        refuse(name_, "there are more than ", most_classes, " classes, the next one ", in_quotes(*label),
               ", expected fewer, or a target of numbers");
      classes_.push_back(*label);
    }
    if (learned_ >= settings_.burn_in) {
      const auto own = [&](std::size_t i) { return now_.guesses[i][std::min(now_.label, now_.guesses[i].size() - 1)]; };
      const auto add = [&](ClassScore& score, std::size_t i) {
        score.add(now_.guesses[i], own(i), likeliest_of(now_.guesses[i]) == now_.label, own(1));
      };
      add(score_, 0);
      for (std::size_t i = 0; i < others_.size(); ++i) add(others_[i].score, i + 2);
      for (Index k = 0; draws && k < known_; ++k) reliability_.add(now_.guesses[0][k], k == now_.label);
      if (draws) reliability_.add_skill(row, score_.skill());
    }
  }
  if (settings_.delay == 0) return learn(now_);
  late_.push_back(now_);
  if (static_cast<Index>(late_.size()) <= settings_.delay) return;
  learn(late_.front());
  late_.pop_front();
}

void ClassTarget::finish() {
  for (const Row& row : late_) learn(row);
  late_.clear();
}

void ClassTarget::learn(const Row& row) {
  const Eigen::VectorXd& x = row.row.x;
  const auto each = [&](auto&& action) {
    action(learner_);
    action(frequencies_);
    for (ComparedClassifier& other : others_) action(other.learner);
  };
  if (row.label < 0) {
    each([&](GrowingClassifier& learner) {
      const Eigen::VectorXd between = learner.predict(x);
      learner.skip(x, between);
    });
    return;
  }
  each([&](GrowingClassifier& learner) { learner.observe(x, row.label); });
  encoder_.observe(row.row, row.label == 0 ? 0 : 1);
  ++learned_;
}

}  // namespace gdssm::predict
