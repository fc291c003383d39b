//! A zoo on disk.
