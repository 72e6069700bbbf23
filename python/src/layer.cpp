// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "gdssm/construction/horner_steps.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/io/reference_weights.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/oracle/reference_file.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/any_model.hpp"
#include "one_at_a_time.hpp"
#include "tensors.hpp"

namespace gdssm::python {
namespace {

using Layer = PaperLayer<Dynamic, ZeroOrderHold>;
using Stack = HornerStack<Layer>;
using Metadata = std::map<std::string, std::string>;

Stack stack_of(Index features, Index steps) { return {Layer(features), steps}; }

template <class Weights>
nb::dict dict_of(const Weights& weights) {
  return arrays_of(reference_file(weights, {"zoh", "vector", "none", "horner"}).tensors);
}

/// Weights from Python, in the precision that is asked for.
template <class P>
auto weights_of(const Stack& stack, const nb::dict& arrays) {
  const ReferenceWeights read(
      {{{"discretization", "zoh"}, {"targets", "vector"}, {"readout", "none"}, {"stack", "horner"}},
       tensors_of(arrays),
       {}},
      "weights");
  expect_equal("weights", "the number of features", read.feature_count(), stack.feature_count());
  expect_equal("weights", "the number of layers", read.layer_count(), stack.layer_count());
  auto weights = stack.template parameters<P>();
  if (read.dtype() == detail::dtype_of<P>()) {
    read.read(weights);
    return weights;
  }
  using Other = std::conditional_t<std::is_same_v<P, float>, double, float>;
  auto others = stack.template parameters<Other>();
  read.read(others);
  visit([](const Name&, auto& to, const auto& from) { to = from.template cast<P>(); }, weights, others);
  return weights;
}

/// Calls Python every tenth of a second; says whether it wants the run to stop.
class Watch {
 public:
  explicit Watch(nb::callable progress) : progress_(std::move(progress)) {}

  template <class Progress>
  bool operator()(const Progress& at) {
    losses.push_back(at.loss);
    if (std::chrono::steady_clock::now() < next_) return false;
    const nb::gil_scoped_acquire python;
    next_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    return nb::cast<bool>(nb::bool_(progress_(at.update, at.loss)));
  }

  std::vector<double> losses;

 private:
  nb::callable progress_;
  std::chrono::steady_clock::time_point next_;
};

nb::tuple train(Index features, Index steps, const nb::dict& start, const LinearRegression& tasks, double rate,
                const TrainingOptions& options, int threads, nb::callable progress) {
  using S = Lanes<float>;
  const Stack stack = stack_of(features, steps);
  const AnyModel<S> model(stack);
  const AdamW optimizer{rate};
  auto run = begin_run(optimizer, NamedWeights<float>(weights_of<float>(stack, start)));
  Watch watch(std::move(progress));
  watch.losses.reserve(static_cast<std::size_t>(options.updates));
  TrainingResult result;
  {
    const nb::gil_scoped_release others_run;
    ThreadPool pool(threads);
    result = train(model, TaskSource<S>(tasks, model.window(), 1), tasks.targets(), optimizer,
                   WarmUpCosine{0, (std::max)(options.updates, Index(1))}, options, run, pool, std::ref(watch));
  }
  auto weights = stack.parameters<float>();
  run.parameters.copy_to(weights);
  return nb::make_tuple(dict_of(weights), array_of(Tensor{{static_cast<Index>(watch.losses.size())}, watch.losses}),
                        result.message, result.status != TrainingStatus::diverged);
}

/// One token after the other, with the state in between.
class TokenStream {
 public:
  TokenStream(Index features, Index steps, const nb::dict& weights)
      : stack_(stack_of(features, steps)),
        coefficients_(stack_.prepare(weights_of<double>(stack_, weights))),
        state_(stack_.initial_state<double>()),
        workspace_(stack_.workspace<double>()) {}

  nb::object step(const nb::ndarray<const double, nb::ndim<1>, nb::device::cpu, nb::c_contig>& token) {
    const OneAtATime::Call call(calls_, true);
    expect_equal("step", "the number of features of a token", static_cast<Index>(token.shape(0)),
                 stack_.feature_count());
    const View<const double, Dynamic, 1> view(token.data(), stack_.feature_count(), 1);
    expect_finite("step", "token", Eigen::Map<const Eigen::VectorXd>(token.data(), stack_.feature_count()));
    NewArray<double> prediction({static_cast<std::size_t>(stack_.output_count())});
    const View<double, Dynamic, 1> out(prediction.data, stack_.output_count(), 1);
    if (!stack_.step(coefficients_, view, state_, out, workspace_)) return nb::none();
    return nb::cast(prediction.array);
  }

  nb::dict state() {
    const OneAtATime::Call call(calls_, false);
    nb::dict all;
    visit(
        [&](const Name& name, const auto& member) {
          std::vector<double> numbers;
          for (Index i = 0; i < member.rows(); ++i)
            for (Index j = 0; j < member.cols(); ++j) numbers.push_back(member(i, j));
          all[name.str().c_str()] = array_of(Tensor{{member.rows(), member.cols()}, std::move(numbers)});
        },
        state_);
    visit_counters([&](const Name& name, const auto& counter) { all[name.str().c_str()] = counter; }, state_);
    return all;
  }

  void set_state(const nb::dict& given) {
    const OneAtATime::Call call(calls_, true);
    auto state = state_;
    std::size_t count = 0;
    const auto find = [&](const Name& name) {
      ++count;
      const std::string key = name.str();
      if (!given.contains(key.c_str())) refuse("state", in_quotes(key), " is missing");
      return nb::object(given[key.c_str()]);
    };
    visit(
        [&](const Name& name, auto& member) {
          const nb::object array = find(name);
          const Tensor tensor = tensor_of(name.str(), nb::cast<AnyArray>(array));
          if (tensor.shape != std::vector<Index>{member.rows(), member.cols()})
            refuse("state", in_quotes(name.str()), " has the shape ", detail::shape_text(tensor.shape), ", expected ",
                   detail::shape_text(std::vector<Index>{member.rows(), member.cols()}));
          const std::string place = "state: " + name.str();
          require_finite(tensor, place);
          const auto numbers = tensor.as<double>(place);
          for (Index i = 0, at = 0; i < member.rows(); ++i)
            for (Index j = 0; j < member.cols(); ++j) member(i, j) = numbers[static_cast<std::size_t>(at++)];
        },
        state);
    visit_counters(
        [&](const Name& name, auto& counter) {
          counter = static_cast<std::remove_reference_t<decltype(counter)>>(nb::cast<Index>(find(name)));
        },
        state);
    if (nb::len(given) != count) refuse("state", "has ", nb::len(given), " members, expected ", count);
    detail::expect_counts<Stack::Window>("state", state.window);
    state_ = std::move(state);
  }

 private:
  Stack stack_;
  Stack::Coefficients<double> coefficients_;
  Stack::State<double> state_;
  Stack::Workspace<double> workspace_;
  OneAtATime calls_;
};

}  // namespace

void bind_layer(nb::module_& module) {
  nb::class_<LinearRegression>(module, "LinearRegression",
                               "Tasks y = W x with inputs uniform on [-range/2, range/2] and normal W.")
      .def(
          "__init__",
          [](LinearRegression* self, Index features, Index outputs, Index context, double range, double weight_scale,
             double label_noise) {
            LinearRegression tasks;
            tasks.features = features, tasks.outputs = outputs, tasks.context = context;
            tasks.range = range, tasks.weight_scale = weight_scale, tasks.label_noise = label_noise;
            tasks.check();
            new (self) LinearRegression(std::move(tasks));
          },
          nb::arg("features"), nb::arg("outputs"), nb::arg("context"), nb::kw_only(), nb::arg("range") = 1,
          nb::arg("weight_scale") = 1, nb::arg("label_noise") = 0)
      .def_ro("features", &LinearRegression::features)
      .def_ro("outputs", &LinearRegression::outputs)
      .def_ro("context", &LinearRegression::context)
      .def_ro("range", &LinearRegression::range)
      .def("best_step", [](const LinearRegression& tasks) { return best_step(tasks); })
      .def(
          "expected_loss", [](const LinearRegression& tasks, double step) { return expected_loss(tasks, step); },
          nb::arg("step"))
      .def(
          "draw",
          [](const LinearRegression& tasks, std::uint64_t seed, Index count) {
            if (count < 0) refuse("draw", "the count is ", count, ", expected at least 0");
            const auto n = static_cast<std::size_t>(count), f = static_cast<std::size_t>(tasks.features),
                       T = static_cast<std::size_t>(tasks.length());
            NewArray<double> tokens({n, T, f}), targets({n, f});
            const nb::gil_scoped_release others_run;
            for (std::size_t i = 0; i < n; ++i) {
              const TokenSequence one = tasks.sequence(seed, i);
              std::copy(one.tokens.data(), one.tokens.data() + one.tokens.size(), tokens.data + i * T * f);
              std::copy(one.targets.data(), one.targets.data() + one.targets.size(), targets.data + i * f);
            }
            const nb::gil_scoped_acquire python;
            return nb::make_tuple(std::move(tokens.array), std::move(targets.array));
          },
          nb::arg("seed"), nb::arg("count"));
  module.def(
      "draw_weights",
      [](Index features, Index steps, std::uint64_t seed) {
        return dict_of(reference_initialization<float>(stack_of(features, steps), seed));
      },
      nb::arg("features"), nb::arg("steps"), nb::arg("seed"));
  module.def(
      "descent_steps",
      [](Index features, const std::vector<double>& sizes) {
        return dict_of(descent_steps(stack_of(features, static_cast<Index>(sizes.size())), sizes));
      },
      nb::arg("features"), nb::arg("sizes"));
  module.def(
      "train",
      [](Index features, Index steps, const nb::dict& start, const LinearRegression& tasks, double rate, Index updates,
         Index batch, std::uint64_t seed, int threads, nb::callable progress) {
        return train(features, steps, start, tasks, rate, {.updates = updates, .batch = batch, .seed = seed}, threads,
                     std::move(progress));
      },
      nb::arg("features"), nb::arg("steps"), nb::arg("start"), nb::arg("tasks"), nb::kw_only(), nb::arg("rate"),
      nb::arg("updates"), nb::arg("batch"), nb::arg("seed"), nb::arg("threads"), nb::arg("progress"));
  nb::class_<TokenStream>(module, "TokenStream")
      .def(nb::init<Index, Index, const nb::dict&>(), nb::arg("features"), nb::arg("steps"), nb::arg("weights"))
      .def("step", &TokenStream::step, nb::arg("token"))
      .def_prop_rw("state", &TokenStream::state, &TokenStream::set_state);
}

}  // namespace gdssm::python
