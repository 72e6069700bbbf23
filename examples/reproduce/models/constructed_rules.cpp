// SPDX-License-Identifier: Apache-2.0
#include "reproduce/models/constructed_rules.hpp"

#include <cmath>

#include "gdssm/blocks/recurrences/all.hpp"
#include "gdssm/io/text.hpp"

namespace gdssm::reproduce {
namespace {

using Lane = Lanes<float>;

/// Copies of a token's input or target side by side, in channels of their own scale.
void repeat(View<const Lane> from, const Eigen::VectorXd* factors, Lane* to, Index count) {
  for (Index e = 0; e < count; ++e) {
    const Index i = e % from.rows();
    to[e] = factors ? Lane(static_cast<float>((*factors)[factors->size() > 1 ? i : 0])) * from[i] : from[i];
  }
}

/// Writes a control into a member.
void set(const Controls& controls, const std::string& name, Lane* to, Index count) {
  const auto found = controls.find(name);
  if (found == controls.end()) refuse("constructed_rule", "control ", in_quotes(name), " is missing");
  const Eigen::VectorXd& values = found->second;
  if (values.size() != 1 && values.size() != count)
    refuse("constructed_rule", "control ", in_quotes(name), " has ", values.size(), " entries, expected 1 or ", count);
  for (Index e = 0; e < count; ++e) to[e] = Lane(static_cast<float>(values[values.size() > 1 ? e : 0]));
}

template <class Rule>
ConstructedRule constructed(const Rule& rule) {
  return [rule](const Controls& controls, View<const Lane> tokens, View<Lane, Dynamic, 1> prediction) {
    auto constants = rule.template constants<InArrays<Lane>>();
    auto state = rule.template initial_state<Lane>();
    auto ws = rule.template workspace<Lane>();
    auto token = tokens_of<Lane>(rule, 1);
    visit([&](const Name& name, auto& member) { set(controls, name.str(), member.data(), member.size()); }, constants);
    const auto fill = [&](Index t, bool with_controls) {
      visit(
          [&](const Name& name, auto& member) {
            const TokenRole role = Rule::role(name.head);
            if (role == TokenRole::key || role == TokenRole::value) {
              const auto factor = controls.find(name.head);
              repeat(tokens.columns(role == TokenRole::key ? t : t + 1, 1),
                     factor == controls.end() ? nullptr : &factor->second, member.data(), member.size());
            } else if (with_controls) {
              set(controls, name.str(), member.data(), member.size());
            }
          },
          token);
    };
    const Index query = tokens.cols() - 1;
    for (Index t = 0; t < query; t += 2) {
      fill(t, t == 0);
      rule.step(constants, token_at<Lane>(rule, token, 0), state, ws);
    }
    rule.read(constants, state, tokens.column(query), prediction, ws);
  };
}

}  // namespace

ConstructedRule constructed_rule(std::string_view row, Index f, Index several) {
  using namespace recurrences;
  if (row == "linear_attention") return constructed(LinearAttention<>(f));
  if (row == "retnet") return constructed(RetNet<>(f));
  if (row == "mamba2") return constructed(Mamba2<>(f));
  if (row == "gla") return constructed(GatedLinearAttention<>(f));
  if (row == "mamba3") return constructed(Mamba3<>(f));
  if (row == "delta_rule") return constructed(DeltaRule<>(f));
  if (row == "gated_delta_rule") return constructed(GatedDeltaRule<>(f));
  if (row == "kda") return constructed(Kda<>(f));
  if (row == "gdn2") return constructed(GatedDeltaNet2<>(f));
  if (row == "deltaproduct") return constructed(DeltaProduct<>(f, f, 2));
  if (row == "comba") return constructed(Comba<>(f));
  if (row == "precond_gated_delta_rule") return constructed(PreconditionedGatedDeltaRule<>(f, f, 1e-6, 1.5));
  if (row == "rwkv7") return constructed(Rwkv7<>(f));
  if (row == "gated_oja") return constructed(GatedOja<>(f));
  if (row == "longhorn") return constructed(Longhorn<>(f));
  if (row == "longhorn_diagonal") return constructed(LonghornDiagonal<>(f));
  if (row == "mesa") return constructed(Mesa<>(f));
  if (row == "ttt_linear") return constructed(TttLinear<>(f, f, several));
  if (row == "ttt_linear_ln") return constructed(TttLinearNormed<>(f, several));
  if (row == "titans") return constructed(Titans<>(f));
  if (row == "omega") return constructed(OmegaRule<>(f, f, several));
  refuse("constructed_rule", "there is no rule ", in_quotes(std::string(row)));
}

}  // namespace gdssm::reproduce
