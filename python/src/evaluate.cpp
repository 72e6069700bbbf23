// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>

#include <map>
#include <string>
#include <utility>

#include "bindings.hpp"
#include "evaluate/weights.hpp"
#include "explain/report.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/io/safetensors.hpp"
#include "tensors.hpp"

void gdssm::python::bind_evaluate(nb::module_& module) {
  using Metadata = std::map<std::string, std::string>;
  module.def(
      "evaluate",
      [](const nb::dict& weights, const Metadata& metadata, const nb::dict& tokens) {
        Safetensors model{metadata, tensors_of(weights), {}}, contexts{{}, tensors_of(tokens), {}};
        std::map<std::string, Tensor> results;
        {
          const nb::gil_scoped_release others_run;
          results = programs::evaluate_weights(std::move(model), "weights", std::move(contexts), "contexts");
        }
        return arrays_of(std::move(results));
      },
      nb::arg("weights"), nb::arg("metadata"), nb::arg("tokens"));
  module.def(
      "explain",
      [](const nb::dict& weights, const Metadata& metadata, Index tasks, Index context, std::uint64_t seed,
         int threads) {
        Safetensors file{metadata, tensors_of(weights), {}};
        const nb::gil_scoped_release others_run;
        ThreadPool pool(threads);
        const Explanation found = programs::explain_file(
            std::move(file), "weights", {.tasks = tasks, .context = context, .seed = seed, .threads = threads}, pool);
        return programs::json_of(found).dump();
      },
      nb::arg("weights"), nb::arg("metadata"), nb::kw_only(), nb::arg("tasks"), nb::arg("context"), nb::arg("seed"),
      nb::arg("threads"));
  module.def(
      "expect_reference_weights",
      [](const nb::dict& weights, const Metadata& metadata) {
        ReferenceWeights({metadata, tensors_of(weights), {}}, "weights");
      },
      nb::arg("weights"), nb::arg("metadata"));
  module.def(
      "read_safetensors",
      [](const nb::bytes& bytes, const std::string& where) {
        Safetensors file = parse_safetensors({bytes.c_str(), bytes.size()}, where);
        return nb::make_tuple(arrays_of(std::move(file.tensors)), file.metadata);
      },
      nb::arg("bytes"), nb::arg("where"));
  module.def(
      "write_safetensors",
      [](const std::string& path, const nb::dict& arrays, const Metadata& metadata) {
        write_safetensors(path, {metadata, tensors_of(arrays), {}});
      },
      nb::arg("path"), nb::arg("arrays"), nb::arg("metadata"));
}
