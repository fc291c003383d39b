"""Made svhn_compressed.mat and svhn_plain.mat, with SciPy 1.17: SVHN's layout in small, images of 3 x 4 pixels.

X[row, column, channel, image] = 60 row + 13 column + 5 channel + 29 image (modulo 256); y = 10, 1, 9, 10, 3.
svhn_plain.mat has the labels as doubles, variables of other kinds around the two, and no compression.
"""

import numpy as np
from scipy.io import savemat

row, column, channel, image = np.ogrid[:3, :4, :3, :5]
pixels = ((60 * row + 13 * column + 5 * channel + 29 * image) % 256).astype(np.uint8)
labels = np.array([[10], [1], [9], [10], [3]])
savemat("svhn_compressed.mat", {"X": pixels, "y": labels.astype(np.uint8)}, do_compression=True)
others = {"about": "text", "parts": {"a": 1.5, "b": [1, 2]}, "cells": np.array(["u", 2.5], dtype=object)}
savemat("svhn_plain.mat", {**others, "X": pixels, "z": np.array([1 + 2j]), "y": labels.astype(np.float64)})
