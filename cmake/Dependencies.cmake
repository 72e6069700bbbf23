# SPDX-License-Identifier: Apache-2.0
# What gdssm needs: the installed package if there is one of at least the version given here, else the tag given here,
# fetched. Only what the chosen options use is looked for.
include(FetchContent)

# gdssm_headers(<package> <target> <repository> <tag> <include directory> [<oldest version>])
# A library of headers alone. When fetched its own CMake files are left unread, so that none of its tests, options and
# install rules join ours: SOURCE_SUBDIR names a directory that does not exist.
function(gdssm_headers package target repository tag include)
  if(TARGET ${target})
    return()
  endif()
  FetchContent_Declare(
    ${package}
    GIT_REPOSITORY ${repository}
    GIT_TAG ${tag}
    GIT_SHALLOW ON
    SOURCE_SUBDIR headers-only
    FIND_PACKAGE_ARGS ${ARGN} CONFIG GLOBAL)
  FetchContent_MakeAvailable(${package})
  if(NOT TARGET ${target})
    string(TOLOWER ${package} name)
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(${target} INTERFACE ${${name}_SOURCE_DIR}/${include})
    set(${name}_SOURCE_DIR ${${name}_SOURCE_DIR} PARENT_SCOPE)
  endif()
  set(${package}_VERSION ${${package}_VERSION} PARENT_SCOPE)
  set(${package}_DIR ${${package}_DIR} PARENT_SCOPE)
endfunction()

# Eigen 5 calls itself incompatible with whoever asks for 3.4: any version is looked for, and then checked.
set(gdssm_eigen_version 3.4)
gdssm_headers(Eigen3 Eigen3::Eigen https://gitlab.com/libeigen/eigen.git 3.4.0 .)
if(DEFINED Eigen3_VERSION AND Eigen3_VERSION VERSION_LESS gdssm_eigen_version)
  message(FATAL_ERROR "Eigen ${Eigen3_VERSION} in ${Eigen3_DIR}, expected at least ${gdssm_eigen_version}: set Eigen3_DIR, "
                      "or FETCHCONTENT_TRY_FIND_PACKAGE_MODE to NEVER, by which it is fetched")
endif()

set(gdssm_nlohmann_json_version 3.10)
if(GDSSM_IO)
  gdssm_headers(nlohmann_json nlohmann_json::nlohmann_json https://github.com/nlohmann/json.git v3.11.3 include
                ${gdssm_nlohmann_json_version})
endif()

if(GDSSM_COMPRESSION)
  # Debian's zlib1g-dev and libbz2-dev.
  find_package(ZLIB REQUIRED)
  find_package(BZip2 REQUIRED)
endif()

if(GDSSM_MPI)
  # Any implementation: Open MPI, or MPICH by -D MPI_CXX_COMPILER=mpicxx.mpich -D MPIEXEC_EXECUTABLE=<its mpiexec>. Its
  # C interface is called, from C++.
  set(MPI_CXX_SKIP_MPICXX ON)
  find_package(MPI REQUIRED COMPONENTS CXX)
endif()

if(GDSSM_BUILD_EXAMPLES)
  gdssm_headers(CLI11 CLI11::CLI11 https://github.com/CLIUtils/CLI11.git v2.4.2 include 2.1)
endif()

if(GDSSM_BUILD_TESTS OR GDSSM_BUILD_EXAMPLES OR GDSSM_BUILD_BENCHMARKS)
  find_package(Threads REQUIRED)
endif()

if(GDSSM_BUILD_TESTS)
  # Exact rationals. Fetched, Boost.Multiprecision needs Boost.Config alone.
  gdssm_headers(Boost Boost::headers https://github.com/boostorg/multiprecision.git boost-1.84.0 include 1.74)
  if(boost_SOURCE_DIR)
    gdssm_headers(boost_config Boost::config https://github.com/boostorg/config.git boost-1.84.0 include)
    target_link_libraries(Boost::headers INTERFACE Boost::config)
    target_compile_definitions(Boost::headers INTERFACE BOOST_MP_STANDALONE)
  endif()

  FetchContent_Declare(
    Catch2
    GIT_REPOSITORY https://github.com/catchorg/Catch2.git
    GIT_TAG v3.7.1
    GIT_SHALLOW ON
    SYSTEM
    FIND_PACKAGE_ARGS CONFIG)
  FetchContent_MakeAvailable(Catch2)
  if(catch2_SOURCE_DIR)
    list(APPEND CMAKE_MODULE_PATH ${catch2_SOURCE_DIR}/extras)
  endif()
endif()

if(GDSSM_BUILD_BENCHMARKS)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  set(BENCHMARK_ENABLE_WERROR OFF)
  FetchContent_Declare(
    benchmark
    GIT_REPOSITORY https://github.com/google/benchmark.git
    GIT_TAG v1.8.5
    GIT_SHALLOW ON
    SYSTEM
    FIND_PACKAGE_ARGS 1.7 CONFIG)
  FetchContent_MakeAvailable(benchmark)
endif()
