// SPDX-License-Identifier: Apache-2.0
// Which fault is put in, by GDSSM_FAULT, and which switches the program came by, into the file GDSSM_REACHED.
#include <cstdio>
#include <cstdlib>

int gdssm_fault = 0;
char gdssm_reached[GDSSM_FAULTS + 1] = {};

[[gnu::constructor(101)]] static void choose() {
  if (const char* const number = std::getenv("GDSSM_FAULT")) gdssm_fault = std::atoi(number);
}

[[gnu::destructor(101)]] static void tell() {
  const char* const name = std::getenv("GDSSM_REACHED");
  std::FILE* const file = name ? std::fopen(name, "w") : nullptr;
  if (!file) return;
  for (int k = 1; k <= GDSSM_FAULTS; ++k)
    if (gdssm_reached[k]) std::fprintf(file, "%d\n", k);
  std::fclose(file);
}
