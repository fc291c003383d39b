//! Plans, workers and records: measures evaluated on the networks of a zoo.

mod record;

pub use record::{Detail, Key, LayerValue, LineError, Passes, Record, SCHEMA, Status};
