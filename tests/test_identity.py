"""More of what a piece of a user's code is; tests/test_api.py asks for it by way of rules and networks."""

import types

import numpy as np
import optax

from jaxopt_study.identity import identity


class _Rule:
    def __init__(self, library: types.ModuleType) -> None:
        self.library = library


def test_a_module_that_an_object_keeps_counts_by_its_name() -> None:
    assert identity(_Rule(np)) == identity(_Rule(np)) != identity(_Rule(optax))
