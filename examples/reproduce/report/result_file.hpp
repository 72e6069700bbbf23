// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "reproduce/run/experiment.hpp"

namespace gdssm::reproduce {

/// What an experiment has found, every bit of it, as bytes.
std::string serialize(const Result& result);

/// The value of such bytes; `where` names their file in messages. Errors  std::invalid_argument: other bytes
Result parse_result(std::string_view bytes, const std::string& where);

}  // namespace gdssm::reproduce
