"""Which runs train together, how they are shared out, and their rules as a program has them."""

import functools
from collections.abc import Collection, Mapping, Sequence

import jax
import optax

from jaxopt_study.grids.run import Group, Run, Signature, group, signature
from jaxopt_study.models.network import Network
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import Family
from jaxopt_study.training.rules import Numbers, Rule


def by_group(runs: Sequence[Run], apart: Collection[Signature] = ()) -> dict[Group, list[Run]]:
    """The runs of each group, in their order; rules that are to be ``apart`` have groups of their own."""
    groups: dict[Group, list[Run]] = {}
    for run in runs:
        rule = signature(run) if apart and signature(run) in apart else None
        groups.setdefault(group(run)._replace(rule=rule), []).append(run)
    return groups


def shared(totals: Mapping[Signature, int], parts: int) -> dict[Signature, int]:
    """The runs of each rule that the largest of some parts gets."""
    return {known: -(-total // parts) for known, total in totals.items()}


def part(runs: Sequence[Run], process: int, processes: int) -> list[Run]:
    """The runs of a process: of each group's rules every so manyth. The same whenever it is asked, so that a study
    resumes."""
    rules: dict[tuple[Group, Signature], list[Run]] = {}
    for run in runs:
        rules.setdefault((group(run), signature(run)), []).append(run)
    return [run for of_rule in rules.values() for run in of_rule[process::processes]]


def rule_of(known: Signature, steps_per_epoch: int) -> Rule:
    """A rule as a program has it; equal for equal arguments, so that nothing is traced twice."""
    return _rule(registry.family(known.optimizer), known.names, steps_per_epoch)


def treatments(runs: Sequence[Run], network: Network) -> dict[str, str]:
    """What the rules that do not treat all weights alike do with those of a network, a sentence a rule."""
    families = map(registry.family, dict.fromkeys(run.optimizer for run in runs))
    telling = [family for family in families if family.treats]
    params = jax.eval_shape(lambda: network.init(jax.random.key(0)).params) if telling else None
    return {family.name: family.treats(params) for family in telling if family.treats}


def lacking(runs: Sequence[Run], networks: Sequence[Network]) -> list[str]:
    """What is said of rules that are others on one of these networks, a sentence a rule."""
    families = map(registry.family, dict.fromkeys(run.optimizer for run in runs))
    asked = {family.name: family.lacks for family in families if family.lacks}
    shapes = [jax.eval_shape(lambda n=n: n.init(jax.random.key(0)).params) for n in (networks if asked else ())]
    told = {(name, sentence): None for name, lacks in asked.items() for each in shapes if (sentence := lacks(each))}
    return [f"{name}: {sentence}" for name, sentence in told]


@functools.cache
def _rule(family: Family, names: tuple[str, ...], steps_per_epoch: int) -> Rule:
    def make(numbers: Numbers) -> optax.GradientTransformation:
        return registry.build(family, numbers, steps_per_epoch)

    judged_by, divided_by = registry.eval_params(family, names), registry.preconditioner(family, names)
    return Rule(family.name, names, make, judged_by, divided_by)
