//! Fits the coefficients of `linear_signature` anew: see `linear_signature/README.md`.
//!
//! Each zoo that is named is measured again, its rows in `signatures.csv` replaced; then `fits.json` is made of all rows.

use std::error::Error;
use std::fs;
use std::path::Path;

use pgdl_measure::tch;
use pgdl_measure::{Probe, ProbeInput, digest};
use pgdl_measure_learned::linear_signature::{DepthSignature, signatures};
use pgdl_measure_learned::regression::{Fits, Row};
use pgdl_measure_learned::table;
use pgdl_zoo::{Gap, Zoo};

fn main() -> Result<(), Box<dyn Error>> {
    tch::set_num_threads(1);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("linear_signature");
    let path = folder.join("signatures.csv");
    let mut rows = if path.exists() { table::read(&fs::read_to_string(&path)?)? } else { Vec::new() };
    for name in std::env::args().skip(1) {
        let measured = measure(&Zoo::find(&name)?)?;
        let place = rows.iter().position(|row| row.zoo == name).unwrap_or(rows.len());
        rows.retain(|row| row.zoo != name);
        rows.splice(place..place, measured);
        fs::write(&path, table::write(&rows))?;
    }
    // What the file says, so that the fit does not depend on whether it was just written.
    let fits = Fits::of(&table::read(&fs::read_to_string(&path)?)?)?;
    for fit in &fits.fits {
        eprintln!(
            "{}: strength {}, error on zoos left out {:.4}",
            fit.name, fit.strength, fit.left_out_error
        );
    }
    fs::write(folder.join("fits.json"), table::json(&fits)?)?;
    Ok(())
}

/// The rows of a zoo's networks, on its whole training set, as `pgdl score` does.
fn measure(zoo: &Zoo) -> Result<Vec<Row>, Box<dyn Error>> {
    let train = zoo.train_data()?;
    let mut rows = Vec::new();
    for entry in zoo.networks() {
        let network = zoo.load(entry.id)?;
        let gap = entry.metrics.as_ref().and_then(|metrics| metrics.gap(Gap::Accuracy));
        let digest = digest(&network)?;
        let probe = Probe::new(ProbeInput {
            network,
            network_id: entry.id,
            initial: None,
            train_size: train.len(),
            train: zoo.as_trained(entry.id, &train)?,
            test_inputs: None,
            truth: None,
            seed: 0,
            deadline: None,
            batch_size: 256,
        })?;
        rows.push(Row {
            zoo: zoo.name().to_string(),
            network: entry.id,
            digest,
            gap: gap.ok_or_else(|| format!("network {} has no gap", entry.id))?,
            features: signatures(&probe)?.iter().flat_map(DepthSignature::logarithms).collect(),
        });
        eprintln!("{} {}", zoo.name(), entry.id);
    }
    Ok(rows)
}
