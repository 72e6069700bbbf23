// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/safetensors.hpp"

#include "fuzz/harness.hpp"

// A file that was read can be written and read again with the same value.
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
