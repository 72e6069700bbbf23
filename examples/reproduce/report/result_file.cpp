// SPDX-License-Identifier: Apache-2.0
#include "reproduce/report/result_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "reproduce/report/record_json.hpp"

// CBOR (RFC 8949), written as it is read: each type says once, in `fields`, what it is made of.
namespace gdssm::reproduce {
namespace {

using Json = nlohmann::ordered_json;
using Bytes = std::vector<std::uint8_t>;

template <class Field>
Bytes bytes_of(const Field* data, std::size_t count) {
  Bytes bytes(count * sizeof(Field));
  if (count > 0) std::memcpy(bytes.data(), data, bytes.size());
  return bytes;
}

// Calls field(member...) for each, in a fixed order.
template <class Field>
void fields(Paragraph& value, const Field& field) {
  field(value.text);
}
template <class Field>
void fields(OutputFile& value, const Field& field) {
  field(value.name), field(value.bytes);
}
template <class Field>
void fields(Table& value, const Field& field) {
  field(value.caption), field(value.columns), field(value.rows);
}
template <class Field>
void fields(Axis& value, const Field& field) {
  field(value.label), field(value.logarithmic), field(value.names);
}
template <class Field>
void fields(Series& value, const Field& field) {
  field(value.label), field(value.mark), field(value.colour), field(value.x), field(value.y), field(value.error);
}
template <class Field>
void fields(Figure& value, const Field& field) {
  field(value.name), field(value.caption), field(value.x), field(value.y), field(value.series);
  field(value.labels_at_ends);
}
template <class Field>
void fields(HeatMap::Panel& value, const Field& field) {
  field(value.title), field(value.values), field(value.least), field(value.most);
}
template <class Field>
void fields(HeatMap& value, const Field& field) {
  field(value.name), field(value.caption), field(value.columns), field(value.panels);
}
template <class Field>
void fields(Result& value, const Field& field) {
  field(value.summary), field(value.overview), field(value.section), field(value.files);
}

/// Appends fields to a list.
struct Writer {
  Json& list;

  template <class Item>
  void put(const Item* items, std::size_t count) const {
    list.push_back(Json::binary(bytes_of(items, count)));
  }

  void operator()(Record& record) const { list.push_back(to_json(record)); }
  void operator()(bool& flag) const { list.push_back(flag); }
  void operator()(Index& number) const { list.push_back(number); }
  void operator()(double& number) const { put(&number, 1); }
  void operator()(std::string& text) const { put(text.data(), text.size()); }
  void operator()(std::vector<double>& numbers) const { put(numbers.data(), numbers.size()); }
  void operator()(Eigen::MatrixXd& matrix) const {
    list.push_back(matrix.rows());
    put(matrix.data(), static_cast<std::size_t>(matrix.size()));
  }
  template <class Item>
  void operator()(std::vector<Item>& items) const {
    Json nested = Json::array();
    for (Item& item : items) Writer{nested}(item);
    list.push_back(std::move(nested));
  }
  template <class... Item>
  void operator()(std::variant<Item...>& item) const {
    list.push_back(item.index());
    std::visit([&](auto& chosen) { (*this)(chosen); }, item);
  }
  template <class Value>
  void operator()(Value& value) const {
    if constexpr (std::is_enum_v<Value>) {
      list.push_back(static_cast<int>(value));
    } else {
      Json nested = Json::array();
      fields(value, Writer{nested});
      list.push_back(std::move(nested));
    }
  }
};

/// Takes fields from a list, in order. Whatever is not there, or of another type, throws nlohmann::json::exception.
struct Reader {
  const Json& list;
  std::size_t& at;

  const Json& next() const { return list.at(at++); }

  template <class Item>
  void take(const Bytes& bytes, Item* to, std::size_t count) const {
    if (bytes.size() != count * sizeof(Item)) refuse("bytes", "of another size");
    if (count > 0) std::memcpy(to, bytes.data(), bytes.size());
  }
  template <class Container>
  void take_all(Container& container) const {
    const Bytes& bytes = next().get_binary();
    container.resize(bytes.size() / sizeof(typename Container::value_type));
    take(bytes, container.data(), container.size());
  }

  void operator()(Record& record) const { record = to_record(next()); }
  void operator()(bool& flag) const { flag = next().get<bool>(); }
  void operator()(Index& number) const { number = next().get<Index>(); }
  void operator()(double& number) const { take(next().get_binary(), &number, 1); }
  void operator()(std::string& text) const { take_all(text); }
  void operator()(std::vector<double>& numbers) const { take_all(numbers); }
  void operator()(Eigen::MatrixXd& matrix) const {
    const auto rows = next().get<Index>();
    std::vector<double> numbers;
    (*this)(numbers);
    matrix.resize(rows, rows > 0 ? static_cast<Index>(numbers.size()) / rows : 0);
    take(bytes_of(numbers.data(), numbers.size()), matrix.data(), static_cast<std::size_t>(matrix.size()));
  }
  template <class Item>
  void operator()(std::vector<Item>& items) const {
    const Json& nested = next();
    std::size_t begin = 0;
    while (begin < nested.size()) Reader{nested, begin}(items.emplace_back());
  }
  template <class... Item>
  void operator()(std::variant<Item...>& item) const {
    const auto index = next().get<std::size_t>();
    std::size_t candidate = 0;
    ((candidate++ == index ? (*this)(item.template emplace<Item>()) : void()), ...);
  }
  template <class Value>
  void operator()(Value& value) const {
    if constexpr (std::is_enum_v<Value>) {
      value = static_cast<Value>(next().get<int>());
    } else {
      std::size_t begin = 0;
      fields(value, Reader{next(), begin});
    }
  }
};

}  // namespace

std::string serialize(const Result& result) {
  Json list = Json::array();
  Result copy = result;
  fields(copy, Writer{list});
  std::string bytes;
  Json::to_cbor(list, bytes);
  return bytes;
}

Result parse_result(std::string_view bytes, const std::string& where) {
  try {
    const Json list = Json::from_cbor(bytes.begin(), bytes.end());
    Result result;
    std::size_t begin = 0;
    fields(result, Reader{list, begin});
    return result;
  } catch (const std::exception& error) {
    refuse(where, error.what(), ", expected the result of an experiment");
  }
}

}  // namespace gdssm::reproduce
