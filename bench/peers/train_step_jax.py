# SPDX-License-Identifier: Apache-2.0
"""One update of the paper's layer in JAX, as fast as one compiled program makes it: microseconds a step.

    train_step_jax.py SIZE {fixed,fresh}

SIZE features and as many pairs, 64 tasks, vector targets, the reference's optimiser. `fresh` draws the tasks inside the
compiled loop. Prints one number; needs jax and optax.
"""

import sys
import time

import jax
import jax.numpy as jnp
import optax

BATCH, STEPS, REPEATS = 64, 300, 5


def initial(key, f):
    keys = jax.random.split(key, 4)
    log_step = jnp.log(0.001) + jax.random.uniform(keys[1], (f,)) * (jnp.log(0.1) - jnp.log(0.001))
    return {
        "A": 0.1 * jax.random.normal(keys[0], (3, 3)),
        "Lambda": -0.5 * jnp.ones((f, f)),
        "log_step": log_step,
        "C": jax.random.normal(keys[2], (f, f)) / jnp.sqrt(f),
        "d": jax.random.normal(keys[3], (3,)),
    }


def loss(p, x, y):
    """x (N+1, batch, f), y (N+1, batch, f): the last pair is the query and what it asks for."""
    decay = jnp.exp(p["Lambda"] * jnp.exp(p["log_step"]))

    def step(state, window):
        right = jnp.einsum("ac,cbj->abj", p["A"], window)
        return decay * state + jnp.einsum("abi,abj->bij", window, right), None

    windows = jnp.stack([x[:-1], y[:-1], x[1:]], axis=1)
    state, _ = jax.lax.scan(step, jnp.zeros((x.shape[1],) + decay.shape), windows)
    gate = jnp.einsum("a,abi->bi", p["d"], windows[-1])
    prediction = -jnp.einsum("hj,bij,bi->bh", p["C"], state, gate)
    return 0.5 * jnp.mean((prediction - y[-1]) ** 2)


def tasks(key, f):
    maps, inputs = jax.random.split(key)
    W = jax.random.normal(maps, (BATCH, f, f))
    x = jax.random.uniform(inputs, (f + 1, BATCH, f)) - 0.5
    return x, jnp.einsum("bij,tbj->tbi", W, x)


def main():
    f, fresh = int(sys.argv[1]), sys.argv[2] == "fresh"
    kinds = {"A": "others", "Lambda": "decays", "log_step": "decays", "C": "others", "d": "others"}
    optimiser = optax.multi_transform(
        {"decays": optax.adam(1e-4), "others": optax.adamw(2e-4, weight_decay=0.05)}, kinds
    )
    fixed = tasks(jax.random.PRNGKey(1), f)

    def update(_, carried):
        p, moments, key = carried
        key, own = jax.random.split(key)
        x, y = tasks(own, f) if fresh else fixed
        gradient = jax.grad(loss)(p, x, y)
        change, moments = optimiser.update(gradient, moments, p)
        return optax.apply_updates(p, change), moments, key

    run = jax.jit(lambda carried: jax.lax.fori_loop(0, STEPS, update, carried))
    p = initial(jax.random.PRNGKey(0), f)
    carried = jax.block_until_ready(run((p, optimiser.init(p), jax.random.PRNGKey(2))))
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        carried = jax.block_until_ready(run(carried))
        best = min(best, time.perf_counter() - start)
    print(best / STEPS * 1e6)


main()
