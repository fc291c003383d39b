//! The generated reference pages say what the program says now. `PGDL_BLESS=1` rewrites them.

use std::fmt::Write;
use std::path::Path;

use pgdl_measure::{Registry, explain};

fn measures_page() -> String {
    let mut registry = Registry::new();
    pgdl_measures::register(&mut registry).unwrap();
    let mut page = String::from(
        "# Measures\n\nGenerated from the registry, as `pgdl explain` prints it; see CONTRIBUTING.md for how to rewrite it. \
         Larger values\npredict a larger generalization gap. Cost is in forward passes F, forward and backward passes B, \
         and Hessian-vector\nproducts HVP over the training sample; P is the number of parameters.\n",
    );
    for family in registry.families() {
        let _ = write!(page, "\n| {family} | what | cost |\n|---|---|---|\n");
        for info in registry.infos().filter(|info| info.family == family) {
            let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
            let _ =
                writeln!(page, "| [`{0}`](#{0}) | {1} | {2} |", info.id, cell(info.title), cell(info.cost));
        }
    }
    for info in registry.infos() {
        page.push('\n');
        page.push_str(&explain::markdown(info));
    }
    page
}

#[test]
fn the_page_of_measures_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/measures.md");
    let page = measures_page();
    if std::env::var_os("PGDL_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/measures.md is stale: run PGDL_BLESS=1 cargo test -p pgdl --test docs");
}
