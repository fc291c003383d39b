#!/usr/bin/env python3
"""Compute logits with real Keras of model folders that pgdl wrote.

usage: read_models.py FOLDER --keras 2|3

Every folder NAME in FOLDER with `config.json`, `weights.hdf5` and `x.npy` (inputs) receives `logits.npy`.
A `config.json` in PGDL's form is built layer by layer from class names, as the competition's kit does; one in Keras's
form by `model_from_json`. `--keras 2` is the package `tf_keras`, `--keras 3` the package `keras`.
"""

import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np


def load_keras(version):
    if version == "2":
        import tf_keras

        return tf_keras
    import keras

    return keras


def build(keras, config):
    if "model_config" not in config:
        return keras.models.model_from_json(json.dumps(config))
    stack = []
    for entry in config["model_config"]:
        settings = {key: value for key, value in entry.items() if key != "layer_name"}
        # The kit turns every float that can be one into an integer.
        for key, value in settings.items():
            if isinstance(value, float) and value.is_integer():
                settings[key] = int(value)
        stack.append(getattr(keras.layers, entry["layer_name"])(**settings))
    model = keras.Sequential(stack)
    model.build([None] + config["input_shape"])
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--keras", choices=["2", "3"], required=True)
    options = parser.parse_args()
    keras = load_keras(options.keras)
    for inputs in sorted(options.folder.glob("*/x.npy")):
        folder = inputs.parent
        model = build(keras, json.loads((folder / "config.json").read_text()))
        model.load_weights(str(folder / "weights.hdf5"))
        np.save(folder / "logits.npy", np.asarray(model(np.load(inputs), training=False)))
        print(folder.name)


if __name__ == "__main__":
    sys.exit(main())
