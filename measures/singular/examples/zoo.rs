//! The family on networks of a zoo, with everything that the chains say: `zoo NAME IDS [MEASURES]`.

use pgdl_measure::tch;
use pgdl_measure::{Probe, ProbeInput, Registry};
use pgdl_zoo::Zoo;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [zoo, ids, rest @ ..] = arguments.as_slice() else { return Err("zoo NAME IDS [MEASURES]".into()) };
    tch::set_num_threads(1);
    let mut registry = Registry::new();
    pgdl_measure_singular::register(&mut registry)?;
    let measures = registry.resolve_list(rest.first().map_or("all", String::as_str))?;
    let zoo = Zoo::find(zoo)?;
    let train = zoo.train_data()?;
    for id in ids.split(',') {
        let id = id.parse()?;
        let probe = Probe::new(ProbeInput {
            network: zoo.load(id)?,
            network_id: id,
            initial: None,
            train: train.shallow_clone(),
            train_size: train.len(),
            test_inputs: None,
            truth: None,
            seed: 0,
            deadline: None,
            batch_size: 256,
        })?;
        for measure in &measures {
            let evaluation = probe.evaluate(measure);
            println!("{} {}: {:.1} s, {:?}", id, measure.spec, evaluation.seconds, evaluation.passes);
            match evaluation.outcome {
                Ok(measured) => println!("  {measured:?}"),
                Err(error) => println!("  {}: {error}", error.status()),
            }
        }
    }
    Ok(())
}
