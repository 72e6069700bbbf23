// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// The weights of any model, or anything else whose members `visit` names, as one run-time value: names, shapes and
/// numbers. It is an aggregate with `visit` itself, and its names are those of what it was made of, so that optimisers,
/// checkpoints and measurements that work on it are compiled once, not once a model.
///     NamedWeights<float> weights(layer.parameters<float>());
///     weights.matrix("readout.C") *= 2;
///     weights.copy_to(typed);
template <class P>
class NamedWeights {
  using Matrix = Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

 public:
  /// One matrix: its name and its shape.
  struct Entry {
    std::string name;
    Index rows, cols;
    Index first;  ///< where its numbers begin, column after column
  };

  NamedWeights() : entries_(std::make_shared<std::vector<Entry>>()) {}

  /// The members of an aggregate, in the order of its `visit`, converted to P.
  template <class Aggregate>
  requires(!std::is_same_v<std::remove_cvref_t<Aggregate>, NamedWeights>) explicit NamedWeights(const Aggregate& from) {
    std::vector<Entry> entries;
    Index end = 0;
    gdssm::visit(
        [&](const Name& name, const auto& m) {
          add(name, m.rows(), m.cols(), end, entries);
          end += (m.size() + alignment - 1) / alignment * alignment;
        },
        from);
    numbers_.setZero(end);
    entries_ = std::make_shared<const std::vector<Entry>>(std::move(entries));
    assign(from);
  }

  /// Every matrix, in order.
  const std::vector<Entry>& entries() const { return *entries_; }

  /// The number of weights in all matrices.
  Index count() const { return gdssm::count(*this); }

  /// A matrix by its name.        Errors  std::invalid_argument: there is none of this name
  Eigen::Map<Matrix> matrix(std::string_view name) { return at<Matrix>(numbers_.data(), find(name)); }
  Eigen::Map<const Matrix> matrix(std::string_view name) const { return at<const Matrix>(numbers_.data(), find(name)); }

  /// The i-th matrix, from 0.
  View<P> operator[](std::size_t i) { return view<P>(numbers_.data(), (*entries_)[i]); }
  View<const P> operator[](std::size_t i) const { return view<const P>(numbers_.data(), (*entries_)[i]); }

  /// Refuses weights with other names or shapes: "where: readout.C is 2 x 2, expected 3 x 3".
  /// Errors  std::invalid_argument
  void expect_like(const char* where, const NamedWeights& got) const {
    if (entries_ == got.entries_) return;
    for (std::size_t i = 0; i < (std::max)(entries_->size(), got.entries_->size()); ++i) {
      if (i >= got.entries_->size()) refuse(where, "there is no ", (*entries_)[i].name, ", expected one");
      const Entry& other = (*got.entries_)[i];
      if (i >= entries_->size()) refuse(where, "there is ", other.name, " too, expected no more");
      const Entry& own = (*entries_)[i];
      if (own.name != other.name) refuse(where, "there is ", other.name, ", expected ", own.name);
      if (own.rows != other.rows || own.cols != other.cols)
        detail::refuse_shape(where, Name{other.name}, other.rows, other.cols, own.rows, own.cols);
    }
  }

  /// Takes the numbers of an aggregate of the same shape.        Errors  std::invalid_argument: it has another
  template <class Aggregate>
  void assign(const Aggregate& from) {
    constexpr const char* where = "NamedWeights::assign";
    std::size_t at = 0;
    gdssm::visit(
        [&](const Name& name, const auto& m) {
          std::transform(m.data(), m.data() + m.size(),
                         numbers_.data() + next(where, at, name, m.rows(), m.cols()).first,
                         [](const auto& number) { return static_cast<P>(number); });
        },
        from);
    expect_end(where, at);
  }
  /// Hands the numbers to an aggregate of the same shape.        Errors  std::invalid_argument: it has another
  template <class Aggregate>
  void copy_to(Aggregate& to) const {
    constexpr const char* where = "NamedWeights::copy_to";
    std::size_t at = 0;
    gdssm::visit(
        [&](const Name& name, auto& m) {
          const P* const first = numbers_.data() + next(where, at, name, m.rows(), m.cols()).first;
          using Number = std::remove_reference_t<decltype(*m.data())>;
          std::transform(first, first + m.size(), m.data(),
                         [](const P& number) { return static_cast<Number>(number); });
        },
        to);
    expect_end(where, at);
  }

  template <class Visitor, class First, class... More>
  static void visit(Visitor&& visitor, First&& first, More&&... more) {
    for (const Entry& entry : *first.entries_) {
      const auto call = [&](auto... matrix) { visitor(Name{entry.name}, matrix...); };
      call(at<Of<First>>(first.numbers_.data(), entry), at<Of<More>>(more.numbers_.data(), entry)...);
    }
  }

 private:
  // Matrices begin where vectors of any machine may, so that sums over them have the bits that they have elsewhere.
  static constexpr Index alignment = 64 / static_cast<Index>(sizeof(P));

  template <class Self>
  using Of = std::conditional_t<std::is_const_v<std::remove_reference_t<Self>>, const Matrix, Matrix>;

  template <class M, class Number>
  static Eigen::Map<M> at(Number* numbers, const Entry& entry) {
    return {numbers + entry.first, entry.rows, entry.cols};
  }

  template <class Number, class Data>
  static View<Number> view(Data* numbers, const Entry& entry) {
    return {numbers + entry.first, entry.rows, entry.cols};
  }

  const Entry& find(std::string_view name) const {
    std::string names;
    for (const Entry& entry : *entries_) {
      if (entry.name == name) return entry;
      names += (names.empty() ? "" : ", ") + entry.name;
    }
    refuse("NamedWeights", "there is no \"", name, "\", expected one of ", names);
  }

  // Not inline: it keeps what makes named weights small, and g++ 12 warns of the string's move where it is.
  [[gnu::noinline]] static void add(const Name& name, Index rows, Index cols, Index first,
                                    std::vector<Entry>& entries) {
    entries.push_back({name.str(), rows, cols, first});
  }

  /// The entry that the next matrix of another aggregate goes with; refused are others.
  const Entry& next(const char* where, std::size_t& at, const Name& name, Index rows, Index cols) const {
    if (at == entries_->size()) refuse(where, "there is ", name.str(), " too, expected no more");
    const Entry& entry = (*entries_)[at++];
    if (rows != entry.rows || cols != entry.cols) detail::refuse_shape(where, name, rows, cols, entry.rows, entry.cols);
    return entry;
  }
  void expect_end(const char* where, std::size_t at) const {
    if (at != entries_->size()) refuse(where, "there is no ", (*entries_)[at].name, ", expected one");
  }

  std::shared_ptr<const std::vector<Entry>> entries_;
  Eigen::Matrix<P, Eigen::Dynamic, 1> numbers_;
};

}  // namespace gdssm
