// SPDX-License-Identifier: Apache-2.0
// evaluate MODEL TOKENS --out OUT: predictions and, given targets, loss and gradient of weights in the reference's
// naming. docs/from-jax.md describes the three files.
// evaluate --recurrence ROW INPUTS --out OUT: a published learning rule on tensors. docs/recurrences.md describes them.
// evaluate --recurrence ROW INPUTS --against OUT: how far another implementation is from it. docs/oracle.md explains
// it.
#include <string>

#include "evaluate/against.hpp"
#include "evaluate/deep.hpp"
#include "evaluate/recurrence.hpp"
#include "evaluate/weights.hpp"
#include "gdssm/io/safetensors.hpp"
#include "support/program.hpp"

int main(int argc, char** argv) {
  std::string model, tokens, out, row, against, precision, json;
  int threads = 1;
  bool rounding = true, deep = false;
  CLI::App app(
      "Runs weights in the naming of the paper's JAX code (arXiv:2410.11687v1): predictions and, given targets, loss\n"
      "and gradient, in F64 if any tensor is F64, else in F32. docs/from-jax.md describes the files.\n"
      "With --recurrence: a published learning rule on the tensors of one file. docs/recurrences.md has the rows.\n"
      "With --against: whether what another implementation computed from the same tensors differs from the rule by\n"
      "more than rounding, tensor by tensor; exit status 0 if nothing does, 1 if something does. docs/oracle.md\n"
      "explains the bound.\n"
      "With --deep: a deep sequence model on token ids: logits, states and, given targets, loss and gradient.\n"
      "docs/deep.md describes the files.",
      "evaluate");
  app.add_option("MODEL", model, "The weights, a safetensors file; with --recurrence the inputs")->required();
  auto* contexts_option = app.add_option("TOKENS", tokens, "The contexts, a safetensors file");
  auto* row_option = app.add_option("--recurrence", row, "The learning rule to run, by its row's name")
                         ->check(CLI::IsMember(gdssm::programs::recurrence_rows()));
  row_option->excludes(contexts_option);
  app.add_flag("--deep", deep, "MODEL is a deep sequence model, TOKENS holds ids")->excludes(row_option);
  app.add_option("--out", out, "The safetensors file to write; required without --against");
  auto* against_option = app.add_option("--against", against,
                                        "Outputs of another implementation, any of those of --out, a safetensors file")
                             ->needs(row_option);
  app.add_option("--precision", precision, "The precision that it computes in (default: that of each tensor)")
      ->check(CLI::IsMember(gdssm::programs::precision_names()))
      ->needs(against_option);
  app.add_option("--json", json, "A file to write the comparison to, too")->needs(against_option);
  gdssm::programs::add_threads_option(app, threads);
  const int status = gdssm::programs::run_program(argc, argv, app, [&] {
    if (row_option->count() == 0 && contexts_option->count() == 0) throw CLI::RequiredError("TOKENS");
    if (out.empty() && against.empty()) throw CLI::RequiredError("--out");
    gdssm::programs::expect_different_files({{"MODEL", model}, {"TOKENS", tokens}, {"--against", against}},
                                            {{"--out", out}, {"--json", json}});
    if (deep) return gdssm::programs::evaluate_deep(model, tokens, out);
    if (row_option->count() > 0) {
      if (!against.empty()) rounding = gdssm::programs::compare_outputs(row, model, against, precision, json);
      if (!out.empty()) gdssm::programs::evaluate_recurrence(row, model, out);
      return;
    }
    gdssm::write_safetensors(out, {{},
                                   gdssm::programs::evaluate_weights(gdssm::read_safetensors(model), model,
                                                                     gdssm::read_safetensors(tokens), tokens)});
  });
  return status != 0 || rounding ? status : 1;
}
