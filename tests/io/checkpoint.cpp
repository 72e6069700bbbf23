// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/checkpoint.hpp"

#include <bit>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include "io/support.hpp"
#include "support/catch.hpp"

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm::test {
namespace {

/// All bits of a state: 0 is not -0, and a NaN is the same NaN.
template <class State>
std::vector<std::uint64_t> bits_of(const State& state) {
  std::vector<std::uint64_t> bits;
  visit(
      [&](const Name&, const auto& matrix) {
        using Scalar = typename std::remove_cvref_t<decltype(matrix)>::Scalar;
        using Word = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
        for (Index i = 0; i < matrix.size(); ++i) bits.push_back(std::bit_cast<Word>(matrix.data()[i]));
      },
      state);
  visit_counters([&](const Name&, const auto& counter) { bits.push_back(static_cast<std::uint64_t>(counter)); }, state);
  return bits;
}

/// A state of both precisions, a vector, a matrix of a fixed size, and one without entries.
struct Mixed {
  Eigen::MatrixXd wide = Eigen::MatrixXd(2, 3);
  Eigen::Matrix3f narrow;
  Eigen::VectorXd vector = Eigen::VectorXd(2);
  Eigen::MatrixXf none = Eigen::MatrixXf(4, 0);
  Index updates = 0;
  std::uint64_t drawn = 0;

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"wide"}, self.wide...);
    visitor(Name{"narrow"}, self.narrow...);
    visitor(Name{"vector"}, self.vector...);
    visitor(Name{"none"}, self.none...);
  }
  template <class Visitor, class... Self>
  static void visit_counters(Visitor&& visitor, Self&&... self) {
    visitor(Name{"updates"}, self.updates...);
    visitor(Name{"drawn"}, self.drawn...);
  }
};

Mixed awkward_state() {
  Mixed state;
  state.wide << -0.0, 5e-324, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::max(), 0.1,
      std::bit_cast<double>(0xFFF8000000000123u);
  state.narrow << -0.0f, 1e-45f, -std::numeric_limits<float>::infinity(), std::bit_cast<float>(0x7FC00321u), 1, 2, 3,
      0.1f, std::numeric_limits<float>::max();
  state.vector << 1, 1 / 3.;
  state.updates = std::numeric_limits<Index>::max();
  state.drawn = std::numeric_limits<std::uint64_t>::max();
  return state;
}

struct Twins {
  Eigen::Vector2d first = Eigen::Vector2d::Zero(), second = first;

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"same"}, self.first...);
    visitor(Name{"same"}, self.second...);
  }
  template <class Visitor, class... Self>
  static void visit_counters(Visitor&&, Self&&...) {}
};

const CheckpointIdentity identity{{"model", "mixed"}, {"seed", "1"}};

const LinearRegression tasks{.features = 3, .outputs = 3, .context = 4};

/// Continues training up to this many updates.
template <class T, class Optimizer, class Parameters>
void train_to(Index updates, const PaperLayer<>& layer, const Optimizer& optimizer,
              TrainingRun<Parameters, Optimizer>& run, int threads) {
  ThreadPool pool(threads);
  const auto ended = train<Lanes<T>, VectorTargets>(layer, tasks, optimizer, WarmUpCosine{10, 100},
                                                    {.updates = updates, .updates_per_draw = 3, .seed = 2}, run, pool);
  REQUIRE(ended.status == TrainingStatus::finished);
}

/// Training 100 updates in one go is training 37, saving, reading in another run, and training on.
template <class T, class Optimizer>
void expect_same_bits(const Optimizer& optimizer) {
  const TemporaryFolder folder;
  const auto file = folder / "run.safetensors";
  const PaperLayer<> layer(3);
  const auto start = reference_initialization<T>(layer, 5);
  for (const int threads : {1, 2}) {
    auto whole = begin_run(optimizer, start), first = whole, second = whole;
    train_to<T>(100, layer, optimizer, whole, threads);
    train_to<T>(37, layer, optimizer, first, threads);
    save(file, first, identity);
    load(file, second, identity);
    CHECK(second.updates() == 37);
    CHECK(bits_of(second) == bits_of(first));
    CHECK(bits_of(second) != bits_of(whole));
    train_to<T>(100, layer, optimizer, second, 3 - threads);
    CHECK(bits_of(second) == bits_of(whole));
  }
}

}  // namespace

TEST_CASE("A run that is saved and read again goes on bit for bit", "[definition][checkpoint]") {
  const AdamW adamw{.groups = {{{"Lambda", "log_step"}, 1e-3}, {{}, 2e-3, 0.05}}};
  expect_same_bits<double>(adamw);
  expect_same_bits<float>(adamw);
  expect_same_bits<double>(ClippedGradient<AdamW>{adamw, 0.01});
}

TEST_CASE("A checkpoint keeps every bit of every number", "[definition][checkpoint]") {
  const TemporaryFolder folder;
  const Mixed state = awkward_state();
  Mixed read;
  save(folder / "state", state, identity);
  load(folder / "state", read, identity);
  CHECK(bits_of(read) == bits_of(state));
  CHECK(read.updates == state.updates);
  CHECK(folder.names() == std::set<std::string>{"state"});
}

TEST_CASE("Two matrices of one name are not saved over each other", "[misuse][checkpoint]") {
  CHECK(message_of([] { checkpoint_of(Twins{}, {}); }) == "checkpoint: 2 matrices have 1 names, expected one each");
}

TEST_CASE("A checkpoint with other tensors is refused by the tensor, and the state stays as it was",
          "[misuse][checkpoint]") {
  const auto refusal = [](const auto& spoil) {
    Safetensors file = checkpoint_of(awkward_state(), identity);
    spoil(file.tensors);
    Mixed begun;
    visit([](const Name&, auto& matrix) { matrix.setOnes(); }, begun);
    const auto before = bits_of(begun);
    const std::string message = message_of([&] { take_checkpoint(file, "run", identity, begun); });
    CHECK(bits_of(begun) == before);
    return message;
  };
  CHECK(refusal([](auto& tensors) { tensors.erase("vector"); }) == "run: tensor 'vector': is missing, expected it");
  CHECK(refusal([](auto& tensors) { tensors["zeros"] = tensors["vector"]; }) ==
        "run: tensor 'zeros': is unknown, expected a checkpoint without it");
  CHECK(refusal([](auto& tensors) { tensors["vector"] = tensors["wide"]; }) ==
        "run: tensor 'vector': has the shape [2, 3], expected [2, 1]");
  CHECK(refusal([](auto& tensors) {
          tensors["vector"] = {{2, 1}, std::vector<float>{1, 2}};
        }) == "run: tensor 'vector': dtype is F32, expected F64");
}

TEST_CASE("A checkpoint of another run, or of none, is refused by the metadata that shows it", "[misuse][checkpoint]") {
  const Safetensors good = checkpoint_of(awkward_state(), identity);
  const auto refusal = [&](const std::string& key, const char* value) {
    Safetensors file = good;
    if (value)
      file.metadata[key] = value;
    else
      file.metadata.erase(key);
    Mixed begun;
    return message_of([&] { take_checkpoint(file, "run", identity, begun); });
  };
  CHECK(refusal("seed", "2") == "run: metadata 'seed': is '2', expected '1'");
  CHECK(refusal("model", nullptr) == "run: metadata 'model': is missing, expected 'mixed'");
  CHECK(refusal("rate", "3") == "run: metadata 'rate': is '3', expected a checkpoint without it");
  CHECK(refusal("format", "gdssm predict state 1") ==
        "run: metadata 'format': is 'gdssm predict state 1', expected 'gdssm checkpoint 1'");
  const std::string expected = ", expected a whole number from 0 to 9223372036854775807";
  CHECK(refusal("counter.updates", nullptr) == "run: metadata 'counter.updates': is missing" + expected);
  for (const std::string number : {"-1", "", "1x", " 1", "9223372036854775808"})
    CHECK(refusal("counter.updates", number.c_str()) ==
          "run: metadata 'counter.updates': is '" + number + "'" + expected);
  CHECK(message_of([&] {
          checkpoint_of(awkward_state(), {{"format", "mine"}});
        }) == "checkpoint: metadata 'format': is the checkpoint's own, expected an identity without it");
}

}  // namespace gdssm::test
