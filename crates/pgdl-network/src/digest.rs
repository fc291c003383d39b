//! A network's identity: what it computes, not where its file lies.

use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use crate::error::{NetworkError, Result};
use crate::network::Network;

impl Network {
    /// SHA-256, in hexadecimal, of the architecture and all tensors' kind and bytes. It does not depend on
    /// the device.
    pub fn digest(&self) -> Result<String> {
        let architecture = serde_json::to_vec(self.architecture())
            .map_err(|error| NetworkError::Graph(format!("it cannot be written as JSON: {error}")))?;
        let mut hash = Sha256::new();
        hash.update(b"pgdl network 1\n");
        hash.update((architecture.len() as u64).to_le_bytes());
        hash.update(&architecture);
        hash.update(format!("{:?}\n", self.kind()));
        for parameter in self.parameters() {
            hash.update(bytes(parameter.tensor)?);
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The values in row-major order, as they lie in memory.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let tensor = tensor.f_detach()?.f_to(Device::Cpu)?.f_contiguous()?;
    let count = tensor.numel();
    let mut bytes = vec![0; count * tensor.f_kind()?.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, count)?;
    Ok(bytes)
}
