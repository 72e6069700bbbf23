// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "gdssm/core/error.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm::recurrences {

/// What one step of a rank-one recurrence is to its loops, or the cotangents of that.
/// Shapes  Keys each, `decay` one number for each channel of the keys; target (Values)
template <class T>
struct RankOneStep {
  T* read;    ///< p, in S p; D p' for rules that read after their decay
  T* write;   ///< kappa
  T* decay;   ///< the diagonal of D
  T* query;   ///< q
  T* target;  ///< y
};

/// Rank-one recurrences of one sequence in chunks of 8 steps, made for one core's vectors,
///     e_t = y_t - S_{t-1} p_t,   S_t = S_{t-1} D_t + e_t kappa_t^T,   o_t = S_t q_t                    (22)
/// S is read and written once a chunk, as of (22c): what it answers to all keys and queries of a chunk is one product
/// of matrices, the errors are a triangular solve, and all that is written is one more product. The numbers differ from
/// those of single steps by rounding only. Products of decays are made by multiplying, so decays may be 0. A sequence
/// has the same bits wherever it is cut after a multiple of 8 steps.
///
/// The derivative keeps the state before every 256th step, and one state for each chunk of 256 steps at a time.
///     `T`      float or double
///     `Steps`  what a sequence is, a class with
///                  count()           the number of steps
///                  reads(n)          whether step n reads: else p = 0
///                  answer(n)         the column of the outputs that step n answers a query in, or -1
///                  make(n, step)     fills the step's numbers; the query where it answers, p where it reads
///                  take(n, bar)      takes the cotangents of what `make` has filled, last step first
/// Shapes  states (Values x Keys), outputs (Values x answers)
/// Errors  std::invalid_argument: sizes below 1, a state of another shape
/// VJP  `vjp`
template <class T>
class RankOneScan {
  using Vector = typename Lanes<T>::Vector;
  static constexpr Index native = static_cast<Index>(sizeof(Vector) / sizeof(T));
  static constexpr Index chunk = 8;                                           ///< steps
  static constexpr Index segment = 32;                                        ///< chunks
  static constexpr Index height = gdssm::detail::native_bytes == 64 ? 4 : 2;  ///< vectors of a tile
  static constexpr Index width = 4;                                           ///< columns of a tile

 public:
  RankOneScan(Index keys, Index values) : keys_(keys), values_(values) {
    if (keys < 1 || values < 1)
      refuse("RankOneScan", "the state is ", values, " x ", keys, ", expected at least 1 x 1");
    const Index k = padded(keys), v = padded(values);
    for (Array<T>* of_keys : {&read_, &write_, &decay_, &query_, &written_, &read_bar_, &write_bar_, &decay_bar_,
                              &query_bar_, &written_bar_})
      *of_keys = Array<T>(k, chunk);
    for (Array<T>* of_values : {&target_, &error_, &error_bar_}) *of_values = Array<T>(v, chunk);
    decays_ = Array<T>(k, chunk + 1);
    asked_ = asked_bar_ = Array<T>(k, 2 * chunk);
    answers_ = Array<T>(v, 2 * chunk);
    read_by_write_ = query_by_write_ = Array<T>(chunk, chunk);
    asked_by_write_bar_ = Array<T>(chunk, 2 * chunk);
    state_ = cotangent_ = Array<T>(v, k);
    all_decay_bar_ = Array<T>(k, 1);
  }

  /// Moves `state` through the steps.
  template <class Steps>
  void forward(const Steps& steps, View<T> state, View<T> outputs) {
    expect_state(state);
    load(state, state_.data());
    for (Index begin = 0; begin < steps.count(); begin += chunk) {
      prepare(steps, begin, true);
      advance(state_.data(), state_.data(), error_.data(), true);
      for (Index s = 0; s < count_; ++s)
        if (const Index column = steps.answer(begin + s); column >= 0)
          std::copy_n(answer(s), values_, outputs.data() + column * outputs.rows());
    }
    store(state_.data(), state);
  }

  /// VJP of `forward` from `first`: turns `state_bar` from the cotangent of the last state into that of `first`, and
  /// has all other cotangents taken.
  template <class Steps>
  void vjp(const Steps& steps, View<const T> first, View<const T> outputs_bar, View<T> state_bar) {
    expect_state(first);
    expect_state(state_bar);
    const Index chunks = (steps.count() + chunk - 1) / chunk, segments = (chunks + segment - 1) / segment;
    const Index size = state_.size();
    grow(starts_, size, segments);
    grow(within_, size, (std::min)(segment, chunks));
    grow(errors_, error_.size(), (std::min)(segment, chunks));
    load(state_bar.as_const(), cotangent_.data());
    load(first, state_.data());
    for (Index n = 0; n < chunks; ++n) {
      if (n % segment == 0) std::copy_n(state_.data(), size, starts_.data() + n / segment * size);
      if (n / segment + 1 == segments) break;
      prepare(steps, n * chunk, false);
      advance(state_.data(), state_.data(), error_.data(), false);
    }
    for (Index g = segments - 1; g >= 0; --g) {
      const Index begin = g * segment, end = (std::min)(begin + segment, chunks);
      std::copy_n(starts_.data() + g * size, size, within_.data());
      for (Index n = begin; n < end; ++n) {
        prepare(steps, n * chunk, false);
        T* const S = within_.data() + (n - begin) * size;
        advance(S, n + 1 < end ? S + size : nullptr, errors_.data() + (n - begin) * error_.size(), false);
      }
      for (Index n = end - 1; n >= begin; --n) {
        prepare(steps, n * chunk, true);
        pull(steps, n * chunk, within_.data() + (n - begin) * size, errors_.data() + (n - begin) * error_.size(),
             outputs_bar);
      }
    }
    store(cotangent_.data(), state_bar);
  }

 private:
  static Index padded(Index size) {
    constexpr Index multiple = native < width ? width : native;
    return (size + multiple - 1) / multiple * multiple;
  }
  static void grow(Array<T>& array, Index rows, Index cols) {
    if (array.rows() != rows || array.cols() < cols) array = Array<T>(rows, cols);
  }
  void expect_state(const View<const T>& got) const {
    if (got.rows() != values_ || got.cols() != keys_)
      refuse("RankOneScan", "the state is ", got.rows(), " x ", got.cols(), ", expected ", values_, " x ", keys_);
  }
  // Rows and columns beyond the view's are zeros.
  void load(View<const T> from, T* to) const {
    for (Index j = 0; j < keys_; ++j) std::copy_n(from.data() + j * values_, values_, to + j * state_.rows());
  }
  void store(const T* from, View<T> to) const {
    for (Index j = 0; j < keys_; ++j) std::copy_n(from + j * state_.rows(), values_, to.data() + j * values_);
  }

  static Vector get(const T* from) {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static void put(T* to, Vector v) { std::memcpy(to, &v, sizeof v); }
  static Vector all(T value) { return value - Vector{}; }
  static Vector fused(Vector a, Vector b, Vector c) { return gdssm::detail::fused_in_long_body(a, b, c); }

  static T* column(Array<T>& array, Index j) { return array.data() + j * array.rows(); }
  RankOneStep<T> step(Index s) {
    return {column(read_, s), column(write_, s), column(decay_, s), column(query_, s), column(target_, s)};
  }
  RankOneStep<T> step_bar(Index s) {
    return {column(read_bar_, s), column(write_bar_, s), column(decay_bar_, s), column(query_bar_, s),
            column(error_bar_, s)};
  }
  T* answer(Index s) { return column(answers_, query_column_[s]); }

  /// C = A B, or C = start diag(scale) + A B, for `columns` columns, a multiple of `width`, of A's height; entry (l, c)
  /// of B is B[l along + c across].
  enum class From { nothing, scaled };
  template <From from>
  static void multiply(const T* A, Index rows, const T* B, Index along, Index across, Index depth, const T* start,
                       const T* scale, T* C, Index columns) {
    for (Index c = 0; c < columns; c += width) {
      Index i = 0;
      const auto go = [&]<Index Height>(std::integral_constant<Index, Height>) {
        for (; i + Height * native <= rows; i += Height * native)
          tile<from, Height>(A + i, rows, B + c * across, along, across, depth,
                             from == From::nothing ? nullptr : start + c * rows + i,
                             from == From::nothing ? nullptr : scale + c, C + c * rows + i);
      };
      if constexpr (height > 2) go(std::integral_constant<Index, height>());
      go(std::integral_constant<Index, 2>());
      go(std::integral_constant<Index, 1>());
    }
  }
  template <From from, Index Height>
  static void tile(const T* A, Index rows, const T* B, Index along, Index across, Index depth, const T* start,
                   const T* scale, T* C) {
    Vector sum[width][Height];
#pragma GCC unroll 4
    for (Index c = 0; c < width; ++c)
#pragma GCC unroll 4
      for (Index h = 0; h < Height; ++h)
        sum[c][h] = from == From::nothing ? Vector{} : get(start + c * rows + h * native) * all(scale[c]);
    for (Index l = 0; l < depth; ++l) {
      Vector a[Height];
#pragma GCC unroll 4
      for (Index h = 0; h < Height; ++h) a[h] = get(A + l * rows + h * native);
#pragma GCC unroll 4
      for (Index c = 0; c < width; ++c) {
        const Vector b = all(B[l * along + c * across]);
#pragma GCC unroll 4
        for (Index h = 0; h < Height; ++h) sum[c][h] = fused(a[h], b, sum[c][h]);
      }
    }
#pragma GCC unroll 4
    for (Index c = 0; c < width; ++c)
#pragma GCC unroll 4
      for (Index h = 0; h < Height; ++h) put(C + c * rows + h * native, sum[c][h]);
  }

  /// C = A^T B; A has `across` columns, a multiple of `width`, and so has B.
  static void multiply_transposed(const T* A, Index rows, Index across, const T* B, Index columns, T* C, Index C_rows) {
    constexpr Index wide = gdssm::detail::native_bytes == 64 ? 4 : 2;  // columns of B of a tile
    for (Index c = 0; c < columns; c += wide)
      for (Index j = 0; j < across; j += width) {
        Vector sum[width * wide] = {};
        for (Index i = 0; i < rows; i += native) {
          Vector a[width];
#pragma GCC unroll 4
          for (Index k = 0; k < width; ++k) a[k] = get(A + (j + k) * rows + i);
#pragma GCC unroll 4
          for (Index l = 0; l < wide; ++l) {
            const Vector b = get(B + (c + l) * rows + i);
#pragma GCC unroll 4
            for (Index k = 0; k < width; ++k) sum[l * width + k] = fused(a[k], b, sum[l * width + k]);
          }
        }
        T sums[width * wide];
        fold<width * wide>(sum, sums);
        for (Index l = 0; l < wide; ++l)
          for (Index k = 0; k < width; ++k) C[(c + l) * C_rows + j + k] = sums[l * width + k];
      }
  }
  /// The sums of the elements of `Count` vectors.
  template <Index Count>
  static void fold(const Vector* v, T* sums) {
    constexpr Index together = native < Count ? native : Count, block = native / together;
    for (Index f = 0; f < Count; f += together) {
      T parts[native];
      put(parts, gdssm::detail::sums_of_elements<static_cast<std::size_t>(together)>(v + f));
      for (Index k = 0; k < together; ++k) {
        sums[f + k] = parts[k * block];
        for (Index e = 1; e < block; ++e) sums[f + k] += parts[k * block + e];
      }
    }
  }

  /// The numbers of the chunk that begins at step `begin`: (22c) but for what depends on the state. `answering`: those
  /// of the queries too.
  template <class Steps>
  void prepare(const Steps& steps, Index begin, bool answering) {
    count_ = (std::min)(chunk, steps.count() - begin);
    columns_ = 0;
    const Index rows = read_.rows();
    std::fill_n(column(decays_, 0), rows, T(1));
    for (Index s = 0; s < count_; ++s) {
      std::fill_n(column(target_, s), target_.rows(), T(0));
      const RankOneStep<T> x = step(s);
      steps.make(begin + s, x);
      const T *const before = column(decays_, s), *const p = x.read, *const q = x.query, *const d = x.decay;
      T* const after = column(decays_, s + 1);
      for (Index j = 0; j < rows; ++j) after[j] = before[j] * d[j];
      read_column_[s] = query_column_[s] = -1;
      if (steps.reads(begin + s)) {
        T* const to = column(asked_, read_column_[s] = columns_++);
        for (Index j = 0; j < rows; ++j) to[j] = before[j] * p[j];
      }
      if (answering && steps.answer(begin + s) >= 0) {
        T* const to = column(asked_, query_column_[s] = columns_++);
        for (Index j = 0; j < rows; ++j) to[j] = after[j] * q[j];
      }
    }
    for (; columns_ % width != 0; ++columns_) std::fill_n(column(asked_, columns_), rows, T(0));
    for (Index s = 0; s < count_; ++s) pair_up(s);
    for (Index s = count_; s < chunk; ++s) std::fill_n(column(written_, s), rows, T(0));
  }

  /// What later steps of the chunk see of the key that step i writes: <kappa_i, D_{i+1} ... D_{t-1} p_t>,
  /// <kappa_i, D_{i+1} ... D_t q_t> and D_{i+1} ... D_C kappa_i.
  void pair_up(Index i) {
    Vector sum[2 * chunk] = {}, *const of_read = sum, *const of_query = sum + chunk;
    for (Index j = 0; j < read_.rows(); j += native) {
      Vector w = get(column(write_, i) + j);
      if (query_column_[i] >= 0) of_query[i] = fused(w, get(column(query_, i) + j), of_query[i]);
      for (Index t = i + 1; t < count_; ++t) {
        if (read_column_[t] >= 0) of_read[t] = fused(w, get(column(read_, t) + j), of_read[t]);
        w = w * get(column(decay_, t) + j);
        if (query_column_[t] >= 0) of_query[t] = fused(w, get(column(query_, t) + j), of_query[t]);
      }
      put(column(written_, i) + j, w);
    }
    T sums[2 * chunk];
    fold<2 * chunk>(sum, sums);
    for (Index t = 0; t < chunk; ++t) {
      read_by_write_(i, t) = sums[t];
      query_by_write_(i, t) = sums[chunk + t];
    }
  }

  /// The chunk's errors, its answers, and unless `next` is null the state after it.
  void advance(const T* S, T* next, T* errors, bool answering) {
    const Index rows = state_.rows();
    multiply<From::nothing>(S, rows, asked_.data(), 1, asked_.rows(), keys_, nullptr, nullptr, answers_.data(),
                            columns_);
    for (Index i = 0; i < rows; i += native)
      for (Index t = 0; t < count_; ++t) {
        Vector e = get(column(target_, t) + i);
        if (read_column_[t] >= 0) {
          e -= get(column(answers_, read_column_[t]) + i);
          for (Index s = 0; s < t; ++s) e = fused(get(errors + s * rows + i), all(-read_by_write_(s, t)), e);
        }
        put(errors + t * rows + i, e);
        if (!answering || query_column_[t] < 0) continue;
        Vector o = get(answer(t) + i);
        for (Index s = 0; s <= t; ++s) o = fused(get(errors + s * rows + i), all(query_by_write_(s, t)), o);
        put(answer(t) + i, o);
      }
    for (Index s = count_; s < chunk; ++s) std::fill_n(errors + s * rows, rows, T(0));
    if (next)
      multiply<From::scaled>(errors, rows, written_.data(), written_.rows(), 1, count_, S, column(decays_, count_),
                             next, state_.cols());
  }

  /// VJP of a chunk from state S: R is `cotangent_`, and becomes that of S.
  template <class Steps>
  void pull(const Steps& steps, Index begin, const T* S, const T* errors, View<const T> outputs_bar) {
    const Index rows = state_.rows(), keys = read_.rows();
    T* const R = cotangent_.data();
    // Of the answers and of the errors, E_bar (I + N)^T = R K_bar + O_bar A^T; `answers_` becomes the cotangent of S X.
    std::fill_n(answers_.data(), columns_ * rows, T(0));
    for (Index s = 0; s < count_; ++s)
      if (query_column_[s] >= 0)
        std::copy_n(outputs_bar.data() + steps.answer(begin + s) * outputs_bar.rows(), values_, answer(s));
    multiply<From::nothing>(R, rows, written_.data(), 1, written_.rows(), keys_, nullptr, nullptr, error_bar_.data(),
                            chunk);
    for (Index i = 0; i < rows; i += native)
      for (Index s = count_ - 1; s >= 0; --s) {
        Vector e_bar = get(column(error_bar_, s) + i);
        for (Index t = s; t < count_; ++t)
          if (query_column_[t] >= 0) e_bar = fused(get(answer(t) + i), all(query_by_write_(s, t)), e_bar);
        for (Index t = s + 1; t < count_; ++t)
          if (read_column_[t] >= 0) e_bar = fused(get(column(error_bar_, t) + i), all(-read_by_write_(s, t)), e_bar);
        put(column(error_bar_, s) + i, e_bar);
        if (read_column_[s] >= 0) put(column(answers_, read_column_[s]) + i, -e_bar);
      }
    // Of the numbers that `prepare` made.
    Array<T>& by_write_bar = asked_by_write_bar_;
    multiply_transposed(errors, rows, chunk, answers_.data(), columns_, by_write_bar.data(), chunk);
    multiply_transposed(S, rows, state_.cols(), answers_.data(), columns_, asked_bar_.data(), keys);
    multiply_transposed(R, rows, state_.cols(), errors, chunk, written_bar_.data(), keys);
    for (Index j = 0; j < state_.cols(); ++j) {
      Vector sum = {};
      for (Index i = 0; i < rows; i += native) sum = fused(get(R + j * rows + i), get(S + j * rows + i), sum);
      all_decay_bar_[j] = gdssm::detail::sum_elements<static_cast<std::size_t>(native)>(sum);
    }
    multiply<From::scaled>(answers_.data(), rows, asked_.data(), asked_.rows(), 1, columns_, R, column(decays_, count_),
                           R, state_.cols());
    pull_numbers();
    for (Index s = count_ - 1; s >= 0; --s) steps.take(begin + s, step_bar(s));
  }

  /// VJP of `prepare`.
  void pull_numbers() {
    const Index keys = read_.rows();
    for (Index j = 0; j < keys; j += native) {
      Vector all_bar = get(all_decay_bar_.data() + j);
      for (Index s = count_ - 1; s >= 0; --s) {
        const Vector before = get(column(decays_, s) + j), d = get(column(decay_, s) + j);
        Vector q_bar = {}, p_bar = {};
        if (query_column_[s] >= 0) {
          const Vector bar = get(column(asked_bar_, query_column_[s]) + j);
          q_bar = get(column(decays_, s + 1) + j) * bar;
          all_bar = fused(get(column(query_, s) + j), bar, all_bar);
        }
        put(column(decay_bar_, s) + j, all_bar * before);
        all_bar = all_bar * d;
        if (read_column_[s] >= 0) {
          const Vector bar = get(column(asked_bar_, read_column_[s]) + j);
          p_bar = before * bar;
          all_bar = fused(get(column(read_, s) + j), bar, all_bar);
        }
        put(column(query_bar_, s) + j, q_bar);
        put(column(read_bar_, s) + j, p_bar);
      }
      for (Index i = 0; i < count_; ++i) {
        Vector w[chunk];
        w[i] = get(column(write_, i) + j);
        for (Index t = i + 1; t < count_; ++t) w[t] = w[t - 1] * get(column(decay_, t) + j);
        Vector bar = get(column(written_bar_, i) + j);
        for (Index t = count_ - 1; t >= i; --t) {
          if (query_column_[t] >= 0) {
            const Vector of = all(asked_by_write_bar_(i, query_column_[t]));
            bar = fused(of, get(column(query_, t) + j), bar);
            put(column(query_bar_, t) + j, fused(of, w[t], get(column(query_bar_, t) + j)));
          }
          if (t == i) break;
          put(column(decay_bar_, t) + j, fused(bar, w[t - 1], get(column(decay_bar_, t) + j)));
          bar = bar * get(column(decay_, t) + j);
          if (read_column_[t] >= 0) {
            const Vector of = all(asked_by_write_bar_(i, read_column_[t]));
            bar = fused(of, get(column(read_, t) + j), bar);
            put(column(read_bar_, t) + j, fused(of, w[t - 1], get(column(read_bar_, t) + j)));
          }
        }
        put(column(write_bar_, i) + j, bar);
      }
    }
  }

  Index keys_, values_;
  // Of the chunk at hand, a step a column; `asked_` is what S is multiplied by, `answers_` the products.
  Index count_ = 0, columns_ = 0, read_column_[chunk], query_column_[chunk];
  Array<T> read_, write_, decay_, query_, target_;
  Array<T> decays_;  // products of the first decays
  Array<T> asked_, answers_, written_, error_, read_by_write_, query_by_write_;
  Array<T> read_bar_, write_bar_, decay_bar_, query_bar_, error_bar_;
  Array<T> asked_bar_, written_bar_, all_decay_bar_, asked_by_write_bar_;
  Array<T> state_, cotangent_;
  Array<T> starts_, within_, errors_;  // states before segments and chunks, a state a column
};

}  // namespace gdssm::recurrences
