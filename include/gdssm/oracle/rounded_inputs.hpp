// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "gdssm/core/rounded.hpp"
#include "gdssm/oracle/named_arrays.hpp"

// What an implementation rounds before and after the recurrence itself: its inputs, and logarithms of decays, which it
// sums along chunks of tokens, forward for the decays and backward for their gradients.
namespace gdssm::detail {

/// Numbers that are not `Rounded` are what they are.
template <class S>
void round_inputs(const std::vector<BoundTensor<S>>&) {}
template <class S>
void round_gradients(const std::vector<BoundTensor<S>>&, const std::vector<BoundTensor<S>>&) {}

/// The entries of one token; of an array without tokens, all.
inline std::size_t entries_of_token(const BoundTensor<Rounded>& array) {
  return array.of_tokens && array.shape[0] > 0 ? array.entries.size() / static_cast<std::size_t>(array.shape[0])
                                               : array.entries.size();
}

/// sums[e] = the sum of terms[e], terms[e - step], ..., of `Rounded::chunk` terms or as many as there are.
inline std::vector<double> sums_along_chunk(const std::vector<double>& terms, std::size_t step) {
  std::vector<double> sums(terms.size());
  for (std::size_t e = 0; e < terms.size(); ++e)
    for (std::size_t back = 0; back < Rounded::chunk && back * step <= e; ++back) sums[e] += terms[e - back * step];
  return sums;
}

/// Inputs are rounded to the precision, and decays, which are exp(g_t) for the difference g_t of two sums of logarithms
/// along a chunk, to
///     2 + |log alpha_t| + |log alpha_{t-1}| + ... units, of up to `Rounded::chunk` logarithms           (45c)
inline void round_inputs(const std::vector<BoundTensor<Rounded>>& inputs) {
  constexpr double longest = 88;  // beyond which exp is no normal float
  for (const BoundTensor<Rounded>& input : inputs) {
    std::vector<double> logs;
    if (input.role == TokenRole::decay)
      for (const Rounded* entry : input.entries)
        logs.push_back((std::min)(std::abs(std::log(std::abs(entry->value))), longest));
    const std::vector<double> sums = sums_along_chunk(logs, (std::max)(entries_of_token(input), std::size_t{1}));
    for (std::size_t e = 0; e < input.entries.size(); ++e) {
      Rounded& entry = *input.entries[e];
      const double units = input.role != TokenRole::decay ? 1
                           : input.of_tokens              ? 2 + sums[e]
                                                          : 2 + static_cast<double>(Rounded::chunk) * logs[e];
      entry.round(units * std::abs(entry.value));
    }
  }
}

/// The sums of |x x_bar| over what a token brings beside its decays, for every channel of decays of which there are
/// `channels` a token, and along the chunk that begins with the token.
inline std::vector<double> sums_of_terms(const std::vector<BoundTensor<Rounded>>& inputs,
                                         const std::vector<BoundTensor<Rounded>>& gradients, std::size_t length,
                                         std::size_t channels) {
  std::vector<double> terms(length * channels);  // the last token first
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const TokenRole role = inputs[i].role;
    const std::size_t size = entries_of_token(inputs[i]);
    if (!inputs[i].of_tokens || (role != TokenRole::key && role != TokenRole::value)) continue;
    if (channels != 1 && channels != size) continue;
    for (std::size_t e = 0; e < inputs[i].entries.size(); ++e) {
      const std::size_t t = e / size, channel = channels == 1 ? 0 : e % size;
      terms[(length - 1 - t) * channels + channel] +=
          std::abs(inputs[i].entries[e]->value * gradients[i].entries[e]->value);
    }
  }
  std::vector<double> sums = sums_along_chunk(terms, channels);
  std::vector<double> in_order(sums.size());
  for (std::size_t e = 0; e < sums.size(); ++e)
    in_order[e] = sums[(length - 1 - e / channels) * channels + e % channels];
  return in_order;
}

/// The gradient of a logarithm g_t of a decay, in chunks, is the sum over the rest of the chunk of differences of
/// products q q_bar, k k_bar, ..., and the decay's is that over alpha_t: it has the rounding errors of these products,
///     (|q_t q_bar_t| + |k_t k_bar_t| + ... + |q_{t+1} q_bar_{t+1}| + ...) / alpha_t units              (45d)
/// whatever they sum to. Where g_t = A Delta_t, so have the gradients of Delta and A.
inline void round_gradients(const std::vector<BoundTensor<Rounded>>& inputs,
                            const std::vector<BoundTensor<Rounded>>& gradients) {
  const auto continuous = std::find_if(inputs.begin(), inputs.end(),
                                       [](const auto& input) { return input.role == TokenRole::continuous_decay; });
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool is_step = inputs[i].role == TokenRole::step && continuous != inputs.end();
    if (!inputs[i].of_tokens || !(inputs[i].role == TokenRole::decay || is_step)) continue;
    const std::size_t channels = entries_of_token(inputs[i]);
    if (channels == 0) continue;
    const std::vector<double> sums = sums_of_terms(inputs, gradients, inputs[i].entries.size() / channels, channels);
    for (std::size_t e = 0; e < sums.size(); ++e) {
      const double number = std::abs(inputs[i].entries[e]->value);
      if (!is_step) {
        if (number != 0) gradients[i].entries[e]->round(sums[e] / number);
        continue;
      }
      const auto place = static_cast<std::size_t>(continuous - inputs.begin());
      gradients[i].entries[e]->round(sums[e] * std::abs(continuous->entries[0]->value));
      gradients[place].entries[0]->round(sums[e] * number);
    }
  }
}

}  // namespace gdssm::detail
