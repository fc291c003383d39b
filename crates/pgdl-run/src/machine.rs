//! The machine that evaluates, as far as it may change a value.

use std::fs;

/// The processor's name, where the system tells it. Libraries choose their kernels by it, and kernels round differently.
pub fn processor_name() -> Option<String> {
    processor_in(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn processor_in(cpuinfo: &str) -> Option<String> {
    let named = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.split_whitespace().collect::<Vec<_>>().join(" "))
        })
    };
    // ARM systems give numbers in place of a name.
    named("model name").or_else(|| {
        let (implementer, part) = (named("CPU implementer")?, named("CPU part")?);
        Some(format!("implementer {implementer}, part {part}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_as_its_system_does() {
        let x86 = "processor\t: 0\nmodel name\t: Some  CPU @ 2.00GHz\nflags\t\t: fpu\n";
        assert_eq!(processor_in(x86).as_deref(), Some("Some CPU @ 2.00GHz"));
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(processor_in(arm).as_deref(), Some("implementer 0x41, part 0xd0c"));
        assert_eq!(processor_in(""), None);
    }
}
