//! The memory of a worker process: its peak, and its limit.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Starts a new measurement of the peak.
pub(crate) fn forget_peak() {
    // Where the system does not allow it, the peak stays that of the whole process.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The largest resident set of this process since [`forget_peak`], in bytes.
pub(crate) fn peak_bytes() -> Option<u64> {
    high_water_mark(&fs::read_to_string("/proc/self/status").ok()?)
}

fn high_water_mark(status: &str) -> Option<u64> {
    bytes_after("VmHWM:", status)
}

fn bytes_after(name: &str, status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Allows this process `bytes` of data: heap and private mappings, but not libraries and mapped files, which would
/// count in `RLIMIT_AS`.
pub(crate) fn limit(bytes: u64) -> rustix::io::Result<()> {
    let maximum = getrlimit(Resource::Data).maximum;
    let current = maximum.map_or(bytes, |maximum| maximum.min(bytes));
    setrlimit(Resource::Data, Rlimit { current: Some(current), maximum })
}

/// What a worker needs before it has read anything, in bytes: what it has, the stacks of libtorch's threads and of
/// those that read files, and some room. With less, its libraries wait for threads that never start.
pub(crate) fn needed(threads: u64) -> u64 {
    const STACK: u64 = 8 << 20;
    const ROOM: u64 = 32 << 20;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let readers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let stacks = threads.saturating_add(readers).saturating_mul(STACK);
    bytes_after("VmData:", &status).unwrap_or_default().saturating_add(stacks).saturating_add(ROOM)
}

/// Whether an error's text tells of a lack of memory: of libtorch's allocators, of Rust's, or of C++'s.
pub(crate) fn is_out_of_memory(text: &str) -> bool {
    const TELLTALES: [&str; 5] = [
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "memory allocation of",
        "std::bad_alloc",
    ];
    TELLTALES.iter().any(|telltale| text.contains(telltale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_from_the_systems_table() {
        assert_eq!(high_water_mark("Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t   12345 kB\n"), Some(12345 * 1024));
        assert_eq!(high_water_mark("Name:\tx\n"), None);
        assert_eq!(high_water_mark("VmHWM:\tmany kB\n"), None);
    }

    #[test]
    fn the_peak_follows_what_is_used() {
        let Some(before) = peak_bytes() else {
            println!("skipped: this system keeps no /proc/self/status");
            return;
        };
        let block = vec![1u8; 64 << 20];
        assert!(peak_bytes().unwrap() >= before.min(block.len() as u64), "{before}");
        assert!(peak_bytes().unwrap() >= block.len() as u64);
    }
}
