"""How much the loss rises when every weight tensor takes one step uphill, in proportion to its own norm."""

import tensorflow as tf

SAMPLES = 1000
STEP = 0.01


def complexity(model, dataset):
    inputs, labels = next(iter(dataset.take(SAMPLES).batch(SAMPLES)))
    cross_entropy = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, model(inputs, training=False))
    gradients = tape.gradient(loss, model.trainable_weights)
    for weight, gradient in zip(model.trainable_weights, gradients):
        weight.assign_add(STEP * tf.norm(weight) * gradient / (tf.norm(gradient) + 1e-12))
    risen = cross_entropy(labels, model(inputs, training=False))
    return float(risen - loss)
