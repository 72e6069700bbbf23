// SPDX-License-Identifier: Apache-2.0
#include "reproduce/report/record.hpp"

#include <algorithm>
#include <utility>

#include "gdssm/core/error.hpp"
#include "reproduce/report/record_json.hpp"

namespace gdssm::reproduce {

Record::Record() = default;
Record::Record(std::nullptr_t) {}
Record::Record(const char* text) : Record(std::string(text)) {}
Record::Record(std::string text) : kind_(Kind::text), text_(std::move(text)) {}
Record::Record(Kind kind, std::size_t integer, double number) : kind_(kind), integer_(integer), number_(number) {}
Record::Record(std::initializer_list<Record> items) : kind_(Kind::list) {
  const auto is_named = [](const Record& item) {
    return item.kind_ == Kind::list && item.items_.size() == 2 && item.items_[0].kind_ == Kind::text;
  };
  if (!std::all_of(items.begin(), items.end(), is_named)) {
    items_ = items;
    return;
  }
  kind_ = Kind::object;
  for (const Record& item : items) (*this)[item.items_[0].text_] = item.items_[1];
}

Record::Record(const Record&) = default;
Record::Record(Record&&) noexcept = default;
Record& Record::operator=(const Record&) = default;
Record& Record::operator=(Record&&) noexcept = default;
Record::~Record() = default;

Record Record::list() { return Record(Kind::list, 0, 0); }
Record Record::object() { return Record(Kind::object, 0, 0); }

void Record::push_back(Record item) {
  kind_ = Kind::list;
  items_.push_back(std::move(item));
}

std::size_t Record::find(std::string_view name) const {
  return static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
}

Record& Record::operator[](std::string_view name) {
  kind_ = Kind::object;
  const std::size_t at = find(name);
  if (at == names_.size()) {
    names_.emplace_back(name);
    items_.emplace_back();
  }
  return items_[at];
}

const Record& Record::at(std::string_view name) const {
  const std::size_t at = find(name);
  if (at == names_.size()) refuse("Record", "there is no \"", name, "\"");
  return items_[at];
}

void Record::erase(std::string_view name) {
  const auto at = static_cast<std::ptrdiff_t>(find(name));
  if (at == std::ssize(names_)) return;
  names_.erase(names_.begin() + at);
  items_.erase(items_.begin() + at);
}

void Record::update(const Record& other) {
  for (std::size_t i = 0; i < other.names_.size(); ++i) (*this)[other.names_[i]] = other.items_[i];
}

nlohmann::ordered_json to_json(const Record& record) {
  using Kind = Record::Kind;
  using Json = nlohmann::ordered_json;
  switch (record.kind()) {
    case Kind::null:
      return nullptr;
    case Kind::boolean:
      return record.truth();
    case Kind::integer:
      return static_cast<std::int64_t>(record.integer());
    case Kind::natural:
      return record.integer();
    case Kind::number:
      return record.number();
    case Kind::text:
      return record.text();
    case Kind::list: {
      Json list = Json::array();
      for (const Record& item : record.items()) list.push_back(to_json(item));
      return list;
    }
    case Kind::object:
      break;
  }
  Json object = Json::object();
  for (std::size_t i = 0; i < record.items().size(); ++i) object[record.names()[i]] = to_json(record.items()[i]);
  return object;
}

Record to_record(const nlohmann::ordered_json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned()) return json.get<std::size_t>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_null()) return nullptr;
  Record record = json.is_array() ? Record::list() : Record::object();
  for (const auto& [name, item] : json.items())
    if (json.is_array())
      record.push_back(to_record(item));
    else
      record[name] = to_record(item);
  return record;
}

}  // namespace gdssm::reproduce
