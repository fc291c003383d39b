//! Time to score one measure.

fn main() {}
