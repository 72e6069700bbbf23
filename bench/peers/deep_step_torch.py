# SPDX-License-Identifier: Apache-2.0
"""A training update of a character model with heads of the gated delta rule, in eager PyTorch: microseconds.

    deep_step_torch.py WIDTH DEPTH LENGTH BATCH

The model, the sizes and the optimiser of the benchmark deep_step: heads of size 64, short convolutions of 4 taps,
3 WIDTH hidden units, a vocabulary of 64, every token a target. The rule goes in chunks of 64 tokens for all sequences
and heads together, one triangular solve for all chunks. Prints one number, the least of the runs; needs torch.
"""

import os
import sys
import time

for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[library + "_NUM_THREADS"] = "1"

import torch
from torch import nn
from torch.nn import functional as F

CHUNK, HEAD, VOCABULARY, SECONDS = 64, 64, 64, 5.0


def rule(q, k, v, log_decay, rate):
    """q, k, v (..., length, HEAD), log_decay, rate (..., length); outputs."""
    q, k, v = (x.unflatten(-2, (-1, CHUNK)) for x in (q, k, v))
    rate = rate.unflatten(-1, (-1, CHUNK)).unsqueeze(-1)
    total = log_decay.unflatten(-1, (-1, CHUNK)).cumsum(-1)
    earlier = torch.ones(CHUNK, CHUNK, dtype=torch.bool).tril()
    between = (total.unsqueeze(-1) - total.unsqueeze(-2)).masked_fill(~earlier, -torch.inf).exp()
    since = total.exp().unsqueeze(-1)
    rated = rate * k
    seen = torch.tril(rated @ k.mT * between, -1)
    known = torch.cat((rate * v, rated * since), -1)
    own, of_state = torch.linalg.solve_triangular(seen, known, upper=False, unitriangular=True).split(HEAD, -1)
    answers, queries = q @ k.mT * between, q * since
    until = (total[..., -1:] - total).exp().unsqueeze(-1) * k
    left = total[..., -1].exp()[..., None, None]
    state = torch.zeros(*q.shape[:-3], HEAD, HEAD)
    outputs = []
    for n in range(q.shape[-3]):
        errors = own[..., n, :, :] - of_state[..., n, :, :] @ state
        outputs.append(queries[..., n, :, :] @ state + answers[..., n, :, :] @ errors)
        state = left[..., n, :, :] * state + until[..., n, :, :].mT @ errors
    return torch.cat(outputs, -2)


class Norm(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(*shape))

    def forward(self, x):
        return self.gain * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.heads, hidden = width // HEAD, 3 * width
        self.norm1, self.norm2, self.out = Norm(width), Norm(width), Norm(self.heads, 1, HEAD)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.convolution = nn.Conv1d(3 * width, 3 * width, 4, groups=3 * width, padding=3, bias=False)
        self.controls = nn.Linear(width, 2 * self.heads)
        self.w_o = nn.Linear(width, width, bias=False)
        self.w13, self.w2 = nn.Linear(width, 2 * hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def forward(self, h):
        u, length = self.norm1(h), h.shape[1]
        z = F.silu(self.convolution(self.qkv(u).mT)[..., :length])
        q, k, v = z.unflatten(1, (3, self.heads, HEAD)).mT.unbind(1)
        q, k = (x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6) for x in (q, k))
        b, a = self.controls(u).mT.chunk(2, 1)
        r = self.out(rule(q, k, v, -F.softplus(a), torch.sigmoid(b)))
        h = h + self.w_o(r.transpose(1, 2).flatten(2))
        opened, gated = self.w13(self.norm2(h)).chunk(2, -1)
        return h + self.w2(F.silu(opened) * gated)


def main():
    width, depth, length, batch = map(int, sys.argv[1:])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(VOCABULARY, width), *(Layer(width) for _ in range(depth)), Norm(width),
                          nn.Linear(width, VOCABULARY, bias=False))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    ids, targets = torch.randint(VOCABULARY, (2, batch, length))

    def call():
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), targets.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    call()
    least, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        started = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - started)
    print(f"{1e6 * least:.0f}")


if __name__ == "__main__":
    main()
