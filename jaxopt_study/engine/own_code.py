"""The user's own code in a study: a function is one object whatever becomes of the globals that it reads, so what is
computed is known by identities, and refused where they are no longer those of the fingerprints."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from jaxopt_study.errors import InputError
from jaxopt_study.grids.run import Group
from jaxopt_study.identity import became, is_still, known_now
from jaxopt_study.models.build import Model
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import Family

if TYPE_CHECKING:
    from jaxopt_study.engine.definition import Definition

Identities = dict[tuple[str, str], str | None]
"""By what it is and its name; None where it cannot be known any more, as of what keeps a traced array."""


def identities(study: "Definition", *, now: bool = False) -> Identities:
    """Of the models, rules, metrics and loss of a study: as they were when these were made, or as they are now."""

    def of(each: Model | Family) -> str | None:
        return known_now(each.code) if now and each.code else each.identity

    own = partial(study.objective.identity, study.loss, study.usual_loss)
    goal = (known_now(own) or {"loss": None}) if now else study.identity
    parents = study.branch_of.parents if study.branch_of else ()
    rules = map(registry.family, dict.fromkeys(run.optimizer for run in (*study.runs, *parents)))
    return {
        **{("model", each.identity): of(each) for each in study.variants.models.values()},
        **{("optimizer", each.name): of(each) for each in rules},
        **{("metrics", name): known for name, known in goal.get("metrics", {}).items()},
        ("loss", study.loss): goal.get("loss", ""),
    }


@contextlib.contextmanager
def unedited(
    study: "Definition", said: str = "it was edited since the study was made; allowed is a new study"
) -> Iterator[None]:
    """Refuses what is another than when the study was made, with an InputError. What is traced within may fill what it
    remembers: that is no edit, of this study or another."""
    before = identities(study, now=True)
    for (what, name), known in study.code.items():
        if not is_still(known, before.get((what, name))):
            raise InputError(what, name.split()[0] if what == "model" else name, said)
    try:
        yield
    finally:
        after = identities(study, now=True)
        for each, known in before.items():
            became(known, after.get(each))


def of_group(study: "Definition", group: Group) -> tuple[str, ...]:
    """Identities of the user's own code in a group's program; empty where all of it is this project's."""
    model = study.variants.models.get(group.model, study.model)
    loss = study.identity["loss"] if callable(study.objective.loss) else ""
    rules = (registry.family(known.optimizer).identity for known in study.totals[group])
    own = (model.identity if model.code else "", loss, str(study.identity.get("metrics", "")), *rules)
    return own if any(own) else ()
