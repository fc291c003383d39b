//! Plans, workers and records: measures evaluated on the networks of a zoo.
