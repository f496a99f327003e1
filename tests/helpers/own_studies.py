"""Generated input for the library's functions: legal, nearly legal, and nonsense."""

import numpy as np
import optax
from flax import linen as nn
from hypothesis import strategies as st

import jaxopt_study as js


class Net(nn.Module):
    outputs: int = 3

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.outputs)(x.reshape(len(x), -1))


def mine(learning_rate, pull=0.5, bold=True):
    return optax.sgd(learning_rate * (1 + pull) if bold else learning_rate)


def data(labels=None, examples=20):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(examples, 4)).astype(np.float32)
    labels = np.arange(examples) % 3 if labels is None else labels
    return js.arrays(images[:-4], labels[:-4], images[-4:], labels[-4:])


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**6),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from([object(), len, np.zeros(3)]),
)
NUMBERS = st.one_of(
    st.floats(1e-6, 1.0), st.floats(), st.sampled_from([0, -1, 0.9, "1e-3:1e-1:decade", "1e-3:1:log", "x"])
)
SPECS = st.one_of(NUMBERS, st.lists(NUMBERS, max_size=3), JUNK)
NAMES = st.sampled_from(
    [
        "learning_rate",
        "momentum",
        "weight_decay",
        "max_norm",
        "batch_size",
        "b1",
        "learningrate",
        "nesterov",
        "pull",
        "eps",
    ]
)
OPTIMIZERS = st.one_of(
    st.sampled_from(["sgd", "momentum", "adam", "adm", "cyclical", optax.adamw, optax.sgd, optax.lbfgs, mine, Net]),
    JUNK,
)
EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "points": JUNK, "paired": JUNK, "when": JUNK, "where": st.one_of(st.just("learning_rate > 0.01"), JUNK),
        "samples": st.one_of(st.integers(1, 4), JUNK), "sampler": st.one_of(st.just("sobol"), JUNK),
        "sampler_seed": st.one_of(st.integers(0, 5), JUNK),
    },
)  # fmt: skip
LABELS = st.sampled_from(
    [None, np.arange(20) % 2, np.linspace(0, 1, 20), np.zeros(20, int), np.linspace(0, 1, 40).reshape(20, 2)]
)
STUDIES = st.fixed_dictionaries(
    {
        "model": st.one_of(
            st.sampled_from([Net(), Net(1), Net(2), Net, js.functions(lambda key, x: (), lambda p, x: x)]), JUNK
        ),
        "seeds": st.one_of(st.integers(1, 2), JUNK),
    },
    optional={
        "batch_size": st.one_of(st.integers(1, 40), st.lists(st.integers(0, 20), max_size=2), JUNK),
        "max_epochs": st.one_of(st.integers(1, 3), JUNK),
        "patience": st.one_of(st.integers(1, 3), JUNK),
        "loss": st.one_of(st.sampled_from(["softmax", "sigmoid", "squared_error"]), JUNK),
        "data_seed": st.one_of(st.integers(0, 9), JUNK),
    },
)
