// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <exception>
#include <string>
#include <typeinfo>

#include "bindings.hpp"
#include "gdssm/version.hpp"

NB_MODULE(_core, module) {
  module.doc() = "The compiled part of gdssm. Use it through the package's own names.";
  // What Python passes where an array or a number is expected.
  nanobind::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::bad_cast&) {
      PyErr_SetString(PyExc_TypeError,
                      "an argument is of another type, expected an array of float32 or float64, or a number");
    }
  });
  module.attr("__version__") = std::string(gdssm::version);
  gdssm::python::bind_regressor(module);
  gdssm::python::bind_recurrence(module);
  gdssm::python::bind_chunks(module);
  gdssm::python::bind_compare(module);
  gdssm::python::bind_evaluate(module);
  gdssm::python::bind_layer(module);
}
