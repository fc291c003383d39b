//! The folder from which programs read: networks and samples, written out for them and for nothing else.
//!
//! ```text
//! <staging>/data/<digest>/{inputs,labels}.npy        the training sample, once for all workers of a run
//! <staging>/job-<pid>/network/{config.json, weights.hdf5, weights_init.hdf5, weights.raw, weights_init.raw, job.json}
//! <staging>/job-<pid>/{scratch, root, report.json}
//! ```

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pgdl_measure::{MeasureError, Probe};
use pgdl_network::Network;
use pgdl_zoo::data::npy::write_npy;
use pgdl_zoo::hdf5::Storage;
use pgdl_zoo::writer::write_network;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::protocol::{Array, ParameterArray};

/// A run's staging folder, as one worker uses it.
#[derive(Debug)]
pub(crate) struct Staging {
    root: PathBuf,
    sample: Mutex<Option<Sample>>,
}

/// The sample that was written last. The tensors are held so that no other sample can take their place in memory.
#[derive(Debug)]
struct Sample {
    inputs: Tensor,
    labels: Tensor,
    written: WrittenSample,
}

/// Where the sample is.
#[derive(Clone, Debug)]
pub(crate) struct WrittenSample {
    pub folder: PathBuf,
    /// With files relative to `folder`.
    pub inputs: Array,
    /// With files relative to `folder`.
    pub labels: Array,
}

/// Where a job's files are.
#[derive(Debug)]
pub(crate) struct JobFolder {
    root: PathBuf,
}

impl JobFolder {
    /// What the program reads.
    pub(crate) fn network(&self) -> PathBuf {
        self.root.join("network")
    }

    /// Where the program writes, when it is in no sandbox.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// An empty folder, for a sandbox to build its world on.
    pub(crate) fn world(&self) -> PathBuf {
        self.root.join("root")
    }

    /// Where a sandbox tells how it went.
    pub(crate) fn report(&self) -> PathBuf {
        self.root.join("report.json")
    }
}

impl Drop for JobFolder {
    fn drop(&mut self) {
        // What cannot be removed goes with the staging folder at the end of the run.
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Staging {
    pub(crate) fn new(root: &Path) -> Staging {
        Staging { root: root.to_owned(), sample: Mutex::new(None) }
    }

    /// Makes the folders of a job, empty.
    pub(crate) fn job(&self) -> io::Result<JobFolder> {
        let job = JobFolder { root: self.root.join(format!("job-{}", std::process::id())) };
        match fs::remove_dir_all(&job.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for folder in [job.network(), job.scratch(), job.world()] {
            fs::create_dir_all(&folder)?;
        }
        Ok(job)
    }

    /// Writes the probe's training sample, unless it is there already.
    pub(crate) fn sample(&self, probe: &Probe) -> Result<WrittenSample, MeasureError> {
        let mut kept = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = &*kept
            && same_memory(&sample.inputs, probe.inputs())
            && same_memory(&sample.labels, probe.labels())
        {
            return Ok(sample.written.clone());
        }
        let inputs = probe.inputs().f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
        let labels = probe.labels().f_to_device(Device::Cpu)?.f_to_kind(Kind::Int)?.f_contiguous()?;
        let name = name_of(&inputs, &labels)?;
        let folder = self.root.join("data").join(&name);
        if !folder.join("complete").exists() {
            write_sample(&folder, &inputs, &labels).map_err(cannot_write)?;
        }
        let written = WrittenSample {
            inputs: npy(&folder, "inputs.npy", "float32", 4, &inputs).map_err(cannot_write)?,
            labels: npy(&folder, "labels.npy", "int32", 4, &labels).map_err(cannot_write)?,
            folder,
        };
        *kept = Some(Sample {
            inputs: probe.inputs().shallow_clone(),
            labels: probe.labels().shallow_clone(),
            written: written.clone(),
        });
        Ok(written)
    }
}

/// Writes a network's files into a job's folder. Gives its tensors, those of the final weights first, with files
/// relative to the folder.
pub(crate) fn write_networks(
    folder: &Path,
    network: &Network,
    initial: Option<&Network>,
) -> Result<(Vec<ParameterArray>, Option<Vec<ParameterArray>>), MeasureError> {
    let plain = |network: &Network| network.to_device(Device::Cpu)?.to_kind(Kind::Float);
    let network = plain(network)?;
    let initial = initial.map(plain).transpose()?;
    write_network(folder, &network, initial.as_ref(), Storage::Plain)
        .map_err(|error| MeasureError::Failed(error.to_string()))?;
    let parameters = raw(folder, "weights.raw", &network)?;
    let initial = initial.map(|initial| raw(folder, "weights_init.raw", &initial)).transpose()?;
    Ok((parameters, initial))
}

/// Lets everybody read what is in a folder: a sandbox may run as nobody.
pub(crate) fn publish(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            publish(&entry.path())?;
        } else if entry.file_type()?.is_file() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}

fn same_memory(one: &Tensor, other: &Tensor) -> bool {
    one.data_ptr() == other.data_ptr()
        && one.size() == other.size()
        && one.kind() == other.kind()
        && one.device() == other.device()
}

fn name_of(inputs: &Tensor, labels: &Tensor) -> Result<String, MeasureError> {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", inputs.size()));
    for tensor in [inputs, labels] {
        each_chunk(tensor, |bytes| {
            hash.update(bytes);
            Ok(())
        })
        .map_err(cannot_write)?;
    }
    Ok(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// A folder appears in full or not at all: workers of one run share it.
fn write_sample(folder: &Path, inputs: &Tensor, labels: &Tensor) -> io::Result<()> {
    let part = folder.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&part)?;
    let write = |name: &str, tensor: &Tensor| write_npy(&part.join(name), tensor).map_err(io::Error::other);
    write("inputs.npy", inputs)?;
    write("labels.npy", labels)?;
    fs::write(part.join("complete"), [])?;
    publish(&part)?;
    match fs::rename(&part, folder) {
        // Another worker was faster.
        Err(_) if folder.join("complete").exists() => fs::remove_dir_all(&part),
        renamed => renamed,
    }
}

/// A `.npy` file's array; its values are the end of the file.
fn npy(folder: &Path, name: &str, dtype: &str, bytes: u64, tensor: &Tensor) -> io::Result<Array> {
    let length = fs::metadata(folder.join(name))?.len();
    let offset = length
        .checked_sub(tensor.numel() as u64 * bytes)
        .ok_or_else(|| io::Error::other(format!("{name} is too short")))?;
    Ok(Array { file: name.to_owned(), offset, dtype: dtype.to_owned(), shape: tensor.size() })
}

/// Writes all tensors of a network, one after the other.
fn raw(folder: &Path, name: &str, network: &Network) -> Result<Vec<ParameterArray>, MeasureError> {
    let file = File::create(folder.join(name)).map_err(cannot_write)?;
    let mut file = BufWriter::new(file);
    let mut arrays = Vec::new();
    let mut offset = 0;
    for parameter in network.parameters() {
        let tensor = parameter.tensor.f_contiguous()?;
        each_chunk(&tensor, |bytes| file.write_all(bytes)).map_err(cannot_write)?;
        let array =
            Array { file: name.to_owned(), offset, dtype: "float32".to_owned(), shape: tensor.size() };
        arrays.push(ParameterArray {
            layer: network.architecture().nodes[parameter.node].name.clone(),
            name: parameter.spec.name.to_owned(),
            trainable: parameter.spec.role.trainable(),
            array,
        });
        offset += tensor.numel() as u64 * 4;
    }
    file.flush().map_err(cannot_write)?;
    Ok(arrays)
}

/// The bytes of a contiguous CPU tensor of 4-byte elements, little-endian, piece by piece.
fn each_chunk(tensor: &Tensor, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    const PIECE: usize = 1 << 16;
    let elements = tensor.f_reshape([-1]).map_err(io::Error::other)?;
    let mut values = vec![0u8; PIECE * 4];
    let mut at = 0;
    let count = elements.numel();
    while at < count {
        let length = PIECE.min(count - at);
        let piece = elements.f_narrow(0, at as i64, length as i64).map_err(io::Error::other)?;
        let bytes = &mut values[..length * 4];
        piece.f_copy_data_u8(bytes, length).map_err(io::Error::other)?;
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        }
        take(bytes)?;
        at += length;
    }
    Ok(())
}

fn cannot_write(error: io::Error) -> MeasureError {
    MeasureError::Failed(format!("the program's files cannot be written: {error}"))
}
