import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_study.errors import InputError
from jaxopt_study.training.losses import LOSSES, loss_of

X = np.array([-200.0, -88.0, -30.0, -3.0, -1e-4, 0.0, 1e-4, 3.0, 30.0, 88.0, 200.0], np.float32)


def sigmoid(x: np.ndarray, y: int) -> tuple[jax.Array, jax.Array]:
    labels = jnp.full(len(x), y, jnp.int32)
    logits = jnp.asarray(x, jnp.float32).reshape(-1, 1)
    return LOSSES["sigmoid"].per_example(logits, labels), LOSSES["sigmoid"].correct(logits, labels)


def random_logits(outputs: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return scale * rng.standard_normal((64, outputs)).astype(np.float32), rng.integers(0, outputs, 64, np.int32)


@pytest.mark.parametrize("y", [0, 1])
def test_sigmoid_loss_equals_float64_for_tiny_and_for_large_losses(y):
    expected = np.logaddexp(0, (1 - 2 * y) * X.astype(np.float64))
    np.testing.assert_allclose(sigmoid(X, y)[0], expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("y", [0, 1])
def test_sigmoid_gradient_is_probability_less_label(y):
    gradient = jax.grad(lambda x: jnp.sum(sigmoid(x, y)[0]))(jnp.asarray(X))
    away = 1 - 2 * y
    expected = away / (1 + np.exp(-away * X.astype(np.float64)))  # without the cancellation of subtracting the label
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
def test_softmax_loss_and_gradient_equal_float64(scale):
    logits, labels = random_logits(5, scale)
    exact = logits.astype(np.float64)
    shifted = exact - exact.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = LOSSES["softmax"].per_example
    found, pull = jax.vjp(lambda x: loss(x, jnp.asarray(labels)), jnp.asarray(logits))
    np.testing.assert_allclose(found, -log_p[np.arange(64), labels], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(pull(jnp.ones(64))[0], np.exp(log_p) - np.eye(5)[labels], rtol=1e-5, atol=1e-6)


def test_a_softmax_of_two_outputs_is_the_sigmoid_of_their_difference():
    logits, labels = random_logits(2, 3.0)
    two = LOSSES["softmax"].per_example(jnp.asarray(logits), jnp.asarray(labels))
    one = LOSSES["sigmoid"].per_example(jnp.asarray(logits[:, 1:] - logits[:, :1]), jnp.asarray(labels))
    np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outputs", [1, 3])
def test_squared_error_equals_float64(outputs):
    logits, _ = random_logits(outputs, 2.0)
    labels = np.random.default_rng(1).standard_normal((64, outputs)).astype(np.float32)
    expected = ((logits.astype(np.float64) - labels) ** 2).mean(axis=1)
    found = LOSSES["squared_error"].per_example(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_squared_error_takes_labels_without_an_axis_of_outputs():
    loss = LOSSES["squared_error"].per_example(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 2.5]))
    np.testing.assert_array_equal(loss, [4.0, 0.25])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_logit_gives_its_example_a_non_finite_loss_and_no_other(name, bad):
    outputs = 1 if name == "sigmoid" else 3
    for label in range(max(outputs, 2)):
        for place in range(outputs):
            logits = jnp.zeros((3, outputs)).at[1, place].set(bad)
            labels = jnp.full((3, outputs), 0.5) if name == "squared_error" else jnp.full(3, label)
            loss = LOSSES[name].per_example(logits, labels)
            np.testing.assert_array_equal(np.isfinite(loss), [True, False, True])


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_nan_is_never_correct(name):
    outputs = 1 if name == "sigmoid" else 3
    for label in range(2):
        for place in range(outputs):
            logits = jnp.zeros((1, outputs)).at[0, place].set(jnp.nan)
            assert float(LOSSES[name].correct(logits, jnp.array([label]))[0]) == 0.0


def test_sigmoid_is_correct_on_the_label_s_side_of_one_half_and_half_counts_as_class_0():
    np.testing.assert_array_equal(sigmoid(X, 1)[1], X > 0)
    np.testing.assert_array_equal(sigmoid(X, 0)[1], X <= 0)


def test_softmax_is_correct_where_the_label_has_the_largest_logit():
    logits, labels = random_logits(5, 1.0)
    found = LOSSES["softmax"].correct(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_array_equal(found, logits.argmax(axis=1) == labels)


def test_a_regression_has_no_accuracy():
    assert np.isnan(LOSSES["squared_error"].correct(jnp.ones((4, 1)), jnp.ones(4))).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_results_are_float32_one_for_each_example(name, dtype):
    logits, labels = jnp.ones((6, 1 if name != "softmax" else 4), dtype), jnp.ones(6, jnp.int32)
    for each in LOSSES[name]:
        assert (each(logits, labels).shape, each(logits, labels).dtype) == ((6,), jnp.float32)


@pytest.mark.parametrize(
    ("shape", "classes", "asked", "found"),
    [
        ((6,), 2, None, ("sigmoid", 1)),
        ((6,), 2, "softmax", ("softmax", 2)),
        ((6,), 2, "squared_error", ("squared_error", 1)),
        ((6,), 3, None, ("softmax", 3)),
        ((6,), 3, "softmax", ("softmax", 3)),
        ((6,), 0, None, ("squared_error", 1)),
        ((6, 4), 0, None, ("squared_error", 4)),
    ],
)
def test_the_loss_fits_the_labels_and_so_do_the_outputs(shape, classes, asked, found):
    assert loss_of(np.zeros(shape), classes, asked) == found


@pytest.mark.parametrize(
    ("classes", "asked", "told"),
    [
        (3, "sigmoid", "loss=sigmoid: allowed for 3 classes are softmax, or a function"),
        (0, "softmax", "loss=softmax: allowed for labels that are numbers are squared_error, or a function"),
        (2, "hinge", "loss=hinge: allowed for 2 classes are sigmoid, softmax, squared_error, or a function"),
    ],
)
def test_a_loss_that_does_not_fit_the_labels_is_refused(classes, asked, told):
    with pytest.raises(InputError) as refused:
        loss_of(np.zeros(6), classes, asked)
    assert str(refused.value) == told
