// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace gdssm::reproduce {

/// What an experiment writes to summary.json: nothing, a truth value, a number, a text, a list, or named records in the
/// order in which they were added. It is nlohmann's ordered_json without its header, which takes longer to compile than
/// an experiment.
///     Record found{{"step", 1.5}, {"seeds", Record::list()}};      // names in front: an object
///     found["seeds"].push_back({{"seed", 1}, {"loss", nullptr}});
class Record {
 public:
  enum class Kind { null, boolean, integer, natural, number, text, list, object };

  Record();
  Record(std::nullptr_t);
  Record(const char* text);
  Record(std::string text);
  template <std::same_as<bool> T>
  Record(T value) : Record(Kind::boolean, value ? 1 : 0, 0) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Record(T value)
      : Record(std::signed_integral<T> ? Kind::integer : Kind::natural, static_cast<std::size_t>(value), 0) {}
  template <std::floating_point T>
  Record(T value) : Record(Kind::number, 0, static_cast<double>(value)) {}
  template <class T>
  Record(const std::vector<T>& items) : Record(list()) {
    for (const T& item : items) push_back(item);
  }
  /// An object if every item is a list of a text and something, else a list.
  Record(std::initializer_list<Record> items);

  Record(const Record&);
  Record(Record&&) noexcept;
  Record& operator=(const Record&);
  Record& operator=(Record&&) noexcept;
  ~Record();

  static Record list();
  static Record object();

  Kind kind() const { return kind_; }
  bool truth() const { return integer_ != 0; }
  std::size_t integer() const { return integer_; }  ///< of a negative one, modulo its range
  double number() const { return number_; }
  const std::string& text() const { return text_; }
  const std::vector<std::string>& names() const { return names_; }  ///< of an object's items
  const std::vector<Record>& items() const { return items_; }       ///< of a list or an object
  std::vector<Record>& items() { return items_; }

  void push_back(Record item);
  /// What has the name, which is added to an object where it is missing.
  Record& operator[](std::string_view name);
  /// Errors  std::invalid_argument: nothing has the name
  const Record& at(std::string_view name) const;
  void erase(std::string_view name);
  void update(const Record& other);  ///< adds another object's items

 private:
  Record(Kind kind, std::size_t integer, double number);
  std::size_t find(std::string_view name) const;

  Kind kind_ = Kind::null;
  std::size_t integer_ = 0;
  double number_ = 0;
  std::string text_;
  std::vector<std::string> names_;
  std::vector<Record> items_;
};

}  // namespace gdssm::reproduce
