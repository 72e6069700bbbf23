// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "reproduce/report/record.hpp"

namespace gdssm::reproduce {

nlohmann::ordered_json to_json(const Record& record);
Record to_record(const nlohmann::ordered_json& json);

}  // namespace gdssm::reproduce
