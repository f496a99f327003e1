"""Whether a study's networks fit its labels, loss, metrics and rules, by shapes alone."""

from typing import Any

import jax
import numpy as np

from jaxopt_study.engine import own_code
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids.run import signature
from jaxopt_study.identity import traced_as
from jaxopt_study.models.network import Network
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.foreign import check_weights
from jaxopt_study.training.objective import Fitted, check_monitor
from jaxopt_study.training.objective import check as check_objective
from jaxopt_study.training.sharpness import check as check_sharpness


def check_outputs(study: Trainer) -> None:
    """Refuses, before anything is compiled, what could only fail while training.

    Raises:
        InputError: the outputs do not fit the labels, loss or metrics, sharpness cannot be measured, a rule cannot
            train such weights, or was edited since it was made.
    """
    edited = "it was edited since it was made; allowed is a new one, of js.rule or the like"
    with own_code.unedited(study, edited):
        for group in {group.model: group for group in reversed(study.groups)}.values():
            with traced_as(own_code.of_group(study, group)):
                _check_network(study, study.network(study.batch_size(group), group.model), study.batch_size(group))


def _check_network(study: Trainer, network: Network, size: int) -> None:
    data, name = study.dataset, study.model.identity.split()[0]

    def of(tree: Any, count: int) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((count, *x.shape[1:]), x.dtype), tree)

    def evaluate(x: Any) -> tuple[Any, Any]:
        variables = network.init(jax.random.key(0))
        return variables.params, network.evaluate(variables, network.prepare(x, False))

    params, outputs = jax.eval_shape(evaluate, of(data.train_images, 2))
    weights = of(np.zeros(1, np.float32) if data.train_weights is None else data.train_weights, 2)
    fitted = Fitted(study.loss, study.outputs, study.loss_function)
    check_objective(fitted, study.objective.metrics, outputs, of(data.train_labels, 2), weights, name)
    check_monitor(study.objective.monitor, fitted, outputs, of(data.train_labels, 2))
    if study.settings.sharpness:
        batch, of_batch = of(data.train_images, size), of(data.train_labels, size)
        check_sharpness(network, study.loss_function, batch, of_batch, name)
    usual = all(weight.dtype == "float32" for weight in jax.tree.leaves(params))
    for known in dict.fromkeys(map(signature, study.runs)):
        family = registry.family(known.optimizer)
        if family.untried or not usual:
            check_weights(family, known.names, params)
