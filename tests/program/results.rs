//! What is committed under `results/` is what its records make, and the README shows it. `PGDL_BLESS=1` rewrites the
//! README's boards; `pgdl reproduce MANIFEST --update` rewrites results.
//!
//! A board in the README stands between two comments, the first of which names a table and how many of its rows to show:
//! `<!-- board: results/cifar_vgg/cifar_vgg.md rows=12 -->` and `<!-- end of board -->`.

use std::path::{Path, PathBuf};

use crate::support::Place;

const BEGIN: &str = "<!-- board: ";
const END: &str = "<!-- end of board -->";

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[test]
fn committed_tables_are_what_the_committed_records_make() {
    let results = checkout().join("results");
    let mut checked = 0;
    for entry in std::fs::read_dir(&results).unwrap() {
        let manifest = entry.unwrap().path();
        if manifest.extension().is_some_and(|extension| extension == "toml") {
            Place::new().run(&["reproduce", manifest.to_str().unwrap(), "--from-records"], 0);
            checked += 1;
        }
    }
    assert!(checked > 0, "{} holds no manifest", results.display());
}

#[test]
fn the_boards_of_the_readme_are_fresh() {
    let path = checkout().join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(BEGIN), "README.md shows no board");
    let fresh = with_boards(&text, &checkout());
    if std::env::var_os("PGDL_BLESS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap();
    assert!(there == fresh, "README.md is stale: run PGDL_BLESS=1 cargo test -p pgdl --test program readme");
}

#[test]
fn a_board_is_put_between_its_comments_and_a_stale_one_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.md"), "| a |\n| --- |\n| 1 |\n| 2 |\n| 3 |\n").unwrap();
    let page = "before\n<!-- board: t.md rows=2 -->\nold\n<!-- end of board -->\nafter\n";
    let expected = "before\n<!-- board: t.md rows=2 -->\n| a |\n| --- |\n| 1 |\n| 2 |\n\n1 more: [t.md](t.md).\n\
                    <!-- end of board -->\nafter\n";
    assert_eq!(with_boards(page, folder.path()), expected);
    assert_eq!(with_boards(expected, folder.path()), expected);
    let whole = with_boards(&page.replace(" rows=2", ""), folder.path());
    assert!(whole.contains("| 3 |\n<!-- end of board -->"), "{whole}");
}

/// The page with every board in it made anew from its table.
fn with_boards(page: &str, root: &Path) -> String {
    let mut out = String::new();
    let mut rest = page;
    while let Some(start) = rest.find(BEGIN) {
        let (before, from_begin) = rest.split_at(start);
        let line_end = from_begin.find('\n').expect("the comment ends its line");
        let (begin, after) = from_begin.split_at(line_end + 1);
        let end = after.find(END).unwrap_or_else(|| panic!("no `{END}` after `{}`", begin.trim_end()));
        let words: Vec<&str> = begin[BEGIN.len()..].split_whitespace().collect();
        let rows = words.iter().find_map(|word| word.strip_prefix("rows="));
        let rows = rows.map_or(usize::MAX, |rows| rows.parse().expect("rows= has a number"));
        out.push_str(before);
        out.push_str(begin);
        out.push_str(&board(root, words[0], rows));
        rest = &after[end..];
    }
    out + rest
}

fn board(root: &Path, table: &str, rows: usize) -> String {
    let text = std::fs::read_to_string(root.join(table)).unwrap_or_else(|error| panic!("{table}: {error}"));
    let lines: Vec<&str> = text.lines().collect();
    // Two lines are the heading.
    let shown = lines.len().min(rows.saturating_add(2));
    let mut board: String = lines[..shown].iter().map(|line| format!("{line}\n")).collect();
    if shown < lines.len() {
        board.push_str(&format!("\n{} more: [{table}]({table}).\n", lines.len() - shown));
    }
    board
}
