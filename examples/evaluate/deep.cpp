// SPDX-License-Identifier: Apache-2.0
#include "evaluate/deep.hpp"

#include "gdssm/deep/mixers.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/oracle/deep.hpp"

void gdssm::programs::evaluate_deep(const std::string& model, const std::string& ids, const std::string& out) {
  std::map<std::string, IntegerTensor> tokens;
  const Safetensors others = read_safetensors(ids, &tokens);
  if (!others.tensors.empty())
    refuse(detail::tensor_place(ids, others.tensors.begin()->first), "dtype is ",
           others.tensors.begin()->second.dtype(), ", expected I64");
  write_safetensors(out, {{}, deep_results(read_safetensors(model), model, tokens, ids)});
}
