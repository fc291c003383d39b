//! Margin measures in the output layer.
