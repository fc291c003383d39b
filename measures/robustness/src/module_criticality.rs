//! How far back towards the beginning, and with how much noise, each layer can go.

use pgdl_measure::draws::{mean, standard_error_of_mean};
use pgdl_measure::network::Network;
use pgdl_measure::sums::sum_of_squared_differences;
use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::layers::{Entries, LayerEntries, SAMPLES, size, with_layer};

/// Steps of α from 0 to 1.
const STEPS: u32 = 10;
/// The largest σ that is looked at, and the smallest.
const LARGEST: f64 = 1.0;
const SMALLEST: f64 = 1e-4;
/// A σ is known to this factor.
const PRECISION: f64 = 1.05;
/// The slope of the error along ln σ is taken between σ times and σ over this.
const STRETCH: f64 = 1.25;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct ModuleCriticality {
    samples: usize,
    draws: usize,
    error: f64,
}

/// What `module_criticality` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "module_criticality",
    family: "robustness",
    version: 2,
    title: "The sum over layers of how hard each is to move: least over the way back to its initial weights of the distance kept, \
            in units of the noise that the network bears there.",
    formula: "Σ_ℓ min { α² ‖w_ℓ − w⁰_ℓ‖² / σ² : 0 ≤ α ≤ 1, 10⁻⁴ ≤ σ ≤ 1, E_u[training error at w⁰_ℓ + α (w_ℓ − w⁰_ℓ) + σ u] ≤ ε },  u ~ \
              N(0, 1) in layer ℓ, all other layers as they are",
    shapes: "w_ℓ, w⁰_ℓ: all parameters of layer ℓ after and before training, BatchNormalization folded into the layer before it; \
             errors on the first m samples",
    paper: "Chatterji, Neyshabur, Sedghi 2020, The Intriguing Role of Module Criticality in the Generalization of Deep Networks, \
            Definition 3.1",
    needs: &[Need::Labels, Need::InitialWeights],
    cost: "about 140 · L · m/n F, m = 500, of which only what follows the layer is computed; much less where layers can go \
           all the way back",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "α is tried in tenths; for each, the largest σ is found by bisection to 5 %, and only where a smaller value than the \
                best so far is possible. The same draws of u serve all α and σ, so that the search is not led astray by noise. \
                The standard error is what the draws leave open of σ: the standard error of the mean error there over its slope along \
                ln σ, at the α found; none where the error does not rise. Over seeds the deviation was 14 % on mnist_width/0 (17 seeds) and 6 % \
                on /37 (7). As σ is known from below, the value is up to 10 % high. A layer that bears \
                noise at its initial weights has criticality 0. Undefined where the network itself errs more than ε, or a layer \
                bears no noise of 10⁻⁴ at all. The details are layer by layer.",
    stochastic: true,
    control: false,
    parameters: &[
        SAMPLES,
        ParameterInfo {
            name: "draws",
            kind: ParameterKind::Integer { default: 4, min: 1, max: 10_000 },
            doc: "draws of u",
        },
        ParameterInfo {
            name: "error",
            kind: ParameterKind::Float { default: 0.1, min: 0.0, max: 1.0 },
            doc: "the training error ε that is allowed",
        },
    ],
};

impl ModuleCriticality {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            samples: size(parameters, "samples")?,
            draws: size(parameters, "draws")?,
            error: parameters.float("error")?,
        })
    }
}

/// One layer on its way back.
struct Module<'a> {
    probe: &'a Probe,
    entries: &'a Entries,
    position: usize,
    network: &'a Network,
    initial: &'a [Tensor],
    /// u for each draw and tensor.
    noise: Vec<Vec<Tensor>>,
    error: f64,
}

/// How far a layer can go.
#[derive(Clone, Copy, Debug)]
struct Reach {
    /// The least (α/σ)².
    ratio: f64,
    /// Its standard error; nothing where the errors do not tell it.
    standard_error: Option<f64>,
}

impl Module<'_> {
    /// The error at this place with one draw.
    fn error_with(&self, alpha: f64, sigma: f64, noise: &[Tensor]) -> Result<f64, MeasureError> {
        let node = self.entries.layers[self.position].node;
        let moved = with_layer(self.network, node, |tensor, index| {
            let place = self.initial[index].f_lerp(tensor, alpha)?;
            Ok(place.f_add(&noise[index].f_mul_scalar(sigma)?)?)
        })?;
        Ok(1.0 - self.entries.accuracy_with(self.probe, self.position, &moved)?)
    }

    /// Whether the mean error at this place is at most ε.
    fn bears(&self, alpha: f64, sigma: f64) -> Result<bool, MeasureError> {
        let allowed = self.error * self.noise.len() as f64;
        let mut errors = 0.0;
        for noise in &self.noise {
            errors += self.error_with(alpha, sigma, noise)?;
            // Errors are never negative: what is too much stays too much.
            if errors > allowed {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The largest σ that is borne at α, to [`PRECISION`], if it is larger than `least`; nothing otherwise.
    fn largest_sigma(&self, alpha: f64, least: f64) -> Result<Option<f64>, MeasureError> {
        if !self.bears(alpha, least)? {
            return Ok(None);
        }
        if self.bears(alpha, LARGEST)? {
            return Ok(Some(LARGEST));
        }
        let (mut low, mut high) = (least, LARGEST);
        while high / low > PRECISION {
            let middle = (low * high).sqrt();
            if self.bears(alpha, middle)? { low = middle } else { high = middle }
        }
        Ok(Some(low))
    }

    /// The errors at this place, draw by draw.
    fn errors(&self, alpha: f64, sigma: f64) -> Result<Vec<f64>, MeasureError> {
        self.noise.iter().map(|noise| self.error_with(alpha, sigma, noise)).collect()
    }

    /// The standard error of (α/σ)², σ being where the mean error passes ε.
    fn standard_error(&self, alpha: f64, sigma: f64) -> Result<Option<f64>, MeasureError> {
        if sigma >= LARGEST {
            return Ok(Some(0.0));
        }
        let Some(spread) = standard_error_of_mean(&self.errors(alpha, sigma)?) else { return Ok(None) };
        let (above, below) = (self.errors(alpha, sigma * STRETCH)?, self.errors(alpha, sigma / STRETCH)?);
        let slope = (mean(&above) - mean(&below)) / (2.0 * STRETCH.ln());
        // (α/σ)² falls by 2 of itself for each 1 of ln σ.
        Ok((slope > 0.0).then(|| 2.0 * (alpha / sigma).powi(2) * spread / slope))
    }

    /// min (α/σ)²; nothing where the layer bears no noise.
    fn reach(&self) -> Result<Option<Reach>, MeasureError> {
        if self.bears(0.0, SMALLEST)? {
            return Ok(Some(Reach { ratio: 0.0, standard_error: Some(0.0) }));
        }
        let mut best: Option<(f64, f64)> = None;
        for step in (1..=STEPS).rev() {
            let alpha = f64::from(step) / f64::from(STEPS);
            // A smaller ratio than the best needs more than this.
            let least = best.map_or(SMALLEST, |(best, sigma)| alpha * sigma / best).max(SMALLEST);
            if least >= LARGEST {
                continue;
            }
            if let Some(sigma) = self.largest_sigma(alpha, least)? {
                best = Some((alpha, sigma));
            }
        }
        let Some((alpha, sigma)) = best else { return Ok(None) };
        let standard_error = self.standard_error(alpha, sigma)?;
        Ok(Some(Reach { ratio: (alpha / sigma).powi(2), standard_error }))
    }
}

impl Measure for ModuleCriticality {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let (network, initial) = (probe.folded()?, probe.folded_initial()?);
        let entries = probe.get(&LayerEntries { samples: self.samples })?;
        if 1.0 - entries.accuracy > self.error {
            return MeasureError::undefined(format!(
                "the network errs on {} of the samples, and {} is allowed",
                1.0 - entries.accuracy,
                self.error
            ));
        }
        let mut parts = Vec::new();
        // Of the sum; the draws of different layers are independent.
        let mut variance = Some(0.0);
        for (position, layer) in entries.layers.iter().enumerate() {
            let (now, before) = (&network.weights()[layer.node], &initial.weights()[layer.node]);
            let mut generator = probe.generator(&format!("layer {position}"));
            let noise = (0..self.draws)
                .map(|_| now.iter().map(|tensor| generator.normal_tensor(&tensor.size())).collect())
                .collect::<Result<Vec<Vec<Tensor>>, _>>()?;
            let module = Module {
                probe,
                entries: &entries,
                position,
                network: &network,
                initial: before,
                noise,
                error: self.error,
            };
            let Some(reach) = module.reach()? else {
                return MeasureError::undefined(format!(
                    "layer `{}` bears no noise of {SMALLEST}",
                    layer.name
                ));
            };
            let mut distance = 0.0;
            for (one, other) in now.iter().zip(before) {
                distance += sum_of_squared_differences(one, other)?;
            }
            parts.push(reach.ratio * distance);
            let own = reach.standard_error.map(|error| (error * distance).powi(2));
            variance = variance.zip(own).map(|(sum, own)| sum + own);
        }
        let measured = Measured::value(parts.iter().sum()).with_layers(entries.details(&parts));
        Ok(match variance {
            Some(variance) => measured.with_standard_error(variance.sqrt()),
            None => measured,
        })
    }
}

#[cfg(test)]
mod tests {
    use pgdl_measure::contract::tiny_networks;
    use pgdl_measure::network::Mode;
    use pgdl_measure::{Dataset, ProbeInput};

    use super::*;

    /// Against all α and a fine grid of σ.
    #[test]
    fn the_search_finds_what_trying_everything_finds() {
        for specimen in tiny_networks().unwrap() {
            let labels =
                specimen.network.forward(&specimen.train.inputs, Mode::Evaluate).unwrap().argmax(1, false);
            let train = Dataset { inputs: specimen.train.inputs.shallow_clone(), labels };
            let probe = Probe::new(ProbeInput { train, ..specimen.input() }).unwrap();
            let entries = probe.get(&LayerEntries { samples: 40 }).unwrap();
            let (network, initial) = (probe.folded().unwrap(), probe.folded_initial().unwrap());
            for position in 0..entries.layers.len() {
                let node = entries.layers[position].node;
                let mut generator = probe.generator(&format!("test {position}"));
                let noise = (0..3)
                    .map(|_| {
                        let of = |tensor: &Tensor| generator.normal_tensor(&tensor.size()).unwrap();
                        network.weights()[node].iter().map(of).collect()
                    })
                    .collect();
                let module = Module {
                    probe: &probe,
                    entries: &entries,
                    position,
                    network: &network,
                    initial: &initial.weights()[node],
                    noise,
                    error: 0.1,
                };
                let found = module.reach().unwrap().unwrap().ratio;
                // Along σ the error need not rise everywhere: bisection finds one of the places where it passes ε, and no σ below
                // the first such place fails. So the search is held between the first crossing and the last.
                let (mut first, mut last) = (f64::INFINITY, f64::INFINITY);
                for step in 0..=STEPS {
                    let alpha = f64::from(step) / f64::from(STEPS);
                    let grid = (0..=160).map(|k| SMALLEST * (LARGEST / SMALLEST).powf(f64::from(k) / 160.0));
                    let borne: Vec<(f64, bool)> =
                        grid.map(|sigma| (sigma, module.bears(alpha, sigma).unwrap())).collect();
                    let run = borne.iter().take_while(|(_, borne)| *borne).last();
                    let any = borne.iter().rfind(|(_, borne)| *borne);
                    let ratio = |place: Option<&(f64, bool)>| {
                        place.map_or(f64::INFINITY, |(sigma, _)| (alpha / sigma).powi(2))
                    };
                    first = first.min(ratio(run));
                    last = last.min(ratio(any));
                }
                let slack = (PRECISION * (LARGEST / SMALLEST).powf(1.0 / 160.0)).powi(2);
                assert!(
                    found <= first * slack && found * slack >= last,
                    "{} layer {position}: {found} not in [{last}, {first}]",
                    specimen.name
                );
            }
        }
    }
}
