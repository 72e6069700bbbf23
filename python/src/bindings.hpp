// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

// What each source adds to the module `gdssm._core`.
namespace gdssm::python {

void bind_regressor(nanobind::module_& module);
void bind_recurrence(nanobind::module_& module);
void bind_chunks(nanobind::module_& module);
void bind_compare(nanobind::module_& module);
void bind_evaluate(nanobind::module_& module);
void bind_layer(nanobind::module_& module);

}  // namespace gdssm::python
