//! Training loops and zoo recipes.
