//! Every measure family that comes with pgdl.
