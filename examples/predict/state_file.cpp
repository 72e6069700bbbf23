// SPDX-License-Identifier: Apache-2.0
#include "predict/state_file.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "gdssm/core/error.hpp"
#include "gdssm/io/aggregate.hpp"
#include "gdssm/io/text.hpp"

namespace gdssm::predict {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto format = "gdssm predict state 2";
constexpr auto first_format = "gdssm predict state 1";

Json json_of(const LearnerOptions& options) {
  Json json{{"learner", learner_of(options)}};
  if (options.steps) json["steps"] = *options.steps;
  if (options.window) json["window"] = *options.window;
  if (options.ridge) json["ridge"] = *options.ridge;
  if (options.forgetting) json["forgetting"] = *options.forgetting;
  if (options.lags) json["lags"] = *options.lags;
  json["features"] = options.features;
  return json;
}

LearnerOptions learner_options_of(const Json& json) {
  LearnerOptions options;
  options.learner = json.at("learner").get<std::string>();
  if (json.contains("steps")) options.steps = json["steps"].get<Index>();
  if (json.contains("window")) options.window = json["window"].get<Index>();
  if (json.contains("ridge")) options.ridge = json["ridge"].get<double>();
  if (json.contains("forgetting")) options.forgetting = json["forgetting"].get<double>();
  if (json.contains("lags")) options.lags = json["lags"].get<Index>();
  options.features = json.at("features").get<std::string>();
  return options;
}

const std::string& entry(const Safetensors& file, const std::string& where, const std::string& name) {
  const auto found = file.metadata.find(name);
  if (found == file.metadata.end()) refuse(where, "metadata '", name, "' is missing, expected a state of predict");
  return found->second;
}

template <class Read>
auto read_entry(const Safetensors& file, const std::string& where, const std::string& name, Read&& read) {
  const std::string& text = entry(file, where, name);
  try {
    return read(Json::parse(text));
  } catch (const Json::exception&) {
    refuse(where, "metadata '", name, "' cannot be read, expected a state of predict");
  }
}

Setting setting_of(const Safetensors& file, const std::string& where) {
  const std::string& found = entry(file, where, "format");
  if (found == first_format) refuse(where, "is a state of predict 0.1, expected one of 0.2; begin anew from the rows");
  if (found != format) refuse(where, "format is ", in_quotes(found), ", expected '", format, "'");
  const auto names = [](const Json& json) { return json.get<std::vector<std::string>>(); };
  return {read_entry(file, where, "columns", names), read_entry(file, where, "targets", names),
          read_entry(file, where, "learner", learner_options_of)};
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + in_quotes(name);
  return text;
}

/// Gives matrices whose size the rows decide the size that they have in the file.
template <class State>
void resize_as_in(const Safetensors& file, const std::string& prefix, State& state) {
  visit(
      [&](const Name& name, auto& member) {
        using Member = std::remove_cvref_t<decltype(member)>;
        if constexpr (Member::ColsAtCompileTime == Eigen::Dynamic) {
          const auto found = file.tensors.find(prefix + name.str());
          if (found != file.tensors.end() && found->second.shape.size() == 2 &&
              found->second.shape[0] == member.rows() && found->second.shape[1] <= LevelTable::capacity)
            member.resize(member.rows(), found->second.shape[1]);
        }
      },
      state);
}

}  // namespace

Beginning::Beginning(const std::vector<std::string>& merged, const std::string& state) {
  std::vector<std::string> names = merged;
  if (names.empty() && !state.empty() && std::filesystem::exists(state)) names = {state};
  for (const std::string& name : names) {
    if (std::filesystem::exists(name) && !std::filesystem::is_regular_file(name))
      refuse(name, "is not a regular file, expected a state of predict");
    add(name, read_safetensors(name));
  }
}

Beginning::Beginning(std::vector<std::pair<std::string, Safetensors>> states) {
  for (auto& [name, file] : states) add(std::move(name), std::move(file));
}

void Beginning::add(std::string name, Safetensors file) {
  settings_.push_back(setting_of(file, name));
  names_.push_back(std::move(name));
  files_.push_back(std::move(file));
}

void Beginning::apply(std::vector<Target>& targets, const Setting& setting) const {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const Setting& its = settings_[i];
    if (its.columns != setting.columns)
      refuse(names_[i], "its columns are ", list_of(its.columns), ", expected ", list_of(setting.columns));
    if (its.targets != setting.targets)
      refuse(names_[i], "its targets are ", list_of(its.targets), ", expected ", list_of(setting.targets));
    if (json_of(its.learner) != json_of(setting.learner))
      refuse(names_[i], "its learner is ", json_of(its.learner).dump(), ", expected ", json_of(setting.learner).dump());
    const auto inputs = read_entry(files_[i], names_[i], "inputs",
                                   [](const Json& json) { return json.get<std::vector<std::vector<Index>>>(); });
    for (std::size_t t = 0; t < targets.size(); ++t) {
      if (t >= inputs.size() || inputs[t].size() != 2 || inputs[t][1] < 1 || inputs[t][0] < inputs[t][1] ||
          inputs[t][0] > 1000000)
        refuse(names_[i], "metadata 'inputs' is ", entry(files_[i], names_[i], "inputs"),
               ", expected two numbers of inputs for each target");
      if (i == 0) targets[t].begin(its.learner, inputs[t][0], inputs[t][1]);
      const GrowingLearner& learner = *targets[t].learner();
      // The encoder comes first: it says which column has other inputs.
      targets[t].each_part([&](const char* name, auto& part) {
        if (name == std::string_view("learner") &&
            (inputs[t][0] != learner.inputs() || inputs[t][1] != learner.first_inputs()))
          refuse(names_[i], "its learner has ", inputs[t][0], " inputs, expected ", learner.inputs(), " as in ",
                 names_[0]);
        const std::string prefix = std::to_string(t) + "." + name + ".";
        auto state = part.state();
        resize_as_in(files_[i], prefix, state);
        take_aggregate(files_[i], names_[i], prefix, state);
        try {
          if (i == 0)
            part.set_state(state);
          else
            part.merge(state);
        } catch (const std::invalid_argument& reason) {
          refuse(names_[i], reason.what());
        }
      });
    }
  }
}

Safetensors state_file_of(std::vector<Target>& targets, const Setting& setting) {
  Safetensors file;
  Json inputs = Json::array();
  for (std::size_t t = 0; t < targets.size(); ++t) {
    auto& learner = targets[t].learner();
    inputs.push_back({learner->inputs(), learner->first_inputs()});
    targets[t].each_part([&](const char* name, const auto& part) {
      put_aggregate(file, std::to_string(t) + "." + name + ".", part.state());
    });
  }
  file.metadata = {{"format", format},
                   {"columns", Json(setting.columns).dump()},
                   {"targets", Json(setting.targets).dump()},
                   {"learner", json_of(targets.front().options()).dump()},
                   {"inputs", inputs.dump()}};
  return file;
}

void expect_utf8(const CsvRows& table, const std::string& where) {
  for (const std::string& name : table.columns()) try {
      Json(name).dump();
    } catch (const Json::exception&) {
      refuse(where + ":" + std::to_string(table.first_line()), "column ", in_quotes(name),
             " has a name that is not UTF-8, which --state needs");
    }
}

LearnerOptions learner_with_state(const LearnerOptions& given, const Beginning& beginning) {
  if (beginning.is_empty()) return given;
  const LearnerOptions& its = beginning.setting().learner;
  LearnerOptions without_lags = given;
  without_lags.lags.reset();
  LearnerOptions mine = without_lags == LearnerOptions{} ? its : given;
  mine.lags = given.lags ? given.lags : its.lags;
  return mine;
}

}  // namespace gdssm::predict
