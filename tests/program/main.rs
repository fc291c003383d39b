//! Whole-program tests: the program as its users meet it.

mod cli;
mod composites;
mod damaged;
mod executables;
mod kit;
mod nc;
mod plugins;
mod report;
mod reproduce;
mod results;
mod sandbox;
mod slurm;
mod small_zoo;
mod submissions;
mod submit;
mod support;
mod tiny;
