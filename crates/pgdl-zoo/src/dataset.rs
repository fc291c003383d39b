//! Inputs and labels, as networks take them.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::tensor_memory::{on_cpu, with_elements};
use crate::{Result, ZooError};

/// Which half of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// What networks are trained on.
    Train,
    /// What they are tested on.
    Test,
}

impl Split {
    /// `train` or `test`, as folders and files are named.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A labelled sample, on the CPU.
///
/// [`Dataset::new`] guarantees: as many labels as inputs, no negative label, no NaN or infinity.
#[derive(Debug)]
pub struct Dataset {
    /// `[N, H, W, C]` (or `[N, features]`), f32, contiguous, as fed to the network.
    pub inputs: Tensor,
    /// `[N]`, i64, class indices from 0.
    pub labels: Tensor,
}

impl Dataset {
    /// Takes `inputs` `[N, …]` and `labels` `[N]`, on any device and of any numeric kind; moves them to the CPU as
    /// f32 and i64 (without a copy when they are there already).
    ///
    /// # Errors
    /// When the counts differ, a label is negative, or an input is not finite.
    pub fn new(inputs: Tensor, labels: Tensor) -> Result<Self> {
        let dataset =
            Dataset { inputs: on_cpu(&inputs, Kind::Float)?, labels: on_cpu(&labels, Kind::Int64)? };
        let (inputs, labels) = (dataset.inputs.size(), dataset.labels.size());
        match (inputs.as_slice(), labels.as_slice()) {
            ([n, ..], [m]) if n == m => {}
            _ => {
                return Err(ZooError::Invalid(format!(
                    "inputs of shape {inputs:?} and labels of shape {labels:?} do not belong together"
                )));
            }
        }
        let negative = with_elements(&dataset.labels, |labels: &[i64]| {
            labels.iter().enumerate().find(|(_, label)| **label < 0).map(|(sample, label)| (sample, *label))
        })?;
        if let Some((sample, label)) = negative {
            return Err(ZooError::Invalid(format!("sample {sample} has the label {label}")));
        }
        let per_sample = inputs[1..].iter().product::<i64>().max(1) as usize;
        let bad = with_elements(&dataset.inputs, |values: &[f32]| {
            values.par_iter().position_first(|value| !value.is_finite()).map(|index| index / per_sample)
        })?;
        if let Some(sample) = bad {
            return Err(ZooError::Invalid(format!("the input of sample {sample} is not finite")));
        }
        Ok(dataset)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.numel()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one input, without the batch axis.
    pub fn input_shape(&self) -> Vec<i64> {
        self.inputs.size().split_off(1)
    }

    /// The smallest number of classes that the labels fit in: the largest label + 1.
    pub fn classes(&self) -> Result<i64> {
        with_elements(&self.labels, |labels: &[i64]| labels.iter().max().map_or(0, |label| label + 1))
    }

    /// Checks the sample against a network: inputs of `input_shape`, labels below `classes`.
    pub fn check_fits(&self, input_shape: &[i64], classes: i64) -> Result<()> {
        if self.input_shape() != input_shape {
            return Err(ZooError::Invalid(format!(
                "the data have inputs of shape {:?}, the network takes {input_shape:?}",
                self.input_shape()
            )));
        }
        let found = self.classes()?;
        if found > classes {
            return Err(ZooError::Invalid(format!(
                "the data have a label {}, the network distinguishes {classes} classes",
                found - 1
            )));
        }
        Ok(())
    }

    /// The samples at `indices`, in that order; an index may occur more than once.
    pub fn subset(&self, indices: &[i64]) -> Result<Dataset> {
        let count = self.len() as i64;
        if let Some(index) = indices.iter().find(|index| !(0..count).contains(*index)) {
            return Err(ZooError::Invalid(format!("there is no sample {index} among {count}")));
        }
        let indices = Tensor::f_from_slice(indices)?;
        Ok(Dataset {
            inputs: self.inputs.f_index_select(0, &indices)?,
            labels: self.labels.f_index_select(0, &indices)?,
        })
    }

    /// The first `n` samples, or all of them when there are no more. Shares memory with `self`.
    pub fn take(&self, n: usize) -> Result<Dataset> {
        let n = n.min(self.len()) as i64;
        Ok(Dataset { inputs: self.inputs.f_narrow(0, 0, n)?, labels: self.labels.f_narrow(0, 0, n)? })
    }

    /// Another handle to the same memory.
    pub fn shallow_clone(&self) -> Dataset {
        Dataset { inputs: self.inputs.shallow_clone(), labels: self.labels.shallow_clone() }
    }

    /// SHA-256, in hexadecimal, of: the ASCII bytes `pgdl dataset 1` and a zero byte; the rank of the inputs and
    /// each of their sizes as u64; all inputs as f32 in C order; all labels as i64. Everything little-endian.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(b"pgdl dataset 1\0");
        let shape = self.inputs.size();
        hash.update((shape.len() as u64).to_le_bytes());
        shape.iter().for_each(|size| hash.update((*size as u64).to_le_bytes()));
        with_elements(&self.inputs, |values: &[f32]| {
            update_with(&mut hash, values, |value| value.to_le_bytes());
        })?;
        with_elements(&self.labels, |labels: &[i64]| {
            update_with(&mut hash, labels, |label| label.to_le_bytes());
        })?;
        Ok(hexadecimal(&hash.finalize()))
    }
}

/// Feeds `values` to `hash` in blocks, so that no byte copy of the whole is made.
fn update_with<T: Copy, const N: usize>(hash: &mut Sha256, values: &[T], bytes: impl Fn(T) -> [u8; N]) {
    let mut block = Vec::with_capacity(N << 14);
    for part in values.chunks(1 << 14) {
        block.clear();
        part.iter().for_each(|value| block.extend_from_slice(&bytes(*value)));
        hash.update(&block);
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Dataset {
        let inputs = Tensor::from_slice(&[0f32, 0.5, -1.0, 2.0, 3.25, -0.0]).reshape([3, 2, 1, 1]);
        Dataset::new(inputs, Tensor::from_slice(&[2i64, 0, 1])).unwrap()
    }

    #[test]
    fn digest_is_sha256_of_the_documented_bytes() {
        // Python: sha256(b"pgdl dataset 1\0" + struct.pack("<5Q", 4, 3, 2, 1, 1)
        //         + struct.pack("<6f", 0, .5, -1, 2, 3.25, -0.) + struct.pack("<3q", 2, 0, 1))
        assert_eq!(
            sample().digest().unwrap(),
            "86601a2edc80b9d5e545524e1a1aeb7af0cfb3e353fd264f269e425ee5bdaea7"
        );
    }

    #[test]
    fn digest_depends_on_shape_values_labels_and_order() {
        let base = sample().digest().unwrap();
        let reshaped =
            Dataset::new(sample().inputs.reshape([3, 1, 2, 1]), sample().labels).unwrap().digest().unwrap();
        let swapped = sample().subset(&[1, 0, 2]).unwrap().digest().unwrap();
        let relabelled = Dataset::new(sample().inputs, Tensor::from_slice(&[2i64, 0, 0])).unwrap();
        assert_ne!(base, reshaped);
        assert_ne!(base, swapped);
        assert_ne!(base, relabelled.digest().unwrap());
        assert_eq!(base, sample().subset(&[0, 1, 2]).unwrap().digest().unwrap());
        assert_eq!(
            sample().take(2).unwrap().digest().unwrap(),
            sample().subset(&[0, 1]).unwrap().digest().unwrap()
        );
    }

    #[test]
    fn shapes_and_counts() {
        let data = sample();
        assert_eq!((data.len(), data.classes().unwrap(), data.input_shape()), (3, 3, vec![2, 1, 1]));
        assert_eq!(data.take(7).unwrap().len(), 3);
        assert_eq!(data.take(0).unwrap().classes().unwrap(), 0);
        assert!(data.check_fits(&[2, 1, 1], 3).is_ok());
        assert!(data.check_fits(&[2, 1, 1], 2).is_err());
        assert!(data.check_fits(&[1, 2, 1], 3).is_err());
    }

    #[test]
    fn what_no_network_can_take_is_refused() {
        let labels = || Tensor::from_slice(&[0i64, 1]);
        assert!(Dataset::new(Tensor::from_slice(&[1f32, f32::NAN]), labels()).is_err());
        assert!(Dataset::new(Tensor::from_slice(&[f32::INFINITY, 0.0]), labels()).is_err());
        assert!(Dataset::new(Tensor::from_slice(&[1f32, 2.0, 3.0]), labels()).is_err());
        assert!(Dataset::new(Tensor::from_slice(&[1f32, 2.0]), Tensor::from_slice(&[0i64, -1])).is_err());
        assert!(sample().subset(&[3]).is_err());
        assert!(sample().subset(&[-1]).is_err());
    }
}
