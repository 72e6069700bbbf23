# SPDX-License-Identifier: Apache-2.0
if(GDSSM_LONG_TESTS)
  find_program(GDSSM_VALGRIND valgrind REQUIRED DOC "valgrind, for the tests with the label memcheck")
endif()

# gdssm_memcheck(<name> <command>...)
# With GDSSM_LONG_TESTS a test memcheck/<name>: the command, and what it starts but gnuplot, under valgrind, which finds
# nothing read uninitialised or out of bounds, and nothing lost. Its files go to a folder of its own.
function(gdssm_memcheck name)
  if(GDSSM_LONG_TESTS)
    set(folder ${PROJECT_BINARY_DIR}/memcheck/${name})
    file(REMOVE_RECURSE ${folder})
    file(MAKE_DIRECTORY ${folder})
    add_test(
      NAME memcheck/${name}
      COMMAND ${GDSSM_VALGRIND} --quiet --trace-children=yes --trace-children-skip=*gnuplot* --leak-check=full
              --error-exitcode=99 ${ARGN}
      WORKING_DIRECTORY ${folder})
    set_tests_properties(memcheck/${name} PROPERTIES LABELS memcheck TIMEOUT 7200)
  endif()
endfunction()
