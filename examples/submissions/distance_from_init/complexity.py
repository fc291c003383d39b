"""The squared distance of the weights from where training began."""

import numpy as np


def complexity(model, dataset):
    pairs = zip(model.get_weights(), model.initial_weights)
    return sum(float(np.sum(np.square(now.astype(np.float64) - then))) for now, then in pairs)
