//! Whole-program tests: the program as its users meet it.

mod cli;
mod composites;
mod damaged;
mod kit;
mod plugins;
mod report;
mod support;
