// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "gdssm/core/error.hpp"
#include "gdssm/deep/gril_mixer.hpp"
#include "gdssm/deep/model.hpp"
#include "gdssm/deep/rule_mixer.hpp"

namespace gdssm {

template <class T>
std::unique_ptr<Mixer<T>> make_mixer(const DeepSizes& sizes, Index length) {
  const auto of = [&]<class Block>(Block block) -> std::unique_ptr<Mixer<T>> {
    return std::make_unique<detail::MixerOf<Block, T>>(std::move(block), length);
  };
  const Index D = sizes.width, H = sizes.heads, n = sizes.head_size;
  if (sizes.mixer == "gril") return of(GrilMixer(D, H, n, sizes.window));
  if (sizes.mixer == "linear") return of(RuleMixer<recurrences::LinearAttention<>>(D, H, n, sizes.convolution));
  if (sizes.mixer == "gated_delta") return of(RuleMixer<recurrences::GatedDeltaRule<>>(D, H, n, sizes.convolution));
  if (sizes.mixer == "kda") return of(RuleMixer<recurrences::Kda<>>(D, H, n, sizes.convolution));
  if (sizes.mixer == "mamba2") return of(RuleMixer<recurrences::Mamba2<>>(D, H, n, sizes.convolution));
  refuse("make_mixer", "the mixer is \"", sizes.mixer, "\", expected gril, linear, gated_delta, kda or mamba2");
}

}  // namespace gdssm
