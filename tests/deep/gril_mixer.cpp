// SPDX-License-Identifier: Apache-2.0
#include "gdssm/deep/gril_mixer.hpp"

#include "deep/mixer_function.hpp"
#include "support/message_of.hpp"
#include "support/random.hpp"

#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {
namespace {

TEST_CASE("heads of the augmented SSM have the derivatives of their steps, with any window", "[vjp]") {
  for (const Index window : {1, 2, 3, 5}) {
    const GrilMixer mixer(3, 2, 2, window);
    test::expect_mixer_vjp(test::MixerFunction<GrilMixer>{mixer, 3, 4, 3});
  }
  const GrilMixer one_head(1, 1, 1, 2);
  test::expect_mixer_vjp(test::MixerFunction<GrilMixer>{one_head, 1, 1, 18});  // more than a chunk
}

TEST_CASE("a head of the augmented SSM is the layer with windows of stride 1 and C turned around", "[theorem]") {
  constexpr Index f = 4, T = 7;
  using Layer = AugmentedSsm<LocalAttention<Dynamic, 3, 1>, DiagonalRecurrence<>, Readout<>, OutputGate<>>;
  const Layer layer(f);
  const GrilMixer mixer(f, 1, f, 3);
  auto w = mixer.coefficients<double>();
  test::Random(1).fill(w);
  w.w_p.matrix().setIdentity();
  auto parameters = layer.parameters<double>();
  parameters.attention.A = w.a.matrix();
  parameters.recurrence.Lambda = w.lambda.matrix();
  parameters.recurrence.log_step = w.log_step.matrix();
  parameters.readout.C = -w.c.matrix();
  parameters.gate.d = w.d.matrix();
  Array<double> u(f, T), r(f, T);
  test::Random(2).fill(u);
  Eigen::MatrixXd padded = Eigen::MatrixXd::Zero(f, T + 2);
  padded.rightCols(T) = u.matrix();
  const Eigen::MatrixXd expected = layer.predict(parameters, padded);

  auto ws = mixer.workspace<double>(T);
  auto state = mixer.state<InArrays<double>>();
  mixer.forward(views_of(mixer.weights<InViews<const double>>(), std::as_const(w)), std::as_const(u).view(),
                views_of(mixer.state<InViews<double>>(), state), r.view(), Along::steps, ws);
  CHECK((r.matrix() - expected).cwiseAbs().maxCoeff() < 1e-13);
}

TEST_CASE("a mixer of the augmented SSM refuses sizes below one", "[misuse]") {
  CHECK(test::message_of([] { GrilMixer(1, 2, 3, 0); }) ==
        "GrilMixer: width, heads, head size and window are 1, 2, 3 and 0, expected at least 1 each");
}

}  // namespace
}  // namespace gdssm
