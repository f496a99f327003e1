"""The article's network in plain Flax: sizes worked out by hand, any image size, dropout and running statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from jaxopt_study.errors import InputError
from jaxopt_study.models import article
from jaxopt_study.models.article import ArticleNet, plain


def parameter_count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def random_images(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_parameter_count_of_the_article_network_is_the_one_worked_out_by_hand():
    variables = jax.eval_shape(plain((128, 128, 3)).init, jax.random.key(0))
    # Convolutions, 9 * inputs * filters + filters: 3>4 112, 4>8 296, 8>16 1168, 16>32 4640, 32>64 18496: 24,712.
    # Batch norms, scale and bias: 2 * (3 + 4 + 8 + 16 + 32 + 64 + 256 + 256): 1,278.
    # Dense: the image is 128 / 2^5 = 4 pixels wide, so 4 * 4 * 64 * 256 + 256 = 262,400; 256 * 256 + 256 = 65,792; 257.
    assert parameter_count(variables.params) == 24_712 + 1_278 + 262_400 + 65_792 + 257
    # Running mean and variance of every batch norm.
    assert parameter_count(variables.stats) == 1_278


def test_notebook_variant_has_no_batch_norm_after_the_second_dense_layer():
    variables = jax.eval_shape(plain((128, 128, 3), notebook=True).init, jax.random.key(0))
    assert parameter_count(variables.params) == 354_439 - 2 * 256
    assert "BatchNorm_7" not in variables.params


def test_shapes_of_the_article_network_are_the_ones_worked_out_by_hand():
    def intermediates(images):
        collections = ArticleNet().init(jax.random.key(0), images)
        return ArticleNet().apply(collections, images, capture_intermediates=True, mutable=["intermediates"])[1]

    captured = jax.eval_shape(intermediates, jnp.zeros((2, 128, 128, 3)))
    shapes = {
        name: value["__call__"][0].shape for name, value in captured["intermediates"].items() if name != "__call__"
    }
    # A convolution keeps the size, the pooling before each batch norm halves it.
    assert [shapes[f"Conv_{i}"] for i in range(5)] == [
        (2, 128, 128, 4),
        (2, 64, 64, 8),
        (2, 32, 32, 16),
        (2, 16, 16, 32),
        (2, 8, 8, 64),
    ]
    assert [shapes[f"BatchNorm_{i}"] for i in (0, 1, 5, 6, 7)] == [
        (2, 128, 128, 3),
        (2, 64, 64, 4),
        (2, 4, 4, 64),
        (2, 256),
        (2, 256),
    ]
    assert [shapes[f"Dense_{i}"] for i in range(3)] == [(2, 256), (2, 256), (2, 1)]


@pytest.mark.parametrize(
    ("image_shape", "convolutions"),
    [((8, 8, 1), 3), ((32, 32, 3), 5), ((37, 50, 3), 5), ((9, 33, 2), 3), ((1, 5, 1), 0)],
)
def test_image_size_decides_the_number_of_blocks(image_shape, convolutions):
    network = plain(image_shape, outputs=10)
    key = jax.random.key(0)
    variables = jax.eval_shape(network.init, key)
    images = jax.eval_shape(network.prepare, random_images((5, *image_shape)), True)
    logits, stats = jax.eval_shape(network.train, variables, images, key)
    assert sum(name.startswith("Conv") for name in variables.params) == convolutions
    assert logits.shape == (5, 10)
    assert jax.tree.structure(stats) == jax.tree.structure(variables.stats)
    assert jax.eval_shape(network.evaluate, variables, images).shape == (5, 10)


def test_initial_arrays_are_glorot_kernels_zero_biases_and_neutral_batch_norms():
    variables = small.initial(plain((32, 32, 3)))
    kernel = np.asarray(variables.params["Dense_1"]["kernel"])
    limit = (6 / (256 + 256)) ** 0.5
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    assert not np.any(variables.params["Conv_0"]["bias"])
    assert not np.any(variables.params["BatchNorm_1"]["bias"])
    assert np.all(variables.params["BatchNorm_1"]["scale"] == 1)
    assert np.all(variables.stats["batch_stats"]["BatchNorm_1"]["var"] == 1)


def test_the_last_layer_is_glorot_uniform_too():
    kernel = np.asarray(small.initial(plain((2, 2, 1))).params["Dense_2"]["kernel"])
    limit = (6 / (256 + 1)) ** 0.5
    assert np.abs(kernel).max() <= limit
    # The deviation of a uniform distribution: Flax's own initialization has 1 / 16 instead, within the same limit.
    assert abs(np.std(kernel) - limit / 3**0.5) < 0.01


@pytest.mark.parametrize(("notebook", "dense"), [(False, [0.6]), (True, [0.6, 0.6])])
def test_dropout_rates_are_the_articles(notebook, dense, monkeypatch):
    rates, real = [], article.dropout_batch_first

    def noted(x, seed, layer, rate):
        rates.append((layer, rate))
        return real(x, seed, layer, rate)

    monkeypatch.setattr(article, "dropout_batch_first", noted)
    images = jnp.zeros((2, 32, 32, 3))
    net, streams = ArticleNet(second_dropout=notebook), {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    jax.eval_shape(lambda: net.init(streams, images, train=True))
    assert rates == list(enumerate([0.2, 0.2, 0.2, 0.2, 0.6, *dense]))


def test_sizes_and_batch_norm_are_the_articles():
    assert article.FILTERS == (4, 8, 16, 32, 64)
    assert (article.DENSE_UNITS, article.MOMENTUM, article.EPSILON) == (256, 0.99, 1e-3)


def test_training_draws_dropout_from_the_key_and_evaluation_draws_none():
    network = plain((8, 8, 1))
    variables = small.initial(network)
    images = random_images((4, 8, 8, 1))
    train = jax.jit(network.train)
    logits = [train(variables, network.prepare(images, True), jax.random.key(k))[0] for k in (1, 1, 2)]
    np.testing.assert_array_equal(logits[0], logits[1])
    assert np.all(logits[0] != logits[2])
    evaluated = [jax.jit(network.evaluate)(variables, network.prepare(images[:n], False)) for n in (4, 1)]
    np.testing.assert_allclose(evaluated[0][:1], evaluated[1], rtol=1e-5)


def test_running_statistics_of_the_input_move_a_hundredth_of_the_way_to_the_batch():
    network = plain((8, 8, 1))
    variables = small.initial(network)
    images = random_images((16, 8, 8, 1))
    _, stats = jax.jit(network.train)(variables, network.prepare(images, True), jax.random.key(1))
    pixels = images / 255.0
    moved = stats["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(moved["mean"], [0.01 * pixels.mean()], rtol=1e-5)
    np.testing.assert_allclose(moved["var"], [0.99 + 0.01 * pixels.var()], rtol=1e-5)


@pytest.mark.parametrize(("image_shape", "outputs"), [((0, 8, 1), 1), ((8, 8, 1), 0)])
def test_sizes_that_are_not_positive_are_named_in_the_error(image_shape, outputs):
    with pytest.raises(InputError, match="at least 1"):
        plain(image_shape, outputs=outputs)
