# SPDX-License-Identifier: Apache-2.0
# What a build can be asked for, and the flags that follow. Presets set these; nobody types them.
set(ANYPOP_SANITIZE "" CACHE STRING "Value of -fsanitize= for first-party code: empty, 'address,undefined' or 'thread'")
option(ANYPOP_UNIT_TESTS "Build unit and golden tests and the replays of fuzz corpora" ON)
option(ANYPOP_FUZZ "Build the libFuzzer targets (needs clang)" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # With paths relative to the checkout, a second clone finds what the first one compiled.
  set(launcher "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${launcher}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${launcher}")
endif()

# Every first-party target links this; imported targets are SYSTEM and stay out of -Werror.
add_library(anypop_flags INTERFACE)
target_compile_options(anypop_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wno-missing-field-initializers -Werror -fno-omit-frame-pointer)
target_compile_definitions(anypop_flags INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
  ANYPOP_VERSION="${PROJECT_VERSION}")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these inside inlined library code under the sanitizers, where there is nothing to mend.
  target_compile_options(anypop_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-array-bounds
    -Wno-stringop-overflow -Wno-tsan)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  # No path of the machine that built it is in a program, so that the same source gives the same package everywhere.
  target_compile_options(anypop_flags INTERFACE "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=."
    -ffile-prefix-map=../../=./)  # as ccache says it, which the presets give the source's folder as its base
  target_compile_options(anypop_flags INTERFACE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  target_link_options(anypop_flags INTERFACE -pie -Wl,-z,relro,-z,now)
endif()
if(ANYPOP_SANITIZE)
  target_compile_options(anypop_flags INTERFACE -fsanitize=${ANYPOP_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(anypop_flags INTERFACE -fsanitize=${ANYPOP_SANITIZE})
endif()
