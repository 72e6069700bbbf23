// SPDX-License-Identifier: Apache-2.0
#include "reproduce/run/sweep.hpp"

#include <chrono>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "gdssm/io/safetensors.hpp"
#include "reproduce/report/result_file.hpp"
#include "reproduce/run/parallel.hpp"

namespace gdssm::reproduce {
namespace {

using std::chrono::milliseconds;

/// What a process says to process 0.
enum class Says : char {
  free = 'w',      ///< gives me an experiment
  comes_to = 'c',  ///< to this training run
  keep = 'k',      ///< this checkpoint of it
  kept = 'f',      ///< the end of it has been kept
  no_end = 'n',    ///< it has ended, with nothing to keep
  found = 'r',     ///< this result of its experiment
  leaves = 'l',    ///< the experiment of another
};

/// What process 0 answers.
enum class Answer : char {
  own = 'o',    ///< to `free`: run this experiment
  help = 'h',   ///< make training runs of this experiment, which is another's
  wait = 'w',   ///< there is nothing to do now
  end = 'e',    ///< everything is done
  make = 'm',   ///< to `comes_to`: make it, from this checkpoint if there is one
  take = 't',   ///< it is made, take its end
  taken = 'b',  ///< another process makes it
  past = 'p',   ///< the experiment is done
  well = 'y',   ///< to the rest
};

struct Message {
  char what;
  std::size_t experiment = 0;
  std::string run = {};
  std::string bytes = {};

  std::string text() const { return what + std::to_string(experiment) + "\n" + run + "\n" + bytes; }
  static Message of(const std::string& text) {
    const std::size_t first = text.find('\n'), second = text.find('\n', first + 1);
    return {text[0], std::stoul(text.substr(1, first - 1)), text.substr(first + 1, second - first - 1),
            text.substr(second + 1)};
  }
};

/// Who does what, and what is done: the side of process 0. Thread-safe.
class Board {
 public:
  Board(const std::vector<const Experiment*>& experiments, Index processes, Checkpoints& checkpoints)
      : checkpoints_(checkpoints), processes_(processes) {
    for (const Experiment* experiment : experiments) {
      Task& task = tasks_.emplace_back();
      task.name = experiment->name;
      task.left.resize(static_cast<std::size_t>(processes));
      task.result = checkpoints.result(task.name);
    }
  }

  std::string answer(Index rank, const std::string& text) {
    const std::scoped_lock lock(mutex_);
    const Message message = Message::of(text);
    if (message.what == static_cast<char>(Says::free)) return next_for(rank);
    Task& task = tasks_.at(message.experiment);
    switch (static_cast<Says>(message.what)) {
      case Says::comes_to:
        return run_for(rank, task, message.run);
      case Says::leaves:
        task.left[static_cast<std::size_t>(rank)] = task.runs_begun;
        break;
      case Says::found:
        task.result = parse_result(message.bytes, task.name);
        checkpoints_.keep(task.name, *task.result);
        task.runs.clear();
        break;
      default:
        if (!task.result) tell(task.runs.at(message.run), message);
    }
    return short_answer(Answer::well);
  }

  /// The next result in order, if it is there; once each.
  const Result* next_result() {
    const std::scoped_lock lock(mutex_);
    if (handed_on_ == tasks_.size() || !tasks_[handed_on_].result) return nullptr;
    return &*tasks_[handed_on_++].result;
  }

  /// Every process knows that everything is done.
  bool has_ended() {
    const std::scoped_lock lock(mutex_);
    return ended_ == processes_;
  }

 private:
  struct Run {
    Checkpoint checkpoint;
    std::optional<Index> maker = {};
    bool finished = false, for_owner = false;
  };
  struct Task {
    std::string name;
    std::optional<Result> result = {};
    std::optional<Index> owner = {};
    std::map<std::string, Run> runs = {};
    Index runs_begun = 0;
    std::vector<Index> left = {};  // by process: runs that had begun when it left
  };

  static std::string short_answer(Answer answer, std::size_t experiment = 0) {
    return Message{static_cast<char>(answer), experiment}.text();
  }
  static std::string with_checkpoint(Answer answer, const Run& run) {
    const std::optional<Safetensors> kept = run.checkpoint.read();
    return Message{static_cast<char>(answer), 0, "", kept ? serialize(*kept) : ""}.text();
  }

  std::string next_for(Index rank) {
    bool all = true;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      all = all && tasks_[i].result;
      if (tasks_[i].result || tasks_[i].owner) continue;
      tasks_[i].owner = rank;
      return short_answer(Answer::own, i);
    }
    for (std::size_t i = 0; i < tasks_.size(); ++i)
      if (!tasks_[i].result && tasks_[i].runs_begun > tasks_[i].left[static_cast<std::size_t>(rank)])
        return short_answer(Answer::help, i);
    if (!all) return short_answer(Answer::wait);
    ++ended_;
    return short_answer(Answer::end);
  }

  std::string run_for(Index rank, Task& task, const std::string& name) {
    if (task.result) return short_answer(Answer::past);
    auto found = task.runs.find(name);
    if (found == task.runs.end()) found = task.runs.emplace(name, Run{checkpoints_.of_run(task.name, name)}).first;
    Run& run = found->second;
    if (run.finished) return with_checkpoint(Answer::take, run);
    if (run.maker || (run.for_owner && rank != *task.owner)) return short_answer(Answer::taken);
    run.maker = rank;
    ++task.runs_begun;
    return with_checkpoint(Answer::make, run);
  }

  // A run without an end ends the same way for everybody: its owner sees for itself.
  static void tell(Run& run, const Message& message) {
    switch (static_cast<Says>(message.what)) {
      case Says::keep:
        return run.checkpoint.write(parse_safetensors(message.bytes, message.run));
      case Says::kept:
        run.finished = true;
        break;
      default:
        run.for_owner = true;
    }
    run.maker.reset();
  }

  std::mutex mutex_;
  Checkpoints& checkpoints_;
  Index processes_, ended_ = 0;
  std::vector<Task> tasks_;
  std::size_t handed_on_ = 0;
};

using Ask = std::function<std::string(const std::string&)>;

/// What a helper has met on its way through an experiment.
struct Met {
  std::mutex mutex;
  bool made = false, taken = false, finished = false;
};

/// A training run that process 0 gives to one of those who come to it.
class SharedRun : public CheckpointPlace {
 public:
  SharedRun(const Ask& ask, std::size_t experiment, std::string run, bool helps, bool takes, std::shared_ptr<Met> met)
      : ask_(ask), experiment_(experiment), run_(std::move(run)), helps_(helps), takes_(takes), met_(std::move(met)) {}

  std::string where() const override { return run_; }

  std::optional<Safetensors> read() override {
    const Message answer = Message::of(ask_(message(Says::comes_to)));
    const std::scoped_lock lock(met_->mutex);
    switch (static_cast<Answer>(answer.what)) {
      case Answer::make:
        met_->made = makes_ = true;
        break;
      case Answer::take:
        met_->finished = true;
        if (helps_ && !takes_) throw TrainedElsewhere{};
        break;
      case Answer::taken:
        met_->taken = true;
        throw TrainedElsewhere{.to_be_awaited = !helps_};
      default:
        throw TrainedElsewhere{};
    }
    if (answer.bytes.empty()) return std::nullopt;
    return parse_safetensors(answer.bytes, run_);
  }

  void write(const Safetensors& file) override { ask_(message(Says::keep, serialize(file, run_))); }

  void finish(bool kept) override {
    if (!makes_) return;
    ask_(message(kept ? Says::kept : Says::no_end));
    if (helps_) throw TrainedElsewhere{};  // what is to be found with it is for the owner
  }

 private:
  std::string message(Says what, std::string bytes = {}) const {
    return Message{static_cast<char>(what), experiment_, run_, std::move(bytes)}.text();
  }

  Ask ask_;
  std::size_t experiment_;
  std::string run_;
  bool helps_, takes_, makes_ = false;
  std::shared_ptr<Met> met_;
};

/// What every process does until everything is done.
void work(const Ask& ask, const std::vector<const Experiment*>& experiments, Options options, double seconds) {
  const auto say = [&](Says what, std::size_t experiment = 0, std::string bytes = {}) {
    return Message::of(ask(Message{static_cast<char>(what), experiment, "", std::move(bytes)}.text()));
  };
  for (;;) {
    const Message next = say(Says::free);
    const auto answer = static_cast<Answer>(next.what);
    if (answer == Answer::end) return;
    if (answer == Answer::wait) {
      std::this_thread::sleep_for(milliseconds(20));
      continue;
    }
    const std::size_t i = next.experiment;
    const bool helps = answer == Answer::help;
    // A helper passes by what is made, unless it meets nothing else: then it goes on to what comes after.
    for (bool takes = false;;) {
      const auto met = std::make_shared<Met>();
      options.checkpoint = [&, takes, met](const std::string& run) {
        return Checkpoint(std::make_shared<SharedRun>(ask, i, run, helps, takes, met),
                          std::chrono::duration<double>(seconds));
      };
      try {
        const Result result = experiments[i]->run(options);
        if (!helps) say(Says::found, i, serialize(result));
        break;
      } catch (const TrainedElsewhere&) {
        if (!helps) {
          std::this_thread::sleep_for(milliseconds(20));
          continue;
        }
        if (takes || met->made || met->taken || !met->finished) break;
        takes = true;
      }
    }
    if (helps) say(Says::leaves, i);
  }
}

/// The side of process 0: answers the others while a thread works.
void lead(Processes& processes, Board& board, const std::function<void()>& own_work,
          const std::function<void(const Result&)>& found) {
  std::mutex mutex;
  std::exception_ptr error;
  const std::jthread worker([&] {
    try {
      own_work();
    } catch (...) {
      const std::scoped_lock lock(mutex);
      error = std::current_exception();
    }
  });
  try {
    while (!board.has_ended()) {
      const auto from = processes.waiting();
      if (from) send_text(processes, board.answer(*from, receive_text(processes, *from)), *from);
      while (const Result* const result = board.next_result()) found(*result);
      {
        const std::scoped_lock lock(mutex);
        if (error) std::rethrow_exception(error);
      }
      if (!from) std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    while (const Result* const result = board.next_result()) found(*result);
  } catch (const std::exception& reason) {
    processes.fail(reason.what());  // not later, when the thread has come to an end of its work
  }
}

}  // namespace

void run_sweep(Processes& processes, const std::vector<const Experiment*>& experiments, const Options& options,
               Checkpoints* checkpoints, double seconds,
               const std::function<void(const Experiment&, const Result&)>& found) {
  if (processes.rank() != 0) {
    std::mutex one_at_a_time;
    const Ask ask = [&](const std::string& text) {
      const std::scoped_lock lock(one_at_a_time);
      send_text(processes, text, 0);
      return receive_text(processes, 0);
    };
    return work(ask, experiments, options, seconds);
  }
  Board board(experiments, processes.size(), *checkpoints);
  std::size_t next = 0;
  lead(
      processes, board,
      [&] { work([&](const std::string& text) { return board.answer(0, text); }, experiments, options, seconds); },
      [&](const Result& result) { found(*experiments[next++], result); });
}

}  // namespace gdssm::reproduce
