# SPDX-License-Identifier: Apache-2.0
# anypop_library(NAME [SOURCES ...] [HEADERS include/NAME/x.h ...] [DEPENDS ...] [PRIVATE_DEPENDS ...])
#   A library with its own include root, so that a header of a library that is not linked cannot be found. Each public
#   header is compiled alone by the target all_verify_interface_header_sets.
# anypop_program(NAME SOURCES ... DEPENDS ...)
# anypop_test(NAME SOURCES ... DEPENDS ... [LABEL unit] [TSAN] [LONG])
#   One GoogleTest binary; each case is one ctest entry. TSAN: threads share what it tests, so it also runs under
#   ThreadSanitizer (target tsan_tests, label unit-tsan). LONG: the test's own code takes long enough to be optimised.
#   Without ANYPOP_UNIT_TESTS, unit and golden tests are built only when named, and ctest does not know them.
# anypop_benchmark(NAME SOURCES ... DEPENDS ...)            Google Benchmark; under a sanitizer only when named
# anypop_fuzzer(NAME SOURCES x_fuzz.cc DEPENDS ... [CORPUS dir])
#   With ANYPOP_FUZZ a libFuzzer binary NAME; in every build NAME_replay, which runs the corpus as an ordinary test.
# anypop_bpf_object(NAME SOURCE x.bpf.c [DEPENDS x.h ...])
#   Compiles a BPF program into the library anypop::bpf_NAME, where std::string_view anypop::bpf_object_NAME() is its ELF
#   object.
include(GoogleTest)
find_program(BPF_CLANG clang REQUIRED)
add_custom_target(tsan_tests)

function(anypop_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;HEADERS;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  if(arg_SOURCES)
    add_library(anypop_${name} STATIC ${arg_SOURCES})
    target_link_libraries(anypop_${name} PUBLIC ${arg_DEPENDS} PRIVATE anypop_flags ${arg_PRIVATE_DEPENDS})
    set(scope PUBLIC)
  else()
    add_library(anypop_${name} INTERFACE)
    target_link_libraries(anypop_${name} INTERFACE ${arg_DEPENDS})
    set(scope INTERFACE)
  endif()
  target_sources(anypop_${name} ${scope}
    FILE_SET HEADERS BASE_DIRS "${CMAKE_CURRENT_SOURCE_DIR}/include" FILES ${arg_HEADERS})
  add_library(anypop::${name} ALIAS anypop_${name})
endfunction()

function(anypop_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE anypop_flags ${arg_DEPENDS})
endfunction()

function(anypop_test name)
  cmake_parse_arguments(arg "TSAN;LONG" "LABEL" "SOURCES;DEPENDS" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  if(ANYPOP_SANITIZE AND NOT arg_LONG)
    # Optimising a test's assertions under the sanitizers takes the compiler two and a half times as long as not to.
    set(test_sources ${arg_SOURCES})
    list(FILTER test_sources INCLUDE REGEX "_test\\.cc$")
    set_source_files_properties(${test_sources} PROPERTIES COMPILE_OPTIONS -O0)
  endif()
  add_executable(${name} ${arg_SOURCES})
  if(arg_TSAN)
    string(APPEND arg_LABEL "-tsan")
    add_dependencies(tsan_tests ${name})
  endif()
  target_link_libraries(${name} PRIVATE anypop_flags ${arg_DEPENDS} GTest::gmock_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/test-bin")
  if(NOT ANYPOP_UNIT_TESTS AND arg_LABEL MATCHES "^(unit|golden)")
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL TRUE)
    return()
  endif()
  set(timeout_s 120)
  if(arg_LONG)
    set(timeout_s 600)
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${name}."
    PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${timeout_s})
endfunction()

function(anypop_benchmark name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  if(ANYPOP_SANITIZE)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL TRUE)
  endif()
  target_link_libraries(${name} PRIVATE anypop_flags ${arg_DEPENDS} benchmark::benchmark_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bench-bin")
endfunction()

function(anypop_fuzzer name)
  cmake_parse_arguments(arg "" "CORPUS" "SOURCES;DEPENDS" ${ARGN})
  if(ANYPOP_FUZZ)
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE anypop_flags ${arg_DEPENDS})
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz-bin")
    if(NOT TARGET fuzzers)
      add_custom_target(fuzzers)
    endif()
    add_dependencies(fuzzers ${name})
    # Where `tests/fuzz` finds what to begin with.
    file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/fuzz-bin/${name}.corpus" CONTENT "${CMAKE_CURRENT_SOURCE_DIR}/${arg_CORPUS}\n")
  else()
    if(NOT ANYPOP_UNIT_TESTS)
      return()
    endif()
    add_executable(${name}_replay ${arg_SOURCES} "${PROJECT_SOURCE_DIR}/tools/cmake/fuzz_replay_main.cc")
    target_link_libraries(${name}_replay PRIVATE anypop_flags ${arg_DEPENDS})
    set_target_properties(${name}_replay PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/test-bin")
    add_test(NAME ${name}_replay COMMAND ${name}_replay "${CMAKE_CURRENT_SOURCE_DIR}/${arg_CORPUS}")
    set_tests_properties(${name}_replay PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()

function(anypop_bpf_object name)
  cmake_parse_arguments(arg "" "SOURCE" "DEPENDS" ${ARGN})
  set(bpf_name "${name}")
  set(bpf_object "${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o")
  set(embedded "${CMAKE_CURRENT_BINARY_DIR}/${name}_bpf_object.cc")
  add_custom_command(OUTPUT "${bpf_object}"
    COMMAND "${BPF_CLANG}" -target bpf -O2 -g -Wall -Wextra -Werror -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
      "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=." # it is in the program, debug information included
      -c "${CMAKE_CURRENT_SOURCE_DIR}/${arg_SOURCE}" -o "${bpf_object}"
    DEPENDS "${arg_SOURCE}" ${arg_DEPENDS} COMMENT "Compiling the BPF program ${name}" VERBATIM)
  configure_file("${PROJECT_SOURCE_DIR}/tools/cmake/bpf_object.cc.in" "${embedded}" @ONLY)
  set_source_files_properties("${embedded}" PROPERTIES OBJECT_DEPENDS "${bpf_object}")
  add_library(anypop_bpf_${name} STATIC "${embedded}")
  target_link_libraries(anypop_bpf_${name} PRIVATE anypop_flags)
  add_library(anypop::bpf_${name} ALIAS anypop_bpf_${name})
endfunction()
