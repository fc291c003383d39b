//! Capacity measures: parameters, depth, VC-dimension bounds.
