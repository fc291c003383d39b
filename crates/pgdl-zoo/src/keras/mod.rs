//! Keras files: architectures as JSON, weights as HDF5.
