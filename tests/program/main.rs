//! Whole-program tests: the program as its users meet it.

mod cli;
mod kit;
mod support;
