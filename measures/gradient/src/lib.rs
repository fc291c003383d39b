//! Gradient measures: Jacobian norms.
