//! Values of hyperparameters and their axes.
