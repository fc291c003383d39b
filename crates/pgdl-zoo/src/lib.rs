//! Zoos of trained networks: the PGDL task layout, Keras files, data sets.
