//! Zero marks: constant, random, the hyperparameter grid, a noisy oracle, training error and loss.
