//! Fetching of public data sets.
