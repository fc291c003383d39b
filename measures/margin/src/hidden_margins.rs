//! Distances to the decision boundary at every place of a network, shared by the measures that use them.

use pgdl_measure::network::Mode;
use pgdl_measure::tch::Tensor;
use pgdl_measure::{MeasureError, Probe, Quantity};

use crate::distance::{check_classes, distances, slopes};
use crate::place::{Place, places};
use crate::variation::Variation;

/// Samples at a time: the graph and the gradients at all places are in memory together.
pub(crate) const BATCH: i64 = 128;

/// Margins with their gradient norms and total variations at all places. One forward and one backward pass.
#[derive(Clone, Copy, Debug)]
pub struct HiddenMargins;

/// The margins of the sample.
#[derive(Debug)]
pub struct MarginsAtPlaces {
    /// Signed margins in the output: `[n]`.
    pub margins: Vec<f64>,
    /// Each place, the input first.
    pub places: Vec<MarginsAtPlace>,
}

/// What belongs to one place h.
#[derive(Debug)]
pub struct MarginsAtPlace {
    /// The place.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// ‖∇_h (f_y − f_j)‖: `[n]`.
    pub norms: Vec<f64>,
    /// Trace of the covariance matrix of h.
    pub total_variation: f64,
}

impl Quantity for HiddenMargins {
    type Value = MarginsAtPlaces;

    fn name(&self) -> String {
        "hidden_margins".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<MarginsAtPlaces, MeasureError> {
        check_classes(probe.classes())?;
        let network = probe.network();
        let places = places(network);
        let mut margins = Vec::new();
        let mut norms: Vec<Vec<f64>> = places.iter().map(|_| Vec::new()).collect();
        let mut variations: Vec<Variation> = places.iter().map(|_| Variation::default()).collect();
        for batch in probe.batches().at_most(BATCH) {
            let batch = batch?;
            let leaf = batch.inputs.f_detach()?.f_set_requires_grad(true)?;
            let mut outputs = Vec::new();
            let logits = network.forward_observed(&leaf, Mode::Evaluate, &mut |_, output| {
                outputs.push(output.shallow_clone());
                Ok(())
            })?;
            probe.count_forward(batch.len());
            let tensors: Vec<&Tensor> =
                places.iter().map(|place| place.tensor(&leaf, &outputs)).collect::<Result<_, _>>()?;
            let found = slopes(&logits, &batch.labels, &tensors)?;
            probe.count_backward(batch.len());
            margins.extend(found.margins);
            for (all, part) in norms.iter_mut().zip(found.norms) {
                all.extend(part);
            }
            for (variation, tensor) in variations.iter_mut().zip(&tensors) {
                variation.add(tensor)?;
            }
        }
        let places = places
            .into_iter()
            .zip(norms)
            .zip(&variations)
            .map(|((place, norms), variation)| {
                let total_variation = variation.total()?;
                Ok(MarginsAtPlace { place, name: place.name(network), norms, total_variation })
            })
            .collect::<Result<_, MeasureError>>()?;
        Ok(MarginsAtPlaces { margins, places })
    }
}

impl MarginsAtPlaces {
    /// The entry of one place.
    pub(crate) fn at(&self, place: Place) -> Result<&MarginsAtPlace, MeasureError> {
        self.places
            .iter()
            .find(|entry| entry.place == place)
            .ok_or_else(|| MeasureError::Failed("margins at a place that was not looked at".to_string()))
    }

    /// Signed distances (f_y − f_j) / ‖∇_h (f_y − f_j)‖ at one of [`places`](Self::places), in units of √tr Cov(h):
    /// `[n]`, less the samples without a gradient, which have no distance to first order.
    ///
    /// # Errors
    /// The representation is constant over the sample, no sample has a gradient, or numbers are not finite: undefined.
    pub fn distances(&self, entry: &MarginsAtPlace) -> Result<Vec<f64>, MeasureError> {
        let spread = entry.total_variation.sqrt();
        if spread <= 0.0 || !spread.is_finite() {
            return MeasureError::undefined(format!(
                "the representation `{}` has the total variation {:e}, and distances need a unit",
                entry.name, entry.total_variation
            ));
        }
        let mut found = distances(&self.margins, &entry.norms)?;
        found.iter_mut().for_each(|distance| *distance /= spread);
        Ok(found)
    }
}
