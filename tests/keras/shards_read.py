"""Reads a folder of shards with TensorFlow, the way the competition's kit does, in numeric order of their names.

usage: shards_read.py FOLDER OUTPUT.npz
"""

import pathlib
import re
import sys

import numpy as np
import tensorflow as tf


def parse(record):
    features = {"inputs": tf.io.FixedLenFeature([], tf.string), "output": tf.io.FixedLenFeature([], tf.string)}
    example = tf.io.parse_single_example(record, features)
    return tf.io.parse_tensor(example["inputs"], tf.float32), tf.io.parse_tensor(example["output"], tf.int32)


def main(folder, output):
    shards = sorted(folder.glob("shard_*.tfrecord"), key=lambda path: int(re.findall(r"\d+", path.name)[0]))
    samples = list(tf.data.TFRecordDataset([str(shard) for shard in shards]).map(parse))
    inputs = np.stack([inputs.numpy() for inputs, _ in samples])
    labels = np.stack([label.numpy() for _, label in samples])
    np.savez(output, inputs=inputs, labels=labels)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
