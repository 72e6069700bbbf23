// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/catch.hpp"

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm::test {

/// A file of reference figures, tests/golden. Keys are paths, "/params/layers_0/seq/w_q".
/// Errors  std::invalid_argument, which names the file and the key: nothing there, or not what was asked for
class Golden {
 public:
  explicit Golden(const std::filesystem::path& file) : file_(file.string()) {
    std::ifstream in(file);
    if (!in) refuse(file_, "cannot be read, expected a file of reference figures");
    try {
      figures_ = nlohmann::json::parse(in);
    } catch (const nlohmann::json::exception& error) {
      refuse(file_, error.what());
    }
    if (!figures_.is_object() || figures_.empty()) refuse(file_, "holds no figures, expected one JSON object");
  }

  const std::string& file() const { return file_; }
  bool has(const std::string& key) const { return figures_.contains(nlohmann::json::json_pointer(key)); }

  /// A number or a string.
  template <class T>
  T value(const std::string& key) const {
    return convert<T>(key, at(key));
  }

  /// A list of numbers as a column, a list of equally long lists row by row.
  Eigen::MatrixXd matrix(const std::string& key) const { return matrix(key, at(key)); }

  /// A list of matrices.
  std::vector<Eigen::MatrixXd> matrices(const std::string& key) const {
    std::vector<Eigen::MatrixXd> all;
    for (const auto& entry : list(key, at(key))) all.push_back(matrix(key, entry));
    return all;
  }

 private:
  const nlohmann::json& at(const std::string& key) const {
    if (!has(key)) refuse(file_, "there is no ", key);
    return figures_.at(nlohmann::json::json_pointer(key));
  }

  template <class T>
  T convert(const std::string& key, const nlohmann::json& entry) const {
    try {
      return entry.get<T>();
    } catch (const nlohmann::json::exception& error) {
      refuse(file_, key, ": ", error.what());
    }
  }

  const nlohmann::json& list(const std::string& key, const nlohmann::json& entry) const {
    if (!entry.is_array() || entry.empty()) refuse(file_, key, " is ", entry.dump(), ", expected a list of numbers");
    return entry;
  }

  Eigen::MatrixXd matrix(const std::string& key, const nlohmann::json& rows) const {
    const bool is_vector = !list(key, rows).front().is_array();
    const std::size_t cols = is_vector ? 1 : list(key, rows.front()).size();
    Eigen::MatrixXd m(static_cast<Index>(rows.size()), static_cast<Index>(cols));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!is_vector && list(key, rows[i]).size() != cols) refuse(file_, key, " has rows of different lengths");
      for (std::size_t j = 0; j < cols; ++j)
        m(static_cast<Index>(i), static_cast<Index>(j)) = convert<double>(key, is_vector ? rows[i] : rows[i][j]);
    }
    return m;
  }

  std::string file_;
  nlohmann::json figures_;
};

inline Golden golden(const std::string& name) { return Golden(std::filesystem::path(GDSSM_GOLDEN_DIR) / name); }

/// The names of all files of figures with this prefix, in order.
inline std::vector<std::string> golden_files(std::string_view beginning = "") {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(GDSSM_GOLDEN_DIR)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() == ".json" && name.substr(0, beginning.size()) == beginning) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Compares with a file's figures, and counts the comparisons, so that no test passes without any.
class Comparisons {
 public:
  /// Every entry within `tolerance` times the largest of the expected ones.
  template <class Derived>
  void operator()(const std::string& what, const Eigen::MatrixBase<Derived>& got, const Eigen::MatrixXd& expected,
                  double tolerance) {
    INFO(what);
    REQUIRE(got.rows() == expected.rows());
    REQUIRE(got.cols() == expected.cols());
    const Eigen::MatrixXd error = got.template cast<double>() - expected;
    REQUIRE(error.allFinite());
    CHECK(error.cwiseAbs().maxCoeff() <= tolerance * expected.cwiseAbs().maxCoeff());
    ++count_;
  }
  void operator()(const std::string& what, double got, double expected, double tolerance) {
    (*this)(what, Eigen::Matrix<double, 1, 1>(got), Eigen::MatrixXd::Constant(1, 1, expected), tolerance);
  }

  int count() const { return count_; }

 private:
  int count_ = 0;
};

}  // namespace gdssm::test
