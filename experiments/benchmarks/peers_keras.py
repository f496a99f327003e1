"""Keras: fit of one configuration after another, on the backend that KERAS_BACKEND names."""

from typing import Any

import keras
import numpy as np
from keras import layers

from experiments.benchmarks import cases
from experiments.benchmarks.cases import Case, Ready


def article(size: int) -> Any:
    """The article's network, images uint8 ``[B, H, W, 3]``."""
    model = keras.Sequential([keras.Input((size, size, 3), dtype="uint8"), layers.Rescaling(1 / 255), norm()])
    for filters, rate in cases.ARTICLE_BLOCKS:
        if size < 2:
            break
        for layer in (layers.Conv2D(filters, 3, padding="same"), layers.MaxPooling2D(), layers.ReLU(), norm()):
            model.add(layer)
        model.add(layers.Dropout(rate))
        size //= 2
    model.add(layers.Flatten())
    for layer in (layers.Dense(256, "relu"), norm(), layers.Dropout(0.6), layers.Dense(256, "relu"), norm()):
        model.add(layer)
    model.add(layers.Dense(1))
    return model


def norm() -> Any:
    """As in the article; the defaults of Keras."""
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3)


def resnet(size: int) -> Any:
    """The residual network, images uint8 ``[B, H, W, 3]``."""
    inputs = keras.Input((size, size, 3), dtype="uint8")
    x = convolution(layers.Rescaling(1 / 255)(inputs), cases.RESNET_CHANNELS[0], 3, 1)
    x = layers.ReLU()(x)
    for i, channels in enumerate(cases.RESNET_CHANNELS):
        stride = 1 if i == 0 else 2
        y = layers.ReLU()(convolution(x, channels, 3, stride))
        y = convolution(y, channels, 3, 1)
        shortcut = x if x.shape == y.shape else convolution(x, channels, 1, stride)
        x = layers.ReLU()(layers.Add()([y, shortcut]))
    return keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))


def convolution(x: Any, channels: int, width: int, stride: int) -> Any:
    """Convolution and batch norm."""
    x = layers.Conv2D(channels, width, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-5)(x)


def build(case: Case) -> Ready:
    """A compiled model; several steps are one call of the backend where it can."""
    keras.utils.set_random_seed(0)
    model = article(case.image_size) if case.model == "article" else resnet(case.image_size)
    model.compile(
        optimizer=keras.optimizers.SGD(float(cases.learning_rates(case.configs)[0]), cases.MOMENTUM),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        steps_per_execution=1 if keras.backend.backend() == "torch" else 8,
    )
    fed = feed(case)

    def run(passes: int) -> None:
        model.fit(**fed, epochs=passes, verbose=0)

    return Ready(run, sum(int(np.prod(w.shape)) for w in model.trainable_weights))


def feed(case: Case) -> dict[str, Any]:
    """What fit takes: a cached tf.data pipeline for TensorFlow, whole arrays for the others."""
    images, labels = cases.data(case)
    if keras.backend.backend() != "tensorflow":
        x, y = images.reshape(-1, *images.shape[2:]), labels.reshape(-1, 1).astype(np.float32)
        return {"x": x, "y": y, "batch_size": case.batch_size, "shuffle": False}
    import tensorflow as tf  # one of three backends, of which it may be the one that is not installed

    pairs = tf.data.Dataset.from_tensor_slices((images, labels[..., None].astype(np.float32)))
    return {"x": pairs.cache().prefetch(tf.data.AUTOTUNE)}
