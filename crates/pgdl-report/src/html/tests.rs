//! What every report page keeps to.

use std::collections::BTreeSet;

use pgdl_run::{Record, Status};
use pgdl_score::Options;
use pgdl_zoo::{HyperValue, Hyperparameter};

use super::*;
use crate::example::{population, record};
use crate::findings::MeasureNote;
use crate::plot::files::write_plots;
use crate::population::{Population, PopulationNetwork};
use crate::values::values_from_records;

/// A record of every network whose value `of` gives, from the network's place; what it gives none for has failed.
fn records(population: &Population, measure: &str, of: impl Fn(usize) -> Option<f64>) -> Vec<Record> {
    let of_network = |(place, network): (usize, &PopulationNetwork)| {
        let value = of(place);
        let status = if value.is_some() { "ok" } else { "failed" };
        let record = record(network.id.unwrap(), measure, "", status, 0, "2026-01-02T03:04:05Z");
        Record { zoo: population.name.clone(), value, standard_error: None, ..record }
    };
    population.networks.iter().enumerate().map(of_network).collect()
}

fn findings(population: Population, records: &[Record]) -> Findings {
    let options = Options { bootstrap: 20, ..Options::default() };
    Findings::of_records(population, records, &[], &options, &|_| None).unwrap()
}

fn page(population: Population, records: &[Record]) -> String {
    report_page(&[findings(population, records)]).unwrap()
}

/// Without hyperparameters.
fn bare(population: &Population) -> Population {
    let mut bare = population.clone();
    bare.hyperparameters.clear();
    for network in &mut bare.networks {
        network.hyperparameters.clear();
    }
    bare
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap() + start.len();
    &text[from..from + text[from..].find(end).unwrap()]
}

#[test]
fn sha256_in_base_64() {
    // The empty text and `abc` of FIPS 180-2.
    assert_eq!(sha256(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(sha256("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let population = population();
    let page = page(population.clone(), &records(&population, "margin", |place| Some(place as f64)));
    for loads in
        ["http://", "https://", " src=", "url(", "@import", "<link", "<iframe", "<base", "fetch(", "import("]
    {
        assert!(!page.contains(loads), "{loads}");
    }
    for target in page.split("href=\"").skip(1) {
        assert!(target.starts_with('#'), "{}", &target[..20]);
    }
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"").replace("&#39;", "'");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    for (kind, element) in [("style-src", "style"), ("script-src", "script")] {
        let content = between(&page, &format!("<{element}>"), &format!("</{element}>"));
        assert!(policy.contains(&format!("{kind} 'sha256-{}'", sha256(content))), "{kind}: {policy}");
    }
    assert!(!page.contains(" style=\""), "which the policy forbids");
}

#[test]
fn every_link_leads_somewhere_and_every_id_is_used_once() {
    let population = population();
    let mut all = records(&population, "margin", |place| Some(place as f64));
    all.extend(records(&population, "norm", |place| Some(-(place as f64))));
    let page = page(population, &all);
    let values = |attribute: &str| -> Vec<String> {
        let start = format!("{attribute}=\"");
        page.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let ids = values(" id");
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    for target in values(" href") {
        assert!(unique.contains(&target[1..].to_owned()), "{target}");
    }
    for target in values(" for").into_iter().chain(values(" aria-labelledby")) {
        assert!(unique.contains(&target), "{target}");
    }
}

#[test]
fn texts_from_outside_never_become_markup() {
    let hostile = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(2)>",
        "</style><svg onload=alert(3)>",
        "'--></title><b>\u{0}\u{1b}[31m\u{202e}",
    ];
    let mut population = population();
    population.name = hostile.concat();
    for (hyperparameter, name) in population.hyperparameters.iter_mut().zip(hostile) {
        hyperparameter.name = name.to_owned();
        hyperparameter.possible_values[0] = HyperValue::Text(name.to_owned());
    }
    for network in &mut population.networks {
        network.label = hostile[1].to_owned();
        for (axis, value) in network.hyperparameters.iter_mut().enumerate() {
            if !population.hyperparameters[axis].possible_values.contains(value) {
                *value = HyperValue::Text(hostile[axis].to_owned());
            }
        }
    }
    let mut all = Vec::new();
    for name in hostile {
        all.extend(records(&population, name, |place| (place != 3).then_some(place as f64)).into_iter().map(
            |record| Record {
                message: (record.status != Status::Ok).then(|| hostile.concat()),
                device: hostile[0].to_owned(),
                libtorch_version: hostile[1].to_owned(),
                data_digest: hostile[2].to_owned(),
                utc: hostile[3].to_owned(),
                ..record
            },
        ));
    }
    let note = MeasureNote {
        title: hostile[0].into(),
        family: hostile[1].into(),
        formula: hostile[2].into(),
        paper: hostile[3].into(),
        ..MeasureNote::default()
    };
    let options = Options { bootstrap: 20, ..Options::default() };
    let found = Findings::of_records(population, &all, &[], &options, &|_| Some(note.clone())).unwrap();
    let page = report_page(std::slice::from_ref(&found)).unwrap();
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("<style").count(), 1);
    for markup in ["<img", "<svg onload", "<b>\u{fffd}", "<b>\u{0}"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let letters = page.chars().filter(|letter| letter.is_control() && *letter != '\n');
    assert_eq!(letters.count(), 0, "control characters");
    assert!(!page.contains('\u{202e}'), "what turns the direction of text");

    let folder = tempfile::tempdir().unwrap();
    write_plots(&[found], folder.path()).unwrap();
    let mut files = vec![folder.path().to_path_buf()];
    let mut seen = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "svg") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("<svg onload"));
            seen += 1;
        }
    }
    assert_eq!(
        seen,
        3 + 4 * (3 + 3),
        "per zoo three plots, per measure three scatter plots and three others"
    );
}

#[test]
fn the_scores_are_those_of_the_score_report() {
    let population = population();
    let mut all = records(&population, "worse", |place| Some(((place * 5) % 8) as f64));
    all.extend(records(&population, "best", |place| (place != 2).then_some(place as f64)));
    let found = findings(population.clone(), &all);
    let options = Options { bootstrap: 20, ..Options::default() };
    let mut direct =
        ScoreReport::new(&population, &values_from_records(&population, &all), &options).unwrap();
    direct.scores.sort_by(|a, b| b.cmi_pgdl.partial_cmp(&a.cmi_pgdl).unwrap());
    assert_eq!(found.report, direct);
    assert_eq!(found.report.scores[0].measure, "best");
}

/// Two depths; within each the measure falls as the gap rises, but deep networks have larger gaps and values.
fn simpson() -> (Population, Vec<Record>) {
    let population = population();
    let all = records(&population, "depth_detector", |place| {
        let (depth, rank) = (place / 4, place % 4);
        Some((100 * depth) as f64 - rank as f64)
    });
    (population, all)
}

#[test]
fn simpsons_paradox_is_seen() {
    let (population, all) = simpson();
    let found = findings(population.clone(), &all);
    let measure = &found.measures[0];
    // 16 pairs across depths agree, 2 × 6 within them do not: (16 − 12) / 28.
    assert_eq!(measure.score.kendall_tau_b, Some(4.0 / 28.0));
    let taus: Vec<f64> = measure.slices[0].taus().collect();
    assert_eq!(taus, [-1.0, -1.0]);
    assert_eq!(measure.slices[0].mean(), Some(-1.0));
    assert_eq!(measure.reversals(), [0], "depth alone: width and lr leave both depths in each slice");
    let page = report_page(&[found]).unwrap();
    assert!(page.contains("Simpson’s paradox: "));
    assert!(page.contains("within every value of depth."), "named below the measure");

    let agreeing = page_of_a_perfect_measure(&population);
    assert!(!agreeing.contains("Simpson’s paradox: "));
}

fn page_of_a_perfect_measure(population: &Population) -> String {
    page(population.clone(), &records(population, "perfect", |place| Some(place as f64)))
}

#[test]
fn what_has_no_value_is_listed_with_status_reason_and_networks() {
    let population = population();
    let mut all = records(&population, "fragile", |place| (place > 1).then_some(place as f64));
    all[0].message = Some("ran out of memory".into());
    all.remove(7);
    let page = page(population, &all);
    assert!(page.contains("ran out of memory") && page.contains("a reason"));
    let row = |status: &str| {
        let at = page.find(&format!("\">{status}</td>")).unwrap_or_else(|| panic!("{status}"));
        page[at..at + page[at..].find("</tr>").unwrap()].to_owned()
    };
    assert!(row("missing").contains(">80<"), "{}", row("missing"));
    assert!(page.contains("5/8"));
}

#[test]
fn small_and_strange_zoos_have_a_page() {
    let full = population();
    let mut one = full.clone();
    one.networks.truncate(1);
    for population in [full.clone(), one.clone(), bare(&full), bare(&one)] {
        for value in [0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, -1e-300] {
            let html = page(population.clone(), &records(&population, "constant", |_| Some(value)));
            for strange in ["NaN", ">inf", "\"inf", "-inf", "∞"] {
                assert!(!html.contains(strange), "{value}: {strange}");
            }
        }
        let html = page(population.clone(), &records(&population, "broken", |_| None));
        assert!(html.contains("no network has a value"));
        let html = page(population.clone(), &[]);
        assert!(html.contains("there is nothing to score"));
        let ends =
            records(&population, "ends", |place| Some(if place % 2 == 0 { f64::MAX } else { f64::MIN }));
        assert!(!page(population.clone(), &ends).contains("NaN"));
    }
    let html = page(bare(&full), &records(&full, "margin", |place| Some(place as f64)));
    assert!(!html.contains("type=\"radio\"") && html.contains("it needs two hyperparameters"));
}

#[test]
fn the_same_records_make_the_same_page() {
    let (population, all) = simpson();
    assert_eq!(page(population.clone(), &all), page(population, &all));
}

#[test]
fn every_colour_that_is_used_has_a_rule_on_both_grounds() {
    let (population, all) = simpson();
    let page = page(population, &all);
    let style = between(&page, "<style>", "</style>");
    let mut seen = 0;
    for classes in page.split("class=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        for class in classes.split(' ').filter(|class| class.starts_with(['h', 'k', 'q'])) {
            if class[1..].starts_with(|letter: char| letter.is_ascii_digit()) {
                assert!(style.contains(&format!(".{class}{{")), "{class}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 8 * 3 + 6, "{seen}: every network on every axis, every slice");
    let (light, dark) = style.split_once("@media screen and (prefers-color-scheme:dark)").unwrap();
    for name in ["--ink:", "--q20:", "--z0k2v1:"] {
        assert!(light.contains(name) && dark.contains(name), "{name}");
    }
}

#[test]
fn several_zoos_share_a_page_and_a_total() {
    let one = population();
    let mut other = population();
    other.name = "other".into();
    let of = |population: &Population| records(population, "margin", |place| Some(place as f64));
    let page =
        report_page(&[findings(one.clone(), &of(&one)), findings(other.clone(), &of(&other))]).unwrap();
    assert!(page.contains("All zoos") && page.contains("mean cmi_pgdl × 100"));
    assert!(page.contains("id=\"z1-m0\""));
    assert!(report_page(&[findings(one.clone(), &of(&one)), findings(one.clone(), &of(&one))]).is_err());
}

/// The size of the competition's largest tasks, with more measures than anyone has.
#[test]
fn a_large_board_stays_small() {
    let sizes = [2, 2, 2, 2, 2, 3];
    let hyperparameters: Vec<Hyperparameter> = sizes
        .iter()
        .enumerate()
        .map(|(axis, size)| Hyperparameter {
            name: format!("hyperparameter_{axis}"),
            possible_values: (0..*size).map(|value| HyperValue::Number(f64::from(value))).collect(),
        })
        .collect();
    let networks = (0..96_usize)
        .map(|place| {
            let mut rest = place;
            let level = |size: &i32| {
                let level = rest % *size as usize;
                rest /= *size as usize;
                HyperValue::Number(level as f64)
            };
            PopulationNetwork {
                id: Some(place as u64),
                label: place.to_string(),
                hyperparameters: sizes.iter().map(level).collect(),
                seed: None,
                gap: ((place * 37) % 96) as f64 / 200.0,
            }
        })
        .collect();
    let population = Population { hyperparameters, networks, ..population() };
    let mut all = Vec::new();
    for measure in 0..100_usize {
        let value = |place: usize| Some(((place * (2 * measure + 1)) % 97) as f64 * 1.234_567e3);
        all.extend(records(&population, &format!("a_measure_of_some_kind_{measure}"), value));
    }
    let options = Options { bootstrap: 0, ..Options::default() };
    let found = Findings::of_records(population, &all, &[], &options, &|_| None).unwrap();
    let size = report_page(&[found]).unwrap().len();
    assert!(size < 5_000_000, "{size} bytes");
    println!("100 measures × 96 networks: {size} bytes");
}
