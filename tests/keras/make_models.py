#!/usr/bin/env python3
"""Save models of every supported layer with real Keras, in every format it writes.

usage: make_models.py FOLDER [--keras 2|3] [--seed N]

  FOLDER     is created; per model NAME it receives
               NAME.keras, NAME.model.h5, NAME.weights.h5, NAME.hdf5 (legacy weights),
               NAME.json (architecture), NAME.npz (arrays `x` inputs, `logits` outputs)
  --keras    3: the package `keras` (default); 2: the package `tf_keras`
  --seed     seed of weights and inputs (default 0)

Outputs are logits: where a model ends in a softmax, `logits` is what goes into it.
Prints the names of the models, one per line.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--keras", choices=["2", "3"], default="3")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load_keras(version):
    if version == "2":
        import tf_keras

        return tf_keras
    import keras

    return keras


def sequential(keras, shape, layers):
    return keras.Sequential([keras.Input(shape), *layers])


def models(keras, version):
    """Name → function that builds the model. Each exercises one corner of the format."""
    layers = keras.layers
    conv = layers.Conv2D

    def normalizations():
        return sequential(keras, (9, 9, 3), [
            conv(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            conv(6, 3, strides=2, padding="same"),
            layers.BatchNormalization(center=False, epsilon=1e-5, momentum=0.9),
            layers.Activation("elu"),
            conv(6, (2, 3), padding="same"),
            layers.BatchNormalization(scale=False),
            layers.Activation("tanh"),
            conv(5, 1),
            layers.BatchNormalization(scale=False, center=False, epsilon=0.01),
            layers.BatchNormalization(axis=1),
            layers.LayerNormalization(),
            layers.LayerNormalization(axis=[1, 2, 3], center=False),
            layers.LayerNormalization(axis=[2, 3], scale=False, epsilon=1e-2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7),
            layers.BatchNormalization(),
            layers.Dense(4, activation="softmax"),
        ])

    def convolutions():
        return sequential(keras, (13, 11, 4), [
            conv(8, 3, strides=2, padding="same", activation="relu"),
            conv(8, 3, groups=2, padding="same", activation="selu"),
            conv(6, 3, dilation_rate=2, padding="same", activation="softplus"),
            layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, activation="tanh"),
            layers.SeparableConv2D(9, (3, 2), padding="same", depth_multiplier=2, activation="sigmoid"),
            layers.SeparableConv2D(5, 2, padding="valid", use_bias=False),
            layers.DepthwiseConv2D(2, use_bias=False),
            layers.ZeroPadding2D(((1, 0), (2, 1))),
            conv(4, (1, 3), strides=(2, 1), padding="valid"),
            layers.Flatten(),
            layers.Dense(5),
        ])

    def pools():
        return sequential(keras, (15, 14, 3), [
            layers.Rescaling(1 / 3, offset=-0.2),
            conv(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(3, strides=2, padding="same"),
            layers.AveragePooling2D(3, strides=2, padding="same"),
            layers.SpatialDropout2D(0.3),
            conv(6, 3, padding="same"),
            layers.MaxPooling2D((2, 1)),
            layers.AveragePooling2D(2, strides=1),
            layers.GaussianNoise(0.1),
            layers.GaussianDropout(0.1),
            layers.GlobalMaxPooling2D(keepdims=True),
            layers.Permute((3, 1, 2)),
            layers.Reshape((2, -1)),
            layers.Flatten(),
            layers.AlphaDropout(0.1),
            layers.ActivityRegularization(l2=0.01),
            layers.Dropout(0.5),
            layers.Dense(3),
            layers.Softmax(),
        ])

    def activations():
        names = ["relu", "elu", "selu", "gelu", "tanh", "sigmoid", "softplus", "softsign", "swish",
                 "hard_sigmoid", "exponential", "linear", "relu6", "mish", "leaky_relu"]
        if version == "3":
            names += ["hard_silu", "log_softmax"]
        leaky = "negative_slope" if version == "3" else "alpha"
        stack = []
        for name in names:
            stack += [layers.Dense(6, activation=name), layers.LayerNormalization()]
        stack += [
            layers.LeakyReLU(**{leaky: 0.15}),
            layers.Dense(6, activation=layers.LeakyReLU(**{leaky: 0.05})),
            layers.ELU(alpha=0.6),
            layers.PReLU(alpha_initializer="random_normal"),
            layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2),
            layers.Dense(6, activation=keras.activations.tanh),
            layers.ReLU(6.0),
            layers.Dense(4),
            layers.Activation("softmax"),
        ]
        return sequential(keras, (5,), stack)

    def shared_slopes():
        return sequential(keras, (6, 5, 3), [
            conv(4, 3, padding="same"),
            layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_normal"),
            conv(4, 3, padding="same"),
            layers.PReLU(alpha_initializer="random_normal"),
            layers.Flatten(),
            layers.Dense(3),
        ])

    def residual():
        inputs = keras.Input((8, 8, 3))
        relu = layers.ReLU()
        x = conv(6, 3, padding="same", use_bias=False, name="stem")(inputs)
        x = relu(layers.BatchNormalization()(x))
        for block, (width, stride) in enumerate([(6, 1), (10, 2), (10, 1)]):
            short = x
            y = conv(width, 3, strides=stride, padding="same", use_bias=False, name=f"b{block}_a")(x)
            y = relu(layers.BatchNormalization()(y))
            y = conv(width, 3, padding="same", use_bias=False, name=f"a{block}_b")(y)
            y = layers.BatchNormalization()(y)
            if short.shape != y.shape:
                short = conv(width, 1, strides=stride, use_bias=False, name=f"z{block}_short")(short)
                short = layers.BatchNormalization()(short)
            x = layers.Activation("relu")(layers.Add()([y, short]))
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, layers.Dense(5, activation="softmax", name="head")(x))

    def operators():
        inputs = keras.Input((6, 6, 2))
        a = conv(4, 3, padding="same")(inputs)
        b = conv(4, 1)(inputs)
        c = layers.add([a, b, a])
        x = a + c if version == "3" else layers.Add()([a, c])
        return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))

    def deep():
        stack = []
        for index in range(30):
            stack += [conv(3, 3, padding="same", activation="tanh", name=f"convolution_with_a_long_name_{index:03}"),
                      layers.BatchNormalization()]
        return sequential(keras, (5, 5, 1), stack + [layers.Flatten(), layers.Dense(2)])

    return {f.__name__: f for f in
            [normalizations, convolutions, pools, activations, shared_slopes, residual, operators, deep]}


def randomize(model, generator):
    """Weights that no initializer gives: every gamma, beta, mean and bias differs."""
    values = []
    for weight in model.get_weights():
        scale = 1 / np.sqrt(max(1, np.prod(weight.shape[:-1])))
        values.append((scale * generator.normal(size=weight.shape)).astype("float32"))
    model.set_weights(values)
    for layer in model.layers:
        if "BatchNormalization" in type(layer).__name__:
            weights = layer.get_weights()
            weights[-1] = np.abs(weights[-1]) + 0.5
            weights[0] = weights[0] + 1
            if layer.scale is False and layer.center is False:
                weights[0] = weights[0] - 1
            layer.set_weights(weights)


def logits(keras, model, inputs):
    last = model.layers[-1]
    name = type(last).__name__
    if name == "Softmax" or name == "Activation" and last.activation.__name__ == "softmax":
        return np.asarray(keras.Model(model.inputs, model.layers[-2].output)(inputs))
    activation = getattr(last, "activation", None)
    if activation is not None and activation.__name__ == "softmax":
        last.activation = keras.activations.linear
        output = np.asarray(keras.Model(model.inputs, last(model.layers[-2].output))(inputs))
        last.activation = activation
        return output
    return np.asarray(model(inputs))


def main():
    options = arguments()
    keras = load_keras(options.keras)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, build in models(keras, options.keras).items():
        generator = np.random.default_rng([options.seed, len(name)])
        model = build()
        randomize(model, generator)
        inputs = generator.normal(size=(8, *model.input_shape[1:])).astype("float32")
        base = options.folder / name
        np.savez(f"{base}.npz", x=inputs, logits=logits(keras, model, inputs))
        pathlib.Path(f"{base}.json").write_text(model.to_json())
        model.save(f"{base}.keras")
        model.save(f"{base}.model.h5")
        model.save_weights(f"{base}.weights.h5")
        if options.keras == "2":
            model.save_weights(f"{base}.hdf5")
        else:
            from keras.src.legacy.saving import legacy_h5_format
            import h5py

            with h5py.File(f"{base}.hdf5", "w") as file:
                legacy_h5_format.save_weights_to_hdf5_group(file, model)
        print(name)


if __name__ == "__main__":
    sys.exit(main())
