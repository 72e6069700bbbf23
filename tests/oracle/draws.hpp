// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/io/tensors.hpp"

// Random inputs of every row, and the same inputs with their channels in another order.
namespace gdssm::test {

using Tensors = std::map<std::string, Tensor>;

/// The sizes of a sequence and the least of its decays, of which the largest is 1.
struct Draw {
  Index d_k = 5, d_v = 4, T = 40;
  double least_decay = 0.6;
  bool starts_at_zero = false;
};

/// Draws numbers as floats hold them, in double.
class Drawing {
 public:
  explicit Drawing(unsigned seed) : engine_(seed) {}

  double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
  Index whole(Index low, Index high) { return std::uniform_int_distribution<Index>(low, high)(engine_); }
  Tensor uniform(double low, double high, std::vector<Index> shape) {
    return filled(std::move(shape), [&] { return uniform(low, high); });
  }
  Tensor normal(double deviation, std::vector<Index> shape) {
    return filled(std::move(shape), [&] { return deviation * std::normal_distribution<double>()(engine_); });
  }
  /// An order of 0, ..., count - 1.
  std::vector<std::size_t> order(Index count) {
    std::vector<std::size_t> places(static_cast<std::size_t>(count));
    std::iota(places.begin(), places.end(), std::size_t{0});
    std::shuffle(places.begin(), places.end(), engine_);
    return places;
  }

 private:
  template <class Next>
  static Tensor filled(std::vector<Index> shape, Next next) {
    Index size = 1;
    for (const Index n : shape) size *= n;
    std::vector<double> numbers;
    for (Index i = 0; i < size; ++i) numbers.push_back(static_cast<double>(static_cast<float>(next())));
    return {std::move(shape), std::move(numbers)};
  }

  std::mt19937 engine_;
};

inline Tensor number(double value) { return {{}, std::vector<double>{value}}; }

/// Inputs of a row, in double; keys have mean square length 1. Rows of one size take d_k; `turning` is of mamba3.
inline Tensors draw_inputs(const std::string& row, const Draw& draw, Drawing& random, bool turning = false) {
  const auto [d_k, d_v, T, least, zero] = draw;
  const double key = 1 / std::sqrt(static_cast<double>(d_k)), start = zero ? 0 : 0.5;
  if (row == "paper_layer")
    return {{"tokens", random.normal(key, {2 * T + 1, d_k})},
            {"A", random.normal(0.5, {3, 3})},
            {"L", random.uniform(least, 1, {d_k, d_k})},
            {"C", random.normal(key, {d_k, d_k})},
            {"d", random.normal(1, {3})},
            {"S0", random.normal(start, {d_k, d_k})}};
  const bool one_size = row == "ttt_linear_ln";
  const Index values = one_size ? d_k : d_v;
  Tensors x{{"k", random.normal(key, {T, d_k})},
            {"v", random.normal(1, {T, values})},
            {"q", random.normal(1, {T, d_k})},
            {"S0", random.normal(start, {values, d_k})}};
  const auto decays = [&, least = least](std::vector<Index> shape) {
    return random.uniform(least, 1, std::move(shape));
  };
  const auto shares = [&](std::vector<Index> shape) { return random.uniform(0.1, 0.9, std::move(shape)); };

  if (row == "retnet") x["gamma"] = decays({});
  if (row == "mamba2") x["A"] = random.uniform(2 * std::log(least), -0.01, {}), x["dt"] = shares({T});
  if (row == "gla") x["alpha"] = decays({T, d_k});
  if (row == "mamba3") {
    x["alpha"] = decays({T}), x["dt"] = shares({T}), x["lambda"] = shares({T});
    x["k_before"] = random.normal(key, {d_k}), x["v_before"] = random.normal(1, {d_v});
    if (turning) x["omega"] = random.normal(1, {T, d_k / 2}), x["phi0"] = random.normal(1, {d_k / 2});
  }
  if (row == "delta_rule" || row == "gated_delta_rule" || row == "kda" || row == "comba") x["beta"] = shares({T});
  if (row == "gated_delta_rule" || row == "comba") x["alpha"] = decays({T});
  if (row == "kda") x["alpha"] = decays({T, d_k});
  if (row == "gdn2") x["alpha"] = decays({T, d_k}), x["b"] = shares({T, d_k}), x["w"] = shares({T, d_v});
  if (row == "deltaproduct") {
    x["k"] = random.normal(key, {T, 2, d_k}), x["v"] = random.normal(1, {T, 2, d_v});
    x["beta"] = shares({T, 2}), x["alpha"] = decays({T});
  }
  if (row == "comba") {
    x["p"] = x.at("k");
    for (double& entry : x["p"].as<double>()) entry = static_cast<double>(static_cast<float>(0.7 * entry));
  }
  if (row == "precond_gated_delta_rule") {
    x["beta"] = shares({T}), x["alpha"] = decays({T}), x["alpha_A"] = decays({T}), x["beta_A"] = shares({T});
    x["center"] = random.uniform(-2, 0, {}), x["A0"] = random.uniform(zero ? 0 : 0.1, zero ? 0 : 1, {d_k});
    x["eps"] = number(1e-6), x["base"] = number(1.5);
  }
  if (row == "rwkv7") {
    x["w"] = decays({T, d_k}), x["a"] = shares({T, d_k}), x["kappa"] = random.normal(key, {T, d_k});
  }
  if (row == "gated_oja") {
    x["beta"] = random.uniform(0.01, 0.2, {T}), x["alpha"] = decays({T, d_v});
    x["v"] = random.normal(1 / std::sqrt(static_cast<double>(d_v)), {T, d_v});
  }
  if (row == "longhorn" || row == "longhorn_diagonal") x["beta"] = shares({T, d_v});
  if (row == "mesa") {
    x["beta"] = shares({T}), x["alpha"] = decays({T}), x["lambda"] = random.uniform(0.3, 1, {d_k});
    x["M0"] = x.at("S0");
    x.erase("S0");
    const Tensor half = random.normal(start * key, {d_k, d_k});
    Tensor square{{d_k, d_k}, std::vector<double>(static_cast<std::size_t>(d_k * d_k))};
    for (Index i = 0; i < d_k; ++i)
      for (Index j = 0; j < d_k; ++j)
        for (Index l = 0; l < d_k; ++l)
          square.as<double>()[static_cast<std::size_t>(i * d_k + j)] +=
              half.as<double>()[static_cast<std::size_t>(i * d_k + l)] *
              half.as<double>()[static_cast<std::size_t>(j * d_k + l)];
    for (double& entry : square.as<double>()) entry = static_cast<double>(static_cast<float>(entry));
    x["H0"] = square;
  }
  if (row == "ttt_linear" || row == "ttt_linear_ln") {
    x["eta"] = shares({T}), x["theta"] = random.uniform(0.05, 0.5, {T});
    x["batch"] = number(static_cast<double>(random.whole(1, 8)));
  }
  if (row == "ttt_linear_ln") {
    x["ln_weight"] = random.uniform(0.5, 1.5, {d_k}), x["ln_bias"] = random.normal(0.3, {d_k});
    x["S0"] = random.normal(key, {d_k, d_k}),
    x["c0"] = random.normal(0.3, {d_k});  // no layer norm has zero's direction
    x["eps"] = number(1e-6);
  }
  if (row == "titans" || row == "omega") {
    x["alpha"] = decays({T}), x["eta"] = shares({T}), x["theta"] = random.uniform(0.05, 0.3, {T});
    x["B0"] = random.normal(start / 5, {d_v, d_k});
  }
  if (row == "omega") {
    x["gamma"] = shares({T, 3});
    const Index pairs = zero ? 0 : 2;
    x["k_before"] = random.normal(key, {pairs, d_k}), x["v_before"] = random.normal(1, {pairs, d_v});
  }
  return x;
}

/// The same numbers with the entries of every axis of size `size` in another order: entry i is what was entry order[i].
inline Tensor reordered(const Tensor& tensor, Index size, const std::vector<std::size_t>& order) {
  Tensor result = tensor;
  std::size_t stride = 1;
  for (std::size_t axis = tensor.shape.size(); axis-- > 0;) {
    const auto n = static_cast<std::size_t>(tensor.shape[axis]);
    if (tensor.shape[axis] == size) {
      const Tensor before = result;
      const auto from = before.as<double>();
      const auto to = result.as<double>();
      for (std::size_t e = 0; e < from.size(); ++e) {
        const std::size_t i = e / stride % n;
        to[e] = from[e - i * stride + order[i] * stride];
      }
    }
    stride *= n;
  }
  return result;
}

}  // namespace gdssm::test
