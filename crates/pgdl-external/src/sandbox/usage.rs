//! What the processes below a process use, as the system's tables tell.

use std::fs;

/// Use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processes and threads.
    pub tasks: u64,
    /// Bytes of resident memory, files excepted. What forked processes share counts for each.
    pub memory: u64,
}

/// Of a process and of all that come from it.
pub(crate) fn below(root: i32) -> Usage {
    let mut usage = Usage::default();
    let mut waiting = vec![root];
    while let Some(process) = waiting.pop() {
        let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else { continue };
        let number = |name: &str| number_after(&status, name).unwrap_or_default();
        usage.tasks += number("Threads:").max(1);
        usage.memory += (number("RssAnon:") + number("RssShmem:")) * 1024;
        // Every thread may have children.
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            waiting.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
    }
    usage
}

fn number_after(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn children_count_with_their_parent() {
        let alone = below(std::process::id() as i32);
        assert!(alone.tasks >= 1 && alone.memory > 0, "{alone:?}");
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "sleep 100 & sleep 100 & echo ready; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.take().unwrap()), &mut ready)
            .unwrap();
        assert_eq!(below(shell.id() as i32).tasks, 3);
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.id())).unwrap();
        for child in children.split_ascii_whitespace() {
            let pid = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_eq!(below(shell.id() as i32).tasks, 0, "who is gone uses nothing");
    }
}
