# SPDX-License-Identifier: Apache-2.0
# Every outside library, found once. All are Debian 12 packages (tools/install-deps).
set(Boost_NO_WARN_NEW_VERSIONS ON)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(absl REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
pkg_check_modules(re2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(libnghttp2 REQUIRED IMPORTED_TARGET libnghttp2)
find_package(OpenSSL REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(libmnl REQUIRED IMPORTED_TARGET libmnl)
pkg_check_modules(libbpf REQUIRED IMPORTED_TARGET libbpf)
pkg_check_modules(libcap-ng REQUIRED IMPORTED_TARGET libcap-ng)
pkg_check_modules(libpcap REQUIRED IMPORTED_TARGET libpcap)
pkg_check_modules(libsystemd REQUIRED IMPORTED_TARGET libsystemd)

# Debian's libdpdk.pc ends in -march=corei7, and the last -march wins: strip it, or what is inlined into the dataplane is
# compiled for another machine than the rest of it.
pkg_check_modules(libdpdk REQUIRED IMPORTED_TARGET libdpdk)
get_target_property(dpdk_compile_options PkgConfig::libdpdk INTERFACE_COMPILE_OPTIONS)
list(FILTER dpdk_compile_options EXCLUDE REGEX "^-march=")
set_target_properties(PkgConfig::libdpdk PROPERTIES INTERFACE_COMPILE_OPTIONS "${dpdk_compile_options}")

# Asio and Beast are compiled once, here, instead of in every file that includes them.
add_library(anypop_asio STATIC "${PROJECT_SOURCE_DIR}/tools/cmake/asio_beast.cc")
target_link_libraries(anypop_asio PUBLIC Boost::headers Threads::Threads PRIVATE anypop_flags)
target_compile_options(anypop_asio PRIVATE -w)
target_compile_definitions(anypop_asio PUBLIC BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_BEAST_SEPARATE_COMPILATION)
add_library(anypop::asio ALIAS anypop_asio)
