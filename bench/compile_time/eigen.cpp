// SPDX-License-Identifier: Apache-2.0
// The part that every user of the library compiles anyway.
#include <Eigen/Dense>

int main() {}
