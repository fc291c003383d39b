//! The experiments on Neural Complexity, each with a tiny model: they end in tables and figures, the same ones again from
//! the journal, and refuse what is no model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use pgdl_experiment::nc::{
    NcClosedForm, NcDatasetSize, NcLossSurface, NcMaml, NcOutOfDistribution, NcSinusoid,
};
use pgdl_experiment::{Experiment, ExperimentError, Outcome, Result, Settings, run};
use pgdl_nc::{MetaTraining, Recipe};
use tch::Device;

/// A model that has learned almost nothing.
fn checkpoint(folder: &Path) -> String {
    let recipe = Recipe::parse(
        "schema = 1\nname = \"tiny\"\nseed = 1\nform = \"regression\"\n[model]\nwidth = 8\nheads = 2\n[learner]\n\
         hidden = [6, 6]\n[meta]\nsteps = 5\nbatch = 8\nparallel = 4\nfill = 64\nbank = 64\n[watch]\ntasks = 8",
    )
    .unwrap();
    let mut training = MetaTraining::open(recipe, folder, Device::Cpu).unwrap();
    training.run(&AtomicBool::new(false), &mut |_| {}).unwrap();
    folder.join("checkpoint.safetensors").display().to_string()
}

fn carry_out(experiment: &dyn Experiment, output: &Path, options: &[(&str, &str)]) -> Result<Outcome> {
    let options = options.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let settings = Settings {
        quick: true,
        seed: 1,
        threads: 1,
        device: Device::Cpu,
        output: output.to_path_buf(),
        options: BTreeMap::from_iter(options),
    };
    run(experiment, &settings, &AtomicBool::new(false), &mut |_| {})
}

#[test]
fn each_ends_in_tables_and_figures() {
    let folder = tempfile::tempdir().unwrap();
    let model = checkpoint(folder.path());
    let experiments: [(&dyn Experiment, &[&str], usize); 6] = [
        (&NcSinusoid, &["fit.csv", "regularizers.csv", "fit.svg", "fit.png", "published.csv"], 4),
        (&NcOutOfDistribution, &["out_of_distribution.csv", "out_of_distribution.png"], 16),
        (&NcClosedForm, &["closed_form.csv", "closed_form.svg"], 7),
        (&NcDatasetSize, &["dataset_size.csv", "dataset_size.svg"], 14),
        (&NcLossSurface, &["loss_surface.csv", "loss_surface.svg"], 26),
        (&NcMaml, &["maml.csv", "maml.svg"], 4),
    ];
    for (experiment, files, rows) in experiments {
        let name = experiment.info().name;
        let output = folder.path().join(name);
        let mut options = vec![("checkpoint", &model[..])];
        if name == "nc_maml" {
            options.push(("maml-steps", "4"));
        }
        let outcome = carry_out(experiment, &output, &options).unwrap();
        assert_eq!(outcome.tables[0].table.len(), rows, "{name}");
        for file in files.iter().chain(&["README.md"]) {
            assert!(output.join(file).metadata().unwrap().len() > 100, "{name}: {file}");
        }
        let first = std::fs::read(output.join("README.md")).unwrap();
        carry_out(experiment, &output, &options).unwrap();
        assert!(
            std::fs::read(output.join("README.md")).unwrap() == first,
            "{name}: another page from the journal"
        );
    }
}

#[test]
fn what_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none").display().to_string();
    let refused = carry_out(&NcClosedForm, &folder.path().join("a"), &[("checkpoint", &missing)]);
    assert!(matches!(refused, Err(ExperimentError::Nc(pgdl_nc::NcError::Io { .. }))), "{refused:?}");
    let recipe = folder.path().join("recipe.toml").display().to_string();
    std::fs::write(&recipe, "schema = 9").unwrap();
    let refused = carry_out(&NcClosedForm, &folder.path().join("b"), &[("recipe", &recipe)]);
    assert!(matches!(refused, Err(ExperimentError::Nc(pgdl_nc::NcError::Syntax { .. }))), "{refused:?}");
}
