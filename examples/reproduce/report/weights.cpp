// SPDX-License-Identifier: Apache-2.0
#include "reproduce/report/weights.hpp"

#include "gdssm/io/safetensors.hpp"
#include "reproduce/run/experiment.hpp"

namespace gdssm::reproduce {

OutputFile weights_output(const std::string& name, const Safetensors& weights) {
  const std::string file = name + ".safetensors";
  return {file, serialize(weights, file)};
}

}  // namespace gdssm::reproduce
