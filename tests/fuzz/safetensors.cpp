// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/safetensors.hpp"

#include "fuzz/harness.hpp"

// What is read, is written as bytes that are read as the same again.
void read_bytes(std::string_view bytes) {
  const gdssm::Safetensors file = gdssm::parse_safetensors(bytes, "fuzz");
  std::string written;
  try {
    written = gdssm::serialize(file);
  } catch (const std::invalid_argument&) {
    expect(false, "what was read can be written");
  }
  expect(gdssm::serialize(gdssm::parse_safetensors(written, "fuzz")) == written, "same value, same bytes");
}
