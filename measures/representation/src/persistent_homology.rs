//! The shape of the correlations between neurons.

use pgdl_measure::draws::{mean, standard_error_of_mean};
use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo, ParameterKind, Parameters,
    Probe, RegistryError,
};

use crate::neuron_correlations::NeuronCorrelations;
use crate::persistence::{Class, Dimension};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct PersistentHomology {
    dimension: Dimension,
    summary: Summary,
    correlations: NeuronCorrelations,
}

/// A number that sums a diagram up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Summary {
    Life,
    Midlife,
    Death,
    Deviation,
    Entropy,
}

/// What `persistent_homology` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "persistent_homology",
    family: "representation",
    version: 3,
    title: "Minus the mean persistence of the components, or holes, of the neurons' correlations.",
    formula: "−E (1/|D|) Σ over (b, d) ∈ D of (d − b),  D = off-diagonal points of the persistence diagram of the Vietoris–Rips filtration \
              of N neurons with dissimilarities 1 − |r|, in dimension 0 (b = 0, d = edges of the minimum spanning tree) or 1; \
              E = mean over draws of the neurons",
    shapes: "r: [N, N] Pearson correlations of the neurons' activations over m samples spread evenly over the sample; a neuron: \
             one entry of the output of a layer with weights, its normalization and activation included; N = 250, or all: as many \
             from each layer, but all of a layer that has fewer, and then more from the others",
    paper: "Ballester, Arnal Clemente, Casacuberta, Madadi, Corneanu, Escalera 2022, Predicting the Generalization Gap in Neural \
            Networks using Topological Data Analysis; Ballester, Casacuberta, Escalera 2023, Decorrelating Neurons using \
            Persistence, for the sign",
    needs: &[],
    cost: "m/n F, m = 1000, and for each draw O(m N²); in dimension 1 the reduction of a matrix of O(N²) columns",
    invariances: Invariances::ALL,
    behaviour: "Strongly correlated neurons join early: a short life, a larger value. The paper fits a line through several \
                summaries and fixes no sign; the later one raises the lengths of the tree's edges in training, and \
                generalizes better: hence the sign, in dimension 0; the others follow it, as all grow with the \
                dissimilarities. The paper draws 3000 neurons of the whole network, by how often one has the largest \
                activation of all, 20 times, and 2000 samples; here every layer has its share. Values compare for one N \
                only. Neurons whose activations are the same on every sample are left out and counted (the paper's \
                program keeps them, at dissimilarity 1 from all others). Classes that live at one scale only \
                do not count. Random by the neurons; where all are taken there is one draw and no standard error. Undefined \
                where no draw has a class: with fewer than two neurons that vary, and in dimension 1 with no holes.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "dimension",
            kind: ParameterKind::Integer { default: 0, min: 0, max: 1 },
            doc: "0 for components, 1 for holes",
        },
        ParameterInfo {
            name: "summary",
            kind: ParameterKind::Choice {
                default: "life",
                options: &["life", "midlife", "death", "deviation", "entropy"],
            },
            doc: "of the diagram: mean d − b, mean (b + d)/2, mean d, standard deviation of d, or −Σ p ln p with p = (d − b)/Σ (d − b)",
        },
        ParameterInfo {
            name: "neurons",
            kind: ParameterKind::Integer { default: 250, min: 4, max: 2000 },
            doc: "number N of neurons in one draw, at most",
        },
        ParameterInfo {
            name: "draws",
            kind: ParameterKind::Integer { default: 10, min: 1, max: 1000 },
            doc: "number of draws of neurons",
        },
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: 1000, min: 2, max: 20_000 },
            doc: "number m of samples, spread evenly over the sample; all when there are fewer",
        },
    ],
};

impl PersistentHomology {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let count = |name: &str| -> Result<usize, RegistryError> {
            Ok(usize::try_from(parameters.integer(name)?).unwrap_or(0))
        };
        Ok(Self {
            dimension: if count("dimension")? == 0 { Dimension::Zero } else { Dimension::One },
            summary: match parameters.choice("summary")? {
                "midlife" => Summary::Midlife,
                "death" => Summary::Death,
                "deviation" => Summary::Deviation,
                "entropy" => Summary::Entropy,
                _ => Summary::Life,
            },
            correlations: NeuronCorrelations {
                neurons: count("neurons")?,
                draws: count("draws")?,
                samples: parameters.integer("samples")?,
            },
        })
    }
}

impl Measure for PersistentHomology {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let draws = probe.get(&self.correlations)?;
        let mut summaries = Vec::new();
        let (mut points, mut constant, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for draw in draws.iter() {
            probe.check_deadline()?;
            let diagram = draw.dissimilarities.diagram(self.dimension);
            points.push(draw.dissimilarities.points() as f64);
            constant.push(draw.constant as f64);
            classes.push(diagram.len() as f64);
            summaries.extend(self.summary.of(&diagram));
        }
        if summaries.is_empty() {
            return MeasureError::undefined(format!(
                "no class of dimension {} among {} neurons that vary ({} are constant)",
                self.dimension as u8,
                mean(&points),
                mean(&constant)
            ));
        }
        let measured = Measured::value(-mean(&summaries))
            .with_detail("neurons", mean(&points))
            .with_detail("constant_neurons", mean(&constant))
            .with_detail("classes", mean(&classes));
        Ok(match standard_error_of_mean(&summaries) {
            Some(error) => measured.with_standard_error(error),
            None => measured,
        })
    }
}

impl Summary {
    /// `None` where the diagram has no classes.
    fn of(self, diagram: &[Class]) -> Option<f64> {
        if diagram.is_empty() {
            return None;
        }
        let average = |of: &dyn Fn(&Class) -> f64| diagram.iter().map(of).sum::<f64>() / diagram.len() as f64;
        Some(match self {
            Self::Life => average(&|class| class.life()),
            Self::Midlife => average(&|class| f64::midpoint(class.birth, class.death)),
            Self::Death => average(&|class| class.death),
            Self::Deviation => {
                let centre = average(&|class| class.death);
                average(&|class| (class.death - centre).powi(2)).sqrt()
            }
            Self::Entropy => {
                let total: f64 = diagram.iter().map(|class| class.life()).sum();
                -diagram.iter().map(|class| class.life() / total).map(|share| share * share.ln()).sum::<f64>()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_by_hand() {
        let diagram = [Class { birth: 1.0, death: 2.0 }, Class { birth: 1.0, death: 4.0 }];
        let of = |summary: Summary| summary.of(&diagram).unwrap();
        assert_eq!(of(Summary::Life), 2.0);
        assert_eq!(of(Summary::Midlife), 2.0);
        assert_eq!(of(Summary::Death), 3.0);
        assert_eq!(of(Summary::Deviation), 1.0);
        let expected = -(0.25f64 * 0.25f64.ln() + 0.75 * 0.75f64.ln());
        assert!((of(Summary::Entropy) - expected).abs() < 1e-15);
        assert_eq!(Summary::Life.of(&[]), None);
    }
}
