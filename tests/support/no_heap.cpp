// SPDX-License-Identifier: Apache-2.0
#include "support/no_heap.hpp"

#include <cerrno>
#include <cstdlib>

// Eigen calls malloc and not operator new, so malloc is watched: through a sanitizer's hook, or otherwise by counting
// functions in front of glibc's.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GDSSM_SANITIZER_HOOKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define GDSSM_SANITIZER_HOOKS
#endif
#endif

namespace {
thread_local std::size_t count = 0, bytes = 0;

[[maybe_unused]] void note(std::size_t size) {
  ++count;
  bytes += size;
}
}  // namespace

std::size_t gdssm::test::allocations() { return count; }
std::size_t gdssm::test::allocated_bytes() { return bytes; }

#if defined(GDSSM_SANITIZER_HOOKS)

// As in sanitizer/allocator_interface.h, which g++ does not ship; the signature is clang's.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void*, std::size_t),
                                                         void (*free_hook)(const volatile void*));

namespace {
[[maybe_unused]] const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t size) { note(size); }, [](const volatile void*) {});
}  // namespace

#elif defined(__GLIBC__)

extern "C" {

void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) noexcept { return note(size), __libc_malloc(size); }
void* calloc(std::size_t items, std::size_t size) noexcept { return note(items * size), __libc_calloc(items, size); }
void* realloc(void* memory, std::size_t size) noexcept { return note(size), __libc_realloc(memory, size); }
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return note(size), __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept { return memalign(alignment, size); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  *memory = memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}

}  // extern "C"

#else
#error "counting allocations needs glibc or a sanitizer"
#endif
