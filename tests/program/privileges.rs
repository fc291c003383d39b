//! The sandbox where its user is nobody in particular, and where the system offers none. Each test makes its own
//! conditions in namespaces of its own, and says so where it cannot.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::executables::{rows, script};
use crate::small_zoo;
use crate::support::{Answer, Place};

/// Whether these words, run by a shell, succeed.
fn works(script: &str) -> bool {
    Command::new("sh").args(["-c", script]).output().is_ok_and(|output| output.status.success())
}

/// Runs pgdl by way of a shell script, in which `"$@"` stands for it.
fn by_way_of(place: &Place, preparation: &str, arguments: &[&str], exit: i32) -> Answer {
    let pgdl = place.pgdl(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", preparation, "sh"]).arg(pgdl.get_program()).args(pgdl.get_args());
    for (name, value) in pgdl.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(place.path(""));
    Answer::expect(shell, exit)
}

const NAMES_ITSELF: &str = "printf '{\"value\":%s}' \"$(id -u)\"";

fn evaluation(program: &Path) -> Vec<&str> {
    let program = program.to_str().unwrap();
    vec![
        "eval",
        "--zoo",
        "small",
        "--device",
        "cpu",
        "--format",
        "json",
        "--sandbox",
        "--executable",
        program,
    ]
}

/// The folder of libtorch that this very program runs with.
fn libtorch() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains("libtorch_cpu.so")).expect("it runs with libtorch");
    Path::new(&line[line.find('/').unwrap()..]).parent().unwrap().to_owned()
}

#[test]
fn an_ordinary_user_has_the_same_sandbox() {
    if !works("[ \"$(id -u)\" = 0 ]") {
        println!("skipped: whoever runs this is no root, and all other tests are tests of this");
        return;
    }
    if !works("unshare --mount true && setpriv --reuid 1000 --regid 1000 --clear-groups unshare --user true")
    {
        println!("skipped: ordinary users may make no namespaces here");
        return;
    }
    let place = small_zoo::place();
    let program = script(&place, "who", NAMES_ITSELF);
    for folder in ["lib", "share"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    std::fs::write(place.path("pgdl"), "").unwrap();
    let here = place.path("");
    // Program and libtorch lie where an ordinary user may look.
    let preparation = format!(
        "program=$1; shift; cd {here:?}; chown -R 1000:1000 .; \
         exec unshare --mount sh -e -c 'mount --bind \"$0\" pgdl; mount --bind {:?} lib; \
         exec setpriv --reuid 1000 --regid 1000 --clear-groups env LD_LIBRARY_PATH=\"$PWD/lib\" HOME=\"$PWD\" ./pgdl \"$@\"' \
         \"$program\" \"$@\"",
        libtorch()
    );
    let answer = by_way_of(&place, &preparation, &evaluation(&program), 0);
    let values: Vec<_> = rows(&answer).iter().map(|row| row["value"].clone()).collect();
    assert_eq!(values, [1000.0; 4]);
}

/// As in a container without users of its own: root of it, and nobody else.
#[test]
fn a_root_without_a_nobody_has_the_sandbox_too() {
    if !works("unshare --user --map-root-user true") {
        println!("skipped: no user namespaces here");
        return;
    }
    let place = small_zoo::place();
    let program = script(&place, "who", NAMES_ITSELF);
    let preparation = "exec unshare --user --map-root-user \"$@\"";
    let answer = by_way_of(&place, preparation, &evaluation(&program), 0);
    let values: Vec<_> = rows(&answer).iter().map(|row| row["value"].clone()).collect();
    assert_eq!(values, [0.0; 4]);
}

/// Refused with a way out, and the way out is one.
fn is_refused(preparation: &str, reason: &str) {
    let place = small_zoo::place();
    let program = script(&place, "one", "echo '{\"value\":1}'");
    let rules = "name = \"test\"\nseconds_per_network = 60\n[phase.development]\nzoos = [\"small\"]\nsubmissions_per_day = 9\n";
    std::fs::write(place.path("rules.toml"), rules).unwrap();
    let submission = [
        "submit",
        program.to_str().unwrap(),
        "--rules",
        "rules.toml",
        "--board",
        "board",
        "--device",
        "cpu",
        "--format",
        "json",
    ];
    for arguments in [&evaluation(&program)[..], &submission] {
        let refused = by_way_of(&place, preparation, arguments, 7);
        assert!(
            refused.stderr.contains(&format!("no sandbox can be made here: {reason}")),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains("hint: allow unprivileged user namespaces"), "{}", refused.stderr);
        assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    }
    assert!(!place.path("board/ledger.jsonl").exists(), "what was refused is no submission");
    let trusted = [&submission[..], &["--no-sandbox"]].concat();
    let board = by_way_of(&place, preparation, &trusted, 0).json();
    assert_eq!(board[0]["verdict"], "scored");
}

#[test]
fn where_user_namespaces_are_used_up_the_sandbox_is_refused() {
    // The limit of a user namespace of its own: the machine's is not touched.
    let preparation = "exec unshare --user --map-root-user sh -e -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"' sh \"$@\"";
    if !works(&format!("set -- true; {preparation}")) {
        println!("skipped: no user namespaces, or no limits to set, here");
        return;
    }
    is_refused(preparation, "no more user namespaces are allowed (user.max_user_namespaces)");
}

#[test]
fn where_namespaces_are_forbidden_the_sandbox_is_refused() {
    // Linux permits them to nobody whose root is not its mount namespace's.
    let preparation = "exec unshare --mount sh -e -c 'mkdir -p root; mount --rbind / root; here=$PWD; \
                       exec chroot root sh -e -c \"cd \\\"$here\\\"; exec \\\"\\$@\\\"\" sh \"$@\"' sh \"$@\"";
    let folder = tempfile::tempdir().unwrap();
    if !works(&format!("cd {:?}; set -- true; {preparation}", folder.path())) {
        println!("skipped: only root can try this");
        return;
    }
    is_refused(preparation, "namespaces are not permitted here");
}
