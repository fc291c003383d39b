"""A bound on the VC dimension of networks of this architecture, as in the competition's first baseline.

d + 2 d ln(22 d 32²) n, with d the number of kernels and n the number of values in them.
"""

import math


def complexity(model, dataset):
    kernels = [weight for weight in model.trainable_weights if "kernel" in weight.name]
    depth = len(kernels)
    values = sum(math.prod(kernel.shape) for kernel in kernels)
    return depth + depth * values * 2 * math.log(11 * 2 * depth * 32 ** 2)
