//! The experiments as the command runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use pgdl_experiment::{EXPERIMENTS, ExperimentError, Settings, find, run};

fn settings(output: &Path, options: &[(&str, &str)]) -> Settings {
    let options: BTreeMap<String, String> =
        options.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Settings {
        quick: true,
        seed: 0,
        threads: 1,
        device: tch::Device::Cpu,
        output: output.to_path_buf(),
        options,
    }
}

#[test]
fn names_are_words_and_each_is_there_once() {
    let names: Vec<&str> = EXPERIMENTS.iter().map(|experiment| experiment.info().name).collect();
    let plain = |name: &str| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    assert!(names.iter().all(|name| plain(name)), "{names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let error = find("llc_deep_linaer").err().unwrap();
    assert_eq!(error.hint().unwrap(), "did you mean `llc_deep_linear`?");
}

#[test]
fn one_deep_linear_network_meets_its_closed_form() {
    let folder = tempfile::tempdir().unwrap();
    let options = [("rank", "2"), ("input", "4"), ("widths", "3")];
    let experiment = find("llc_deep_linear").unwrap();
    let settings = settings(folder.path(), &options);
    let outcome = run(experiment, &settings, &AtomicBool::new(false), &mut |_| {}).unwrap();
    let [published] = &outcome.published[..] else { panic!("{:?}", outcome.published) };
    assert_eq!(published.published, "6");
    let measured = published.measured.unwrap();
    assert!((measured.value / 6.0 - 1.0).abs() < 0.05, "{measured:?}");
    assert!(measured.interval.unwrap()[1] > measured.value);
    for name in ["README.md", "coefficients.csv", "coefficients.svg", "coefficients.png", "published.csv"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
}

#[test]
fn networks_that_cannot_be_are_usage_errors() {
    for (options, word) in [
        (vec![("rank", "3"), ("input", "4"), ("widths", "2,4")], "rank 3"),
        (vec![("widths", "2,4")], "--widths"),
        (vec![("input", "2")], "--input"),
        (vec![("input", "2"), ("widths", "2"), ("samples", "2")], "at least 3"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let experiment = find("llc_deep_linear").unwrap();
        let outcome =
            run(experiment, &settings(folder.path(), &options), &AtomicBool::new(false), &mut |_| {});
        let error = outcome.err().unwrap();
        assert!(matches!(error, ExperimentError::Option { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn lists_and_counts_that_name_nothing_are_usage_errors() {
    for (name, option, value) in [
        ("intrinsic_dimension", "networks", "fc,resnet"),
        ("intrinsic_dimension", "projections", "orthogonal"),
        ("intrinsic_dimension", "runs", "0"),
        ("double_descent", "models", "network,forest"),
        ("double_descent", "runs", "many"),
        ("layer_robustness", "networks", "fc"),
        ("layer_robustness", "runs", "0"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), &[(option, value)]);
        let error = run(find(name).unwrap(), &settings, &AtomicBool::new(false), &mut |_| {}).err().unwrap();
        assert!(
            matches!(&error, ExperimentError::Option { name: found, .. } if found == option),
            "{name}: {error}"
        );
    }
}
