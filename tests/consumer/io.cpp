// SPDX-License-Identifier: Apache-2.0
#include <gdssm/io/csv.hpp>
#include <gdssm/io/safetensors.hpp>

int main() {}
