//! `pgdl bench`: passes, seconds and memory of every measure alone and of all together.

use indicatif::ProgressBar;
use pgdl_measure::{MeasureError, ProbeInput, Registry, Resolved, TrueNetwork, Truth};
use pgdl_network::{Network, device};
use pgdl_report::{Cell, Column, Digits, Table};
use pgdl_run::{CostOptions, CostReport, CostSubject, NetworkCosts, Status, costs, zoo_costs};
use pgdl_train::Recipe;
use pgdl_zoo::{Dataset, Zoo};
use tch::{Device, Tensor};

use crate::arguments::{BenchArchitecture, BenchArguments, Format};
use crate::commands::evaluate::dtype;
use crate::commands::{data, device_name, print_table, wait_passively};
use crate::exit::{Exit, Failure, Outcome};
use crate::progress;
use crate::terminal::Terminal;

/// Task 1's networks on drawn images: a recipe for their architectures, not for training.
const TASK_1: &str = include_str!("bench/task1.toml");

/// Measures and prints.
pub fn run(arguments: &BenchArguments, registry: &Registry, terminal: &Terminal) -> Outcome {
    wait_passively();
    device::load_cuda();
    let measures = registry.resolve_list(&arguments.measure)?;
    let devices = devices(arguments, terminal)?;
    let options = CostOptions {
        device: String::new(),
        dtype: dtype(arguments.dtype),
        sample: arguments.sample,
        seed: arguments.seed,
        batch_size: u64::from(arguments.batch_size),
        threads: match arguments.threads {
            Some(threads) => u64::from(threads),
            None => std::thread::available_parallelism().map_or(1, usize::from) as u64,
        },
        limit: arguments.limit,
    };
    tch::set_num_threads(i32::try_from(options.threads).unwrap_or(i32::MAX));
    let mut subjects = Vec::new();
    for device in devices {
        let options = CostOptions { device: device_name(device), ..options.clone() };
        match arguments.architecture {
            Some(architecture) => subjects.push(drawn(architecture, device, &measures, &options, terminal)?),
            None => subjects.extend(of_zoo(arguments, &measures, &options, terminal)?),
        }
    }
    let report = CostReport::new(&options, subjects);
    print(&report, arguments.output.format, terminal)?;
    let ok = |subject: &CostSubject| subject.costs.measures.iter().all(|cost| cost.status == Status::Ok);
    Ok(if report.subjects.iter().all(ok) { Exit::Ok } else { Exit::NotAllOk })
}

/// The devices to measure on: the one asked for, or else the CPU and, where there is one, a GPU.
fn devices(arguments: &BenchArguments, terminal: &Terminal) -> Result<Vec<Device>, Failure> {
    let choice = device::choose(&arguments.device.device)?;
    if let Some(warning) = &choice.warning {
        terminal.warn(warning);
    }
    if arguments.device.device == "auto" && choice.device != Device::Cpu {
        return Ok(vec![Device::Cpu, choice.device]);
    }
    Ok(vec![choice.device])
}

/// The costs on networks of a zoo: those asked for, or else its first and its last.
fn of_zoo(
    arguments: &BenchArguments,
    measures: &[Resolved],
    options: &CostOptions,
    terminal: &Terminal,
) -> Result<Vec<CostSubject>, Failure> {
    let zoo = Zoo::find(&arguments.zoo)?;
    if let Some(reference) = zoo.data_reference() {
        data::ensure(&reference.dataset, terminal)?;
    }
    let networks = if arguments.networks.is_empty() {
        let mut ends: Vec<u64> =
            [zoo.networks().first(), zoo.networks().last()].into_iter().flatten().map(|one| one.id).collect();
        ends.dedup();
        ends
    } else {
        arguments.networks.clone()
    };
    let train_size = zoo.train_size()? as u64;
    let mut subjects = Vec::new();
    for network in networks {
        let parameters = zoo.architecture(zoo.network(network)?.id)?.parameter_count()?;
        let name = format!("{}/{network}", zoo.name());
        let costs = watched(&name, measures, options, terminal, |watch| {
            Ok(zoo_costs(&zoo, network, measures, options, watch)?)
        })?;
        subjects.push(CostSubject {
            network: name,
            parameters: parameters.unsigned_abs(),
            sample: options.sample.map_or(train_size, |sample| sample.min(train_size)),
            device: options.device.clone(),
            ratio: costs.ratio(),
            costs,
        });
    }
    Ok(subjects)
}

/// The costs on a freshly initialised network with drawn inputs, labelled as the network itself decides: it fits its
/// sample as a trained one would.
fn drawn(
    architecture: BenchArchitecture,
    device: Device,
    measures: &[Resolved],
    options: &CostOptions,
    terminal: &Terminal,
) -> Result<CostSubject, Failure> {
    let (name, axes) = match architecture {
        BenchArchitecture::Task1 => ("task1", [3.0, 512.0]),
        BenchArchitecture::Task1Shallow => ("task1_shallow", [1.0, 256.0]),
    };
    let mut recipe = Recipe::parse(TASK_1)?;
    let id = recipe.ids().find(|&id| recipe.axis_values(id).is_ok_and(|values| values == axes));
    let architecture = recipe.architecture(id.unwrap_or_default())?;
    let parameters = architecture.parameter_count()?.unsigned_abs();
    let Some(synthetic) = &mut recipe.synthetic else {
        return Err(Failure::new(Exit::Unexpected, "the recipe of task 1's networks draws no data"));
    };
    if let Some(sample) = options.sample {
        synthetic.train = usize::try_from(sample).unwrap_or(usize::MAX).min(1_000_000);
    }
    let (train, test) = synthetic.draw(options.seed)?;
    let kind = options.dtype.kind();
    let place = |seed: u64| -> Result<Network, Failure> {
        Ok(Network::initialize(architecture.clone(), options.seed.wrapping_add(seed), Device::Cpu)?
            .to_kind(kind)?
            .to_device(device)?)
    };
    let (network, initial) = (place(1)?, place(2)?);
    let train = decided(&network, train, options)?;
    let sample = train.len() as u64;
    // Two points of a line: enough for the controls to have something to compute.
    let truth = Truth {
        networks: recipe
            .ids()
            .enumerate()
            .map(|(place, id)| TrueNetwork {
                hyperparameters: recipe
                    .axis_values(id)
                    .unwrap_or_default()
                    .into_iter()
                    .map(pgdl_measure::HyperValue::Number)
                    .collect(),
                gap: place as f64 / 10.0,
            })
            .collect(),
        index: 0,
    };
    let input = || -> Result<ProbeInput, MeasureError> {
        Ok(ProbeInput {
            network: network.shallow_clone(),
            network_id: id.unwrap_or_default(),
            initial: Some(initial.shallow_clone()),
            train: train.shallow_clone(),
            train_size: train.len(),
            test_inputs: Some(test.inputs.shallow_clone()),
            truth: Some(truth.clone()),
            seed: options.seed,
            deadline: None,
            batch_size: usize::try_from(options.batch_size).unwrap_or(usize::MAX),
        })
    };
    let costs = watched(name, measures, options, terminal, |watch| {
        Ok(costs(&input, measures, options.limit, watch)?)
    })?;
    Ok(CostSubject {
        network: name.to_owned(),
        parameters,
        sample,
        device: options.device.clone(),
        ratio: costs.ratio(),
        costs,
    })
}

/// The sample with the network's own decisions for labels.
fn decided(network: &Network, sample: Dataset, options: &CostOptions) -> Result<Dataset, Failure> {
    let inputs = sample.inputs.f_to_device(network.device())?.f_to_kind(network.kind())?;
    let batch = i64::try_from(options.batch_size).unwrap_or(i64::MAX);
    let mut labels = Vec::new();
    for part in inputs.f_split(batch, 0)? {
        let outputs = tch::no_grad(|| network.forward(&part, pgdl_network::Mode::Evaluate))?;
        labels.push(outputs.f_argmax(1, false)?);
    }
    Ok(Dataset { inputs, labels: Tensor::f_cat(&labels, 0)? })
}

/// Measures while a progress bar says what is under the clock.
fn watched(
    name: &str,
    measures: &[Resolved],
    options: &CostOptions,
    terminal: &Terminal,
    measure: impl FnOnce(&mut dyn FnMut(&str)) -> Result<NetworkCosts, Failure>,
) -> Result<NetworkCosts, Failure> {
    let bar: ProgressBar = progress::evaluations(2 * measures.len() as u64 + 1, terminal);
    bar.set_prefix(format!("{name} on {}", options.device));
    let mut first = true;
    let costs = measure(&mut |what| {
        if !std::mem::take(&mut first) {
            bar.inc(1);
        }
        bar.set_message(what.to_owned());
    });
    bar.finish_and_clear();
    costs
}

fn print(report: &CostReport, format: Format, terminal: &Terminal) -> Result<(), Failure> {
    if format == Format::Json {
        let text = serde_json::to_string_pretty(report)
            .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
        return terminal.data(&format!("{text}\n"));
    }
    print_table(&measure_table(report), format, terminal)?;
    terminal.data("\n")?;
    print_table(&total_table(report), format, terminal)?;
    if let Some(worst) = report.subjects.iter().max_by(|a, b| a.ratio.total_cmp(&b.ratio)) {
        terminal.note(format_args!(
            "all together take {:.0} % of the sum of each alone (at most, on {} on {})",
            100.0 * worst.ratio,
            worst.network,
            worst.device
        ));
    }
    Ok(())
}

fn measure_table(report: &CostReport) -> Table {
    let seconds = |key: &str, title: &str| Column::new(key, title).digits(Digits::Duration);
    let passes = |key: &str, title: &str| Column::new(key, title).digits(Digits::Significant(3));
    let only_one = report.subjects.len() == 1;
    let subject = |key: &str| {
        let column = Column::new(key, key);
        if only_one { column.detail() } else { column }
    };
    let mut table = Table::new(vec![
        subject("network"),
        subject("device"),
        Column::new("measure", "measure"),
        passes("forward", "F"),
        passes("backward", "B"),
        passes("hvp", "HVP"),
        seconds("seconds", "alone"),
        seconds("seconds_together", "together"),
        Column::new("peak_memory_mib", "MiB").digits(Digits::Fixed { decimals: 0, scale: 1.0 }).optional(),
        Column::new("value", "value").digits(Digits::Significant(4)).with_standard_error().optional(),
        Column::new("status", "status"),
        Column::new("message", "message").detail(),
    ]);
    for subject in &report.subjects {
        for cost in &subject.costs.measures {
            table.push(vec![
                Cell::text(&subject.network),
                Cell::text(&subject.device),
                Cell::text(&cost.measure),
                Cell::number(cost.passes.forward),
                Cell::number(cost.passes.backward),
                Cell::number(cost.passes.hvp),
                Cell::number(cost.seconds),
                Cell::number(cost.seconds_together),
                Cell::maybe(cost.peak_memory_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20))),
                Cell::maybe(cost.value).standard_error(cost.standard_error),
                Cell::text(cost.status.as_str()),
                cost.message.as_ref().map_or_else(Cell::empty, Cell::text),
            ]);
        }
    }
    table
}

fn total_table(report: &CostReport) -> Table {
    let passes = |key: &str, title: &str| Column::new(key, title).digits(Digits::Significant(3));
    let mut table = Table::new(vec![
        Column::new("network", "network"),
        Column::new("device", "device"),
        Column::new("parameters", "parameters").detail(),
        Column::new("sample", "sample").optional(),
        Column::new("measures", "measures"),
        passes("forward", "F"),
        passes("backward", "B"),
        passes("hvp", "HVP"),
        Column::new("seconds", "time").digits(Digits::Duration),
        Column::new("ratio", "ratio").digits(Digits::Fixed { decimals: 3, scale: 1.0 }),
    ]);
    for subject in &report.subjects {
        let totals = [
            ("each alone", subject.costs.alone, None),
            ("all together", subject.costs.together, Some(subject.ratio)),
        ];
        for (what, total, ratio) in totals {
            table.push(vec![
                Cell::text(&subject.network),
                Cell::text(&subject.device),
                Cell::text(subject.parameters.to_string()),
                Cell::text(subject.sample.to_string()),
                Cell::text(what),
                Cell::number(total.passes.forward),
                Cell::number(total.passes.backward),
                Cell::number(total.passes.hvp),
                Cell::number(total.seconds),
                Cell::maybe(ratio),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published number of parameters of the largest and the smallest networks of these widths, counted by hand in
    /// the tests of the family.
    #[test]
    fn the_architectures_of_task_1_are_in_the_recipe() {
        let recipe = Recipe::parse(TASK_1).unwrap();
        for (axes, convolutions) in [([3.0, 512.0], 6), ([1.0, 256.0], 2)] {
            let id = recipe.ids().find(|&id| recipe.axis_values(id).unwrap() == axes).unwrap();
            let architecture = recipe.architecture(id).unwrap();
            let layers = architecture.nodes.iter().filter(|node| node.layer.kind() == "Conv2D");
            assert_eq!(layers.count(), convolutions);
        }
    }
}
