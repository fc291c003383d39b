//! The files of a PGDL task directory.
