// SPDX-License-Identifier: Apache-2.0
// What learning rules answer to a key that was written several times, over rationals: (77).
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/linear_attention.hpp"
#include "gdssm/blocks/recurrences/mesa.hpp"
#include "recurrences/exact_rules.hpp"

namespace gdssm::test {
namespace {

/// The answer to the unit key 0 after the values y, a column each, were written to it in turn, and behind each of them
/// one value to key 1.
template <class Rule>
ExactMatrix answer_to_repeated(const Rule& rule, const ExactMatrix& y, const Q& beta, const Q& alpha,
                               const Q& lambda = 0) {
  auto constants = rule.template constants<InArrays<Q>>();
  visit([&](const Name&, auto& member) { member.fill(lambda); }, constants);
  auto state = rule.template initial_state<Q>();
  auto ws = rule.template workspace<Q>();
  auto tokens = tokens_of<Q>(rule, 1);
  const Index keys = rule.key_count();
  Array<Q> key(keys, 1), other(keys, 1);
  key[0] = other[1] = 1;
  for (Index i = 0; i < 2 * y.cols(); ++i) {
    visit(
        [&](const Name& name, auto& member) {
          for (Index j = 0; j < member.size(); ++j)
            member.data()[j] = name.head == "k"      ? (i % 2 == 0 ? key[j] : other[j])
                               : name.head == "v"    ? y(j, i / 2)
                               : name.head == "beta" ? beta
                                                     : (i % 2 == 0 ? alpha : Q(1));
        },
        tokens);
    rule.step(constants, token_at<Q>(rule, tokens, 0), state, ws);
  }
  Array<Q> o(y.rows(), 1);
  rule.read(constants, state, View<const Q, Dynamic, 1>(key.view().column(0)), o.view().column(0), ws);
  return value_of(o);
}

TEST_CASE("Theorem: keys that come again: linear attention adds up, the delta rule keeps the last, Mesa fits",
          "[theorem]") {
  Engine engine(1);
  for (const Index m : {1, 2, 5}) {
    const ExactMatrix y = random_fractions(3, m, engine), sum = y.rowwise().sum(), last = y.col(m - 1);
    CHECK(answer_to_repeated(recurrences::LinearAttention<>(2, 3), y, 1, 1) == sum);
    CHECK(answer_to_repeated(recurrences::DeltaRule<>(2, 3), y, 1, 1) == last);
    CHECK(answer_to_repeated(recurrences::GatedDeltaRule<>(2, 3), y, 1, half) == last);
    const Q beta = random_share(engine), alpha = random_share(engine), lambda = random_share(engine);
    ExactMatrix partial = ExactMatrix::Zero(3, 1), gated = partial;
    Q weight = beta, decayed = beta;
    for (Index i = m - 1; i >= 0; --i) {
      partial += weight * y.col(i);
      gated += decayed * y.col(i);
      weight *= Q(1) - beta;
      decayed *= alpha * (Q(1) - beta);
    }
    CHECK(answer_to_repeated(recurrences::DeltaRule<>(2, 3), y, beta, 1) == partial);
    CHECK(answer_to_repeated(recurrences::GatedDeltaRule<>(2, 3), y, beta, alpha) == gated);
    CHECK(answer_to_repeated(recurrences::Mesa<>(2, 3), y, 1, 1, lambda) ==
          ExactMatrix(sum / (Q(static_cast<int>(m)) + lambda)));
  }
}

}  // namespace
}  // namespace gdssm::test
