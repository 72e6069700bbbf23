# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` installs: the headers, and what CMake and pkg-config find them by; all of it may be moved. The
# component is for packages, which leave out what fetched dependencies would install.
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME gdssm)
set(gdssm_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/gdssm)
set(gdssm_pc_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)

install(DIRECTORY include/gdssm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(TARGETS gdssm EXPORT gdssmTargets)
install(EXPORT gdssmTargets NAMESPACE gdssm:: DESTINATION ${gdssm_package_dir})
if(GDSSM_IO)
  # A file of its own, so that whoever does without io needs no nlohmann-json.
  install(TARGETS gdssm_io EXPORT gdssm_ioTargets)
  install(EXPORT gdssm_ioTargets NAMESPACE gdssm:: DESTINATION ${gdssm_package_dir})
endif()
if(GDSSM_COMPILED)
  # A component of its own, since it is of one machine.
  install(TARGETS gdssm_compiled EXPORT gdssm_compiledTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
                                                                      COMPONENT gdssm_compiled)
  install(EXPORT gdssm_compiledTargets NAMESPACE gdssm:: DESTINATION ${gdssm_package_dir} COMPONENT gdssm_compiled)
endif()
if(GDSSM_MPI)
  install(TARGETS gdssm_mpi EXPORT gdssm_mpiTargets)
  install(EXPORT gdssm_mpiTargets NAMESPACE gdssm:: DESTINATION ${gdssm_package_dir})
endif()

configure_package_config_file(cmake/gdssmConfig.cmake.in ${PROJECT_BINARY_DIR}/gdssmConfig.cmake
                              INSTALL_DESTINATION ${gdssm_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/gdssmConfigVersion.cmake COMPATIBILITY SameMinorVersion
                                                                                            ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/gdssmConfig.cmake ${PROJECT_BINARY_DIR}/gdssmConfigVersion.cmake
        DESTINATION ${gdssm_package_dir})

file(RELATIVE_PATH gdssm_pc_to_include ${CMAKE_INSTALL_FULL_DATADIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})
set(gdssm_pc_files gdssm)
if(GDSSM_IO)
  list(APPEND gdssm_pc_files gdssm-io)
endif()
foreach(name IN LISTS gdssm_pc_files)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${gdssm_pc_dir})
endforeach()

# -isystem keeps the headers from others' warnings, but /usr/include must not move: the C++ library's headers find C's
# behind their own.
install(
  CODE "
  set(pc \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${gdssm_pc_dir}/gdssm.pc\")
  if(CMAKE_INSTALL_PREFIX MATCHES \"/usr/?\$\" AND EXISTS \"\${pc}\")
    file(READ \"\${pc}\" text)
    string(REPLACE \"-isystem \" \"-I\" text \"\${text}\")
    file(WRITE \"\${pc}\" \"\${text}\")
  endif()")

if(PROJECT_IS_TOP_LEVEL)
  include(cmake/Debian.cmake)
endif()
