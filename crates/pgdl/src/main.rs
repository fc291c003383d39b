//! The `pgdl` program: the command line with the built-in measures.

fn main() {}
