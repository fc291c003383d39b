//! Tensors on disk: safetensors files with a description, in JSON, in their header.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Kind, Tensor};

use crate::error::{NcError, Result};

/// The one key of the header's metadata; more would be written in no fixed order.
const KEY: &str = "pgdl_nc";

struct Stored {
    shape: Vec<usize>,
    dtype: Dtype,
    data: Vec<u8>,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        (&self.data[..]).into()
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

fn stored(tensor: &Tensor) -> Result<Stored> {
    let tensor = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
    let kind = tensor.f_kind()?;
    let count = tensor.numel();
    let mut data = vec![0; count * kind.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut data, count)?;
    let shape = tensor.size().iter().map(|&size| size as usize).collect();
    Ok(Stored { shape, dtype: kind.try_into()?, data })
}

/// Writes named tensors and their description. The file is there whole or not at all.
pub(crate) fn write(path: &Path, tensors: &[(&str, &Tensor)], description: &impl Serialize) -> Result<()> {
    let description = serde_json::to_string(description)
        .map_err(|error| NcError::file(path, format!("its description cannot be written: {error}")))?;
    let stored: Vec<(&str, Stored)> =
        tensors.iter().map(|(name, tensor)| Ok((*name, stored(tensor)?))).collect::<Result<_>>()?;
    let views = stored.iter().map(|(name, stored)| (*name, stored));
    let metadata = Some(HashMap::from([(KEY.to_string(), description)]));
    let bytes = safetensors::tensor::serialize(views, &metadata)
        .map_err(|error| NcError::file(path, error.to_string()))?;
    replace(path, &bytes)
}

/// Puts `bytes` in place of a file's content in one move.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|source| NcError::io(folder, source))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|source| NcError::io(path, source))?;
    let mut readable = file.as_file().metadata().map_err(|source| NcError::io(path, source))?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut readable, 0o644);
    file.as_file().set_permissions(readable).map_err(|source| NcError::io(path, source))?;
    file.persist(path).map_err(|error| NcError::io(path, error.error))?;
    Ok(())
}

/// A file's tensors by name, and its description.
pub(crate) struct Contents<D> {
    pub(crate) tensors: HashMap<String, Tensor>,
    pub(crate) description: D,
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// When the file is damaged, or describes something else than a `D`.
pub(crate) fn read<D: DeserializeOwned>(path: &Path) -> Result<Contents<D>> {
    parse(path, &fs::read(path).map_err(|source| NcError::io(path, source))?)
}

/// The same of a file's bytes; `path` is its name in errors.
pub(crate) fn parse<D: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<Contents<D>> {
    let damaged = |error: safetensors::SafeTensorError| {
        NcError::file(path, format!("it is no whole safetensors file: {error:?}"))
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or_else(|| {
        NcError::file(path, format!("its header has no `{KEY}`: it is no file of Neural Complexity"))
    })?;
    let description = serde_json::from_str(text)
        .map_err(|error| NcError::file(path, format!("its description is not understood: {error}")))?;
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(damaged)?
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let kind: Kind = view.dtype().try_into()?;
            let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
            Ok((name, Tensor::f_from_data_size(view.data(), &shape, kind)?))
        })
        .collect::<Result<_>>()?;
    Ok(Contents { tensors, description })
}

impl<D> Contents<D> {
    /// Takes a tensor out.
    ///
    /// # Errors
    /// When it is missing or of another shape or kind.
    pub(crate) fn take(&mut self, path: &Path, name: &str, shape: &[i64], kind: Kind) -> Result<Tensor> {
        let tensor = self
            .tensors
            .remove(name)
            .ok_or_else(|| NcError::file(path, format!("tensor `{name}` is missing")))?;
        if tensor.size() != shape || tensor.f_kind()? != kind {
            return Err(NcError::file(
                path,
                format!(
                    "tensor `{name}` is {:?} {:?}, but its description wants {kind:?} {shape:?}",
                    tensor.f_kind()?,
                    tensor.size()
                ),
            ));
        }
        Ok(tensor)
    }

    /// That nothing is left over.
    pub(crate) fn finish(self, path: &Path) -> Result<D> {
        match self.tensors.keys().min() {
            Some(name) => Err(NcError::file(path, format!("tensor `{name}` belongs to no part of it"))),
            None => Ok(self.description),
        }
    }
}
