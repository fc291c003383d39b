//! Norm measures over all weights and the distance from initialization.
