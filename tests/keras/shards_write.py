"""Writes shards with TensorFlow, in every form of payload it makes, and what they hold.

usage: shards_write.py FOLDER

FOLDER/content   serialize_tensor: values in tensor_content
FOLDER/values    TensorProto with float_val and int_val
FOLDER/constant  constant images: one float_val, to be repeated
FOLDER/zero      all-zero images: no value at all
FOLDER/expected.npz             inputs and labels of the first two
FOLDER/expected_constant.npz    of the third (compressed, Fortran order)
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

SHARDS, PER_SHARD, SHAPE = 12, 3, (5, 4, 3)


def in_values(array):
    proto = tensor_pb2.TensorProto(dtype=tf.as_dtype(array.dtype).as_datatype_enum)
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    field = proto.float_val if array.dtype == np.float32 else proto.int_val
    field.extend(array.ravel().tolist())
    return proto.SerializeToString()


def in_content(array):
    return tf.io.serialize_tensor(array).numpy()


def once(array):
    """As TensorFlow writes a constant: a single value for the whole shape."""
    value = array.ravel()[0].item()
    return tf.make_tensor_proto(value, dtype=array.dtype, shape=array.shape).SerializeToString()


def no_value(array):
    proto = tensor_pb2.TensorProto(dtype=tf.as_dtype(array.dtype).as_datatype_enum)
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    return proto.SerializeToString()


def write(folder, inputs, labels, serialize):
    folder.mkdir(parents=True)
    for shard in range(SHARDS):
        with tf.io.TFRecordWriter(str(folder / f"shard_{shard}.tfrecord")) as writer:
            for index in range(shard * PER_SHARD, (shard + 1) * PER_SHARD):
                tensors = {"inputs": inputs[index], "output": labels[index]}
                features = {
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[serialize(np.asarray(tensor))]))
                    for name, tensor in tensors.items()
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())


def main(folder):
    generator = np.random.default_rng(0)
    count = SHARDS * PER_SHARD
    inputs = generator.normal(size=(count, *SHAPE)).astype(np.float32)
    labels = generator.integers(0, 7, size=count).astype(np.int32)
    write(folder / "content", inputs, labels, in_content)
    write(folder / "values", inputs, labels, in_values)
    np.savez(folder / "expected.npz", inputs=inputs, labels=labels)
    constant = np.broadcast_to(inputs[:, :1, :1, :1], inputs.shape).astype(np.float32)
    write(folder / "constant", constant, labels, once)
    fortran = np.asfortranarray(constant)
    np.savez_compressed(folder / "expected_constant.npz", inputs=fortran, labels=labels.astype(">i8"))
    write(folder / "zero", np.zeros_like(inputs), np.zeros_like(labels), no_value)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
