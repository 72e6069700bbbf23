// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/training/any_model.hpp"

// Models and tasks with their types forgotten. What is heavy to compile of them is compiled for speed, each type once:
// CMakeLists.txt lists them (gdssm_models).
namespace gdssm::reproduce {

using Lane = Lanes<float>;

template <class Model>
AnyModel<Lane> any_model(const Model& model);

/// The tasks, which must outlive it, for models whose windows are `window`.
template <class Tasks>
TaskSource<Lane> task_source(const Tasks& tasks, const WindowSizes& window);

}  // namespace gdssm::reproduce
