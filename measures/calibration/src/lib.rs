//! Calibration measures of the predictions on the training sample.
