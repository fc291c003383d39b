//! The libtorch that this process has loaded.

// torch-sys puts libtorch on the linker's command line.
use torch_sys as _;

unsafe extern "C" {
    /// Part of libtorch's stable C interface: the version, one byte each for major, minor and patch from the top.
    fn aoti_torch_abi_version() -> u64;
}

/// The version of the libtorch in use, as `2.11.0`.
pub fn libtorch_version() -> String {
    // SAFETY: takes nothing, touches nothing, returns a constant of the library.
    let version = unsafe { aoti_torch_abi_version() };
    let [major, minor, patch, ..] = version.to_be_bytes();
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_the_one_tch_was_made_for() {
        assert_eq!(super::libtorch_version(), "2.11.0");
    }
}
