//! Whole-program tests: the program as its users meet it.

mod cli;
mod composites;
mod damaged;
mod executables;
mod kit;
mod sandbox;
mod plugins;
mod small_zoo;
mod submissions;
mod submit;
mod report;
mod support;
