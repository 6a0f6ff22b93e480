// SPDX-License-Identifier: Apache-2.0
// The services of the status page: a card with every backend for each, or, where there are many services, a line for
// each and the backends that are not well. Pure. Private to healthmon.
#pragma once

#include <string>

#include "healthmon/status_page.h"

namespace anypop::healthmon {

std::string services_section(const StatusView& view);

}  // namespace anypop::healthmon
