// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/safetensors.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/support.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::Index;
using gdssm::parse_safetensors;
using gdssm::read_file;
using gdssm::read_safetensors;
using gdssm::Safetensors;
using gdssm::serialize;
using gdssm::Tensor;
using gdssm::write_safetensors;
using gdssm::test::message_of;
using gdssm::test::TemporaryFolder;

std::string with_length(std::string_view header, std::string_view data = "") {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes.append(header).append(data);
}

/// The reader's error message for a file with this header and this many bytes of data.
std::string refusal(std::string_view header, std::size_t data = 0) {
  return message_of([&] { parse_safetensors(with_length(header, std::string(data, '\0')), "m.safetensors"); });
}

/// A file of the format's own writer, and its value. Made with Python's safetensors 0.8.0 and numpy 2.4.6:
///     save({"a": np.arange(6, dtype=np.float32).reshape(2, 3) / 8, "s": np.array(-0.5), "empty": np.zeros((0, 3)),
///           "é \"": np.array([1.5], np.float32)}, metadata={"discretization": "zoh"})
std::string golden_bytes() {
  const char data[] =
      "\0\0\0\0\0\0\xe0\xbf"
      "\0\0\0\0\0\0\0\x3e\0\0\x80\x3e\0\0\xc0\x3e\0\0\0\x3f\0\0\x20\x3f"
      "\0\0\xc0\x3f";
  return with_length(
      R"({"__metadata__":{"discretization":"zoh"},"empty":{"dtype":"F64","shape":[0,3],"data_offsets":[0,0]},)"
      R"("s":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},)"
      "\"\xc3\xa9 \\\"\":"
      R"({"dtype":"F32","shape":[1],"data_offsets":[32,36]}}     )",
      std::string_view(data, sizeof data - 1));
}

Safetensors golden_value() {
  return {.metadata = {{"discretization", "zoh"}},
          .tensors = {{"a", {{2, 3}, std::vector<float>{0, 0.125f, 0.25f, 0.375f, 0.5f, 0.625f}}},
                      {"s", {{}, std::vector<double>{-0.5}}},
                      {"empty", {{0, 3}, std::vector<double>{}}},
                      {"\xc3\xa9 \"", {{1}, std::vector<float>{1.5f}}}}};
}

}  // namespace

TEST_CASE("A file of the format's own writer is read exactly, and written byte for byte", "[safetensors][golden]") {
  CHECK(parse_safetensors(golden_bytes(), "golden") == golden_value());
  CHECK(serialize(golden_value()) == golden_bytes());
}

TEST_CASE("Files keep names, metadata, shapes, precisions and every bit of every number", "[safetensors]") {
  const TemporaryFolder folder;
  using Float = std::numeric_limits<float>;
  using Double = std::numeric_limits<double>;
  const Safetensors file{
      .metadata = {{"targets", "vector"}, {"", "empty name"}, {"quote\"\n", "tab\t\x01 \xf0\x9f\x99\x82"}},
      .tensors = {
          {"floats", {{5}, std::vector<float>{-0.0f, Float::denorm_min(), Float::max(), Float::infinity(), 0.1f}}},
          {"doubles", {{2, 2}, std::vector<double>{0.1, Double::denorm_min(), -Double::max(), 1e-300}}},
          {"", {{1, 1, 1}, std::vector<float>{3}}},
          {"none", {{3, 0, 2}, std::vector<double>{}}}}};
  write_safetensors(folder / "a.safetensors", file);
  const Safetensors read = read_safetensors(folder / "a.safetensors");
  CHECK(read == file);
  CHECK(std::signbit(read.tensors.at("floats").as<float>()[0]));
  CHECK(read_file(folder / "a.safetensors") == serialize(file));

  Safetensors nan{.metadata = {}, .tensors = {{"x", {{1}, std::vector<double>{-std::nan("0x123")}}}}};
  const Tensor same = parse_safetensors(serialize(nan), "nan").tensors.at("x");
  CHECK(std::memcmp(same.as<double>().data(), nan.tensors.at("x").as<double>().data(), sizeof(double)) == 0);
}

TEST_CASE("An empty file of tensors is written and read", "[safetensors]") {
  CHECK(serialize({}) == with_length("{}      "));
  CHECK(parse_safetensors(serialize({}), "empty") == Safetensors{});
  CHECK(parse_safetensors(with_length("{}"), "unpadded") == Safetensors{});
}

TEST_CASE("The data of a written file begin at a multiple of 8, whatever the header's length", "[safetensors]") {
  for (std::size_t length = 1; length < 20; ++length) {
    const std::string bytes =
        serialize({.metadata = {}, .tensors = {{std::string(length, 'n'), {{1}, std::vector<float>{1}}}}});
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    CHECK(header % 8 == 0);
    CHECK(bytes.size() == 8 + header + sizeof(float));
  }
}

TEST_CASE("Numbers are lent in the precision of the file and in no other", "[safetensors][misuse]") {
  Tensor tensor{{2}, std::vector<float>{1, 2}};
  CHECK(tensor.dtype() == "F32");
  tensor.as<float>()[1] = 5;
  CHECK(std::as_const(tensor).as<float>()[1] == 5);
  CHECK(message_of([&] { tensor.as<double>("m: tensor 'C'"); }) == "m: tensor 'C': dtype is F32, expected F64");
  const Tensor other{{}, std::vector<double>{1}};
  CHECK(message_of([&] { other.as<float>(); }) == "tensor: dtype is F64, expected F32");
}

TEST_CASE("A file that is cut short is refused", "[safetensors][misuse]") {
  const auto cut = [](std::size_t size) {
    return message_of([&] { parse_safetensors(std::string_view(golden_bytes()).substr(0, size), "m"); });
  };
  CHECK(cut(0) == "m: is 0 bytes long, expected at least 8, the header's length");
  CHECK(cut(7) == "m: is 7 bytes long, expected at least 8, the header's length");
  CHECK(cut(8) == "m: the header's length is 272, expected at most 0, the bytes that follow it");
  CHECK(cut(279) == "m: the header's length is 272, expected at most 271, the bytes that follow it");
  for (std::size_t size = 0; size < golden_bytes().size(); ++size) CHECK(cut(size) != "");
  CHECK(message_of([&] { parse_safetensors(golden_bytes() + '\0', "m"); }) ==
        "m: the tensors end at byte 36, expected 37, the file's end");
}

TEST_CASE("A header's length that no file can have is refused", "[safetensors][misuse]") {
  const std::string huge = std::string("\0\0\0\0\0\0\0\x80", 8) + "{}";
  CHECK(message_of([&] { parse_safetensors(huge, "m"); }) ==
        "m: the header's length is 9223372036854775808, expected at most 2, the bytes that follow it");
  const std::string all = std::string(8, '\xff') + "{}";
  CHECK(message_of([&] { parse_safetensors(all, "m"); }) ==
        "m: the header's length is 18446744073709551615, expected at most 2, the bytes that follow it");
}

TEST_CASE("A header that is not a JSON object is refused", "[safetensors][misuse]") {
  const std::string begins = "m.safetensors: the header begins with ";
  CHECK(refusal("") == begins + "'', expected '{'");
  CHECK(refusal("[1]") == begins + "'[1]', expected '{'");
  CHECK(refusal(" {}") == begins + "' {}', expected '{'");
  CHECK(refusal("\x93NUMPY\x01") == begins + "'\x93NUMPY\\x01', expected '{'");
  const std::string not_json = "m.safetensors: the header is not JSON: ";
  for (const std::string_view header : {"{", "{\"a\":}", "{} x", "{\"\xff\":1}"}) {
    CHECK(refusal(header).starts_with(not_json));
  }
  CHECK(refusal(std::string(100000, '{')).starts_with(not_json));
  const std::string deep = "{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}";
  CHECK(refusal(deep) == "m.safetensors: tensor 'a': its entry is of type array, expected an object");
}

TEST_CASE("A name that occurs twice is refused, wherever it is", "[safetensors][misuse]") {
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string twice = "m.safetensors: the header has the name ";
  CHECK(refusal("{" + a + "," + a + "}", 4) == twice + "'a' twice, expected it once");
  CHECK(refusal(R"({"__metadata__":{},"__metadata__":{}})") == twice + "'__metadata__' twice, expected it once");
  CHECK(refusal(R"({"__metadata__":{"k":"1","k":"2"}})") == twice + "'k' twice, expected it once");
  CHECK(refusal(R"({"a":{"dtype":"F32","dtype":"F64"}})") == twice + "'dtype' twice, expected it once");
  const std::string b = R"("shape":{"dtype":"F32","shape":[1],"data_offsets":[4,8]})";
  CHECK(refusal("{" + a + "," + b + "}", 8) == "");
}

TEST_CASE("Metadata other than strings are refused", "[safetensors][misuse]") {
  CHECK(refusal(R"({"__metadata__":"zoh"})") == "m.safetensors: __metadata__ is of type string, expected an object");
  CHECK(refusal(R"({"__metadata__":{"stack":"horner","layers":3}})") ==
        "m.safetensors: metadata 'layers' is of type number, expected a string");
}

TEST_CASE("An entry that lacks something or is of another kind is refused", "[safetensors][misuse]") {
  const std::string place = "m.safetensors: tensor 'a': ";
  const std::string lacks = " is missing, expected dtype, shape and data_offsets";
  CHECK(refusal(R"({"a":7})") == place + "its entry is of type number, expected an object");
  CHECK(refusal(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4) == place + "dtype" + lacks);
  CHECK(refusal(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4) == place + "shape" + lacks);
  CHECK(refusal(R"({"a":{"dtype":"F32","shape":[1]}})", 4) == place + "data_offsets" + lacks);

  const auto dtype = [](const std::string& text) {
    return refusal(R"({"a":{"dtype":)" + text + R"(,"shape":[1],"data_offsets":[0,4]}})", 4);
  };
  CHECK(dtype("\"F32\"") == "");
  for (const char* other : {"\"F8_E4M3\"", "\"I32\"", "\"f32\"", "32", "null"}) {
    CHECK(dtype(other) == place + "dtype is '" + other + "', expected F16, BF16, F32 or F64");
  }
  CHECK(dtype("\"F16\"") == place + "data_offsets span 4 bytes, expected 2 for shape [1] of F16");
}

namespace {

std::vector<float> read_halves(const std::string& dtype, const std::vector<std::uint16_t>& halves) {
  const std::string count = std::to_string(halves.size()), size = std::to_string(2 * halves.size());
  std::string data(2 * halves.size(), '\0');
  std::memcpy(data.data(), halves.data(), data.size());
  const std::string entry = R"({"a":{"dtype":")" + dtype + R"(","shape":[)" + count + R"(],"data_offsets":[0,)" + size;
  const Safetensors file = parse_safetensors(with_length(entry + "]}}", data), "m");
  CHECK(file.halves == std::map<std::string, std::string>{{"a", dtype}});
  const auto numbers = file.tensors.at("a").as<float>();
  return {numbers.begin(), numbers.end()};
}

/// The value of a binary format of 16 bits by its definition: with b the bias of the exponent and f the fraction,
/// (1 + f) 2^(e - b), f 2^(1 - b) where e is 0; where all bits of e are set, infinity, or NaN unless f is 0.
double value_of(unsigned half, int fraction_bits) {
  const int exponent_bits = 15 - fraction_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(half >> fraction_bits) & ((1 << exponent_bits) - 1);
  const double fraction = std::ldexp(half & ((1u << fraction_bits) - 1u), -fraction_bits);
  double size = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  if (exponent == (1 << exponent_bits) - 1) size = fraction == 0 ? HUGE_VAL : std::nan("");
  return half >> 15 ? -size : size;
}

}  // namespace

TEST_CASE("All 65,536 halves of either kind are read as floats of the same value", "[safetensors]") {
  std::vector<std::uint16_t> all(1 << 16);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  for (const auto& [dtype, fraction_bits] : {std::pair("F16", 10), std::pair("BF16", 7)}) {
    INFO(dtype);
    const std::vector<float> numbers = read_halves(dtype, all);
    std::size_t wrong = 0, nans = 0;
    for (unsigned half = 0; half < numbers.size(); ++half) {
      const double expected = value_of(half, fraction_bits), number = static_cast<double>(numbers[half]);
      nans += std::isnan(expected);
      wrong += std::isnan(expected) ? !std::isnan(number)
                                    : number != expected || std::signbit(number) != std::signbit(expected);
    }
    CHECK(wrong == 0);
    CHECK(nans == 2u * ((1u << fraction_bits) - 1));
  }
}

TEST_CASE("Halves are known values at the ends of their range", "[safetensors]") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(read_halves("F16", {0x0000, 0x3C00, 0xC000, 0x3555, 0x7BFF, 0x0400, 0x0001, 0x83FF, 0x7C00, 0xFC00}) ==
        std::vector<float>{0, 1, -2, 0x1.554p-2f, 65504, 0x1p-14f, 0x1p-24f, -0x3FFp-24f, infinity, -infinity});
  CHECK(read_halves("BF16", {0x0000, 0x3F80, 0xC000, 0x7F7F, 0x0001, 0xFF80}) ==
        std::vector<float>{0, 1, -2, 0x1.FEp127f, 0x1p-133f, -infinity});
}

TEST_CASE("Tensors are widened exactly to the widest precision among them", "[safetensors]") {
  std::map<std::string, Tensor> tensors{{"a", {{2}, std::vector<float>{0.1f, -3}}}};
  CHECK(gdssm::widest_dtype(tensors) == "F32");
  CHECK(gdssm::widest_dtype({}) == "F32");
  auto same = tensors;
  gdssm::widen(same, "F32");
  CHECK(same == tensors);
  tensors["b"] = {{}, std::vector<double>{0.1}};
  CHECK(gdssm::widest_dtype(tensors) == "F64");
  gdssm::widen(tensors, "F64");
  CHECK(tensors.at("a") == Tensor{{2}, std::vector<double>{static_cast<double>(0.1f), -3}});
  CHECK(tensors.at("b") == Tensor{{}, std::vector<double>{0.1}});
}

TEST_CASE("A Git LFS pointer in the place of a file is refused as what it is", "[safetensors][misuse]") {
  CHECK(message_of([] {
          parse_safetensors("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1234\n", "m");
        }) == "m: is a Git LFS pointer, expected the file that it stands for, which `git lfs pull` fetches");
}

TEST_CASE("A shape that overflows or does not fit its bytes is refused", "[safetensors][misuse]") {
  const std::string place = "m.safetensors: tensor 'a': ";
  const auto shape = [](const std::string& text, const std::string& dtype = "F32") {
    return refusal(R"({"a":{"dtype":")" + dtype + R"(","shape":)" + text + R"(,"data_offsets":[0,16]}})", 16);
  };
  CHECK(shape("[2,2]") == "");
  CHECK(shape("[2]", "F64") == "");
  CHECK(shape("[2,3]") == place + "data_offsets span 16 bytes, expected 24 for shape [2, 3] of F32");
  CHECK(shape("[4]", "F64") == place + "data_offsets span 16 bytes, expected 32 for shape [4] of F64");
  CHECK(shape("[]") == place + "data_offsets span 16 bytes, expected 4 for shape [] of F32");
  CHECK(shape("[0,4]") == place + "data_offsets span 16 bytes, expected 0 for shape [0, 4] of F32");
  // 2^32 * 2^32 + 4 numbers in 64 bits are 4; 2^62 floats are 2^64 bytes, in 64 bits none.
  const std::string overflows = " overflows, expected at most 2^63 - 1 bytes";
  CHECK(shape("[4294967296,4294967296]") == place + "shape [4294967296, 4294967296]" + overflows);
  CHECK(shape("[4611686018427387904]") == place + "shape [4611686018427387904]" + overflows);
  CHECK(shape("[4611686018427387904,0]") == place + "shape [4611686018427387904, 0]" + overflows);
  const std::string expected = ", expected a list of whole numbers from 0 to 2^63 - 1";
  for (const char* other : {"[-1]", "[2.5]", "[4.0]", "4", "[\"4\"]", "[9223372036854775808]", "null", "{\"0\":4}"}) {
    CHECK(shape(other) == place + "shape is '" + other + "'" + expected);
  }
  CHECK(shape("[36893488147419103232]") == place + "shape is '[3.6893488147419103e+19]'" + expected);
}

TEST_CASE("Bytes outside the file, in two tensors or in none are refused", "[safetensors][misuse]") {
  const auto offsets = [](const std::string& a, const std::string& b, std::size_t data) {
    const std::string head = R"({"dtype":"F32","shape":[1],"data_offsets":)";
    return refusal("{\"a\":" + head + a + "},\"b\":" + head + b + "}}", data);
  };
  const std::string a = "m.safetensors: tensor 'a': ", b = "m.safetensors: tensor 'b': ";
  CHECK(offsets("[0,4]", "[4,8]", 8) == "");
  CHECK(offsets("[4,8]", "[0,4]", 8) == "");
  CHECK(offsets("[0,4]", "[4,8]", 7) ==
        b + "data_offsets is [4, 8], expected begin <= end <= 7, the bytes after the header");
  CHECK(offsets("[4,0]", "[4,8]", 8) ==
        a + "data_offsets is [4, 0], expected begin <= end <= 8, the bytes after the header");
  CHECK(offsets("[0,4,8]", "[4,8]", 8) == a + "data_offsets has 3 numbers, expected 2");
  CHECK(offsets("[-4,0]", "[4,8]", 8) ==
        a + "data_offsets is '[-4,0]', expected a list of whole numbers from 0 to 2^63 - 1");
  CHECK(offsets("[0,4]", "[2,6]", 6) ==
        b + "begins at byte 2, expected 4, where the tensor before it ends (they overlap)");
  CHECK(offsets("[0,4]", "[0,4]", 4) ==
        b + "begins at byte 0, expected 4, where the tensor before it ends (they overlap)");
  CHECK(offsets("[0,4]", "[6,10]", 10) ==
        b + "begins at byte 6, expected 4, where the tensor before it ends (there is a gap)");
  CHECK(offsets("[8,12]", "[4,8]", 12) ==
        b + "begins at byte 4, expected 0, where the tensor before it ends (there is a gap)");
  CHECK(offsets("[0,4]", "[4,8]", 9) == "m.safetensors: the tensors end at byte 8, expected 9, the file's end");
}

TEST_CASE("Names are shown on one line, and cut when they are endless", "[safetensors][misuse]") {
  CHECK(refusal(R"({"two\nlines":1})") ==
        "m.safetensors: tensor 'two\\x0Alines': its entry is of type number, expected an object");
  CHECK(refusal("{\"" + std::string(1000, 'n') + "\":1}").size() < 300);
}

TEST_CASE("A value that makes no valid file is not written, and the old file stays", "[safetensors][misuse]") {
  const TemporaryFolder folder;
  const std::string path = (folder / "m").string();
  write_safetensors(path, golden_value());
  const auto written = [&](const std::string& name, Tensor tensor, std::map<std::string, std::string> metadata = {}) {
    Safetensors file{.metadata = std::move(metadata), .tensors = {}};
    file.tensors[name] = std::move(tensor);
    return message_of([&] { write_safetensors(path, file); });
  };
  CHECK(written("a", {{2, 3}, std::vector<float>(5)}) ==
        path + ": tensor 'a': holds 5 numbers, expected 6 for shape [2, 3]");
  CHECK(written("a", Tensor{}) == path + ": tensor 'a': holds 0 numbers, expected 1 for shape []");
  CHECK(written("a", {{-1}, std::vector<double>(1)}) ==
        path + ": tensor 'a': shape is [-1], expected no size below zero");
  CHECK(written("__metadata__", {{1}, std::vector<double>(1)}) ==
        path + ": tensor '__metadata__': the format keeps this name to itself, expected another");
  const std::string utf8 = path + ": names and metadata must be UTF-8: ";
  CHECK(written("\xff", {{1}, std::vector<double>(1)}).starts_with(utf8));
  CHECK(written("a", {{1}, std::vector<double>(1)}, {{"k", "\xc3"}}).starts_with(utf8));
  CHECK(read_safetensors(path) == golden_value());
  CHECK(folder.names().size() == 1);
}

TEST_CASE("NaN and infinity are found where they are", "[safetensors][misuse]") {
  Tensor tensor{{2, 3}, std::vector<float>(6)};
  CHECK_NOTHROW(require_finite(tensor, "m: tensor 'a'"));
  tensor.as<float>()[5] = -std::numeric_limits<float>::infinity();
  CHECK(message_of([&] { require_finite(tensor, "m: tensor 'a'"); }) ==
        "m: tensor 'a': entry [1, 2] is -inf, expected a finite number");
  tensor.as<float>()[1] = std::numeric_limits<float>::quiet_NaN();
  CHECK(message_of([&] { require_finite(tensor, "m: tensor 'a'"); }) ==
        "m: tensor 'a': entry [0, 1] is nan, expected a finite number");
  const Tensor scalar{{}, std::vector<double>{std::numeric_limits<double>::infinity()}};
  CHECK(message_of([&] { require_finite(scalar, "loss"); }) == "loss: entry [] is inf, expected a finite number");
}

TEST_CASE("A file that is not there is named with the reason", "[safetensors][misuse]") {
  const TemporaryFolder folder;
  const std::string path = (folder / "missing.safetensors").string();
  CHECK(message_of([&] { read_safetensors(path); }) == path + ": cannot open: No such file or directory");
}
