// SPDX-License-Identifier: Apache-2.0
#include <gdssm/gdssm.hpp>
#include <iostream>

int main() { std::cout << "gdssm " << gdssm::version << '\n'; }
