"""Runs a submission of the competition Predicting Generalization in Deep Learning (2020) as a measure.

    run_submission.py FOLDER evaluate JOB

FOLDER holds complexity.py, which defines complexity(model, dataset), or with the folder as a third argument
complexity(model, dataset, program_dir):
  model    a tf.keras Sequential with the trained weights; where the zoo keeps the weights before training it has them
           as model.initial_weights, in the order of model.get_weights()
  dataset  a tf.data.Dataset of single samples (x, y): x float32 of the input's shape, y an int32 scalar
It returns a number: larger predicts a larger gap. JOB and the answer are described in docs/executables.md.

Where tf_keras (Keras 2) is installed it is used, as in 2020; otherwise the Keras that TensorFlow brings.
"""

import importlib.util
import inspect
import json
import math
import os
import random
import sys
import traceback

# The answer goes where standard output was; whatever a submission prints is talk.
ANSWER = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.stdout = sys.stderr


def answer(**fields):
    json.dump(fields, ANSWER, allow_nan=False)
    ANSWER.write("\n")
    ANSWER.close()
    # Neither threads that a submission left running nor what it registered for its end have a say any more.
    sys.stderr.flush()
    os._exit(0)


def load_model(job, keras):
    """The model of config.json, with its weights and its initial weights."""
    with open(job["config"]) as file:
        config = json.load(file)
    if "model_config" in config:
        model = keras.Sequential()
        shape = config["input_shape"]
        for index, entry in enumerate(config["model_config"]):
            arguments = dict(entry)
            layer = getattr(keras.layers, arguments.pop("layer_name"))
            if index == 0:
                arguments["input_shape"] = shape
            model.add(layer(**arguments))
        model.build([None] + list(shape))
    else:
        model = keras.models.model_from_json(json.dumps(config))
    if job["initial_weights"] is not None:
        model.load_weights(job["initial_weights"])
        model.initial_weights = model.get_weights()
    model.load_weights(job["weights"])
    return model


def array(description):
    """An array of the job, read-only, straight from its file."""
    import numpy

    return numpy.memmap(
        description["file"],
        dtype=numpy.dtype(description["dtype"]).newbyteorder("<"),
        mode="r",
        offset=description["offset"],
        shape=tuple(description["shape"]),
    )


def dataset(job, tensorflow):
    """Single samples, in the order of the sample."""
    inputs, labels = array(job["data"]["inputs"]), array(job["data"]["labels"])
    inputs = tensorflow.data.Dataset.from_tensor_slices(inputs)
    labels = tensorflow.data.Dataset.from_tensor_slices(labels)
    return tensorflow.data.Dataset.zip((inputs, labels))


def main():
    folder, action, job = sys.argv[1:]
    if action != "evaluate":
        sys.exit(f"cannot {action}")
    with open(job) as file:
        job = json.load(file)
    if job["protocol"] != 1:
        sys.exit(f"protocol {job['protocol']} is not known here")
    if job["device"] == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if importlib.util.find_spec("tf_keras"):
        # Then tf.keras is Keras 2, for the submission, too.
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import numpy
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    random.seed(job["seed"])
    numpy.random.seed(job["seed"])
    tensorflow.random.set_seed(job["seed"])

    model = load_model(job, tensorflow.keras)
    sys.path.insert(0, folder)
    os.chdir(job["scratch"])
    from complexity import complexity

    # Arguments with defaults are the submission's own, save the folder.
    names = list(inspect.signature(complexity).parameters)
    third = [folder] if len(names) > 2 and names[2] == "program_dir" else []
    value = complexity(model, dataset(job, tensorflow), *third)
    try:
        value = float(value)
    except (TypeError, ValueError):
        answer(status="failed", reason=f"complexity returned {str(value)[:100]!r}, which is no number")
    if not math.isfinite(value):
        answer(status="undefined", reason=f"complexity returned {value}")
    answer(value=value)


if __name__ == "__main__":
    try:
        main()
    except SystemExit:
        raise
    except BaseException as error:
        traceback.print_exc()
        text = str(error).strip().splitlines()
        answer(status="failed", reason=f"{type(error).__name__}: {text[0] if text else 'no message'}"[:1000])
