# SPDX-License-Identifier: Apache-2.0
"""The diagonal scan z_t = L z_{t-1} + u_t in JAX, the better of lax.scan and lax.associative_scan: microseconds.

    scan_jax.py LENGTH CHANNELS {forward,backward}

`backward` is the gradient of the sum of squares of z with respect to u and L. Prints one number; needs jax.
"""

import sys
import time

import jax
import jax.numpy as jnp

REPEATS = 5


def one_by_one(decay, u):
    def step(z, now):
        z = decay * z + now
        return z, z

    return jax.lax.scan(step, jnp.zeros_like(decay), u)[1]


def in_pairs(decay, u):
    def join(a, b):
        return a[0] * b[0], a[1] * b[0] + b[1]

    return jax.lax.associative_scan(join, (jnp.broadcast_to(decay, u.shape), u))[1]


def main():
    length, channels, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    decay = 1 - 0.001 * jnp.arange(1, channels + 1, dtype=jnp.float32)
    u = jax.random.normal(jax.random.PRNGKey(0), (length, channels))
    best = float("inf")
    for scan in (one_by_one, in_pairs):
        call = scan
        if kind == "backward":
            call = jax.grad(lambda L, v, scan=scan: jnp.sum(scan(L, v) ** 2), argnums=(0, 1))
        call = jax.jit(call)
        jax.block_until_ready(call(decay, u))
        for _ in range(REPEATS):
            start = time.perf_counter()
            jax.block_until_ready(call(decay, u))
            best = min(best, time.perf_counter() - start)
    print(best * 1e6)


main()
