// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

// A fuzzed reader must accept any bytes or refuse them with `std::invalid_argument`. Every other exception and every
// crash is a finding.

/// Ends the process, as a crash would, unless a statement about what was read holds.
inline void expect(bool holds, const char* statement) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", statement);
  std::abort();
}

/// Reads the bytes.
void read_bytes(std::string_view bytes);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    read_bytes({reinterpret_cast<const char*>(data), size});
  } catch (const std::invalid_argument& refusal) {
    expect(*refusal.what() != '\0', "a refusal says why");
  }
  return 0;
}
