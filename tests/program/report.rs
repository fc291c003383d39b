//! `pgdl report`: pages of real runs, and requests that cannot be met.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Place;

/// Builds the smallest zoo that there is a recipe for, and evaluates cheap measures on it.
fn with_run() -> Place {
    let place = Place::new();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/../../model_zoo/toy_mlp/recipe.toml");
    place.run(&["zoo", "build", recipe, "--output", "toy", "--device", "cpu"], 0);
    place.run(&["eval", "--zoo", "toy", "--measure", MEASURES, "--run", "run"], 0);
    place
}

const MEASURES: &str = "l2_norm,distance_from_init,constant,random";

fn page(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path(name)).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_run_becomes_a_page_with_plots() {
    let place = with_run();
    let answer = place.run(&["report", "run", "--bootstrap", "50", "--plots", "plots"], 0);
    assert_eq!(answer.stdout, "report.html\nplots\n");
    let html = page(&place, "report.html");
    let score =
        ["score", "--zoo", "toy", "--run", "run", "--measure", MEASURES, "--bootstrap", "50", "--format"];
    let scores = place.run(&[&score[..], &["json"]].concat(), 0).json();
    for score in scores["scores"].as_array().unwrap() {
        let measure = score["measure"].as_str().unwrap();
        assert!(html.contains(&format!("data-measure=\"{measure}\"")), "{measure}");
        for statistic in
            ["cmi_pgdl", "kendall_tau_b", "granulated_kendall_mean", "spearman", "sign_error_p90"]
        {
            if let Some(value) = score[statistic].as_f64() {
                assert!(html.contains(&format!("data-v=\"{value}\"")), "{measure}: {statistic} {value}");
            }
        }
    }
    let run: serde_json::Value = serde_json::from_str(&page(&place, "run/run.json")).unwrap();
    for key in ["zoo_digest", "data_digest", "libtorch_version", "pgdl_version", "utc"] {
        assert!(html.contains(run[key].as_str().unwrap()), "{key}");
    }

    let plots = files(&place.path("plots"));
    let of = |extension: &str| plots.iter().filter(|path| path.extension().unwrap() == extension).count();
    assert!(of("svg") > 20 && of("svg") == of("png") && of("svg") + of("png") == plots.len(), "{plots:?}");
    for path in &plots {
        let bytes = fs::read(path).unwrap();
        let start: &[u8] =
            if path.extension().unwrap() == "png" { b"\x89PNG\r\n\x1a\n" } else { b"<svg xmlns=" };
        assert!(bytes.starts_with(start), "{}", path.display());
    }

    // The same records make the same page, however they are named.
    place.run(
        &["report", "run/records.jsonl", "--zoo", "toy", "--bootstrap", "50", "--output", "again.html"],
        0,
    );
    let scores = |html: &str| html.split("-provenance\">Provenance</h3>").next().unwrap().to_owned();
    assert!(
        scores(&page(&place, "again.html")) == scores(&html),
        "but for the context, which only the folder keeps"
    );
    in_a_browser(&place.path("report.html"));
}

/// Scripts run under the page's own policy: headings have become buttons, plots can be reached.
fn in_a_browser(page: &Path) {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let is_there =
        |name: &str| Command::new(name).arg("--version").output().is_ok_and(|answer| answer.status.success());
    let Some(browser) = names.into_iter().find(|name| is_there(name)) else {
        println!("skipped: there is no Chromium to look at the page with");
        return;
    };
    let profile = tempfile::tempdir().unwrap();
    let answer = Command::new("timeout")
        .args([
            "300",
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
        ])
        .args(["--no-first-run", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&answer.stdout);
    for made in ["<button type=\"button\">", "class=\"search\"", "<svg width=", "tabindex=\"0\""] {
        assert!(dom.contains(made), "{made}: {}", String::from_utf8_lossy(&answer.stderr));
    }
    assert_eq!(dom.matches("<th scope=\"col\"").count(), dom.matches("<button type=\"button\">").count());
}

#[test]
fn what_cannot_be_reported_says_why() {
    let place = with_run();
    let refused = |arguments: &[&str], exit: i32, signs: &[&str]| {
        let answer = place.run(&[&["report", "--bootstrap", "0"], arguments].concat(), exit);
        for sign in signs.iter().chain(&["error: ", "hint: "]) {
            assert!(answer.stderr.contains(sign), "{sign} in:\n{}", answer.stderr);
        }
        assert!(answer.stdout.is_empty());
    };
    fs::write(place.path("report.html"), "old").unwrap();
    refused(&["nowhere"], 2, &["nowhere"]);
    refused(&["no/such/run"], 6, &["no/such/run"]);
    fs::create_dir(place.path("empty")).unwrap();
    refused(&["empty"], 6, &["empty", "neither a run"]);
    refused(&["toy"], 3, &["there are no records", "pgdl score --zoo toy"]);
    fs::write(place.path("none.jsonl"), "").unwrap();
    refused(&["none.jsonl"], 3, &["none.jsonl", "there are no records"]);
    fs::write(place.path("newer.jsonl"), "{\"schema\":99,\"later\":true}\n").unwrap();
    refused(&["newer.jsonl"], 6, &["newer.jsonl line 1", "schema 99 is newer"]);
    refused(&["run", "--output", "no/such/folder.html"], 1, &["cannot write no/such/folder.html"]);
    refused(&["run", "--output", "empty"], 1, &["cannot write empty"]);
    refused(&["run", "--plots", "report.html"], 1, &["cannot write report.html"]);
    assert_eq!(page(&place, "report.html"), "old", "what stood there stays");
    assert!(files(&place.path("")).iter().all(|path| path.extension().is_none_or(|end| end != "part")));

    // A zoo that was moved is found by name of its folder; that it is the same one, digests tell.
    fs::rename(place.path("toy"), place.path("moved")).unwrap();
    refused(&["run"], 6, &["zoo toy", "--zoo"]);
    let answer = place.run(&["report", "run", "--zoo", "moved", "--bootstrap", "0"], 0);
    assert!(!answer.stderr.contains("do not count"), "{}", answer.stderr);
    assert!(page(&place, "report.html").contains("<h1>moved</h1>"));
}

#[test]
fn damage_is_told_on_the_page() {
    let place = with_run();
    let records = place.path("run/records.jsonl");
    let mut text = fs::read_to_string(&records).unwrap();
    let failed = text.lines().find(|line| line.contains("\"l2_norm\"")).unwrap().to_owned();
    let mut record: serde_json::Value = serde_json::from_str(&failed).unwrap();
    record["status"] = "failed".into();
    record["value"] = serde_json::Value::Null;
    record["message"] = "the <matrix> is singular".into();
    text = text.replace(&failed, &record.to_string());
    text.push_str("not a record\n{\"half");
    fs::write(&records, text).unwrap();
    let answer = place.run(&["report", "run", "--bootstrap", "0"], 0);
    assert!(answer.stderr.contains("2 lines of the records files hold no record"), "{}", answer.stderr);
    let html = page(&place, "report.html");
    assert!(html.contains("the &lt;matrix&gt; is singular") && html.contains("2 lines of the records files"));

    // Another network than the one that the records are of.
    let weights = place.path("toy/model_0/weights.hdf5");
    let other = place.path("toy/model_1/weights.hdf5");
    fs::copy(if other.exists() { other } else { place.path("toy/model_2/weights.hdf5") }, weights).unwrap();
    let answer = place.run(&["report", "run", "--bootstrap", "0"], 0);
    assert!(answer.stderr.contains("records were made of other weights"), "{}", answer.stderr);
}
