//! Agreement between a measure's ranking of networks and their true generalization gaps.
