//! `pgdl predict`: logits of one network on given inputs.

use pgdl_network::Mode;
use pgdl_zoo::data::npy;
use pgdl_zoo::keras;
use tch::Tensor;

use crate::arguments::PredictArguments;
use crate::commands::{choose_device, wait_passively};
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Reads network and inputs, computes, writes the logits.
pub fn run(arguments: &PredictArguments, terminal: &Terminal) -> Outcome {
    wait_passively();
    let device = choose_device(&arguments.device, terminal)?;
    let network = keras::read_network(&arguments.network, arguments.weights.as_deref())?;
    if network.architecture().stripped_softmax {
        terminal.note("the final softmax was taken off: the output is logits");
    }
    let network = network.to_device(device)?;
    let inputs = npy::read_at(&arguments.inputs)?;
    let batch = i64::from(arguments.batch_size);
    let logits = tch::no_grad(|| -> Result<Tensor, Failure> {
        let mut parts = Vec::new();
        let samples = inputs.size().first().copied().unwrap_or(0);
        for start in (0..samples).step_by(arguments.batch_size as usize) {
            let part = inputs.f_narrow(0, start, batch.min(samples - start))?.f_to_device(device)?;
            parts.push(network.forward(&part, Mode::Evaluate)?.f_to_device(tch::Device::Cpu)?);
        }
        if parts.is_empty() {
            return Err(Failure::new(Exit::Invalid, format!("{}: there are no inputs", arguments.inputs)));
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    })?;
    npy::write_npy(&arguments.output, &logits)?;
    terminal.note(format_args!("{}: {:?}", arguments.output.display(), logits.size()));
    Ok(Exit::Ok)
}
