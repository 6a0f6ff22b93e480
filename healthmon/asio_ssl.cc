// SPDX-License-Identifier: Apache-2.0
// Asio's TLS is compiled once, here, because only probes need it.
#include <boost/asio/ssl/impl/src.hpp>
