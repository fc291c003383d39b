//! What strangers' programs say, made fit for terminals and records.

/// `text` without control characters (a terminal would obey them), cut to `most` characters.
pub(crate) fn tame(text: &str, most: usize) -> String {
    let mut tamed: String = text
        .chars()
        .take(most)
        .map(|each| if each.is_control() && each != '\t' { ' ' } else { each })
        .collect();
    if text.chars().nth(most).is_some() {
        tamed.push('…');
    }
    tamed.trim().to_owned()
}

/// The signal's name, as far as programs commonly die of it.
pub(crate) fn signal_name(signal: i32) -> String {
    const NAMES: [(i32, &str); 11] = [
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGSYS, "SIGSYS"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGXFSZ, "SIGXFSZ"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_gone() {
        assert_eq!(tame("\x1b[2J\u{9b}31mred\r\nend\n", 100), "[2J 31mred  end");
        assert_eq!(tame("aaaa", 3), "aaa…");
        assert_eq!(tame("ää", 2), "ää");
    }
}
