//! Readers of data files.
