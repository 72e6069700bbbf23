# SPDX-License-Identifier: Apache-2.0
# The program in README.md is the one that is compiled and run:
#   cmake -DREADME=<README.md> -DEXAMPLE=<one_gradient_step.cpp> -P readme.cmake
file(READ ${README} readme)
file(READ ${EXAMPLE} example)
string(FIND "${readme}" "```cpp\n" begin)
if(begin EQUAL -1)
  message(FATAL_ERROR "${README}: no block of C++, expected the program of ${EXAMPLE}")
endif()
math(EXPR begin "${begin} + 7")
string(SUBSTRING "${readme}" ${begin} -1 program)
string(FIND "${program}" "```" end)
string(SUBSTRING "${program}" 0 ${end} program)
string(FIND "${example}" "${program}" found)
string(LENGTH "${program}" length)
if(found EQUAL -1 OR length LESS 100)
  message(FATAL_ERROR "${README}: its first block of C++ is not what ${EXAMPLE} holds")
endif()
