"""The update rules of one program: a run carries the number of its rule, and a memory that the state of any fits into.

The memory is a tuple of arrays, as many of each shape and type as the rule that has most of them needs; a rule's state
lies in the first that fit. So a run's memory is that of the largest state and not the sum of all, and a rule reads and
writes its own arrays where they lie. Arrays without elements take no place and are made anew: XLA does not share them
out to several devices as it does others.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxopt_study.optimizers import protocol
from jaxopt_study.optimizers.preconditioner import Preconditioner
from jaxopt_study.optimizers.protocol import EvalParams

PyTree = Any
Numbers = Mapping[str, jax.Array]
Memory = tuple[jax.Array, ...]
Update = Callable[..., tuple[PyTree, Memory]]
MakeOptimizer = Callable[[Numbers], optax.GradientTransformation]


class Rule(NamedTuple):
    """An update rule.

    Attributes:
        name: in the registry.
        names: of the hyperparameters that it is given; two rules of one name may differ in them.
        make: builds it from these, traced.
        eval_params: gives the weights to be judged from its state and the weights that it trains.
        preconditioner: what it divides by; None where that is nothing, or not known.
    """

    name: str
    names: tuple[str, ...]
    make: MakeOptimizer
    eval_params: EvalParams = protocol.eval_params
    preconditioner: Preconditioner | None = None

    def build(self, numbers: Numbers) -> optax.GradientTransformationExtraArgs:
        """The rule with its own among the hyperparameters of all rules."""
        return optax.with_extra_args_support(self.make(self.own(numbers)))

    def own(self, numbers: Numbers) -> Numbers:
        """Those that it takes among the hyperparameters of all rules."""
        return {name: numbers[name] for name in self.names}

    def is_light(self, params: PyTree) -> bool:
        """Whether its update is arithmetic number by number, of two moments at most: little beside a gradient, and of
        no account where every run of a batched program computes it and few have it."""
        rules = Rules((self,))
        memory, _ = rules.layouts(params)
        if sum(x.size for x in memory) > _MOMENTS * sum(x.size for x in jax.tree.leaves(params)):
            return False
        asked: list[bool] = []

        def loss(weights: PyTree, obj_fn: object = None, grad_fn: object = None) -> jax.Array:
            asked.append(True)
            return jnp.stack([x.sum() for x in jax.tree.leaves(weights)]).sum()

        def grad(weights: PyTree, step: object = None) -> PyTree:
            return jax.grad(loss)(weights)

        extra = {"value_fn": loss, "obj_fn": loss, "grad_fn": grad}
        number = jax.ShapeDtypeStruct((), jnp.float32)
        numbers = dict.fromkeys(self.names, number)

        def update(numbers: Numbers, grads: PyTree, memory: Memory, params: PyTree) -> tuple[PyTree, Memory]:
            own = Hyperparameters(jnp.int32(0), numbers)
            return rules.update(own, grads, memory, params, value=jnp.float32(1), grad=grads, **extra)

        traced = jax.make_jaxpr(update)(numbers, params, memory, params)
        return not asked and _HEAVY.isdisjoint(primitives(traced))


_MOMENTS = 2.5
"""Arrays shaped like the weights, and some numbers besides."""
_HEAVY = {"dot_general", "conv_general_dilated", "while", "scan", "eigh", "qr", "svd", "cholesky", "triangular_solve"}


def primitives(jaxpr: Any) -> Iterator[str]:
    """The names of all operations of a traced function."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for value in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns")):
            if hasattr(value, "eqns"):
                yield from primitives(value)


class Hyperparameters(NamedTuple):
    """Of a run: the place of its rule among the program's, int32 [], and float32 [] by name, of all rules; those that
    its own does not take are read by none."""

    rule: jax.Array
    numbers: Numbers


class Moved(NamedTuple):
    """What a step moves besides the rule's state: the weights, and what diagnostics keep and measure."""

    params: PyTree
    signs: PyTree
    measured: dict[str, jax.Array]


class Layout(NamedTuple):
    """Where a rule's state lies: its structure, and of each of its arrays the place in the memory; of one without
    elements its shape and type."""

    structure: Any
    places: tuple[int | jax.ShapeDtypeStruct, ...]

    def state(self, memory: Sequence[Any]) -> PyTree:
        """The rule's state, out of a memory."""
        leaves = [memory[x] if isinstance(x, int) else jnp.zeros(x.shape, x.dtype) for x in self.places]
        return jax.tree.unflatten(self.structure, leaves)

    def stored(self, state: PyTree, memory: Sequence[Any]) -> Memory:
        """The memory with the rule's state in it, in the types that the memory has."""
        new = list(memory)
        for place, x in zip(self.places, jax.tree.leaves(state), strict=True):
            if not isinstance(place, int):
                continue
            new[place] = jnp.asarray(x, new[place].dtype) if isinstance(x, int | float) else x.astype(new[place].dtype)
        return tuple(new)


class Rules(NamedTuple):
    """All rules of a program, each once."""

    each: tuple[Rule, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the hyperparameters of all of them."""
        return tuple(dict.fromkeys(name for rule in self.each for name in rule.names))

    def layouts(self, params: PyTree) -> tuple[tuple[jax.ShapeDtypeStruct, ...], tuple[Layout, ...]]:
        """Shapes and types of the memory, and where in it the state of each rule lies, for weights of these shapes."""
        leaves, structure = jax.tree.flatten(params)
        return _layouts(self, structure, tuple((x.shape, jnp.dtype(x.dtype)) for x in leaves))

    def init(self, hyperparameters: Hyperparameters, params: PyTree) -> Memory:
        """The memory of a run before its first step."""
        shapes, layouts = self.layouts(params)

        def begin(rule: Rule, layout: Layout) -> Callable[[], Memory]:
            empty = tuple(jnp.zeros(x.shape, x.dtype) for x in shapes)
            return lambda: layout.stored(rule.build(hyperparameters.numbers).init(params), empty)

        branches = [begin(*pair) for pair in zip(self.each, layouts, strict=True)]
        memory: Memory = jax.lax.switch(hyperparameters.rule, branches)
        return memory

    def update(
        self, hyperparameters: Hyperparameters, grads: PyTree, memory: Memory, params: PyTree, **extra: Any
    ) -> tuple[PyTree, Memory]:
        """The updates of a run's own rule, in the types of the weights, and its memory after the step.

        Where runs are batched all rules are computed for all of them, and each run gets its own.
        """
        branches = [
            lambda of=of: of(hyperparameters.numbers, grads, memory, params, **extra) for of in self._updates(params)
        ]
        updated: tuple[PyTree, Memory] = jax.lax.switch(hyperparameters.rule, branches)
        return updated

    def update_in_turn(
        self,
        hyperparameters: Hyperparameters,
        grads: PyTree,
        memory: Memory,
        moved: Moved,
        move: Callable[[PyTree, Moved], Moved],
        **extra: Any,
    ) -> tuple[Moved, Memory]:
        """What the updates of a run's own rule are added to by ``move``, and its memory; only that rule is computed.

        ``moved`` has the weights as ``params``. Each rule is a loop of one turn or none: what a loop carries stays
        where it lies, while a branch that hands on what it does not need makes XLA copy that.
        """
        after = (moved, memory)
        for place, update in enumerate(self._updates(moved.params)):

            def step(turn: int, before: tuple[Moved, Memory], update: Update = update) -> tuple[Moved, Memory]:
                moved, memory = before
                # Bound to the turn: what a rule makes of the gradients alone would be moved out, and computed always.
                numbers, of_turn, _ = jax.lax.optimization_barrier((hyperparameters.numbers, grads, turn))
                updates, memory = update(numbers, of_turn, memory, moved.params, **extra)
                return move(updates, moved), memory

            after = jax.lax.fori_loop(0, (hyperparameters.rule == place).astype(jnp.int32), step, after)
        return after

    def judge_others(self, params: PyTree) -> tuple[bool, ...]:
        """Of each rule, whether the weights that it is judged by are others than those that it trains."""
        memory, layouts = self.layouts(params)
        found: list[bool] = []
        for rule, layout in zip(self.each, layouts, strict=True):

            def judged(memory: Memory, params: PyTree, rule: Rule = rule, layout: Layout = layout) -> PyTree:
                weights = rule.eval_params(layout.state(memory), params)
                found.append(weights is not params)
                return weights

            jax.eval_shape(judged, memory, params)
        return tuple(found)

    def eval_params(self, place: jax.Array, memory: Memory, params: PyTree) -> PyTree:
        """The weights that a run is judged by; ``place`` is that of its rule, int32 []."""
        _, layouts = self.layouts(params)
        branches = [
            lambda rule=rule, layout=layout: rule.eval_params(layout.state(memory), params)
            for rule, layout in zip(self.each, layouts, strict=True)
        ]
        return jax.lax.switch(place, branches)

    def scale(self, hyperparameters: Hyperparameters, memory: Memory, params: PyTree) -> jax.Array | None:
        """One over the root of what a run's rule divides by, float32 [weights] in the order of ``ravel_pytree``; None
        where no rule of the program divides by anything that is known."""
        if not any(rule.preconditioner for rule in self.each):
            return None
        _, layouts = self.layouts(params)
        size = sum(x.size for x in jax.tree.leaves(params))

        def of(rule: Rule, layout: Layout) -> jax.Array:
            if rule.preconditioner is None:
                return jnp.ones(size)
            divided_by = rule.preconditioner(rule.own(hyperparameters.numbers), layout.state(memory))
            scale: jax.Array = ravel_pytree(divided_by)[0] ** -0.5
            return scale

        branches = [functools.partial(of, rule, layout) for rule, layout in zip(self.each, layouts, strict=True)]
        scales: jax.Array = jax.lax.switch(hyperparameters.rule, branches)
        return scales

    def _updates(self, params: PyTree) -> list[Update]:
        """Of each rule: ``(numbers, grads, memory, params, **extra) -> (updates, memory)``."""
        _, layouts = self.layouts(params)
        return [functools.partial(_update, rule, layout) for rule, layout in zip(self.each, layouts, strict=True)]


def _update(
    rule: Rule, layout: Layout, numbers: Numbers, grads: PyTree, memory: Memory, params: PyTree, **extra: Any
) -> tuple[PyTree, Memory]:
    updates, state = rule.build(numbers).update(grads, layout.state(memory), params, **extra)
    return jax.tree.map(lambda u, p: u.astype(p.dtype), updates, params), layout.stored(state, memory)


@functools.lru_cache(maxsize=64)
def _layouts(
    rules: Rules, structure: Any, weights: tuple[tuple[tuple[int, ...], Any], ...]
) -> tuple[tuple[jax.ShapeDtypeStruct, ...], tuple[Layout, ...]]:
    params = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*x) for x in weights])
    number = jax.ShapeDtypeStruct((), jnp.float32)
    memory: list[jax.ShapeDtypeStruct] = []
    layouts = []
    for rule in rules.each:
        numbers: Any = dict.fromkeys(rule.names, number)
        state = jax.eval_shape(lambda numbers, params, rule=rule: rule.build(numbers).init(params), numbers, params)
        free = list(range(len(memory)))
        places: list[int | jax.ShapeDtypeStruct] = []
        for x in jax.tree.leaves(state):
            if x.size == 0:
                places.append(jax.ShapeDtypeStruct(x.shape, x.dtype))
                continue
            fits = (place for place in free if (memory[place].shape, memory[place].dtype) == (x.shape, x.dtype))
            place = next(fits, len(memory))
            if place == len(memory):
                memory.append(jax.ShapeDtypeStruct(x.shape, x.dtype))
            else:
                free.remove(place)
            places.append(place)
        layouts.append(Layout(jax.tree.structure(state), tuple(places)))
    return tuple(memory), tuple(layouts)
