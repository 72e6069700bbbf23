# SPDX-License-Identifier: Apache-2.0
"""One head of the gated delta rule in eager PyTorch, in chunks of 64 tokens: microseconds.

    gated_delta_rule_torch.py WIDTH LENGTH {forward,backward}

Keys and values have WIDTH entries. What chunks need of themselves is computed for all of them at once, with one
triangular solve; what is left of the recurrence is three products a chunk. `backward` is forward and the gradient of
the sum of the outputs and of the last state with respect to everything. Prints one number, the least of the runs; needs
torch. The result is checked against single steps first.
"""

import os
import sys
import time

for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[library + "_NUM_THREADS"] = "1"

import torch

CHUNK = 64
SECONDS = 1.0


def in_chunks(q, k, v, log_decay, rate, state):
    """q, k, v (length, width), log_decay, rate (length), state (keys, values); outputs and the last state."""
    q, k, v = (x.unflatten(0, (-1, CHUNK)) for x in (q, k, v))
    rate = rate.view(-1, CHUNK, 1)
    total = log_decay.view(-1, CHUNK).cumsum(-1)
    earlier = torch.ones(CHUNK, CHUNK, dtype=torch.bool).tril()
    between = (total.unsqueeze(2) - total.unsqueeze(1)).masked_fill(~earlier, -torch.inf).exp()
    since = total.exp().unsqueeze(2)
    rated = rate * k
    seen = torch.tril(rated @ k.mT * between, -1)
    known = torch.cat((rate * v, rated * since), -1)
    own, of_state = torch.linalg.solve_triangular(seen, known, upper=False, unitriangular=True).split(v.shape[-1], -1)
    answers, queries = q @ k.mT * between, q * since
    until = (total[:, -1:] - total).exp().unsqueeze(2) * k
    left = total[:, -1].exp()
    outputs = []
    for n in range(q.shape[0]):
        errors = own[n] - of_state[n] @ state
        outputs.append(queries[n] @ state + answers[n] @ errors)
        state = left[n] * state + until[n].mT @ errors
    return torch.cat(outputs), state


def in_steps(q, k, v, log_decay, rate, state):
    outputs = []
    for t in range(q.shape[0]):
        state = log_decay[t].exp() * state
        state = state + torch.outer(rate[t] * k[t], v[t] - k[t] @ state)
        outputs.append(q[t] @ state)
    return torch.stack(outputs), state


def drawn(width, length):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, length, width)
    log_decay = torch.nn.functional.logsigmoid(torch.randn(length) + 3)
    inputs = q, torch.nn.functional.normalize(k, dim=-1), v, log_decay, torch.rand(length), torch.zeros(width, width)
    return [x.requires_grad_() for x in inputs]


def main():
    width, length, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    with torch.no_grad():
        small = drawn(16, 2 * CHUNK)
        for got, expected in zip(in_chunks(*small), in_steps(*small)):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    inputs = drawn(width, length)

    def call():
        if kind == "forward":
            with torch.no_grad():
                in_chunks(*inputs)
        else:
            outputs, state = in_chunks(*inputs)
            torch.autograd.grad(outputs.sum() + state.sum(), inputs)

    best, begun = float("inf"), time.perf_counter()
    call()
    while time.perf_counter() - begun < SECONDS or best == float("inf"):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    print(best * 1e6)


main()
