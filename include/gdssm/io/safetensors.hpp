// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <ostream>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/tensors.hpp"
#include "gdssm/io/text.hpp"

// The safetensors format: 8 bytes, the header's length n (little-endian); n bytes of JSON, an object of
//     name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}
// and, under __metadata__, strings by name; then the tensors' bytes, row-major, without gaps. Offsets count from the
// first tensor's first byte.
// Source  https://github.com/huggingface/safetensors (format specification)

namespace gdssm {

static_assert(std::endian::native == std::endian::little, "safetensors.hpp: little-endian machines only");

namespace detail {

/// The number of bytes of `shape` numbers of `item` bytes each.
/// Errors  sizes below zero, more bytes than a machine addresses
inline std::size_t bytes_of_shape(std::span<const Index> shape, std::size_t item, const std::string& place) {
  auto bytes = static_cast<Index>(item);
  for (const Index size : shape) {
    if (size < 0) refuse(place, "shape is ", shape_text(shape), ", expected no size below zero");
    if (size > 0 && bytes > (std::numeric_limits<Index>::max)() / size) {
      refuse(place, "shape ", shape_text(shape), " overflows, expected at most 2^63 - 1 bytes");
    }
    bytes *= size;
  }
  return static_cast<std::size_t>(bytes);
}

/// The header as JSON. Refuses duplicate names, of which a JSON object would keep only one.
inline nlohmann::json parse_tensor_header(std::string_view text, const std::string& where) {
  using Event = nlohmann::json::parse_event_t;
  if (text.empty() || text.front() != '{')
    refuse(where, "the header begins with ", in_quotes(text, 8), ", expected '{'");
  std::vector<std::set<std::string>> names;  // of the objects around the parser's position
  const auto watch = [&](int, Event event, nlohmann::json& parsed) {
    if (event == Event::object_start) names.emplace_back();
    if (event == Event::object_end) names.pop_back();
    if (event == Event::key && !names.back().insert(parsed.get<std::string>()).second) {
      refuse(where, "the header has the name ", in_quotes(parsed.get<std::string>(), 200), " twice, expected it once");
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, watch);
  } catch (const nlohmann::json::exception& error) {
    refuse(where, "the header is not JSON: ", error.what());
  }
}

inline const nlohmann::json& entry_member(const nlohmann::json& entry, const char* name, const std::string& place) {
  if (!entry.is_object()) refuse(place, "its entry is of type ", entry.type_name(), ", expected an object");
  const auto found = entry.find(name);
  if (found == entry.end()) refuse(place, name, " is missing, expected dtype, shape and data_offsets");
  return *found;
}

inline std::vector<Index> entry_numbers(const nlohmann::json& entry, const char* name, const std::string& place) {
  const nlohmann::json& list = entry_member(entry, name, place);
  const auto acceptable = [](const nlohmann::json& number) {
    return number.is_number_unsigned() && std::in_range<Index>(number.get<std::uint64_t>());
  };
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), acceptable)) {
    refuse(place, name, " is ", in_quotes(list.dump()), ", expected a list of whole numbers from 0 to 2^63 - 1");
  }
  return list.get<std::vector<Index>>();
}

/// The position of a tensor's bytes, from the first byte of the first tensor.
struct ByteRange {
  std::size_t begin, end;
  std::string name;
};

inline ByteRange entry_range(const nlohmann::json& entry, std::size_t available, const std::string& name,
                             const std::string& place) {
  const std::vector<Index> offsets = entry_numbers(entry, "data_offsets", place);
  if (offsets.size() != 2) refuse(place, "data_offsets has ", offsets.size(), " numbers, expected 2");
  const auto begin = static_cast<std::size_t>(offsets[0]), end = static_cast<std::size_t>(offsets[1]);
  if (begin > end || end > available) {
    refuse(place, "data_offsets is [", begin, ", ", end, "], expected begin <= end <= ", available,
           ", the bytes after the header");
  }
  return {begin, end, name};
}

template <class Scalar>
Tensor read_tensor(std::vector<Index> shape, std::string_view bytes, const std::string& place) {
  const std::size_t expected = bytes_of_shape(shape, sizeof(Scalar), place);
  if (bytes.size() != expected) {
    refuse(place, "data_offsets span ", bytes.size(), " bytes, expected ", expected, " for shape ", shape_text(shape),
           " of ", dtype_of<Scalar>());
  }
  std::vector<Scalar> numbers(expected / sizeof(Scalar));
  if (expected > 0) std::memcpy(numbers.data(), bytes.data(), expected);
  return {std::move(shape), std::move(numbers)};
}

/// The float of the same value as a half, F16: sign, 5 bits of exponent, 10 of fraction.
inline float float_of_f16(std::uint16_t half) {
  const auto sign = static_cast<std::uint32_t>(half >> 15) << 31;
  const std::uint32_t exponent = (half >> 10) & 31u, fraction = half & 1023u;
  if (exponent == 0) {  // fraction / 2^24
    const float size = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -size : size;
  }
  return std::bit_cast<float>(sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | fraction << 13);
}
/// The float of the same value as a BF16, which is its upper half.
inline float float_of_bf16(std::uint16_t half) { return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16); }

inline bool is_half(const nlohmann::json& dtype) { return dtype == "F16" || dtype == "BF16"; }

/// Numbers of two bytes, as floats.
inline Tensor read_halves(std::vector<Index> shape, std::string_view bytes, const std::string& place,
                          const std::string& dtype) {
  const std::size_t expected = bytes_of_shape(shape, sizeof(std::uint16_t), place);
  if (bytes.size() != expected) {
    refuse(place, "data_offsets span ", bytes.size(), " bytes, expected ", expected, " for shape ", shape_text(shape),
           " of ", dtype);
  }
  std::vector<float> numbers(expected / sizeof(std::uint16_t));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data() + i * sizeof half, sizeof half);
    numbers[i] = dtype == "F16" ? float_of_f16(half) : float_of_bf16(half);
  }
  return {std::move(shape), std::move(numbers)};
}

/// Whole numbers of eight bytes.
inline IntegerTensor read_integers(std::vector<Index> shape, std::string_view bytes, const std::string& place) {
  const std::size_t expected = bytes_of_shape(shape, sizeof(std::int64_t), place);
  if (bytes.size() != expected)
    refuse(place, "data_offsets span ", bytes.size(), " bytes, expected ", expected, " for shape ", shape_text(shape),
           " of I64");
  std::vector<std::int64_t> numbers(expected / sizeof(std::int64_t));
  if (expected > 0) std::memcpy(numbers.data(), bytes.data(), expected);
  return {std::move(shape), std::move(numbers)};
}

inline Tensor read_tensor(const nlohmann::json& entry, std::string_view bytes, const std::string& place) {
  const nlohmann::json& dtype = entry_member(entry, "dtype", place);
  std::vector<Index> shape = entry_numbers(entry, "shape", place);
  if (dtype == dtype_of<float>()) return read_tensor<float>(std::move(shape), bytes, place);
  if (dtype == dtype_of<double>()) return read_tensor<double>(std::move(shape), bytes, place);
  if (is_half(dtype)) return read_halves(std::move(shape), bytes, place, dtype.get<std::string>());
  refuse(place, "dtype is ", in_quotes(dtype.dump()), ", expected F16, BF16, F32 or F64");
}

/// Refuses bytes after the header that belong to no tensor, or to several.
inline void expect_contiguous(std::vector<ByteRange> ranges, std::size_t available, const std::string& where) {
  std::sort(ranges.begin(), ranges.end(), [](const ByteRange& a, const ByteRange& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::size_t end = 0;
  for (const ByteRange& range : ranges) {
    if (range.begin != end) {
      refuse(tensor_place(where, range.name), "begins at byte ", range.begin, ", expected ", end,
             range.begin < end ? ", where the tensor before it ends (they overlap)"
                               : ", where the tensor before it ends (there is a gap)");
    }
    end = range.end;
  }
  if (end != available) refuse(where, "the tensors end at byte ", end, ", expected ", available, ", the file's end");
}

inline std::map<std::string, std::string> read_metadata(const nlohmann::json& entries, const std::string& where) {
  if (!entries.is_object()) refuse(where, "__metadata__ is of type ", entries.type_name(), ", expected an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [name, value] : entries.items()) {
    if (!value.is_string()) {
      refuse(where, "metadata ", in_quotes(name, 200), " is of type ", value.type_name(), ", expected a string");
    }
    metadata[name] = value.get<std::string>();
  }
  return metadata;
}

inline std::string_view bytes_of(const Tensor& tensor) {
  return std::visit(
      []<class Scalar>(const std::vector<Scalar>& numbers) {
        return std::string_view(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Scalar));
      },
      tensor.data);
}

/// Writes tensors of doubles before those of floats, each in the order of names. Numbers are then aligned, and the file
/// equals that of the format's own writer.
inline void write_safetensors(std::ostream& out, const Safetensors& file, const std::string& where) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::vector<std::string_view> blocks;
  std::size_t end = 0;
  for (const std::string_view dtype : {dtype_of<double>(), dtype_of<float>()}) {
    for (const auto& [name, tensor] : file.tensors) {
      if (tensor.dtype() != dtype) continue;
      const std::string place = tensor_place(where, name);
      if (name == "__metadata__") refuse(place, "the format keeps this name to itself, expected another");
      blocks.push_back(bytes_of(tensor));
      const std::size_t begin = std::exchange(end, end + blocks.back().size());
      const std::size_t item = dtype == dtype_of<double>() ? sizeof(double) : sizeof(float);
      if (const std::size_t expected = bytes_of_shape(tensor.shape, item, place); end - begin != expected) {
        refuse(place, "holds ", (end - begin) / item, " numbers, expected ", expected / item, " for shape ",
               shape_text(tensor.shape));
      }
      header[name] = {{"dtype", dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    }
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& error) {
    refuse(where, "names and metadata must be UTF-8: ", error.what());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << text;
  for (const std::string_view block : blocks) out.write(block.data(), static_cast<std::streamsize>(block.size()));
}

}  // namespace detail

/// A safetensors file from its bytes; `where` names it in error messages.
/// Errors  std::invalid_argument naming the file, the tensor, what was found and what was expected: a file that is cut
///         short, a Git LFS pointer, a header that is not a JSON object or has a name twice, metadata other than
///         strings, a dtype other than F16, BF16 (which become F32, see `halves`), F32 and F64, a shape that overflows
///         or does not fit its bytes, bytes outside the file, in two tensors or in none. Numbers are not checked, see
///         `require_finite`. Tensors of whole numbers, I64, go to `integers`, and are refused where it is null.
inline Safetensors parse_safetensors(std::string_view bytes, const std::string& where,
                                     std::map<std::string, IntegerTensor>* integers = nullptr) {
  if (bytes.starts_with("version https://git-lfs.github.com/spec/"))
    refuse(where, "is a Git LFS pointer, expected the file that it stands for, which `git lfs pull` fetches");
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) {
    refuse(where, "is ", bytes.size(), " bytes long, expected at least 8, the header's length");
  }
  std::memcpy(&length, bytes.data(), sizeof length);
  bytes.remove_prefix(sizeof length);
  if (length > bytes.size()) {
    refuse(where, "the header's length is ", length, ", expected at most ", bytes.size(), ", the bytes that follow it");
  }
  const nlohmann::json header = detail::parse_tensor_header(bytes.substr(0, length), where);
  bytes.remove_prefix(length);

  Safetensors file;
  std::vector<detail::ByteRange> ranges;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      file.metadata = detail::read_metadata(entry, where);
      continue;
    }
    const std::string place = detail::tensor_place(where, name);
    const auto& range = ranges.emplace_back(detail::entry_range(entry, bytes.size(), name, place));
    const std::string_view own = bytes.substr(range.begin, range.end - range.begin);
    if (integers && detail::entry_member(entry, "dtype", place) == "I64") {
      (*integers)[name] = detail::read_integers(detail::entry_numbers(entry, "shape", place), own, place);
      continue;
    }
    file.tensors[name] = detail::read_tensor(entry, own, place);
    if (detail::is_half(entry["dtype"])) file.halves[name] = entry["dtype"].get<std::string>();
  }
  detail::expect_contiguous(std::move(ranges), bytes.size(), where);
  return file;
}

/// Reads a safetensors file.
/// Errors  those of `read_file` and `parse_safetensors`
inline Safetensors read_safetensors(const std::filesystem::path& path,
                                    std::map<std::string, IntegerTensor>* integers = nullptr) {
  return parse_safetensors(read_file(path), path.string(), integers);
}

/// The bytes of a safetensors file; `where` names it in error messages. Equal values give equal bytes.
/// Errors  std::invalid_argument naming the tensor: a shape that does not fit its numbers, a name that is not UTF-8 or
///         is the format's own `__metadata__`
inline std::string serialize(const Safetensors& file, const std::string& where = "safetensors") {
  std::ostringstream out;
  detail::write_safetensors(out, file, where);
  return std::move(out).str();
}

/// Writes a safetensors file, complete or not at all.
/// Errors  those of `AtomicFile` and `serialize`
inline void write_safetensors(const std::filesystem::path& path, const Safetensors& file) {
  AtomicFile out(path);
  detail::write_safetensors(out, file, path.string());
  out.commit();
}

}  // namespace gdssm
