// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/token_projection.hpp"
#include "gdssm/models/augmented_ssm.hpp"

// What the types promise, checked by compiling this file.
namespace gdssm {
namespace {

using Fixed = PaperLayer<3>;
using Sized = PaperLayer<>;
using Projected = AugmentedSsm<TokenProjection<3, 6>, DiagonalRecurrence<3, 1>, Readout<1>, ProjectionGate<3, 6>>;

// Sizes in the type need no constructor argument; run-time sizes do.
static_assert(std::is_default_constructible_v<Fixed> && std::is_default_constructible_v<Projected>);
static_assert(!std::is_default_constructible_v<Sized> && std::is_constructible_v<Sized, Index>);
static_assert(!std::is_convertible_v<Index, Sized>, "a number is not a model");
static_assert(std::is_default_constructible_v<LocalAttention<3>> && !std::is_default_constructible_v<LocalAttention<>>);
static_assert(std::is_default_constructible_v<DiagonalRecurrence<3, 2>> &&
              !std::is_default_constructible_v<DiagonalRecurrence<3, Dynamic>>);
static_assert(std::is_default_constructible_v<Readout<2, 3>> && !std::is_default_constructible_v<Readout<Dynamic, 3>>);
static_assert(std::is_default_constructible_v<OutputGate<3>> && !std::is_default_constructible_v<OutputGate<>>);
static_assert(std::is_default_constructible_v<PreconditionedGate<3>> &&
              !std::is_default_constructible_v<PreconditionedGate<>>);
static_assert(!std::is_default_constructible_v<ProjectionGate<3, Dynamic>> &&
              !std::is_default_constructible_v<TokenProjection<Dynamic, 6>>);

// A model consists only of sizes: trivially copyable, and tiny if all sizes are in the type.
static_assert(std::is_trivially_copyable_v<Fixed> && std::is_trivially_copyable_v<Sized>);
static_assert(sizeof(Fixed) <= 8);

// A state is a value.
static_assert(std::is_copy_constructible_v<Fixed::State<float>> && std::is_copy_assignable_v<Fixed::State<float>>);
static_assert(std::is_nothrow_move_constructible_v<Fixed::State<float>>);
static_assert(requires(const Fixed::State<Lanes<float>>& a) { a == a; });

// The constants that other code reads.
static_assert(Fixed::features == 3 && Fixed::rows == 3 && Fixed::cols == 3 && Fixed::outputs == 3 && Fixed::rank == 3);
static_assert(Sized::features == Dynamic && Sized::outputs == Dynamic && Sized::rank == 3);
static_assert(Projected::features == 6 && Projected::rows == 3 && Projected::cols == 1 && Projected::rank == 1);
static_assert(Fixed::Window::shared == 1 && Fixed::Window::gap == 0);
static_assert(SlidingWindow<2, 2, 5>::shared == 0 && SlidingWindow<2, 2, 5>::gap == 3);

// A given decay has no step size, and no weight for one.
static_assert(decltype(DiagonalRecurrence<3, 3, GivenDecay>::Parameters<float>::log_step)::RowsAtCompileTime == 0);

}  // namespace
}  // namespace gdssm
