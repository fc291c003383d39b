"""How strongly the logits answer to what enters each layer: the mean square of the entries of those Jacobians, averaged
over the first samples and over the layers."""

import numpy as np
import tensorflow as tf

SAMPLES = 50


def complexity(model, dataset):
    inputs, _ = next(iter(dataset.take(SAMPLES).batch(SAMPLES)))
    means = []
    hidden = inputs
    for place, layer in enumerate(model.layers):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(hidden)
            outputs = hidden
            for following in model.layers[place:]:
                outputs = following(outputs, training=False)
        jacobian = tape.batch_jacobian(outputs, hidden, experimental_use_pfor=False)
        means.append(np.mean(np.square(jacobian.numpy(), dtype=np.float64)))
        hidden = layer(hidden, training=False)
    return float(np.mean(means))
