// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/deep/model.hpp"

namespace gdssm {

/// Weights with which a deep model of one layer and one head answers a key with the value that followed it, (60): the
/// given embedding E; W_P = sqrt(1/D + 1e-6) I, which undoes the norm of a row of length 1; W_O = 2 I, so that the
/// answer has a larger logit than the query, which the stream holds as well; W_2 = 0; gains 1.
///     `gril`                        A = e_(w-3) e_(w-2)^T, L = 1, d = e_(w-1), C = I, for a window of 3 or more
///     `linear`                      W_q = W_k = W_v = W_P; convolutions that take the current token for queries and
///                                   values, the one before for keys
///     `gated_delta`, `kda`          the same, with b_a = -50 and b_b = 50: decays and rates of 1
/// With orthonormal rows all answer every key that is asked for the first time with its value. With rows that are
/// random unit vectors `gril` has the scores (73); the others have silu in their way.
/// Shapes  E (V x D), rows of length 1
/// Errors  std::invalid_argument: another mixer, more than one layer or head, heads of another size than the width, an
///         untied output, a window below 3 or a convolution below 2 taps, an embedding of another shape
/// Source  docs/theory.md, recall
template <class T>
NamedWeights<T> recall_weights(const DeepModel<T>& model, const Eigen::MatrixX<T>& E) {
  constexpr const char* where = "recall_weights";
  const DeepSizes& s = model.sizes();
  expect_equal(where, "the number of layers", s.depth, Index(1));
  expect_equal(where, "the number of heads", s.heads, Index(1));
  expect_equal(where, "the size of a head", s.head_size, s.width);
  expect_equal(where, "whether the output is tied", s.tied, true);
  expect_equal(where, "the number of rows of the embedding", E.rows(), s.vocabulary);
  expect_equal(where, "the number of columns of the embedding", E.cols(), s.width);
  const bool is_gril = s.mixer == "gril", has_rate = s.mixer == "gated_delta" || s.mixer == "kda";
  if (!is_gril && !has_rate && s.mixer != "linear")
    refuse(where, "the mixer is \"", s.mixer, "\", expected gril, linear, gated_delta or kda");
  if (is_gril && s.window < 3) refuse(where, "the window is ", s.window, ", expected at least 3");
  if (!is_gril && s.convolution < 2) refuse(where, "the convolution has ", s.convolution, " taps, expected at least 2");

  NamedWeights<T> w = model.zeros();
  const Eigen::MatrixX<T> identity = Eigen::MatrixX<T>::Identity(s.width, s.width),
                          map = std::sqrt(1 / static_cast<T>(s.width) + T(1e-6)) * identity;
  w.matrix("embedding") = E;
  for (const char* gain : {"layers.0.norm1", "layers.0.norm2", "final_norm"}) w.matrix(gain).setOnes();
  w.matrix("layers.0.w_o") = T(2) * identity;
  if (is_gril) {
    w.matrix("layers.0.w_p") = map;
    w.matrix("layers.0.a")(s.window - 3, s.window - 2) = 1;
    w.matrix("layers.0.c") = identity;
    w.matrix("layers.0.d")(s.window - 1, 0) = 1;
    return w;
  }
  for (const char* name : {"layers.0.w_q", "layers.0.w_k", "layers.0.w_v"}) w.matrix(name) = map;
  w.matrix("layers.0.conv_q").col(s.convolution - 1).setOnes();
  w.matrix("layers.0.conv_k").col(s.convolution - 2).setOnes();
  w.matrix("layers.0.conv_v").col(s.convolution - 1).setOnes();
  w.matrix("layers.0.out_gain").setOnes();
  if (has_rate) {
    w.matrix("layers.0.b_a").setConstant(-50);
    w.matrix("layers.0.b_b").setConstant(50);
  }
  return w;
}

/// The same with the unit vectors as the embedding, for a vocabulary of the size of the width.
template <class T>
NamedWeights<T> recall_weights(const DeepModel<T>& model) {
  return recall_weights<T>(model, Eigen::MatrixX<T>::Identity(model.sizes().width, model.sizes().width));
}

}  // namespace gdssm
