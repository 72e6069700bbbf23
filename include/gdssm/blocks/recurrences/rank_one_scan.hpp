// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "gdssm/core/error.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/tiled_kernels.hpp"
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
///                  make(n, step)     fills the step's numbers; q is read where it answers, p where it reads
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
      prepare<true>(steps, begin);
      advance(state_.data(), state_.data(), error_.data());
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
      prepare<false>(steps, n * chunk);
      advance(state_.data(), state_.data(), error_.data());
    }
    for (Index g = segments - 1; g >= 0; --g) {
      const Index begin = g * segment, end = (std::min)(begin + segment, chunks);
      std::copy_n(starts_.data() + g * size, size, within_.data());
      for (Index n = begin; n < end; ++n) {
        prepare<false>(steps, n * chunk);
        T* const S = within_.data() + (n - begin) * size;
        advance(S, n + 1 < end ? S + size : nullptr, errors_.data() + (n - begin) * error_.size());
      }
      for (Index n = end - 1; n >= begin; --n) {
        prepare<true>(steps, n * chunk);
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

  /// How a product begins, and how its right factor B lies: column c from B + c stride, or row l from B + l stride.
  enum class From { nothing, scaled };
  enum class Of { columns, rows };

  /// C = A B, or C = start diag(scale) + A B, for `columns` columns, a multiple of `width`, of A's height.
  template <From from, Of of>
  static void multiply(const T* A, Index rows, const T* B, Index stride, Index depth, const T* start, const T* scale,
                       T* C, Index columns) {
    for (Index c = 0; c < columns; c += width) {
      Index i = 0;
      const auto go = [&]<Index Height>(std::integral_constant<Index, Height>) {
        for (; i + Height * native <= rows; i += Height * native)
          tile<from, of, Height>(A + i, rows, B + (of == Of::columns ? c * stride : c), stride, depth,
                                 from == From::nothing ? nullptr : start + c * rows + i,
                                 from == From::nothing ? nullptr : scale + c, C + c * rows + i);
      };
      if constexpr (height > 2) go(std::integral_constant<Index, height>());
      go(std::integral_constant<Index, 2>());
      go(std::integral_constant<Index, 1>());
    }
  }
  template <From from, Of of, Index Height>
  [[gnu::noinline]] static void tile(const T* A, Index rows, const T* B, Index stride, Index depth, const T* start,
                                     const T* scale, T* C) {
    Vector sum[width][Height];
    const auto each = [](const auto& piece) __attribute__((always_inline)) {
      kernels::tiles::unroll<width>([&](auto c) __attribute__((always_inline)) {
        kernels::tiles::unroll<Height>([&](auto h) __attribute__((always_inline)) { piece(c, h); });
      });
    };
    each([&](auto c, auto h) __attribute__((always_inline)) {
      if constexpr (from == From::nothing)
        sum[c][h] = Vector{};
      else
        sum[c][h] = get(start + c * rows + h * native) * all(scale[c]);
    });
    for (Index l = 0; l < depth; ++l) {
      Vector a[Height];
      kernels::tiles::unroll<Height>([&](auto h)
                                         __attribute__((always_inline)) { a[h] = get(A + l * rows + h * native); });
      kernels::tiles::unroll<width>([&](auto c) __attribute__((always_inline)) {
        const Vector b = all(of == Of::columns ? B[l + c * stride] : B[l * stride + c]);
        kernels::tiles::unroll<Height>([&](auto h)
                                           __attribute__((always_inline)) { sum[c][h] = fused(a[h], b, sum[c][h]); });
      });
    }
    each([&](auto c, auto h) __attribute__((always_inline)) { put(C + c * rows + h * native, sum[c][h]); });
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
          std::memcpy(C + (c + l) * C_rows + j, sums + l * width, sizeof(T) * static_cast<std::size_t>(width));
      }
  }
  /// The sums of the elements of `Count` vectors.
  template <Index Count>
  static void fold(const Vector* v, T* sums) {
    constexpr Index together = native < Count ? native : Count, block = native / together;
    for (Index f = 0; f < Count; f += together) {
      const Vector folded = gdssm::detail::sums_of_elements<static_cast<std::size_t>(together)>(v + f);
      if constexpr (block == 1) {
        put(sums + f, folded);
      } else {
        T parts[native];
        put(parts, folded);
        for (Index k = 0; k < together; ++k) {
          sums[f + k] = parts[k * block];
          for (Index e = 1; e < block; ++e) sums[f + k] += parts[k * block + e];
        }
      }
    }
  }

  /// The numbers of the chunk that begins at step `begin`: (22c) but for what depends on the state. `Answering`: those
  /// of the queries too. Steps beyond the last change nothing.
  template <bool Answering, class Steps>
  void prepare(const Steps& steps, Index begin) {
    count_ = (std::min)(chunk, steps.count() - begin);
    columns_ = 0;
    const Index keys = read_.rows();
    std::fill_n(decays_.data(), keys, T(1));
    std::fill_n(target_.data(), target_.size(), T(0));
    for (Index s = 0; s < chunk; ++s) {
      const RankOneStep<T> x = step(s);
      const bool reads = s < count_ && steps.reads(begin + s);
      const bool answers = Answering && s < count_ && steps.answer(begin + s) >= 0;
      if (s < count_) {
        steps.make(begin + s, x);
      } else {
        std::fill_n(x.decay, keys, T(1));
        std::fill_n(x.write, keys, T(0));
      }
      if (!reads) std::fill_n(x.read, keys, T(0));
      if (!answers) std::fill_n(x.query, keys, T(0));
      read_column_[s] = reads ? columns_++ : -1;
      query_column_[s] = answers ? columns_++ : -1;
      T* const to_read = reads ? column(asked_, read_column_[s]) : nullptr;
      T* const to_query = answers ? column(asked_, query_column_[s]) : nullptr;
      for (Index j = 0; j < keys; j += native) {
        const Vector before = get(column(decays_, s) + j), after = before * get(x.decay + j);
        put(column(decays_, s + 1) + j, after);
        if (reads) put(to_read + j, before * get(x.read + j));
        if (answers) put(to_query + j, after * get(x.query + j));
      }
    }
    for (; columns_ % width != 0; ++columns_) std::fill_n(column(asked_, columns_), keys, T(0));
    kernels::tiles::unroll<chunk>([&](auto i) { pair_up<i, Answering>(); });
  }

  /// What later steps of the chunk see of the key that step i = `Step` writes: -<kappa_i, D_{i+1} ... D_{t-1} p_t>,
  /// <kappa_i, D_{i+1} ... D_t q_t> and D_{i+1} ... D_C kappa_i.
  template <Index Step, bool Answering>
  [[gnu::noinline]] void pair_up() {
    Vector sum[2 * chunk] = {};
    for (Index j = 0; j < read_.rows(); j += native) {
      Vector w = get(column(write_, Step) + j);
      if constexpr (Answering) sum[chunk + Step] = fused(w, get(column(query_, Step) + j), sum[chunk + Step]);
      kernels::tiles::unroll<chunk - 1 - Step>([&](auto k) __attribute__((always_inline)) {
        constexpr Index t = Step + 1 + k;
        sum[t] = fused(w, get(column(read_, t) + j), sum[t]);
        w = w * get(column(decay_, t) + j);
        if constexpr (Answering) sum[chunk + t] = fused(w, get(column(query_, t) + j), sum[chunk + t]);
      });
      put(column(written_, Step) + j, w);
    }
    T sums[2 * chunk];
    fold<2 * chunk>(sum, sums);
    for (Index t = 0; t < chunk; ++t) {
      read_by_write_(Step, t) = -sums[t];
      query_by_write_(Step, t) = sums[chunk + t];
    }
  }

  /// The chunk's errors, its answers, and unless `next` is null the state after it.
  void advance(const T* S, T* next, T* errors) {
    const Index rows = state_.rows();
    multiply<From::nothing, Of::columns>(S, rows, asked_.data(), asked_.rows(), keys_, nullptr, nullptr,
                                         answers_.data(), columns_);
    for (Index i = 0; i < rows; i += native) solve(i, errors);
    if (next)
      multiply<From::scaled, Of::rows>(errors, rows, written_.data(), written_.rows(), chunk, S, column(decays_, chunk),
                                       next, state_.cols());
  }
  /// One vector of rows of E (I + N) = Y - S P and of O = S Q + E A.
  [[gnu::noinline]] void solve(Index i, T* errors) {
    const Index rows = state_.rows();
    Vector e[chunk];
    kernels::tiles::unroll<chunk>([&](auto t) __attribute__((always_inline)) {
      e[t] = get(column(target_, t) + i);
      if (read_column_[t] >= 0) e[t] -= get(column(answers_, read_column_[t]) + i);
      kernels::tiles::unroll<t>([&](auto s) __attribute__((always_inline)) {
        e[t] = fused(e[s], all(read_by_write_.data()[s + t * chunk]), e[t]);
      });
      put(errors + t * rows + i, e[t]);
    });
    kernels::tiles::unroll<chunk>([&](auto t) __attribute__((always_inline)) {
      if (query_column_[t] < 0) return;
      Vector o = get(answer(t) + i);
      kernels::tiles::unroll<t + 1>([&](auto s) __attribute__((always_inline)) {
        o = fused(e[s], all(query_by_write_.data()[s + t * chunk]), o);
      });
      put(answer(t) + i, o);
    });
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
    multiply<From::nothing, Of::columns>(R, rows, written_.data(), written_.rows(), keys_, nullptr, nullptr,
                                         error_bar_.data(), chunk);
    for (Index i = 0; i < rows; i += native) solve_vjp(i);
    // Of the numbers that `prepare` made.
    multiply_transposed(errors, rows, chunk, answers_.data(), columns_, asked_by_write_bar_.data(), chunk);
    multiply_transposed(S, rows, state_.cols(), answers_.data(), columns_, asked_bar_.data(), keys);
    multiply_transposed(R, rows, state_.cols(), errors, chunk, written_bar_.data(), keys);
    constexpr Index together = native < width ? width : native;
    for (Index j = 0; j < state_.cols(); j += together) {
      Vector sum[together] = {};
      for (Index i = 0; i < rows; i += native)
        for (Index c = 0; c < together; ++c)
          sum[c] = fused(get(R + (j + c) * rows + i), get(S + (j + c) * rows + i), sum[c]);
      fold<together>(sum, all_decay_bar_.data() + j);
    }
    multiply<From::scaled, Of::rows>(answers_.data(), rows, asked_.data(), asked_.rows(), columns_, R,
                                     column(decays_, chunk), R, state_.cols());
    pull_numbers();
    for (Index s = count_ - 1; s >= 0; --s) steps.take(begin + s, step_bar(s));
  }

  /// VJP of `solve`: of O in `answers_` and of what is written in `error_bar_`, which becomes the targets'.
  [[gnu::noinline]] void solve_vjp(Index i) {
    Vector bar[chunk];
    kernels::tiles::unroll<chunk>([&](auto k) __attribute__((always_inline)) {
      constexpr Index s = chunk - 1 - k;
      bar[s] = get(column(error_bar_, s) + i);
      kernels::tiles::unroll<k + 1>([&](auto l) __attribute__((always_inline)) {
        constexpr Index t = s + l;
        if (query_column_[t] >= 0)
          bar[s] = fused(get(answer(t) + i), all(query_by_write_.data()[s + t * chunk]), bar[s]);
      });
      kernels::tiles::unroll<k>([&](auto l) __attribute__((always_inline)) {
        constexpr Index t = s + 1 + l;
        bar[s] = fused(bar[t], all(read_by_write_.data()[s + t * chunk]), bar[s]);
      });
      put(column(error_bar_, s) + i, bar[s]);
      if (read_column_[s] >= 0) put(column(answers_, read_column_[s]) + i, -bar[s]);
    });
  }

  /// VJP of `prepare`.
  void pull_numbers() {
    const Index keys = read_.rows();
    for (Index j = 0; j < keys; j += native) {
      Vector all_bar = get(all_decay_bar_.data() + j);
      for (Index s = chunk - 1; s >= 0; --s) {
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
      kernels::tiles::unroll<chunk>([&](auto i) __attribute__((always_inline)) { pull_pairs<i>(j); });
    }
  }
  /// VJP of `pair_up` for one vector of the keys.
  template <Index Step>
  [[gnu::noinline]] void pull_pairs(Index j) {
    Vector w[chunk];
    w[Step] = get(column(write_, Step) + j);
    kernels::tiles::unroll<chunk - 1 - Step>([&](auto k) __attribute__((always_inline)) {
      w[Step + 1 + k] = w[Step + k] * get(column(decay_, Step + 1 + k) + j);
    });
    Vector bar = get(column(written_bar_, Step) + j);
    kernels::tiles::unroll<chunk - Step>([&](auto k) __attribute__((always_inline)) {
      constexpr Index t = chunk - 1 - k;
      if (query_column_[t] >= 0) {
        const Vector of = all(asked_by_write_bar_(Step, query_column_[t]));
        bar = fused(of, get(column(query_, t) + j), bar);
        put(column(query_bar_, t) + j, fused(of, w[t], get(column(query_bar_, t) + j)));
      }
      if constexpr (t > Step) {
        put(column(decay_bar_, t) + j, fused(bar, w[t - 1], get(column(decay_bar_, t) + j)));
        bar = bar * get(column(decay_, t) + j);
        if (read_column_[t] >= 0) {
          const Vector of = all(asked_by_write_bar_(Step, read_column_[t]));
          bar = fused(of, get(column(read_, t) + j), bar);
          put(column(read_bar_, t) + j, fused(of, w[t - 1], get(column(read_bar_, t) + j)));
        }
      }
    });
    put(column(write_bar_, Step) + j, bar);
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
