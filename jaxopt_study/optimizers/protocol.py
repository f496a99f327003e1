"""What an Optax rule may ask for beside the gradient, and where it wants its weights judged.

Some rules do not judge the weights that they train but others, which come from their state: an average (schedule-free),
slow weights (Lookahead), those before an ascent (SAM).
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib

PyTree = Any
EvalParams = Callable[[PyTree, PyTree], PyTree]
"""``(state, params) -> params``: the weights to be judged, from the rule's state and the weights that it trains."""

UNCLEAR = (
    "its weights to be judged are not those that it trains, and how they come from its state is not clear; "
    "allowed is js.rule(.., eval_params=a function of its state and weights)"
)


class SlowWeights(NamedTuple):
    """Of Lookahead: Optax's state, and the slow weights, shaped like those that are trained."""

    state: PyTree
    slow: PyTree


class _Known(NamedTuple):
    """Of a state of Optax's: the field that is shaped like the weights, and the weights to be judged."""

    field: str
    eval_params: EvalParams


def adapted(rule: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The rule as a training step calls it: of one set of weights, with whatever extra arguments there are.

    Optax's Lookahead trains pairs of fast and slow weights; here its slow ones are part of the state. A rule that names
    its extra arguments gets these alone.
    """
    if rule.init.__module__ == optax.lookahead.__module__:
        rule = _single(rule)
    rule = optax.with_extra_args_support(rule)
    parameters = inspect.signature(rule.update).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return rule
    names = {parameter.name for parameter in parameters}
    update = rule.update

    def update_with_named(updates: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        named = {name: value for name, value in extra.items() if name in names}
        stepped: tuple[PyTree, PyTree] = update(updates, state, params, **named)
        return stepped

    return optax.GradientTransformationExtraArgs(rule.init, update_with_named)


def _single(lookahead: optax.GradientTransformation) -> optax.GradientTransformation:
    def init(params: PyTree) -> SlowWeights:
        return SlowWeights(lookahead.init(optax.LookaheadParams.init_synced(params)), params)

    def update(updates: PyTree, state: SlowWeights, params: PyTree = None) -> tuple[PyTree, SlowWeights]:
        pair = optax.LookaheadParams(fast=params, slow=state.slow)
        moves, inner = lookahead.update(updates, state.state, pair)
        return moves.fast, SlowWeights(inner, optax.apply_updates(state.slow, moves.slow))

    return optax.GradientTransformation(init, update)


def eval_params(state: PyTree, params: PyTree) -> PyTree:
    """The weights to be judged of a rule whose state is one of Optax's that are known; else ``params`` themselves."""
    for known in _known_in(state):
        return _KNOWN[type(known)].eval_params(known, params)
    return params


def judged_by(state: PyTree) -> str:
    """What kind of state :func:`eval_params` takes weights from; empty where it judges those that are trained."""
    return ", ".join(type(known).__name__ for known in _known_in(state))


def unclear(state: PyTree, params: PyTree) -> str:
    """Why :func:`eval_params` cannot tell the weights to be judged; empty if it can.

    Several states keep weights of their own, or one keeps those of a part of the network.
    """
    own = [jax.tree.structure(getattr(known, _KNOWN[type(known)].field)) for known in _known_in(state)]
    return "" if not own or own == [jax.tree.structure(params)] else UNCLEAR


def _known_in(state: PyTree) -> list[PyTree]:
    leaves = jax.tree.leaves(state, is_leaf=lambda x: type(x) in _KNOWN)
    return [x for x in leaves if type(x) in _KNOWN and getattr(x, _KNOWN[type(x)].field) is not None]


def _before_ascent(state: PyTree, params: PyTree) -> PyTree:
    ascended = state.steps_since_sync > 0
    return jax.tree.map(lambda w, kept: jnp.where(ascended, kept, w), params, state.cache)


_KNOWN: Mapping[type, _Known] = {
    SlowWeights: _Known("slow", lambda state, params: state.slow),
    optax.contrib.ScheduleFreeState: _Known("z", optax.contrib.schedule_free_eval_params),
    optax.contrib.SAMState: _Known("cache", _before_ascent),  # None where the ascent is within an update
}
