//! Whole-program tests: the program as its users meet it.

mod cli;
mod composites;
mod damaged;
mod executables;
#[path = "../../crates/pgdl-zoo/tests/fake_mnist/mod.rs"]
mod fake_mnist;
mod kit;
mod manifests;
mod nc;
mod plugins;
mod privileges;
mod report;
mod reproduce;
mod results;
mod sandbox;
mod slurm;
mod small_zoo;
mod submissions;
mod submit;
mod submitted_plugins;
mod support;
mod train;
