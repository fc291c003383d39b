//! Choosing a device, and finding CUDA at run time.
//!
//! The program is linked with libtorch's CPU library alone. Where a CUDA build lies beside it, loading
//! `libtorch_cuda.so` before the first torch call registers the CUDA backend.
//!
//! NVIDIA's libraries multiply convolutions in TF32 (10-bit mantissas) unless `NVIDIA_TF32_OVERRIDE=0` is in
//! the environment when they are loaded: whoever starts a process that computes on a GPU sets it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::{Cuda, Device};

use crate::error::{NetworkError, Result};

const CUDA_LIBRARY: &str = "libtorch_cuda.so";
const NO_GPU_HINT: &str = "see whether `nvidia-smi` lists a GPU, and whether its driver supports CUDA 13";

/// A device, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The device.
    pub device: Device,
    /// Why this one, as a fragment: "no CUDA build of libtorch was found".
    pub reason: String,
    /// Something the user should know, with what can be done about it.
    pub warning: Option<String>,
}

/// What came of the search for the CUDA build.
enum CudaBuild {
    Absent,
    Loaded(PathBuf),
    Broken { path: PathBuf, error: String },
}

/// Loads libtorch's CUDA library, once; whether it is loaded. Call it before the first torch operation.
///
/// It is looked for beside the CPU library that this process runs with, then on the loader's path.
pub fn load_cuda() -> bool {
    matches!(cuda_build(), CudaBuild::Loaded(_))
}

fn cuda_build() -> &'static CudaBuild {
    static BUILD: OnceLock<CudaBuild> = OnceLock::new();
    BUILD.get_or_init(|| {
        if let Some(path) = loaded_libtorch_folder().map(|folder| folder.join(CUDA_LIBRARY))
            && path.exists()
        {
            return match open(&path) {
                Ok(()) => CudaBuild::Loaded(path),
                Err(error) => CudaBuild::Broken { path, error },
            };
        }
        let path = PathBuf::from(CUDA_LIBRARY);
        match open(&path) {
            Ok(()) => CudaBuild::Loaded(path),
            // The loader's message for a missing file and for a broken one differ in words only.
            Err(error) if error.contains(&format!("{CUDA_LIBRARY}: cannot open")) => CudaBuild::Absent,
            Err(error) => CudaBuild::Broken { path, error },
        }
    })
}

fn open(path: &Path) -> std::result::Result<(), String> {
    // SAFETY: libtorch's initializers register its CUDA backend and have no other requirement; the library
    // stays loaded until the process ends, since the handle is forgotten.
    match unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => Err(cause(&error)),
    }
}

/// The loader's own message.
fn cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => cause(source),
        None => error.to_string(),
    }
}

/// The folder of the `libtorch_cpu.so` that this process has loaded.
fn loaded_libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps.lines().find_map(|line| {
        let path = &line[line.find('/')?..];
        path.ends_with("/libtorch_cpu.so").then(|| PathBuf::from(path))
    })?;
    path.parent().map(Path::to_path_buf)
}

/// Meets a request: `auto`, `cpu`, `cuda` or `cuda:N`.
///
/// `auto` takes the first GPU where one answers. A CUDA build without a GPU that answers gives a warning with
/// `auto`, and an error with `cuda`.
pub fn choose(request: &str) -> Result<Choice> {
    match request {
        "auto" => Ok(choose_automatically()),
        "cpu" => Ok(Choice { device: Device::Cpu, reason: "it was asked for".into(), warning: None }),
        "cuda" => choose_gpu(request, 0),
        _ => match request.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
            Some(index) => choose_gpu(request, index),
            None => Err(NetworkError::Device {
                request: request.to_owned(),
                reason: "there is no such kind of device".into(),
                hint: Some("give auto, cpu, cuda or cuda:N".into()),
            }),
        },
    }
}

fn gpus() -> usize {
    usize::try_from(Cuda::device_count()).unwrap_or(0)
}

fn choose_automatically() -> Choice {
    let on_cpu = |reason: String, warning| Choice { device: Device::Cpu, reason, warning };
    match cuda_build() {
        CudaBuild::Absent => on_cpu("no CUDA build of libtorch was found".into(), None),
        CudaBuild::Broken { path, error } => {
            let warning = format!("{} could not be loaded: {error}", path.display());
            on_cpu("the CUDA build of libtorch could not be loaded".into(), Some(warning))
        }
        CudaBuild::Loaded(path) => match gpus() {
            0 => {
                let warning = format!("{} is loaded, but no GPU answers; {NO_GPU_HINT}", path.display());
                on_cpu("no GPU answers".into(), Some(warning))
            }
            count => {
                let plural = if count == 1 { "GPU answers" } else { "GPUs answer" };
                Choice { device: Device::Cuda(0), reason: format!("{count} {plural}"), warning: None }
            }
        },
    }
}

fn choose_gpu(request: &str, index: usize) -> Result<Choice> {
    let error = |reason: String, hint: &str| NetworkError::Device {
        request: request.to_owned(),
        reason,
        hint: Some(hint.to_owned()),
    };
    match cuda_build() {
        CudaBuild::Absent => Err(error(
            "no CUDA build of libtorch was found".into(),
            "install the CUDA files with the set-up script, or put PyTorch's lib folder on LD_LIBRARY_PATH",
        )),
        CudaBuild::Broken { path, error: cause } => Err(error(
            format!("{} could not be loaded: {cause}", path.display()),
            "the CUDA build must be that of the same libtorch version, with its own libraries beside it",
        )),
        CudaBuild::Loaded(_) => match gpus() {
            0 => Err(error("no GPU answers".into(), NO_GPU_HINT)),
            count if index >= count => {
                let last = count - 1;
                Err(error(format!("{count} GPUs answer"), &format!("the last one is cuda:{last}")))
            }
            _ => Ok(Choice { device: Device::Cuda(index), reason: "it was asked for".into(), warning: None }),
        },
    }
}
