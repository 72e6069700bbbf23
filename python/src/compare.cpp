// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "gdssm/oracle/rounding.hpp"
#include "tensors.hpp"

void gdssm::python::bind_compare(nb::module_& module) {
  module.def("precision_names", [] {
    std::vector<std::string> names;
    for (const Precision& one : precisions) names.emplace_back(one.name);
    return names;
  });
  module.def(
      "compare_with_recurrence",
      [](const std::string& row, const nb::dict& inputs, const nb::dict& outputs,
         const std::map<std::string, std::string>& halves, const std::optional<std::string>& precision) {
        const std::map<std::string, Tensor> tensors = tensors_of(inputs);
        const Safetensors theirs{{}, tensors_of(outputs), halves};
        std::optional<Precision> in;
        if (precision && !(in = precision_of(*precision)))
          refuse("precision", "there is no ", in_quotes(*precision), ", expected one of f64, f32, tf32, f16, bf16");
        std::map<std::string, Comparison> comparisons;
        {
          const nb::gil_scoped_release others_run;
          comparisons = compare_with_recurrence(row, tensors, theirs, in);
        }
        nb::dict all;
        for (const auto& [name, one] : comparisons) {
          nb::dict entry;
          entry["precision"] = one.precision.name;
          entry["units"] = one.units;
          entry["entry"] = nb::tuple(nb::cast(one.entry));
          entry["found"] = one.found;
          entry["expected"] = one.expected;
          entry["bound"] = one.bound;
          entry["resolution"] = one.resolution;
          entry["first_token"] = one.first;
          entry["rounding_in"] = one.coarser ? std::optional(std::string(one.coarser->name)) : std::nullopt;
          all[name.c_str()] = entry;
        }
        return all;
      },
      nb::arg("row"), nb::arg("inputs"), nb::arg("outputs"), nb::arg("halves"), nb::arg("precision").none());
}
