//! Data that a zoo names instead of holding them.
