//! Strangers' programs in the sandbox: what they see, and what becomes of those that attack.
//!
//! The attacks are small shell and Python programs, so that they take seconds and need no TensorFlow. This program is test
//! and sandbox's keeper in one.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use pgdl_external::{Policy, Program, SANDBOX_ARGUMENT, Workshop};
use pgdl_measure::contract::tiny_networks;
use pgdl_measure::{Detail, MeasureError, Measured, Probe, Registry};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, order] = arguments.as_slice()
        && first == SANDBOX_ARGUMENT
    {
        return pgdl_external::sandbox::main(order);
    }
    let trial = |&(name, test): &(&'static str, fn())| {
        Trial::test(name, move || -> Result<(), Failed> {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), TESTS.iter().map(trial).collect()).exit_code()
}

/// Names tests by their functions.
macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        const TESTS: &[(&str, fn())] = &[$((stringify!($test), $test)),+];
    };
}

tests!(
    a_program_sees_its_job_and_nothing_that_tells_the_gaps,
    what_is_hidden_within_what_is_seen_is_laid_over,
    a_program_is_alone_and_has_no_rights,
    nothing_outside_can_be_written,
    there_is_no_network_and_no_way_around,
    a_fork_bomb_is_ended,
    a_memory_bomb_of_one_process_is_refused_its_memory,
    a_memory_bomb_of_many_processes_is_ended,
    shared_memory_counts_too,
    an_endless_loop_is_ended,
    floods_of_output_are_cut_off,
    the_scratch_folder_is_bounded,
    who_kills_its_parent_or_everybody_ends_alone,
    nobody_stays_behind,
    a_compiler_changes_its_own_folder_and_nothing_else,
);

/// A folder of its own for one test.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("staging")).unwrap();
        Place { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A shell script as a measure with this id.
fn script(place: &Place, id: &str, evaluate: &str) -> PathBuf {
    let description = format!(
        r#"{{"protocol":1,"measures":[{{"id":"{id}","title":"A test.","formula":"f","stochastic":false}}]}}"#
    );
    let path = place.path(id);
    let text =
        format!("#!/bin/sh\nif [ \"$1\" = describe ]; then echo '{description}'; exit; fi\n{evaluate}\n");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Evaluates a program in the sandbox on a small network.
fn evaluate(
    place: &Place,
    program: &Path,
    policy: Policy,
    deadline: Option<Duration>,
) -> Result<Measured, MeasureError> {
    let program = Program::executable(program, Some(policy), &place.path("staging")).unwrap();
    let id = program.measures[0].id.clone();
    let mut registry = Registry::new();
    pgdl_external::register(&mut registry, program).unwrap();
    let mut specimen = tiny_networks().unwrap();
    let probe = Probe::new(specimen.swap_remove(0).input()).unwrap();
    probe.set_deadline(deadline.map(|time| Instant::now() + time));
    probe.evaluate(&registry.resolve(&id).unwrap()).outcome
}

/// Runs a shell script in the sandbox; gives what it found out.
fn find_out(place: &Place, id: &str, body: &str) -> String {
    find_out_under(Policy::default(), place, id, body)
}

fn find_out_under(policy: Policy, place: &Place, id: &str, body: &str) -> String {
    let text = format!(
        "{{ {body}\n}} > /scratch/found 2>&1\nfound=$(tr '\\n\\t\"\\\\' '| __' < /scratch/found)\n\
         printf '{{\"value\":1,\"details\":{{\"found\":\"%s\"}}}}' \"$found\""
    );
    let measured = evaluate(place, &script(place, id, &text), policy, None).unwrap();
    match &measured.details["found"] {
        Detail::Text(found) => found.clone(),
        Detail::Number(number) => panic!("{number}"),
    }
}

/// The time that an endless attack is given.
const SHORT: Option<Duration> = Some(Duration::from_secs(2));
/// Longer than any attack takes that is to be ended for another reason.
const LONG: Option<Duration> = None;

/// An attack that ends in this status, with these words in its reason; nothing of it is left.
fn attack(id: &str, body: &str, deadline: Option<Duration>, status: &str, words: &str) {
    let place = Place::new();
    let marker = place.path("").to_str().unwrap().to_owned();
    let body = format!("MARKER='{marker}'; export MARKER\n{body}");
    let policy = Policy { memory: 300 << 20, ..Policy::default() };
    let started = Instant::now();
    let outcome = evaluate(&place, &script(&place, id, &body), policy, deadline);
    let elapsed = started.elapsed();
    let (found, message) = match outcome {
        Ok(_) => ("ok", String::new()),
        Err(error) => (error.status(), error.to_string()),
    };
    assert_eq!(found, status, "{id}: {message}");
    assert!(message.contains(words), "{id}: {message}");
    if let Some(time) = deadline {
        assert!(elapsed < time + Duration::from_secs(20), "{id} took {elapsed:?}");
    }
    assert_nothing_left(&marker);
}

/// Nothing of a test runs any more: no process has its place in its command line or environment. What the kernel has
/// ended may take a moment to vanish.
fn assert_nothing_left(marker: &str) {
    let holds = |path: &Path| {
        ["cmdline", "environ"].iter().any(|file| {
            let bytes = std::fs::read(path.join(file)).unwrap_or_default();
            bytes.windows(marker.len()).any(|window| window == marker.as_bytes())
        })
    };
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let processes = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| holds(&entry.path()));
        let left: Vec<_> = processes.map(|entry| entry.file_name()).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "left running: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn a_program_sees_its_job_and_nothing_that_tells_the_gaps() {
    let place = Place::new();
    // A file beside the program, as a zoo's listing may be; the program tries by every name.
    let listing = place.path("model_configs.json");
    std::fs::write(&listing, "test_acc").unwrap();
    let found = find_out(
        &place,
        "looks",
        &format!(
            "cat '{0}'; cat /proc/1/root'{0}'; cat \"/proc/$PPID/root{0}\"; cat /proc/self/cwd/../..'{0}'; \
             ln -s '{0}' /scratch/link; cat /scratch/link; ls /root /home",
            listing.display()
        ),
    );
    assert!(!found.contains("test_acc"), "{found}");
    let refusals = ["No such file or directory", "Permission denied"];
    assert_eq!(refusals.iter().map(|words| found.matches(words).count()).sum::<usize>(), 7, "{found}");
    let found = find_out(
        &place,
        "searches",
        "find / -path /proc -prune -o \\( -name 'model_configs*' -o -name 'records.jsonl*' -o -name '*.tfrecord' \
         -o -name 'test' -path '*dataset_1*' \\) -print 2>/dev/null",
    );
    assert_eq!(found, "");
    let found = find_out(&place, "lists", "ls /job /data; ls /");
    assert!(
        found.contains("config.json") && found.contains("weights.hdf5") && found.contains("inputs.npy"),
        "{found}"
    );
}

fn what_is_hidden_within_what_is_seen_is_laid_over() {
    let place = Place::new();
    let zoo = place.path("zoo");
    std::fs::create_dir(&zoo).unwrap();
    std::fs::write(zoo.join("model_configs.json"), "test_acc").unwrap();
    let records = place.path("records.jsonl");
    std::fs::write(&records, "a value").unwrap();
    let seen = place.path("");
    let policy = Policy { read: vec![seen.clone()], hidden: vec![zoo, records], ..Policy::default() };
    let body = format!("cd '{}'; ls zoo | wc -l; cat records.jsonl; ls", seen.display());
    let found = find_out_under(policy, &place, "peeks", &body);
    assert_eq!(found, "0|cat: records.jsonl: Permission denied|peeks|records.jsonl|staging|zoo|");
}

fn a_program_is_alone_and_has_no_rights() {
    let place = Place::new();
    let found = find_out(
        &place,
        "alone",
        "id -u; ls -d /proc/[0-9]*; grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; \
         env | cut -d= -f1 | sort; cat /proc/sys/kernel/hostname",
    );
    assert!(!found.starts_with("0|"), "not root: {found}");
    for words in [
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        let words = words.replace('\t', " ");
        assert!(found.replace('\t', " ").contains(&words), "{words}: {found}");
    }
    let processes = found.matches("/proc/").count();
    assert!(processes <= 6, "its own processes and the init: {found}");
    assert!(!found.contains("XDG_DATA_HOME") && !found.contains("PGDL"), "{found}");
    assert!(found.contains("|sandbox|"), "{found}");
}

fn nothing_outside_can_be_written() {
    let place = Place::new();
    let outside = place.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("file"), "as it was").unwrap();
    let seen = outside.to_str().unwrap();
    let body = format!(
        "for f in '{seen}/file' '{seen}/new' /job/weights.hdf5 /data/labels.npy /usr/x /etc/passwd /x /dev/x \
         /proc/sys/kernel/hostname; do (echo broken > \"$f\") 2>/dev/null && echo \"wrote $f\"; done; \
         chmod 777 '{seen}/file' 2>/dev/null && echo chmodded; rm '{seen}/file' 2>/dev/null && echo removed; \
         echo mine > /scratch/mine && cat /scratch/mine"
    );
    let policy = Policy { read: vec![outside.clone()], ..Policy::default() };
    assert_eq!(find_out_under(policy, &place, "writes", &body), "mine|");
    assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "as it was");
    assert!(!outside.join("new").exists());
}

fn there_is_no_network_and_no_way_around() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let abstract_name = format!("pgdl_test_{}", std::process::id());
    let address = <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(
        abstract_name.as_bytes(),
    )
    .unwrap();
    let _unix = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let python = format!(
        r#"
import socket, os, ctypes
def attempt(name, act):
    try:
        act(); print(name, 'WORKS')
    except OSError as error:
        print(name, error.errno)
def connect(family, address, kind=socket.SOCK_STREAM):
    s = socket.socket(family, kind); s.settimeout(2); s.connect(address)
attempt('tcp', lambda: connect(socket.AF_INET, ('127.0.0.1', {port})))
attempt('far', lambda: connect(socket.AF_INET, ('192.0.2.1', 80)))
attempt('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53)))
attempt('abstract', lambda: connect(socket.AF_UNIX, '\0{abstract_name}'))
attempt('vsock', lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
attempt('netlink', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
attempt('alg', lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET, 0))
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) < 0: raise OSError(ctypes.get_errno(), 'refused')
attempt('unshare', lambda: call(272, 0x10000000))
attempt('clone', lambda: call(56, 0x10000000 | 17, 0, 0, 0, 0))
attempt('clone3', lambda: call(435, 0, 0))
attempt('ptrace', lambda: call(101, 16, 1, 0, 0))
attempt('mount', lambda: call(165, 0, 0, 0, 0, 0))
attempt('bpf', lambda: call(321, 0, 0, 0))
attempt('memfd', lambda: call(319, b'x', 0))
attempt('keyctl', lambda: call(250, 0, 0))
attempt('io_uring', lambda: call(425, 1, 0))
attempt('mem', lambda: open('/proc/1/mem', 'rb').read(1))
attempt('environ', lambda: open('/proc/1/environ', 'rb').read(1))
attempt('setuid', lambda: os.setuid(0))
"#
    );
    let file = place.path("attempts.py");
    std::fs::write(&file, python).unwrap();
    let policy = Policy { read: vec![file.clone()], ..Policy::default() };
    let body = format!("/usr/bin/env python3 {}", file.display());
    let found = find_out_under(policy, &place, "connects", &body);
    assert!(!found.contains("WORKS"), "{found}");
    assert!(!found.contains("Error"), "{found}");
    // Each for the reason for which it should.
    for (name, errors) in [
        ("tcp", &[libc::ENETUNREACH, libc::ECONNREFUSED][..]),
        ("far", &[libc::ENETUNREACH]),
        ("abstract", &[libc::ECONNREFUSED]),
        ("vsock", &[libc::EAFNOSUPPORT]),
        ("netlink", &[libc::EAFNOSUPPORT]),
        ("packet", &[libc::EAFNOSUPPORT]),
        ("alg", &[libc::EAFNOSUPPORT]),
        ("unshare", &[libc::EPERM]),
        ("clone", &[libc::EPERM]),
        ("clone3", &[libc::ENOSYS]),
        ("ptrace", &[libc::EPERM]),
        ("mount", &[libc::EPERM]),
        ("bpf", &[libc::EPERM]),
        ("memfd", &[libc::EPERM]),
        ("keyctl", &[libc::EPERM]),
        ("io_uring", &[libc::EPERM]),
        ("mem", &[libc::EACCES, libc::EPERM]),
        ("environ", &[libc::EACCES, libc::EPERM]),
        ("setuid", &[libc::EPERM, libc::EINVAL]),
    ] {
        // The numbers of system calls above are those of x86-64.
        if cfg!(target_arch = "x86_64") {
            assert!(
                errors.iter().any(|error| found.contains(&format!("{name} {error}|"))),
                "{name}: {found}"
            );
        }
    }
}

fn a_fork_bomb_is_ended() {
    attack(
        "fork_bomb",
        "bomb() { bomb | bomb & wait; }\nbomb & exec sleep 100",
        LONG,
        "failed",
        "processes and threads, and was ended",
    );
}

fn a_memory_bomb_of_one_process_is_refused_its_memory() {
    attack(
        "memory_bomb",
        "exec /usr/bin/env python3 -c 'a = bytearray(b\"x\" * (1 << 30))'",
        LONG,
        "failed",
        "MemoryError",
    );
}

fn a_memory_bomb_of_many_processes_is_ended() {
    attack(
        "memory_bombs",
        "for i in 1 2 3 4 5 6 7 8; do /usr/bin/env python3 -c \
         'import time; a = bytearray(b\"x\" * (100 << 20)); time.sleep(60)' & done; wait",
        LONG,
        "failed",
        "used more than 300 MiB of memory",
    );
}

fn shared_memory_counts_too() {
    attack(
        "shared_memory",
        "exec /usr/bin/env python3 -c 'import mmap, time\nm = mmap.mmap(-1, 400 << 20)\n\
         for i in range(0, 400 << 20, 4096): m[i] = 1\ntime.sleep(60)'",
        LONG,
        "failed",
        "used more than 300 MiB of memory",
    );
}

fn an_endless_loop_is_ended() {
    attack(
        "endless",
        "trap '' TERM INT HUP; while :; do :; done",
        SHORT,
        "timeout",
        "did not answer in time, and was ended",
    );
}

fn floods_of_output_are_cut_off() {
    attack("floods", "yes", LONG, "failed", "flooded its standard output");
    attack("floods_talk", "yes >&2", LONG, "failed", "flooded its standard error");
}

fn the_scratch_folder_is_bounded() {
    // A file as large as it gets, then many small ones; what it can write is no more than a gibibyte.
    attack(
        "fills",
        "head -c 2000000000 /dev/zero > /scratch/big; i=0; while echo x > /scratch/$i; do i=$((i+1)); \
         [ $i -gt 70000 ] && exit 9; done; echo '{\"value\":1}'",
        LONG,
        "ok",
        "",
    );
}

fn who_kills_its_parent_or_everybody_ends_alone() {
    attack("kills", "kill -9 $PPID; kill -9 1; kill -9 -1; kill -9 $$", LONG, "crashed", "SIGKILL");
    attack("stops", "kill -STOP 1; kill -TERM 1; kill -STOP $PPID; echo '{\"value\":1}'", LONG, "ok", "");
}

fn nobody_stays_behind() {
    attack(
        "stays",
        "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' >/dev/null 2>&1 & done; \
         echo '{\"value\":1}'",
        LONG,
        "ok",
        "",
    );
}

fn a_compiler_changes_its_own_folder_and_nothing_else() {
    let place = Place::new();
    for folder in ["source", "products", "products/zoo"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    for file in ["source/lib.rs", "secret", "products/zoo/gaps"] {
        std::fs::write(place.path(file), file).unwrap();
    }
    let workshop = Workshop {
        read: vec![place.path("source")],
        write: vec![place.path("products")],
        environment: vec![("PLACE".to_owned(), place.path("").display().to_string())],
    };
    let script = "cat $PLACE/source/lib.rs; echo made > $PLACE/products/made; \
                  echo x > $PLACE/source/lib.rs; echo x > $PLACE/new; echo x > /usr/new; cat $PLACE/secret; \
                  cat $PLACE/products/zoo/gaps; mount -t tmpfs tmpfs /scratch; unshare --user true; \
                  grep CapEff /proc/self/status; ls /proc/[0-9]*/comm | wc -l";
    let policy = Policy { hidden: vec![place.path("products/zoo")], ..Policy::default() };
    let arguments = ["-c".to_owned(), format!("{{ {script}; }} 2>&1")];
    let shell = workshop.command(Path::new("/bin/sh"), &arguments, &policy, &place.path("staging"));
    let mut confined = shell.unwrap();
    let output = confined.command.output().unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    assert_eq!(confined.ended_because(), None, "{found}");
    assert!(found.starts_with("source/lib.rs"), "{found}");
    assert_eq!(std::fs::read_to_string(place.path("products/made")).unwrap(), "made\n", "{found}");
    assert_eq!(std::fs::read_to_string(place.path("source/lib.rs")).unwrap(), "source/lib.rs", "{found}");
    assert_eq!(std::fs::read_to_string(place.path("products/zoo/gaps")).unwrap(), "products/zoo/gaps");
    assert!(!place.path("new").exists() && !Path::new("/usr/new").exists(), "{found}");
    // The secret, and the gaps within what it may change.
    assert_eq!(found.matches("No such file or directory").count(), 2, "{found}");
    assert!(!found.contains("products/zoo/gaps\n"), "{found}");
    assert!(found.contains("CapEff:\t0000000000000000"), "{found}");
}
