// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "gdssm/oracle/recurrence.hpp"
#include "tensors.hpp"

void gdssm::python::bind_recurrence(nb::module_& module) {
  module.def("recurrence_rows",
             [] { return std::vector<std::string>(detail::recurrence_rows.begin(), detail::recurrence_rows.end()); });
  module.def(
      "recurrence",
      [](const std::string& row, const nb::dict& inputs) {
        const std::map<std::string, Tensor> tensors = tensors_of(inputs);
        std::map<std::string, Tensor> results;
        {
          const nb::gil_scoped_release others_run;
          results = recurrence(row, tensors, "recurrence " + row);
        }
        return arrays_of(std::move(results));
      },
      nb::arg("row"), nb::arg("inputs"));
}
