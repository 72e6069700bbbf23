// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/io/tensors.hpp"
#include "gdssm/io/text.hpp"

// Weights under their names in the paper's JAX code. A file has the tensors
//     layers_<k>.seq.{w_q, Lambda_re, log_step, C, D},   k = 0, 1, ...
// or, for the nonlinear model, these of layer 0 and
//     layers_0.seq.encoder.{kernel, bias}, layers_0.out2.{kernel, bias}, layers_0.out3.{kernel, bias},
// and metadata for what the weights do not show.
// Source  arXiv:2410.11687v1 (code); docs/from-jax.md

namespace gdssm {

namespace detail {

/// A parameter's name here and in the reference, without its layer, and its shape there; `features` stands for f. Only
/// models with a gated readout have the `gated` ones.
struct ReferenceName {
  static constexpr Index features = -1;

  std::string_view member, reference;
  std::array<Index, 2> sizes;
  std::size_t rank = 2;
  bool gated = false;

  std::vector<Index> shape(Index f) const {
    std::vector<Index> shape(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(rank));
    std::replace(shape.begin(), shape.end(), features, f);
    return shape;
  }
};

inline constexpr std::array<ReferenceName, 11> reference_names{{
    {"attention.A", "seq.w_q", {3, 3}},
    {"recurrence.Lambda", "seq.Lambda_re", {ReferenceName::features, ReferenceName::features}},
    {"recurrence.log_step", "seq.log_step", {ReferenceName::features, 1}},
    {"readout.C", "seq.C", {ReferenceName::features, ReferenceName::features}},
    {"gate.d", "seq.D", {3}, 1},
    {"embedding.kernel", "seq.encoder.kernel", {1, ReferenceName::features}, 2, true},
    {"embedding.bias", "seq.encoder.bias", {ReferenceName::features}, 1, true},
    {"unit.kernel", "out2.kernel", {ReferenceName::features, ReferenceName::features}, 2, true},
    {"unit.bias", "out2.bias", {ReferenceName::features}, 1, true},
    {"output.kernel", "out3.kernel", {ReferenceName::features, 1}, 2, true},
    {"output.bias", "out3.bias", {1}, 1, true},
}};

/// The reference's name of a member of a layer, or of a layer in a stack: "layers_2.gate.d" -> "layers_2.seq.D".
inline std::string reference_name(const Name& name) {
  const std::string text = name.str();
  std::string_view member = text, layer = "layers_0";
  if (member.starts_with("layers_")) {
    layer = member.substr(0, member.find('.'));
    member.remove_prefix((std::min)(layer.size() + 1, member.size()));
  }
  for (const ReferenceName& known : reference_names)
    if (known.member == member) return std::string(layer) + "." + std::string(known.reference);
  refuse("reference_name", "the reference has no parameter ", text);
}

/// "layers_2.seq.D" -> 2 and "seq.D"; returns false for names of another form.
inline bool parse_reference_name(std::string_view name, Index& layer, std::string_view& parameter) {
  constexpr std::string_view head = "layers_";
  if (!name.starts_with(head)) return false;
  name.remove_prefix(head.size());
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  const std::string_view digits(name.data(), static_cast<std::size_t>(end - name.data()));
  if (error != std::errc() || layer < 0 || digits != std::to_string(layer)) return false;
  name.remove_prefix(digits.size());
  if (!name.starts_with('.')) return false;
  parameter = name.substr(1);
  return true;
}

}  // namespace detail

/// The metadata of a file of reference weights, in the reference's words.
struct ReferenceMetadata {
  std::string discretization;    ///< "zoh" (5), "bilinear" (6), or "none": Lambda is the decay
  std::string targets;           ///< "vector", or "scalar": only the last coordinate
  std::string readout = "none";  ///< "none", or "half_glu2" for a `NonlinearSsm`
  std::string stack = "";        ///< "horner" for a `HornerStack` of any number of steps
};

/// A checked file of weights in the reference's naming: its metadata, and its numbers as the `Parameters<T>` of a
/// layer, a stack of layers or a `NonlinearSsm`.
/// Shapes  w_q (3, 3), Lambda_re (f, f), log_step (f, 1; may be absent when the decay is given), C (f, f), D (3). B may
///         be present and is ignored, since the model does not use it. With a gated readout also encoder.kernel (1, f),
///         encoder.bias (f), out2.kernel (f, f), out2.bias (f), out3.kernel (f, 1), out3.bias (1)
/// Errors  std::invalid_argument naming the file, the tensor or metadata key, and what was expected
/// Source  arXiv:2410.11687v1 (code); docs/from-jax.md
class ReferenceWeights {
 public:
  /// How Lambda_re gives the decay: by (5), by (6), or as the decay itself.
  enum class Discretization { zoh, bilinear, none };
  /// Whether the loss includes all coordinates of a prediction or only the last.
  enum class Targets { vector, scalar };
  /// Whether the layer's output is the prediction, or (18)-(20) surround the layer.
  enum class Readout { none, half_glu2 };
  /// Whether three layers are the reference's two-step stack, or an odd number of layers gdssm's, M_1, S_2, M_2, ...
  enum class Stack { reference, horner };

  /// `where` names the file in error messages.
  /// Errors  required metadata missing or of unknown value, a tensor that is unknown, missing, of another shape or not
  ///         finite, a number of layers that no model has
  ReferenceWeights(Safetensors file, std::string where)
      : file_(std::move(file)), where_(std::move(where)), dtype_(widest_dtype(file_.tensors)) {
    widen(file_.tensors, dtype_);
    discretization_ = static_cast<Discretization>(choice("discretization", {"zoh", "bilinear", "none"}));
    targets_ = static_cast<Targets>(choice("targets", {"vector", "scalar"}));
    readout_ = static_cast<Readout>(choice("readout", {"none", "half_glu2"}));
    if (file_.metadata.contains("stack")) {
      choice("stack", {"horner"});
      stack_ = Stack::horner;
    }
    count_layers();
    check_tensors();
  }

  Discretization discretization() const { return discretization_; }  ///< metadata `discretization`
  Targets targets() const { return targets_; }                       ///< metadata `targets`
  Readout readout() const { return readout_; }                       ///< metadata `readout`
  Stack stack() const { return stack_; }                             ///< metadata `stack`; the reference's if absent
  Index layer_count() const { return layers_; }
  Index feature_count() const { return features_; }  ///< f
  /// Entries of a token in a file of tokens: f, or 1 with a gated readout.
  Index token_width() const { return readout_ == Readout::none ? features_ : 1; }
  /// Entries of a target in a file of tokens: f, or 2 with a gated readout.
  Index target_width() const { return readout_ == Readout::none ? features_ : 2; }
  std::string_view dtype() const { return dtype_; }  ///< "F32" or "F64", of all tensors: the widest of the file

  /// Fills the parameters of a model with the same number of layers.
  /// Errors  a model with other layers, sizes or precision than the file's, with step sizes where the file has given
  ///         decays or without them where it has not; zero-order hold and bilinear have the same tensors and are not
  ///         distinguished
  template <class Parameters>
  void read(Parameters& parameters) const {
    std::size_t count = 0;
    visit(
        [&](const Name& name, auto& matrix) {
          using Scalar = typename std::remove_cvref_t<decltype(matrix)>::Scalar;
          const std::string reference = detail::reference_name(name), place = detail::tensor_place(where_, reference);
          const Tensor& tensor = of_model(reference);
          const std::vector<Index> shape = shape_like(tensor, matrix);
          if (tensor.shape != shape)
            refuse(place, "shape is ", detail::shape_text(tensor.shape), ", expected ", detail::shape_text(shape));
          matrix = Eigen::Map<const RowMajor<Scalar>>(tensor.as<Scalar>(place).data(), matrix.rows(), matrix.cols());
          ++count;
        },
        parameters);
    if (count != model_.size())
      refuse(where_, "has ", model_.size(), " tensors that the model reads, expected ", count);
  }

  /// A value of the parameters' form, such as a gradient, with the file's names and shapes: every tensor of the file
  /// but B. A log_step without effect becomes zeros.
  /// Errors  a parameter that the file's model does not have
  template <class Parameters>
  std::map<std::string, Tensor> tensors(const Parameters& values) const {
    std::map<std::string, Tensor> tensors;
    visit(
        [&](const Name& name, const auto& matrix) {
          using Scalar = typename std::remove_cvref_t<decltype(matrix)>::Scalar;
          std::vector<Scalar> numbers(static_cast<std::size_t>(matrix.size()));
          Eigen::Map<RowMajor<Scalar>>(numbers.data(), matrix.rows(), matrix.cols()) = matrix;
          const std::string reference = detail::reference_name(name);
          tensors[reference] = {of_model(reference).shape, std::move(numbers)};
        },
        values);
    for (const auto& [name, tensor] : file_.tensors) {
      if (ignored(name) || tensors.contains(name)) continue;
      Tensor& zeros = tensors[name] = tensor;
      std::visit([](auto& numbers) { std::fill(numbers.begin(), numbers.end(), 0); }, zeros.data);
    }
    return tensors;
  }

 private:
  template <class Scalar>
  using RowMajor = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  /// The index of a metadata key's value in `values`.
  Index choice(const std::string& key, const std::vector<std::string_view>& values) const {
    std::string expected;
    for (const std::string_view value : values) expected += (expected.empty() ? "" : " or ") + in_quotes(value);
    const auto found = file_.metadata.find(key);
    if (found == file_.metadata.end()) refuse(where_, "metadata '", key, "' is missing, expected ", expected);
    const auto value = std::find(values.begin(), values.end(), found->second);
    if (value == values.end())
      refuse(where_, "metadata '", key, "' is ", in_quotes(found->second), ", expected ", expected);
    return value - values.begin();
  }

  static bool ignored(std::string_view name) { return name.ends_with(".seq.B"); }

  bool has(const detail::ReferenceName& parameter) const { return !parameter.gated || readout_ == Readout::half_glu2; }

  /// Refuses unknown names, missing layers, and numbers of layers that no model has.
  void count_layers() {
    std::set<Index> layers;
    for (const auto& [name, tensor] : file_.tensors) {
      Index layer = 0;
      std::string_view parameter;
      const bool known = detail::parse_reference_name(name, layer, parameter) &&
                         (parameter == "seq.B" ||
                          std::any_of(detail::reference_names.begin(), detail::reference_names.end(),
                                      [&](const auto& own) { return own.reference == parameter && has(own); }));
      if (!known)
        refuse(detail::tensor_place(where_, name),
               "is unknown, expected layers_<k>.seq. and w_q, Lambda_re, log_step, C, D or B",
               readout_ == Readout::none ? "" : ", or layers_0. and seq.encoder, out2 or out3 and .kernel or .bias");
      layers.insert(layer);
    }
    for (const Index layer : layers) {
      if (layer != layers_) break;
      ++layers_;
    }
    if (layers.empty() || layers_ <= *layers.rbegin())
      refuse(where_, "has no tensor of layer ", layers_, ", expected 'layers_", layers_, ".seq.w_q' and others");
    if (readout_ == Readout::half_glu2 && layers_ != 1)
      refuse(where_, "has ", layers_, " layers, expected 1 with metadata 'readout' 'half_glu2'");
    if (stack_ == Stack::horner && layers_ % 2 == 0)
      refuse(where_, "has ", layers_, " layers, expected an odd number, 2 K - 1 for K steps");
    if (stack_ == Stack::reference && layers_ != 1 && layers_ != 3)
      refuse(where_, "has ", layers_, " layers, expected 1 or 3 (any odd number with metadata 'stack' 'horner')");
  }

  void check_tensors() {
    const Tensor& first = find("layers_0.seq.Lambda_re", "[f, f]");
    features_ = first.shape.empty() ? 0 : first.shape[0];
    if (features_ < 1 || first.shape != std::vector<Index>{features_, features_})
      refuse(detail::tensor_place(where_, "layers_0.seq.Lambda_re"), "shape is ", detail::shape_text(first.shape),
             ", expected [f, f] with f at least 1");
    for (Index layer = 0; layer < layers_; ++layer)
      for (const detail::ReferenceName& known : detail::reference_names) {
        if (!has(known)) continue;
        const std::string name = "layers_" + std::to_string(layer) + "." + std::string(known.reference);
        const bool acts = known.reference != "seq.log_step" || discretization_ != Discretization::none;
        if (acts) model_.insert(name);
        if (!acts && !file_.tensors.contains(name)) continue;
        const std::string place = detail::tensor_place(where_, name);
        const std::string shape = detail::shape_text(known.shape(features_));
        const Tensor& tensor = find(name, shape);
        if (tensor.shape != known.shape(features_))
          refuse(place, "shape is ", detail::shape_text(tensor.shape), ", expected ", shape);
        require_finite(tensor, place);
      }
  }

  /// The tensor of a model's parameter; refuses parameters that the file's model does not have.
  const Tensor& of_model(const std::string& name) const {
    if (!model_.contains(name))
      refuse(detail::tensor_place(where_, name), "is a parameter of the model, but not of the file's");
    return file_.tensors.at(name);
  }

  const Tensor& find(const std::string& name, const std::string& shape) const {
    const auto found = file_.tensors.find(name);
    if (found == file_.tensors.end())
      refuse(detail::tensor_place(where_, name), "is missing, expected a tensor of shape ", shape);
    return found->second;
  }

  /// The shape of a matrix as a tensor of the same rank.
  template <class Matrix>
  static std::vector<Index> shape_like(const Tensor& tensor, const Matrix& matrix) {
    if (tensor.shape.size() == 1) return {matrix.size()};
    return {matrix.rows(), matrix.cols()};
  }

  Safetensors file_;
  std::string where_;
  std::string_view dtype_;
  Discretization discretization_ = Discretization::zoh;
  Targets targets_ = Targets::vector;
  Readout readout_ = Readout::none;
  Stack stack_ = Stack::reference;
  Index layers_ = 0, features_ = 0;
  std::set<std::string> model_;  // the names of the model's tensors
};

}  // namespace gdssm
