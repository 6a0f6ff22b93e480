// SPDX-License-Identifier: Apache-2.0
// What `anypop-backend status` prints. Pure.
#pragma once

#include <string>

#include "agent.h"

namespace anypop::backend {

std::string to_text(const Condition& condition);
std::string to_json(const Condition& condition);

}  // namespace anypop::backend
