"""The sum of the squares of all weights."""

import numpy as np


def complexity(model, dataset):
    return sum(float(np.sum(np.square(weight, dtype=np.float64))) for weight in model.get_weights())
