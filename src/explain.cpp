// SPDX-License-Identifier: Apache-2.0
#include "gdssm/analysis/explain.hpp"

#include "gdssm/analysis/verdict.hpp"
