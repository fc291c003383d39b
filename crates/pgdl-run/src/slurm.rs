//! A run shared out by SLURM: a job array with one element per shard, and a job that merges once all have ended.
//!
//! ```text
//! sbatch evaluate.sh   --array=1-8         element i: evaluates shard i/8 into a run folder of its own
//! sbatch merge.sh      --dependency=afterany:<array>     merges the folders, whatever became of the elements
//! ```
//! An element that is killed is put back into the queue and goes on where it stopped: its records are in its folder. The
//! scripts are plain bash and can be read, kept, and submitted by hand.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Result, RunError};

/// How often an element that was killed, or ran into its time limit, is put back into the queue.
pub const REQUEUES: u32 = 3;

/// Seconds before its time limit at which an element is told to end.
const WARNING_SECONDS: u32 = 60;

/// A job array with one element per shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardArray {
    /// The job's name.
    pub name: String,
    /// The elements to run, counted from 1.
    pub elements: Vec<usize>,
    /// Processors of each element.
    pub processors: usize,
    /// Elements that may run at the same time; `None`: as many as the cluster likes.
    pub at_once: Option<usize>,
    /// Further options of `sbatch`, each a word such as `--partition=gpu`.
    pub options: Vec<String>,
    /// The folder of the logs: `evaluate-<element>.log`.
    pub logs: PathBuf,
    /// The program and its arguments; [`ShardArray::ELEMENT`] in them stands for the element's number.
    pub command: Vec<String>,
}

impl ShardArray {
    /// Stands for the element's number in [`ShardArray::command`].
    pub const ELEMENT: &str = "{element}";

    /// The script as `sbatch` takes it.
    pub fn script(&self) -> String {
        let mut array = ranges(&self.elements);
        if let Some(at_once) = self.at_once {
            let _ = write!(array, "%{at_once}");
        }
        let log = self.logs.join("evaluate-%a.log");
        let mut directives = vec![
            format!("--job-name={}", self.name),
            format!("--array={array}"),
            "--ntasks=1".to_owned(),
            format!("--cpus-per-task={}", self.processors),
            "--requeue".to_owned(),
            "--open-mode=append".to_owned(),
            format!("--output={}", log.display()),
            format!("--signal=B:USR1@{WARNING_SECONDS}"),
        ];
        directives.extend(self.options.iter().cloned());
        let command: Vec<String> = self.command.iter().map(|word| element_word(word)).collect();
        format!(
            r#"#!/bin/bash
{directives}
# One shard of a run. SLURM asks it to end by USR1 shortly before its time limit, and by TERM when it is cancelled.
child= cancelled= expired=
tell() {{ [ -z "$child" ] || kill -TERM "$child" 2>/dev/null; }}
trap 'expired=yes; tell' USR1
trap 'cancelled=yes; tell' TERM
{command} &
child=$!
[ -z "$cancelled$expired" ] || tell
# A trapped signal ends a wait early.
wait "$child"
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
code=$?
case "$code" in
0 | 3 | 4) exit 0 ;; # every evaluation has a record
esac
echo "shard $SLURM_ARRAY_TASK_ID ended with exit code $code" >&2
# Killed, or out of time: it goes on where it stopped. What failed by itself would fail again.
if [ -z "$cancelled" ] && {{ [ -n "$expired" ] || [ "$code" -ge 128 ]; }} &&
    [ "${{SLURM_RESTART_COUNT:-0}}" -lt {REQUEUES} ]; then
    echo "shard $SLURM_ARRAY_TASK_ID is put back into the queue" >&2
    scontrol requeue "$SLURM_JOB_ID" && {{ sleep 30 & wait $!; }}
fi
exit "$code"
"#,
            directives = directives.iter().map(|text| directive(text)).collect::<Vec<_>>().join("\n"),
            command = command.join(" "),
        )
    }
}

/// The job that merges the shards' records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeJob {
    /// The job's name.
    pub name: String,
    /// Further options of `sbatch`.
    pub options: Vec<String>,
    /// The folder of the log: `merge.log`.
    pub logs: PathBuf,
    /// The program.
    pub program: PathBuf,
    /// The folder of the shards' folders; each holds one run folder per zoo.
    pub shards: PathBuf,
    /// Per zoo its name in the shards' folders, and the run folder that its records go to.
    pub targets: Vec<(String, PathBuf)>,
}

impl MergeJob {
    /// The script as `sbatch` takes it.
    pub fn script(&self) -> String {
        let mut directives = vec![
            format!("--job-name={}", self.name),
            "--ntasks=1".to_owned(),
            "--requeue".to_owned(),
            "--open-mode=append".to_owned(),
            format!("--output={}", self.logs.join("merge.log").display()),
        ];
        directives.extend(self.options.iter().cloned());
        let mut script = String::from("#!/bin/bash\n");
        for text in &directives {
            let _ = writeln!(script, "{}", directive(text));
        }
        script.push_str(
            "# Merges what the shards have recorded. A shard that failed lacks records, and takes none from the others.\n\
             set -eu\nshopt -s nullglob\n",
        );
        for (zoo, target) in &self.targets {
            let _ = write!(
                script,
                "records=({shards}/*/{zoo}/records.jsonl)\n\
                 [ ${{#records[@]}} -eq 0 ] || {program} merge \"${{records[@]}}\" --into {target}\n",
                shards = quoted(&self.shards.to_string_lossy()),
                zoo = quoted(zoo),
                program = quoted(&self.program.to_string_lossy()),
                target = quoted(&target.to_string_lossy()),
            );
        }
        script
    }
}

/// Where a job, or an element of an array, is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobState {
    /// The job as SLURM names it: `12`, or `12_3` for an element.
    pub job: String,
    /// SLURM's word: `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, …
    pub state: String,
    /// Why it waits or ended, in SLURM's word; may be `None`.
    pub reason: String,
}

impl JobState {
    /// Whether it is over, one way or the other.
    pub fn has_ended(&self) -> bool {
        const ENDED: [&str; 9] = [
            "BOOT_FAIL",
            "CANCELLED",
            "COMPLETED",
            "DEADLINE",
            "FAILED",
            "NODE_FAIL",
            "OUT_OF_MEMORY",
            "REVOKED",
            "TIMEOUT",
        ];
        ENDED.contains(&self.state.as_str())
    }

    /// Whether it will never run, because what it waits for will never be.
    pub fn waits_in_vain(&self) -> bool {
        self.state == "PENDING" && self.reason == "DependencyNeverSatisfied"
    }
}

/// Submits a script, which may begin once the job `after` has ended in whatever way. Returns the job's number.
///
/// # Errors
/// [`RunError::Scheduler`] if there is no SLURM here, or it refuses the job.
pub fn submit(script: &Path, after: Option<&str>) -> Result<String> {
    let mut command = Command::new("sbatch");
    command.arg("--parsable");
    if let Some(job) = after {
        command.arg(format!("--dependency=afterany:{job}"));
    }
    let answer = run(command.arg(script))?;
    job_number(&answer).ok_or_else(|| RunError::Scheduler {
        message: format!("sbatch answered `{}`, which names no job", answer.trim()),
        hint: None,
    })
}

/// The states of a job, of an array all its elements. Empty for a job that SLURM no longer knows: it forgets ended ones
/// after a while.
///
/// # Errors
/// [`RunError::Scheduler`] if SLURM does not answer.
pub fn states(job: &str) -> Result<Vec<JobState>> {
    let mut command = Command::new("squeue");
    command.args(["--noheader", "--array", "--states=all", "--format=%i|%T|%r", "--jobs", job]);
    match run(&mut command) {
        Ok(answer) => Ok(answer.lines().filter_map(job_state).collect()),
        Err(RunError::Scheduler { message, .. }) if message.contains("Invalid job id") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| RunError::Scheduler {
        message: format!("cannot run {program}: {error}"),
        hint: Some(
            "run this where SLURM's commands are, or give --dry-run and submit the scripts there".to_owned(),
        ),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(RunError::Scheduler {
        message: format!("{program} refused: {}", said.trim()),
        hint: Some("options for the cluster, such as --sbatch=--partition=NAME, go with --sbatch".to_owned()),
    })
}

/// `12`, or `12;cluster`.
fn job_number(answer: &str) -> Option<String> {
    let number = answer.trim().split(';').next()?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| number.to_owned())
}

fn job_state(line: &str) -> Option<JobState> {
    let mut fields = line.trim().split('|').map(str::to_owned);
    Some(JobState { job: fields.next()?, state: fields.next()?, reason: fields.next().unwrap_or_default() })
}

/// `1-3,5`.
fn ranges(numbers: &[usize]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in sorted {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |&(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}

/// One `#SBATCH` line. sbatch splits such lines at blanks, and takes quotes as a shell does.
fn directive(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./%,:@+".contains(&byte);
    if text.bytes().all(plain) { format!("#SBATCH {text}") } else { format!("#SBATCH \"{text}\"") }
}

/// A word of the element's command: the number comes from SLURM.
fn element_word(word: &str) -> String {
    let parts: Vec<String> = word
        .split(ShardArray::ELEMENT)
        .map(|part| if part.is_empty() { String::new() } else { quoted(part) })
        .collect();
    if parts.len() == 1 { quoted(word) } else { parts.join("\"$SLURM_ARRAY_TASK_ID\"") }
}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./%,:@+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array() -> ShardArray {
        ShardArray {
            name: "pgdl-tiny".into(),
            elements: vec![4, 1, 2],
            processors: 2,
            at_once: Some(2),
            options: vec!["--partition=short".into()],
            logs: "/runs/a b/slurm".into(),
            command: ["/bin/echo", "it's", "{element}/4", "--run=/r/{element}", ""]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    /// What bash does with a script whose child is `child`, as element 3 of an array after `restarts` restarts.
    fn bash(child: &str, restarts: u32) -> std::process::Output {
        let script = ShardArray { command: vec!["sh".into(), "-c".into(), child.into()], ..array() }.script();
        // In place of the cluster's own command.
        let script = script.replace("scontrol requeue", "echo requeued").replace("sleep 30", "true");
        Command::new("bash")
            .args(["-c", &script])
            .env("SLURM_ARRAY_TASK_ID", "3")
            .env("SLURM_JOB_ID", "77")
            .env("SLURM_RESTART_COUNT", restarts.to_string())
            .output()
            .unwrap()
    }

    #[test]
    fn the_script_asks_for_what_was_asked() {
        let script = array().script();
        for line in [
            "#SBATCH --array=1-2,4%2",
            "#SBATCH --requeue",
            "#SBATCH --cpus-per-task=2",
            "#SBATCH --partition=short",
            "#SBATCH \"--output=/runs/a b/slurm/evaluate-%a.log\"",
        ] {
            assert!(script.lines().any(|other| other == line), "{line} in\n{script}");
        }
    }

    #[test]
    fn the_command_reaches_the_program_word_by_word() {
        let script = ShardArray {
            command: ["printf", "[%s]", "it's", "{element}/4", "--run=/a b/{element}", ""]
                .map(str::to_owned)
                .to_vec(),
            ..array()
        };
        let output = Command::new("bash")
            .args(["-c", &script.script()])
            .env("SLURM_ARRAY_TASK_ID", "3")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "[it's][3/4][--run=/a b/3][]");
        assert_eq!(output.status.code(), Some(0));
    }

    #[test]
    fn what_was_killed_is_requeued_a_few_times_and_what_failed_is_not() {
        let requeued =
            |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).contains("requeued 77");
        for code in [0, 3, 4] {
            let output = bash(&format!("exit {code}"), 0);
            assert!(output.status.success() && !requeued(&output), "{code}");
        }
        for code in [1, 2, 6] {
            let output = bash(&format!("exit {code}"), 0);
            assert!(output.status.code() == Some(code) && !requeued(&output), "{code}");
        }
        let killed = bash("kill -KILL $$", 0);
        assert!(requeued(&killed) && killed.status.code() == Some(137), "{killed:?}");
        assert!(!requeued(&bash("kill -KILL $$", REQUEUES)));
    }

    #[test]
    fn the_time_limit_requeues_and_a_cancellation_does_not() {
        // The child signals its parent, the script, and ends as pgdl does when it is interrupted.
        let child =
            |signal: &str| format!("trap 'exit 5' TERM; kill -{signal} $PPID; while :; do sleep 0.05; done");
        let expired = bash(&child("USR1"), 0);
        assert!(String::from_utf8_lossy(&expired.stdout).contains("requeued 77"), "{expired:?}");
        let cancelled = bash(&child("TERM"), 0);
        assert!(!String::from_utf8_lossy(&cancelled.stdout).contains("requeued"), "{cancelled:?}");
        assert!(!cancelled.status.success());
    }

    #[test]
    fn the_merge_takes_the_shards_there_are() {
        let dir = tempfile::tempdir().unwrap();
        for shard in ["1", "3"] {
            let folder = dir.path().join("the shards").join(shard).join("tiny");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("records.jsonl"), "").unwrap();
        }
        let job = MergeJob {
            name: "pgdl-merge".into(),
            options: Vec::new(),
            logs: dir.path().into(),
            program: "echo".into(),
            shards: dir.path().join("the shards"),
            targets: vec![("tiny".into(), "/out/tiny".into()), ("absent".into(), "/out/absent".into())],
        };
        let output = Command::new("bash").args(["-c", &job.script()]).output().unwrap();
        let shard = |number| dir.path().join(format!("the shards/{number}/tiny/records.jsonl"));
        let expected = format!("merge {} {} --into /out/tiny\n", shard(1).display(), shard(3).display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert!(output.status.success(), "{output:?}");
    }

    #[test]
    fn answers_are_read_and_nonsense_is_none() {
        assert_eq!(job_number("12\n").as_deref(), Some("12"));
        assert_eq!(job_number("12;cluster\n").as_deref(), Some("12"));
        assert_eq!(job_number("Submitted batch job"), None);
        let state = job_state("12_3|PENDING|Dependency").unwrap();
        assert_eq!((state.job.as_str(), state.has_ended()), ("12_3", false));
        assert!(job_state("12_3|TIMEOUT|TimeLimit").unwrap().has_ended());
        assert!(job_state("13|PENDING|DependencyNeverSatisfied").unwrap().waits_in_vain());
        assert_eq!(job_state(""), None);
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[7]), "7");
    }

    #[test]
    fn words_survive_a_shell() {
        for word in ["plain", "two words", "it's", "$HOME", "`ls`", "", "a\"b", "*"] {
            let output =
                Command::new("bash").args(["-c", &format!("printf %s {}", quoted(word))]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), word);
        }
    }
}
