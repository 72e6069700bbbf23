// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/io/table_encoder.hpp"
#include "gdssm/io/text.hpp"
#include "gdssm/learners/learner.hpp"
#include "one_at_a_time.hpp"
#include "predict/learners.hpp"
#include "predict/state_file.hpp"
#include "predict/target.hpp"

namespace gdssm::python {
namespace {

using predict::LearnerOptions;
using predict::Prediction;
using predict::Setting;
using predict::Target;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

/// The cells of one row that Python holds as objects, and what keeps their text alive.
class ObjectRow {
 public:
  explicit ObjectRow(std::size_t columns, double absent) : numbers_(columns, absent) {}

  void set(std::size_t c, const std::string& name, PyObject* cell) {
    if (PyFloat_Check(cell)) {
      numbers_[c] = PyFloat_AS_DOUBLE(cell);
      return;
    }
    const nb::object kept = nb::borrow(cell);  // it may be code that runs now
    if (cell == Py_None) {
      numbers_[c] = missing;
    } else if (PyUnicode_Check(cell)) {
      kept_.push_back(kept);
      set_text(c, cell);
    } else if (nb::hasattr(cell, "isoformat")) {  // dates and times
      kept_.push_back(nb::str(nb::handle(cell).attr("isoformat")()));
      set_text(c, kept_.back().ptr());
    } else {
      numbers_[c] = PyFloat_AsDouble(cell);
      if (numbers_[c] == -1 && PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        throw nb::type_error(("column " + in_quotes(name) + " is of type " + Py_TYPE(cell)->tp_name +
                              ", expected a number, text, a date or None")
                                 .c_str());
      }
    }
  }

  /// Calls `use` with the cells, which are numbers alone if they can be.
  template <class Use>
  decltype(auto) with_cells(Use&& use) const {
    if (texts_.empty()) return use(std::span<const double>(numbers_));
    std::vector<TableCell> cells(numbers_.begin(), numbers_.end());
    for (const auto& [c, text] : texts_) cells[c] = text;
    return use(std::span<const TableCell>(cells));
  }

 private:
  void set_text(std::size_t c, PyObject* text) {
    Py_ssize_t size = 0;
    const char* const bytes = PyUnicode_AsUTF8AndSize(text, &size);
    if (bytes == nullptr) throw nb::python_error();
    texts_.emplace_back(c, std::string_view(bytes, static_cast<std::size_t>(size)));
  }

  std::vector<double> numbers_;
  std::vector<std::pair<std::size_t, std::string_view>> texts_;
  std::vector<nb::object> kept_;
};

/// What the program `predict` keeps of a stream, for rows from Python.
class Regressor {
 public:
  Regressor(std::vector<std::string> columns, std::vector<std::string> targets, LearnerOptions options)
      : columns_(std::move(columns)), options_(std::move(options)) {
    if (targets.empty()) refuse("learner", "there are no targets, expected at least one");
    if (options_.ridge && !(std::isfinite(*options_.ridge) && *options_.ridge >= 0))
      refuse("ridge", "is ", *options_.ridge, ", expected a finite number of at least 0");
    for (const auto& [name, number, least] :
         {std::tuple("steps", options_.steps, Index(0)), std::tuple("window", options_.window, Index(1)),
          std::tuple("lags", options_.lags, Index(0))})
      if (number && *number < least) refuse(name, "is ", *number, ", expected at least ", least);
    try {
      predict::make_learner(options_, 1, 1);  // refuses what it does not take
    } catch (const std::invalid_argument& error) {
      const std::string_view text = error.what();  // the program's options begin with two dashes
      throw std::invalid_argument(std::string(text.substr(text.starts_with("--") ? 2 : 0)));
    }
    for (std::string& name : targets) targets_.push_back(fresh_target(std::move(name)));
    for (std::size_t c = 0; c < columns_.size(); ++c) index_[nb::str(columns_[c].c_str())] = c;
  }

  std::vector<std::string> targets() const {
    std::vector<std::string> names;
    for (const Target& target : targets_) names.push_back(target.name());
    return names;
  }
  const std::vector<std::string>& columns() const { return columns_; }
  Index rows() const { return targets_.front().encoder().rows(); }
  std::string learner() const { return predict::learner_of(targets_.front().options()); }
  std::vector<std::string> descriptions() const {
    std::vector<std::string> texts;
    for (std::size_t c = 0; c < columns_.size(); ++c)
      if (std::string text = targets_.front().encoder().describe(c); !text.empty()) texts.push_back(std::move(text));
    return texts;
  }

  void learn(const Rows& x, const Rows& y) {
    const OneAtATime::Call call(calls_, true);
    expect_rows(x, &y);
    const nb::gil_scoped_release others_run;
    each_row(x, [&](std::size_t i, std::span<const double> cells) { learn_cells(cells, &y, i); });
  }

  nb::tuple predict(const Rows& x) {
    const OneAtATime::Call call(calls_, false);
    return predictions(x, nullptr);
  }

  nb::tuple predict_and_learn(const Rows& x, const Rows& y) {
    const OneAtATime::Call call(calls_, true);
    return predictions(x, &y);
  }

  /// The same for rows of objects, a tuple or list each.
  void learn_objects(const nb::list& rows, const Rows& y) {
    const OneAtATime::Call call(calls_, true);
    expect_targets(y, rows.size());
    const auto cells = cells_of(rows);
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i].with_cells([&](auto row) { learn_cells(row, &y, i); });
  }
  nb::tuple predict_objects(const nb::list& rows) {
    const OneAtATime::Call call(calls_, false);
    const auto cells = cells_of(rows);
    auto results = new_results(cells.size());
    for (std::size_t i = 0; i < cells.size(); ++i)
      cells[i].with_cells([&](auto row) {
        for (std::size_t t = 0; t < targets_.size(); ++t) put(results, i, t, targets_[t].preview(row));
      });
    return pair_of(results);
  }
  nb::tuple predict_and_learn_objects(const nb::list& rows, const Rows& y) {
    const OneAtATime::Call call(calls_, true);
    expect_targets(y, rows.size());
    const auto cells = cells_of(rows);
    auto results = new_results(cells.size());
    for (std::size_t i = 0; i < cells.size(); ++i)
      cells[i].with_cells([&](auto row) { learn_cells(row, &y, i, &results); });
    return pair_of(results);
  }

  /// One row by names of columns; new names become columns.
  void learn_one(const nb::dict& row, std::optional<double> target, double absent) {
    const OneAtATime::Call call(calls_, true);
    const double y = target.value_or(missing);
    expect_target(y, 0);
    // Whatever is refused is refused before there are new columns.
    if (!knows_all(row)) {
      expect_new(row);
      cells_of(row, absent).with_cells([&](auto cells) { expect_cells(cells, 0); });
      add_columns(row);
    }
    cells_of(row, absent).with_cells([&](auto cells) {
      expect_cells(cells, 0);
      learn_row(cells, [&](std::size_t) { return y; });
    });
  }
  Prediction preview_one(const nb::dict& row, double absent) {
    const OneAtATime::Call call(calls_, false);
    const auto ask = [&](Regressor& regressor) {
      return regressor.cells_of(row, absent).with_cells([&](auto cells) {
        regressor.expect_cells(cells, 0);
        return regressor.targets_.front().preview(cells);
      });
    };
    if (knows_all(row)) return ask(*this);
    Regressor wider(*this);
    wider.add_columns(row);
    return ask(wider);
  }

  nb::bytes to_bytes() {
    const OneAtATime::Call call(calls_, false);
    if (rows() == 0) return nb::bytes("", 0);
    const std::string bytes = serialize(predict::state_file_of(targets_, setting()));
    return nb::bytes(bytes.data(), bytes.size());
  }

  /// Continues from a state of the same columns, targets and learner.
  void begin(const nb::bytes& state, const std::string& where) {
    const OneAtATime::Call call(calls_, true);
    take_over({{where, &state}});
  }

  /// Continues as if the rows of `later` had come next.
  void merge(Regressor& later) {
    if (&later == this) refuse("merge", "the learner is this one itself, expected another");
    const nb::bytes theirs = later.to_bytes(), ours = to_bytes();
    const OneAtATime::Call call(calls_, true);
    if (theirs.size() == 0) return;
    if (ours.size() == 0)
      take_over({{"the other learner", &theirs}});
    else
      take_over({{"this learner", &ours}, {"the other learner", &theirs}});
  }

  const LearnerOptions& options() const { return options_; }
  const nb::dict& index() const { return index_; }
  void set_index(nb::dict index) { index_ = std::move(index); }

  /// A regressor for what a state of the program or of this class says.
  static Regressor* of_state(const nb::bytes& state, const std::string& where) {
    const auto beginning = read({{where, &state}});
    const Setting& setting = beginning.setting();
    auto made = std::make_unique<Regressor>(setting.columns, setting.targets, setting.learner);
    beginning.apply(made->targets_, setting);
    return made.release();
  }

 private:
  struct Results {
    NewArray<double> values, half_widths;
    std::size_t targets;
  };

  /// For a preview of columns that are new.
  Regressor(const Regressor& other)
      : columns_(other.columns_),
        options_(other.options_),
        targets_(other.targets_),
        index_(nb::steal<nb::dict>(PyDict_Copy(other.index_.ptr()))) {}

  Results new_results(std::size_t rows) const {
    const std::vector<std::size_t> shape{rows, targets_.size()};
    return {NewArray<double>(shape), NewArray<double>(shape), targets_.size()};
  }
  static void put(Results& results, std::size_t i, std::size_t t, const Prediction& prediction) {
    results.values.data[i * results.targets + t] = prediction.value;
    results.half_widths.data[i * results.targets + t] = prediction.half_width;
  }
  static nb::tuple pair_of(Results& results) {
    return nb::make_tuple(std::move(results.values.array), std::move(results.half_widths.array));
  }

  nb::tuple predictions(const Rows& x, const Rows* y) {
    expect_rows(x, y);
    Results results = new_results(x.shape(0));
    {
      const nb::gil_scoped_release others_run;
      each_row(x, [&](std::size_t i, std::span<const double> cells) {
        if (y != nullptr) return learn_cells(cells, y, i, &results);
        for (std::size_t t = 0; t < targets_.size(); ++t) put(results, i, t, targets_[t].preview(cells));
      });
    }
    return pair_of(results);
  }

  template <class Use>
  static void each_row(const Rows& x, Use&& use) {
    RowReader reader(x);
    for (std::size_t i = 0; i < x.shape(0); ++i) use(i, reader(i));
  }

  template <class Cell>
  void learn_cells(std::span<const Cell> cells, const Rows* y, std::size_t i, Results* results = nullptr) {
    learn_row(
        cells, [&](std::size_t t) { return (*y)(i, t); },
        [&](std::size_t t, const Prediction& prediction) {
          if (results != nullptr) put(*results, i, t, prediction);
        });
  }

  template <class Cell, class TargetOf, class Take = void (*)(std::size_t, const Prediction&)>
  void learn_row(
      std::span<const Cell> cells, TargetOf&& target_of, Take&& take = [](std::size_t, const Prediction&) {}) {
    for (std::size_t t = 0; t < targets_.size(); ++t) {
      targets_[t].encode(cells);
      take(t, targets_[t].predict());
      targets_[t].take(target_of(t), 0, false);
    }
  }

  /// Refuses before anything is learned.
  void expect_rows(const Rows& x, const Rows* y) const {
    if (x.shape(1) != columns_.size())
      refuse("learner", "the rows have ", x.shape(1), " features, expected ", columns_.size());
    if (y != nullptr) expect_targets(*y, x.shape(0));
    each_row(x, [&](std::size_t i, std::span<const double> cells) { expect_cells(cells, i); });
  }
  void expect_targets(const Rows& y, std::size_t rows) const {
    if (y.shape(0) != rows || y.shape(1) != targets_.size())
      refuse("learner", "the targets are ", y.shape(0), " x ", y.shape(1), ", expected ", rows, " x ", targets_.size());
    each_row(y, [&](std::size_t i, std::span<const double> targets) {
      for (const double target : targets) expect_target(target, i);
    });
  }
  template <class Cell>
  void expect_cells(std::span<const Cell> cells, std::size_t row) const {
    expect_cells(cells, row, columns_);
  }
  static void expect_cells(std::span<const double> cells, std::size_t row, const std::vector<std::string>& names) {
    for (std::size_t c = 0; c < cells.size(); ++c)
      if (std::abs(cells[c]) > largest_input<double>) refuse_number("column " + in_quotes(names[c]), row, cells[c]);
  }
  static void expect_cells(std::span<const TableCell> cells, std::size_t row, const std::vector<std::string>& names) {
    for (std::size_t c = 0; c < cells.size(); ++c)
      if (const double* number = std::get_if<double>(&cells[c]))
        expect_cells(std::span<const double>(number, 1), row, {names[c]});
  }
  static void expect_target(double target, std::size_t row) {
    if (std::abs(target) > largest_input<double>) refuse_number("the target", row, target);
  }
  [[noreturn]] static void refuse_number(const std::string& what, std::size_t row, double number) {
    refuse("learner", what, " of row ", row, " is ", format_number(number), ", expected a number of magnitude up to ",
           format_number(largest_input<double>), ", or NaN where it is missing");
  }

  std::vector<ObjectRow> cells_of(const nb::list& rows) const {
    std::vector<ObjectRow> all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const nb::object row = rows[i];
      if (static_cast<std::size_t>(nb::len(row)) != columns_.size())
        refuse("learner", "row ", i, " has ", nb::len(row), " cells, expected ", columns_.size());
      ObjectRow& cells = all.emplace_back(columns_.size(), missing);
      for (std::size_t c = 0; c < columns_.size(); ++c) cells.set(c, columns_[c], nb::object(row[c]).ptr());
      cells.with_cells([&](auto numbers) { expect_cells(numbers, i); });
    }
    return all;
  }

  std::optional<std::size_t> known(PyObject* name) const {
    PyObject* const found = PyDict_GetItemWithError(index_.ptr(), name);
    if (found == nullptr) {
      if (PyErr_Occurred() != nullptr) throw nb::python_error();
      return std::nullopt;
    }
    return PyLong_AsSize_t(found);
  }
  bool knows_all(const nb::dict& row) const {
    Py_ssize_t at = 0;
    PyObject *name = nullptr, *cell = nullptr;
    while (PyDict_Next(row.ptr(), &at, &name, &cell))
      if (!known(name)) return false;
    return true;
  }
  std::vector<std::pair<nb::object, nb::object>> unknown(const nb::dict& row) const {
    Py_ssize_t at = 0;
    PyObject *name = nullptr, *cell = nullptr;
    std::vector<std::pair<nb::object, nb::object>> cells;
    while (PyDict_Next(row.ptr(), &at, &name, &cell))
      if (!known(name)) cells.emplace_back(nb::borrow(name), nb::borrow(cell));
    return cells;
  }
  static std::string column_of(const nb::object& name) { return nb::cast<std::string>(nb::str(name)); }
  void expect_new(const nb::dict& row) const {
    for (const auto& [name, cell] : unknown(row)) {
      const std::string column = column_of(name);
      ObjectRow one(1, missing);
      one.set(0, column, cell.ptr());
      one.with_cells([&](auto cells) { expect_cells(cells, 0, {column}); });
    }
  }
  void add_columns(const nb::dict& row) {
    for (const auto& [one, cell] : unknown(row)) {
      columns_.push_back(column_of(one));
      for (Target& target : targets_) target.add_column(columns_.back());
      index_[one] = columns_.size() - 1;
    }
  }
  ObjectRow cells_of(const nb::dict& row, double absent) const {
    ObjectRow cells(columns_.size(), absent);
    Py_ssize_t at = 0;
    PyObject *name = nullptr, *cell = nullptr;
    while (PyDict_Next(row.ptr(), &at, &name, &cell))
      if (const auto c = known(name)) cells.set(*c, columns_[*c], cell);
    return cells;
  }

  static predict::Beginning read(const std::vector<std::pair<std::string, const nb::bytes*>>& states) {
    std::vector<std::pair<std::string, Safetensors>> files;
    for (const auto& [name, bytes] : states)
      files.emplace_back(name, parse_safetensors(std::string_view(bytes->c_str(), bytes->size()), name));
    return predict::Beginning(std::move(files));
  }
  /// Continues from states of the same columns, targets and learner, or changes nothing.
  void take_over(const std::vector<std::pair<std::string, const nb::bytes*>>& states) {
    const auto beginning = read(states);
    LearnerOptions options = options_;
    if (!options.lags) options.lags = beginning.setting().learner.lags;
    std::vector<Target> begun;
    for (const Target& target : targets_) begun.push_back(fresh_target(target.name()));
    beginning.apply(begun, {columns_, targets(), options});
    targets_ = std::move(begun);
  }
  Target fresh_target(std::string name) const {
    return {std::move(name), TableEncoder(columns_), predict::TargetSettings{options_, {}, 0, 0}};
  }
  Setting setting() const { return {columns_, targets(), targets_.front().options()}; }

  std::vector<std::string> columns_;
  LearnerOptions options_;
  std::vector<Target> targets_;
  nb::dict index_;  // from names, as Python has them, to columns
  OneAtATime calls_;
};

/// As the arguments of the constructor.
nb::dict options_of(const Regressor& regressor) {
  const LearnerOptions& options = regressor.options();
  nb::dict all;
  all["learner"] = options.learner;
  all["steps"] = options.steps;
  all["window"] = options.window;
  all["ridge"] = options.ridge;
  all["forgetting"] = options.forgetting;
  all["lags"] = options.lags;
  all["features"] = options.features;
  return all;
}

}  // namespace

void bind_regressor(nb::module_& module) {
  module.def("learner_names", &predict::learner_names);
  nb::class_<Regressor>(module, "Regressor", "A learner for each of some targets, on rows with the same columns.")
      .def(
          "__init__",
          [](Regressor* self, std::vector<std::string> columns, std::vector<std::string> targets,
             std::optional<std::string> learner, std::optional<Index> steps, std::optional<Index> window,
             std::optional<double> ridge, std::optional<double> forgetting, std::optional<Index> lags,
             std::string features) {
            new (self) Regressor(std::move(columns), std::move(targets),
                                 {std::move(learner), steps, window, ridge, forgetting, lags, std::move(features)});
          },
          nb::arg("columns"), nb::arg("targets"), nb::kw_only(), nb::arg("learner") = nb::none(),
          nb::arg("steps") = nb::none(), nb::arg("window") = nb::none(), nb::arg("ridge") = nb::none(),
          nb::arg("forgetting") = nb::none(), nb::arg("lags") = nb::none(), nb::arg("features") = "linear")
      .def_static("of_state", &Regressor::of_state, nb::arg("state"), nb::arg("where"), nb::rv_policy::take_ownership)
      .def_prop_ro("columns", &Regressor::columns)
      .def_prop_ro("targets", &Regressor::targets)
      .def_prop_ro("rows", &Regressor::rows)
      .def_prop_ro("learner", &Regressor::learner)
      .def_prop_ro("descriptions", &Regressor::descriptions)
      .def_prop_rw("index", &Regressor::index, &Regressor::set_index)
      .def_prop_ro("options", &options_of)
      .def("learn", &Regressor::learn, nb::arg("x"), nb::arg("y"))
      .def("learn", &Regressor::learn_objects, nb::arg("rows"), nb::arg("y"))
      .def("predict", &Regressor::predict, nb::arg("x"))
      .def("predict", &Regressor::predict_objects, nb::arg("rows"))
      .def("predict_and_learn", &Regressor::predict_and_learn, nb::arg("x"), nb::arg("y"))
      .def("predict_and_learn", &Regressor::predict_and_learn_objects, nb::arg("rows"), nb::arg("y"))
      .def("learn_one", &Regressor::learn_one, nb::arg("row"), nb::arg("target").none(), nb::arg("absent"))
      .def(
          "predict_one",
          [](Regressor& self, const nb::dict& row, double absent) { return self.preview_one(row, absent).value; },
          nb::arg("row"), nb::arg("absent"))
      .def(
          "predict_interval_one",
          [](Regressor& self, const nb::dict& row, double absent) {
            const Prediction one = self.preview_one(row, absent);
            return std::pair(one.value - one.half_width, one.value + one.half_width);
          },
          nb::arg("row"), nb::arg("absent"))
      .def("__reduce__",
           [](Regressor& self) {
             const nb::object restore = nb::module_::import_("gdssm._restore").attr("regressor");
             return nb::make_tuple(restore, nb::make_tuple(self.columns(), self.targets(), options_of(self),
                                                           self.to_bytes(), self.index()));
           })
      .def("to_bytes", &Regressor::to_bytes)
      .def("begin", &Regressor::begin, nb::arg("state"), nb::arg("where"))
      .def("merge", &Regressor::merge, nb::arg("later"));
}

}  // namespace gdssm::python
