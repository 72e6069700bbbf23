// SPDX-License-Identifier: Apache-2.0
// character_model FILE.txt [UPDATES] [PROMPT]: trains a deep model with heads of the gated delta rule on the first nine
// tenths of any text, prints its bits per character on the rest beside those of gzip and of counts of pairs, and writes
// on from a prompt, one character at a time from the state. 1,000 updates take about a minute on one core.
#include <zlib.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include <gdssm/deep/mixers.hpp>
#include <gdssm/deep/train.hpp>
#include <gdssm/io/checkpoint.hpp>

using gdssm::Index;

/// Bits per character of `text` by gzip -9, which has seen what was before.
double gzip_bits(std::string before, std::string text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
  deflateSetDictionary(&stream, reinterpret_cast<const Bytef*>(before.data()), static_cast<uInt>(before.size()));
  std::string packed(deflateBound(&stream, text.size()), ' ');
  stream.next_in = reinterpret_cast<Bytef*>(text.data()), stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data()), stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  const double bits = 8 * static_cast<double>(stream.total_out) / static_cast<double>(text.size());
  deflateEnd(&stream);
  return bits;
}

/// Bits per character by counts of pairs in `before`, those that never occurred by counts of characters.
double pair_bits(const std::vector<Index>& before, const std::vector<Index>& text, Index characters) {
  Eigen::MatrixXd pairs = Eigen::MatrixXd::Zero(characters, characters);
  Eigen::VectorXd single = Eigen::VectorXd::Ones(characters);
  for (std::size_t t = 1; t < before.size(); ++t) pairs(before[t], before[t - 1]) += 1, single(before[t]) += 1;
  pairs += single / single.sum() * Eigen::RowVectorXd::Ones(characters);
  double bits = 0;
  for (std::size_t t = 1; t < text.size(); ++t)
    bits -= std::log2(pairs(text[t], text[t - 1]) / pairs.col(text[t - 1]).sum());
  return bits / static_cast<double>(text.size() - 1);
}

int main(int argc, char** argv) {
  std::ifstream file(argc > 1 ? argv[1] : "", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.size() < 5000)
    return std::cerr << "character_model FILE.txt [UPDATES] [PROMPT], a text of 5 kB or more\n", 2;
  std::string characters;
  for (const char c : text) characters += characters.find(c) == std::string::npos ? std::string(1, c) : "";
  std::vector<Index> ids;
  for (const char c : text) ids.push_back(static_cast<Index>(characters.find(c)));
  const auto vocabulary = static_cast<Index>(characters.size());
  const std::size_t cut = text.size() / 10 * 9;
  const std::vector<Index> seen(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(cut)),
      held_out(ids.begin() + static_cast<std::ptrdiff_t>(cut), ids.end());

  const gdssm::DeepModel<float> model({vocabulary, 128, 2, 2, 64, 384});  // width 128, 2 layers, 2 heads of size 64
  const auto excerpts = [&](Index n, gdssm::MarkedSequences& batch) {     // every next character is a target
    gdssm::RandomStream<> stream(1, static_cast<std::uint64_t>(n));
    for (Index b = 0; b < batch.batch(); ++b) {
      const auto length = static_cast<std::size_t>(batch.length());
      const auto at = static_cast<std::size_t>(stream.uniform() * static_cast<double>(seen.size() - length));
      std::copy_n(seen.data() + at, length, batch.ids(b).begin());
      std::copy_n(seen.data() + at + 1, length, batch.targets(b).begin());
      std::fill_n(batch.marked(b).begin(), length, char(1));
    }
  };
  const Index updates = argc > 2 ? std::atol(argv[2]) : 1000;
  const auto run = gdssm::train_on_sequences(model, excerpts, {.updates = updates}, [&](const auto& progress) {
    if (progress.update % 100 == 0)
      std::cerr << "update " << progress.update << ": " << progress.loss / std::log(2) << " bits\n";
    return false;
  });

  gdssm::save("character_model.safetensors", run.weights);
  auto weights = model.zeros();
  gdssm::load("character_model.safetensors", weights);  // in another process, say
  std::remove("character_model.safetensors");

  gdssm::DeepPass<float> pass(model, 256);
  auto state = model.initial_state();
  gdssm::Array<float> logits(vocabulary, static_cast<Index>(held_out.size()));
  pass.forward(weights, held_out, state, logits.view());
  const double bits = gdssm::cross_entropy(logits.view().as_const().columns(0, logits.cols() - 1),
                                           std::span(held_out).subspan(1), 1.0f, gdssm::View<float>::absent()) /
                      std::log(2) / static_cast<double>(held_out.size() - 1);
  std::cout << "bits per character of the last tenth: " << bits << ", gzip "
            << gzip_bits(text.substr(0, cut), text.substr(cut)) << ", counts of pairs "
            << pair_bits(seen, held_out, vocabulary) << "\n";

  std::string written = argc > 3 ? argv[3] : text.substr(0, 20);
  state = model.initial_state();
  gdssm::RandomStream<> stream(2);
  for (std::size_t t = 0; t < written.size() && t < 500; ++t) {
    const std::size_t id = characters.find(written[t]);
    const auto next = logits.view().column(0);
    pass.step(weights, id == std::string::npos ? 0 : static_cast<Index>(id), state, next);
    if (t + 1 < written.size()) continue;
    Eigen::ArrayXd share = (Eigen::Map<Eigen::ArrayXf>(next.data(), vocabulary).cast<double>() / 0.8).exp();
    double left = stream.uniform() * share.sum();
    Index choice = 0;
    while (choice + 1 < vocabulary && (left -= share(choice)) > 0) ++choice;
    written += characters[static_cast<std::size_t>(choice)];
  }
  std::cout << written << "\n";
  return identical(weights, run.weights) && bits < std::log2(static_cast<double>(vocabulary)) ? 0 : 1;
}
