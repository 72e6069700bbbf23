// SPDX-License-Identifier: Apache-2.0
// Refused by the flags that tests/CMakeLists.txt adds: an older language, arithmetic without NaN. The control is short,
// since every other test compiles the library.
#if defined(CONTROL)
#include "gdssm/core/error.hpp"
#else
#include "gdssm/gdssm.hpp"
#endif
