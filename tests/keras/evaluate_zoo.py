"""Evaluates a competition directory the way the competition's own kit does, with Keras 2.

usage: evaluate_zoo.py TASK_FOLDER CONFIGS OUTPUT.json

Builds every network from its config.json by class names of keras.layers, loads its weights, reads the shards with
TensorFlow, and writes {"<ID>": {"train_acc", "test_acc", "listed_train_acc", "listed_test_acc"}}.
"""

import glob
import json
import os
import sys

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tf_keras as keras


def read_split(folder):
    files = sorted(glob.glob(os.path.join(folder, "shard_*.tfrecord")))
    features = {"inputs": tf.io.FixedLenFeature([], tf.string), "output": tf.io.FixedLenFeature([], tf.string)}
    inputs, labels = [], []
    for record in tf.data.TFRecordDataset(files):
        example = tf.io.parse_single_example(record, features)
        inputs.append(tf.io.parse_tensor(example["inputs"], tf.float32).numpy())
        labels.append(tf.io.parse_tensor(example["output"], tf.int32).numpy())
    return np.stack(inputs), np.array(labels)


def build(config):
    model = keras.Sequential()
    for layer in config["model_config"]:
        arguments = {key: value for key, value in layer.items() if key != "layer_name"}
        model.add(getattr(keras.layers, layer["layer_name"])(**arguments))
    model.build([None, *config["input_shape"]])
    return model


def main():
    task, configs, output = sys.argv[1:]
    splits = {split: read_split(os.path.join(task, "dataset_1", split)) for split in ("train", "test")}
    with open(configs) as file:
        listed = json.load(file)
    report = {}
    for network, entry in listed.items():
        folder = os.path.join(task, f"model_{network}")
        with open(os.path.join(folder, "config.json")) as file:
            model = build(json.load(file))
        initial = [weight.copy() for weight in model.get_weights()]
        model.load_weights(os.path.join(folder, "weights_init.hdf5"))
        assert len(initial) == len(model.get_weights())
        model.load_weights(os.path.join(folder, "weights.hdf5"))
        row = {}
        for split, (inputs, labels) in splits.items():
            predicted = model.predict(inputs, batch_size=256, verbose=0).argmax(axis=1)
            row[f"{split}_acc"] = float((predicted == labels).mean())
            row[f"listed_{split}_acc"] = entry["metrics"][f"{split}_acc"]
        report[network] = row
    with open(output, "w") as file:
        json.dump(report, file)


if __name__ == "__main__":
    main()
