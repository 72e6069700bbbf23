# SPDX-License-Identifier: Apache-2.0
# Compiles SOURCE twice: with CONTROL defined it must compile, without it must be refused, and the compiler's message
# must hold EXPECTED. The control shows that the refusal is not for another reason, and does without REFUSED_FLAGS.
#   cmake -DCOMPILER=... -DFLAGS=... [-DREFUSED_FLAGS=...] -DSOURCE=... -DEXPECTED=... -DOUTPUT=... -P refuses.cmake

function(compile result text)
  execute_process(
    COMMAND ${COMPILER} ${FLAGS} ${ARGN} -S -o ${OUTPUT} ${SOURCE}
    RESULT_VARIABLE status
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  file(REMOVE ${OUTPUT})
  set(${result} ${status} PARENT_SCOPE)
  set(${text} "${output}" PARENT_SCOPE)
endfunction()

compile(status output -DCONTROL)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${SOURCE} does not compile with CONTROL defined, where it should:\n${output}")
endif()

compile(status output ${REFUSED_FLAGS})
if(status EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles, where it should be refused with: ${EXPECTED}")
endif()
string(FIND "${output}" "${EXPECTED}" place)
if(place EQUAL -1)
  message(FATAL_ERROR "${SOURCE} is refused, but not with: ${EXPECTED}\n${output}")
endif()
