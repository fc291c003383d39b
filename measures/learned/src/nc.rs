//! Neural Complexity.

use std::path::Path;

use pgdl_measure::tch::{self, Kind, Tensor};
use pgdl_measure::{
    Effect, Invariances, Logits, Losses, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError, digest,
};
use pgdl_nc::images::{Gap, Images, Look, Scale};
use pgdl_nc::model::{Precision, Rows, Source};
use pgdl_nc::{Checkpoint, NcError};

/// See [`INFO`].
#[derive(Clone, Debug)]
pub struct NeuralComplexity {
    checkpoint: String,
    queries: Queries,
    draws: usize,
}

/// Where the unlabelled rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queries {
    Test,
    Train,
}

/// The checkpoints that come with pgdl, by name.
const SHIPPED: [(&str, &[u8]); 2] = [
    ("mnist_fashion_mnist", include_bytes!("../checkpoints/mnist_fashion_mnist.safetensors")),
    ("cifar10", include_bytes!("../checkpoints/cifar10.safetensors")),
];

const BASE: MeasureInfo = MeasureInfo {
    id: "nc",
    family: "learned",
    version: 1,
    title: "Neural Complexity: what a network that learned the gaps of other networks makes of this one's behaviour on data.",
    formula: "(1/R) Σ_r NC(X_tr, Y_tr, f(X_tr), X_te, f(X_te)),  NC: mean over test rows of decode(e_te + attend(e_te; e_tr, \
              W(e_tr, [y_tr, 1, ln(1 + ℓ_tr)])))",
    shapes: "r: one of R = draws draws of m training rows and m test rows without labels, m that of the checkpoint; f: \
             probabilities of classes; ℓ: cross-entropies; e: embeddings of an image and of f on it",
    paper: "Lee, Kim, Yang, Hwang 2020, Neural Complexity Measures (the form for classification)",
    needs: &[Need::Labels, Need::TestInputs],
    cost: "1 F + at most 3 · draws · m/n F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "It was meta-trained on small learners of tasks that are disjoint from every shipped zoo: `mnist_fashion_mnist` on \
                images of those two data sets, `cifar10` on images of CIFAR-10's training half. So on a zoo of CIFAR-10 the \
                first saw other data sets only, and the second other images of the same one (the paper's single-data-set \
                protocol). `pgdl nc inspect` tells all of a checkpoint of one's own. Images are scaled by the training \
                sample's mean and deviation of each channel, and brought to the checkpoint's size and channels. The value \
                estimates the gap itself (training minus test accuracy), but outside of what the checkpoint saw only the \
                order means something; a checkpoint that `pgdl nc calibrate` fitted to the gaps of a zoo gives gaps of such networks, \
                and is unavailable on the zoo's own. A task of fewer classes than the checkpoint's leaves the others at probability 0.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

const PARAMETERS: &[ParameterInfo] = &[
    ParameterInfo {
        name: "checkpoint",
        kind: ParameterKind::File {
            default: "mnist_fashion_mnist",
            options: &["mnist_fashion_mnist", "cifar10"],
        },
        doc: "the trained model: one that comes with pgdl, or a file of `pgdl nc train`",
    },
    ParameterInfo {
        name: "queries",
        kind: ParameterKind::Choice { default: "test", options: &["test", "train"] },
        doc: "the unlabelled rows: test inputs, or mirrored training inputs for zoos without test inputs",
    },
    ParameterInfo {
        name: "draws",
        kind: ParameterKind::Integer { default: 32, min: 2, max: 10_000 },
        doc: "draws of rows that the value is the mean of",
    },
];

/// What `nc` says of itself.
pub static INFO: MeasureInfo = BASE;

/// The same where training inputs serve for queries.
static WITHOUT_TEST_INPUTS: MeasureInfo = MeasureInfo { needs: &[Need::Labels], ..BASE };

impl NeuralComplexity {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            checkpoint: parameters.choice("checkpoint")?.to_owned(),
            queries: if parameters.choice("queries")? == "test" { Queries::Test } else { Queries::Train },
            draws: usize::try_from(parameters.integer("draws")?).unwrap_or(usize::MAX),
        })
    }

    fn checkpoint(&self, probe: &Probe) -> Result<Checkpoint, MeasureError> {
        let shipped = SHIPPED.iter().find(|(name, _)| *name == self.checkpoint);
        let read = match shipped {
            Some((name, bytes)) => Checkpoint::from_bytes(Path::new(name), bytes, probe.device()),
            None => {
                let text = self.checkpoint.trim_matches('"');
                let path = text.rsplit_once('#').map_or(text, |(path, _)| path);
                Checkpoint::read(Path::new(path), probe.device())
            }
        };
        read.map_err(|error| MeasureError::Unavailable(format!("checkpoint: {error}")))
    }
}

impl Measure for NeuralComplexity {
    fn info(&self) -> &MeasureInfo {
        match self.queries {
            Queries::Test => &INFO,
            Queries::Train => &WITHOUT_TEST_INPUTS,
        }
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let checkpoint = self.checkpoint(probe)?;
        let description = &checkpoint.description;
        let (images, _) = description.recipe.classification().map_err(|_| {
            MeasureError::Unavailable(format!(
                "checkpoint {} is of form regression, not classification",
                description.recipe.name
            ))
        })?;
        if let Some(calibration) = &description.calibration
            && calibration.saw(&digest(probe.network())?)
        {
            return MeasureError::unavailable(format!(
                "the checkpoint saw this network, one of `{0}`: it was calibrated on the gaps of `{0}`",
                calibration.zoo
            ));
        }
        if probe.classes() > images.classes {
            return MeasureError::undefined(format!(
                "the network tells {} classes apart, but the checkpoint only up to {}",
                probe.classes(),
                images.classes
            ));
        }
        let queries = match self.queries {
            Queries::Test => probe.test_inputs()?.shallow_clone(),
            Queries::Train => mirrored(probe.inputs())?,
        };
        // Of few samples, half at most: all of them in every draw would leave nothing to draw.
        let asked = queries.size().first().copied().unwrap_or(0) as usize;
        let rows = (images.rows as usize).min(probe.sample_size() / 2);
        let queried = rows.min(asked / 2);
        if rows == 0 || queried == 0 {
            return MeasureError::undefined("there are too few samples for one row of each kind");
        }
        let drawn = self.draw(probe, rows, queried, &queries)?;
        let rows = tch::no_grad(|| seen(probe, images, &drawn, &queries))?;
        let model = checkpoint.model.ready(Precision::Float64, false).map_err(broken)?;
        let values = pgdl_nc::fit::estimate(&model, &rows).map_err(broken)?;
        let values: Vec<f64> = Vec::try_from(&values.f_to_kind(Kind::Double)?)?;
        let gap = match images.gap {
            Gap::Error => "train accuracy − test accuracy",
            Gap::CrossEntropy => "test cross-entropy − train cross-entropy",
        };
        let mut measured = Measured::mean_of(&values);
        if let Some(calibration) = &description.calibration {
            measured.value = calibration.gap(measured.value);
            measured.standard_error = measured.standard_error.map(|error| calibration.slope * error);
            measured = measured.with_detail("calibrated_on", calibration.zoo.as_str());
        }
        Ok(measured
            .with_detail("gap", gap)
            .with_detail("checkpoint", description.recipe.name.as_str())
            .with_detail("trained_on", description.trained_on.as_str()))
    }
}

/// Positions of the rows of each draw: `[R, m]` in the training sample, `[R, m′]` among the queries.
struct Drawn {
    train: Tensor,
    test: Tensor,
}

impl NeuralComplexity {
    fn draw(
        &self,
        probe: &Probe,
        rows: usize,
        queried: usize,
        queries: &Tensor,
    ) -> Result<Drawn, MeasureError> {
        let mut generator = probe.generator("rows");
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for _ in 0..self.draws {
            probe.check_deadline()?;
            let order = generator.permutation(probe.sample_size());
            train.extend_from_slice(&order[..rows]);
            match self.queries {
                // A row that is learned from is no query of the same draw.
                Queries::Train => test.extend_from_slice(&order[rows..rows + queried]),
                Queries::Test => {
                    let count = queries.size().first().copied().unwrap_or(0) as usize;
                    test.extend_from_slice(&generator.permutation(count)[..queried]);
                }
            }
        }
        let table = |positions: &[i64], columns: usize| -> Result<Tensor, MeasureError> {
            let table = Tensor::f_from_slice(positions)?.f_view([-1, columns as i64])?;
            Ok(table.f_to_device(probe.device())?)
        };
        Ok(Drawn { train: table(&train, rows)?, test: table(&test, queried)? })
    }
}

/// What the model sees of the network.
fn seen(probe: &Probe, images: &Images, drawn: &Drawn, queries: &Tensor) -> Result<Rows, MeasureError> {
    let train_logits = probe.get(&Logits)?;
    let losses = probe.get(&Losses)?;
    // Of the queries only what is drawn is looked at, each once.
    let (asked, test_rows) = distinct(&drawn.test)?;
    let asked = queries.f_index_select(0, &asked)?;
    let test_logits = logits(probe, &asked)?;
    let (mut train_looks, mut test_looks) = (vec![train_logits.shallow_clone()], vec![test_logits]);
    let (looked_at, train_rows) = match images.look {
        Look::Plain => (None, drawn.train.shallow_clone()),
        Look::Mirrored => {
            let (places, rows) = distinct(&drawn.train)?;
            let train = probe.inputs().f_index_select(0, &places)?;
            train_looks[0] = train_logits.f_index_select(0, &places)?;
            train_looks.push(logits(probe, &mirrored(&train)?)?);
            test_looks.push(logits(probe, &mirrored(&asked)?)?);
            (Some(places), rows)
        }
    };
    let probabilities = |looks: &[Tensor]| -> Result<Tensor, MeasureError> {
        let each: Vec<Tensor> = looks
            .iter()
            .map(|logits| {
                let missing = images.classes - logits.size()[1];
                logits.f_softmax(1, Kind::Double)?.f_constant_pad_nd([0, missing])
            })
            .collect::<Result<_, _>>()?;
        Ok(Tensor::f_cat(&each, 1)?)
    };
    let rows_of = |table: &Tensor, positions: &Tensor| -> Result<Tensor, MeasureError> {
        let [draws, rows] = positions.size()[..] else {
            return MeasureError::failed("positions that are no table");
        };
        Ok(table.f_index_select(0, &positions.f_reshape([-1])?)?.f_view([draws, rows, -1])?)
    };
    let scale = Scale::of(probe.inputs()).map_err(broken)?;
    let view = |inputs: &Tensor| {
        images
            .view
            .of(inputs, &scale)
            .map_err(|error| MeasureError::Undefined(format!("the inputs: {error}")))
    };
    let train_inputs = match &looked_at {
        Some(places) => probe.inputs().f_index_select(0, places)?,
        None => probe.inputs().shallow_clone(),
    };
    let inputs = Tensor::f_cat(&[view(&train_inputs)?, view(&asked)?], 0)?.f_to_kind(Kind::Double)?;
    let targets = probe.labels().f_one_hot(images.classes)?.f_to_kind(Kind::Double)?;
    Ok(Rows {
        source: Source::Among(inputs),
        train_losses: Some(rows_of(&losses.f_unsqueeze(1)?, &drawn.train)?.f_squeeze_dim(-1)?),
        train_targets: rows_of(&targets, &drawn.train)?,
        train_outputs: rows_of(&probabilities(&train_looks)?, &train_rows)?,
        train_inputs: train_rows,
        test_inputs: test_rows.f_add_scalar(train_inputs.size()[0])?,
        test_outputs: rows_of(&probabilities(&test_looks)?, &test_rows)?,
    })
}

/// The different positions of a table, and where among them each of its positions is.
fn distinct(table: &Tensor) -> Result<(Tensor, Tensor), MeasureError> {
    let (values, places, _) = table.f_reshape([-1])?.f_unique_dim(0, true, true, false)?;
    Ok((values, places.f_view(&table.size()[..])?))
}

/// The network's outputs on other inputs than the sample's.
fn logits(probe: &Probe, inputs: &Tensor) -> Result<Tensor, MeasureError> {
    let mut outputs = Vec::new();
    for start in (0..inputs.size()[0]).step_by(probe.batch_size() as usize) {
        probe.check_deadline()?;
        let count = probe.batch_size().min(inputs.size()[0] - start);
        outputs.push(probe.forward(&inputs.f_narrow(0, start, count)?)?);
    }
    let outputs = Tensor::f_cat(&outputs, 0)?;
    if !bool::try_from(outputs.f_isfinite()?.f_all()?)? {
        return MeasureError::undefined("the network's output is not finite on every row that is looked at");
    }
    Ok(outputs)
}

/// Images `[N, H, W, C]` with left and right changed. Other inputs have no mirror image.
fn mirrored(inputs: &Tensor) -> Result<Tensor, MeasureError> {
    match inputs.dim() {
        4 => Ok(inputs.f_flip([2])?),
        _ => MeasureError::undefined(format!(
            "inputs of shape {:?} are no images, and have no mirror image",
            inputs.size()
        )),
    }
}

fn broken(error: NcError) -> MeasureError {
    MeasureError::Failed(error.to_string())
}
