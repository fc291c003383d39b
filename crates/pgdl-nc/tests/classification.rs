//! The form for classification: its model against plain loops, its tasks and learners, and its meta-training.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use pgdl_nc::classifier::{Classifier, Seen};
use pgdl_nc::images::{Gap, ImageTasks, Images, Pool, Scale, View};
use pgdl_nc::learner::Regularizer;
use pgdl_nc::model::{ImageEncoder, Model, Precision, Rows, Shape, Source, Value};
use pgdl_nc::random::Draws;
use pgdl_nc::{Checkpoint, Half, Hypotheses, MetaTraining, Recipe};
use pgdl_zoo::Dataset;
use tch::{Device, Kind, Tensor};

const CLASSES: i64 = 3;
const SIZE: usize = 5;

fn shape(value: Value) -> Shape {
    Shape {
        inputs: 2 * (SIZE * SIZE) as i64,
        outputs: CLASSES,
        looks: 1,
        width: 4,
        encoder_layers: 2,
        heads: 2,
        decoder_layers: 2,
        image: Some(ImageEncoder { size: SIZE as i64, channels: 2, filters: vec![3] }),
        value,
    }
}

fn uniform(draws: &mut Draws, shape: &[i64]) -> Tensor {
    draws.uniform(shape, -1.0, 1.0, Device::Cpu).unwrap()
}

/// Rows of B hypotheses among ten images.
fn rows(batch: i64, train: i64, test: i64) -> Rows {
    let mut draws = Draws::new(5, "rows", 0);
    let images = uniform(&mut draws, &[10, 2 * (SIZE * SIZE) as i64]);
    let mut places = |count| draws.indices(batch * count, 10, Device::Cpu).unwrap().view([batch, count]);
    let (train_inputs, test_inputs) = (places(train), places(test));
    let labels = draws.indices(batch * train, CLASSES, Device::Cpu).unwrap().view([batch, train]);
    let train_outputs = uniform(&mut draws, &[batch, train, CLASSES]).softmax(-1, Kind::Float);
    let test_outputs = uniform(&mut draws, &[batch, test, CLASSES]).softmax(-1, Kind::Float);
    Rows {
        source: Source::Among(images),
        train_losses: Some(uniform(&mut draws, &[batch, train]).abs()),
        train_inputs,
        train_targets: labels.one_hot(CLASSES).to_kind(Kind::Float),
        train_outputs,
        test_inputs,
        test_outputs,
    }
}

type Matrix = Vec<Vec<f64>>;

fn matrix(tensor: &Tensor) -> Matrix {
    Matrix::try_from(tensor.to_kind(Kind::Double)).unwrap()
}

/// The model in plain loops, in 64-bit numbers.
struct ByHand {
    named: HashMap<String, Tensor>,
    value: Value,
}

impl ByHand {
    fn dense(&self, name: &str, input: &[f64]) -> Vec<f64> {
        let weight = matrix(&self.named[&format!("{name}.weight")]);
        let bias = Vec::<f64>::try_from(self.named[&format!("{name}.bias")].to_kind(Kind::Double)).unwrap();
        assert_eq!(weight[0].len(), input.len(), "{name}");
        let row = |(weights, bias): (&Vec<f64>, &f64)| {
            bias + weights.iter().zip(input).map(|(weight, input)| weight * input).sum::<f64>()
        };
        weight.iter().zip(&bias).map(row).collect()
    }

    /// 3 × 3 pixels, stride 2, one pixel of zeros around, ReLU; then dense.
    fn image(&self, image: &[f64]) -> Vec<f64> {
        let weight = &self.named["image.0.weight"];
        let bias = Vec::<f64>::try_from(self.named["image.0.bias"].to_kind(Kind::Double)).unwrap();
        let half = SIZE.div_ceil(2);
        let mut mapped = Vec::new();
        for (filter, bias) in bias.iter().enumerate() {
            for (row, column) in (0..half).flat_map(|row| (0..half).map(move |column| (row, column))) {
                let mut sum = *bias;
                for (channel, dy, dx) in
                    (0..2).flat_map(|c| (0..3).flat_map(move |y| (0..3).map(move |x| (c, y, x))))
                {
                    let (y, x) = ((2 * row + dy) as i64 - 1, (2 * column + dx) as i64 - 1);
                    if (0..SIZE as i64).contains(&y) && (0..SIZE as i64).contains(&x) {
                        let pixel = image[channel * SIZE * SIZE + y as usize * SIZE + x as usize];
                        let place = [filter as i64, channel as i64, dy as i64, dx as i64];
                        sum += pixel * weight.double_value(&place);
                    }
                }
                mapped.push(sum.max(0.0));
            }
        }
        self.dense("image.dense", &mapped)
    }

    fn two(&self, name: &str, input: &[f64]) -> Vec<f64> {
        let hidden: Vec<f64> =
            self.dense(&format!("{name}.0"), input).iter().map(|value| value.max(0.0)).collect();
        self.dense(&format!("{name}.1"), &hidden)
    }

    fn complexity(&self, rows: &Rows, index: i64) -> f64 {
        let Source::Among(images) = &rows.source else { panic!("rows among images") };
        let images = matrix(images);
        let of = |tensor: &Tensor| matrix(&tensor.get(index));
        let embed = |places: &Tensor, outputs: &Tensor| -> Matrix {
            let places = Vec::<i64>::try_from(places.get(index)).unwrap();
            let outputs = of(outputs);
            let each = places.iter().zip(&outputs);
            each.map(|(place, output)| {
                self.two("encoder", &[self.image(&images[*place as usize]), output.clone()].concat())
            })
            .collect()
        };
        let train = embed(&rows.train_inputs, &rows.train_outputs);
        let test = embed(&rows.test_inputs, &rows.test_outputs);
        let losses =
            Vec::<f64>::try_from(rows.train_losses.as_ref().unwrap().get(index).to_kind(Kind::Double));
        let known = of(&rows.train_targets).into_iter().zip(losses.unwrap()).map(|(mut known, loss)| {
            if self.value.constant {
                known.push(1.0);
            }
            if self.value.loss {
                known.push(loss.ln_1p());
            }
            known
        });
        let values: Matrix = known
            .zip(&train)
            .map(|(known, embedded)| {
                let input = match self.value.bilinear {
                    true => known.iter().flat_map(|k| embedded.iter().map(move |e| k * e)).collect(),
                    false => [embedded.clone(), known].concat(),
                };
                self.dense("value", &input)
            })
            .collect();
        let keys: Matrix = train.iter().map(|row| self.dense("key", row)).collect();
        let mut total = 0.0;
        for row in &test {
            let query = self.dense("query", row);
            let mut attended = Vec::new();
            for part in [0..2, 2..4] {
                let score = |key: &Vec<f64>| -> f64 {
                    let product: f64 = part.clone().map(|column| query[column] * key[column]).sum();
                    (product / 2f64.sqrt()).exp()
                };
                let scores: Vec<f64> = keys.iter().map(score).collect();
                let sum: f64 = scores.iter().sum();
                for column in part.clone() {
                    let weighted =
                        scores.iter().zip(&values).map(|(score, value)| score / sum * value[column]);
                    attended.push(weighted.sum());
                }
            }
            let attended = self.dense("attended", &attended);
            let decoded: Vec<f64> = attended.iter().zip(row).map(|(a, e)| a + e).collect();
            total += self.two("decoder", &decoded)[0];
        }
        total / test.len() as f64
    }
}

#[test]
fn the_value_is_that_of_plain_loops_with_and_without_each_part() {
    let whole = Value::CLASSIFICATION;
    let variants = [
        whole,
        Value { bilinear: false, ..whole },
        Value { constant: false, ..whole },
        Value { loss: false, ..whole },
        Value::default(),
    ];
    for value in variants {
        let model = Model::initialize(shape(value), &mut Draws::new(2, "model", 0), Device::Cpu).unwrap();
        let rows = rows(3, 5, 4);
        let by_hand = ByHand { named: model.named_parameters().unwrap().into_iter().collect(), value };
        let ready = model.ready(Precision::Float64, false).unwrap();
        let found: Vec<f64> = Vec::try_from(ready.complexity(&rows).unwrap()).unwrap();
        for (index, found) in found.iter().enumerate() {
            let expected = by_hand.complexity(&rows, index as i64);
            assert!((found - expected).abs() < 1e-12, "{value:?}: {found} instead of {expected}");
        }
        // Images seen beforehand are the same images.
        let Source::Among(images) = &rows.source else { unreachable!() };
        let embedded = Rows { source: Source::Embedded(ready.embed_images(images).unwrap()), ..rows };
        let again: Vec<f64> = Vec::try_from(ready.complexity(&embedded).unwrap()).unwrap();
        assert!(found.iter().zip(&again).all(|(found, again)| (found - again).abs() < 1e-12));
    }
}

#[test]
fn losses_that_are_wanted_must_be_there() {
    let model = Model::initialize(shape(Value::CLASSIFICATION), &mut Draws::new(2, "model", 0), Device::Cpu);
    let ready = model.unwrap().ready(Precision::Float32, false).unwrap();
    let error = ready.complexity(&Rows { train_losses: None, ..rows(2, 3, 3) }).unwrap_err();
    assert_eq!(error.to_string(), "the train losses has shape [], but must have [2, 3]");
    let narrow =
        Rows { source: Source::Among(Tensor::zeros([10, 7], (Kind::Float, Device::Cpu))), ..rows(2, 3, 3) };
    assert!(ready.complexity(&narrow).is_err());
}

const RECIPE: &str = r#"
    schema = 1
    name = "tiny"
    seed = 4
    form = "classification"
    [model]
    inputs = 16
    outputs = 3
    width = 16
    heads = 2
    encoder_layers = 2
    [model.image]
    size = 4
    channels = 1
    filters = [4]
    [model.value]
    bilinear = true
    constant = true
    loss = true
    [images]
    datasets = ["mnist"]
    positions = "0-199"
    held_out = "200-399"
    view = { size = 4, channels = 1 }
    classes = 3
    train = [8, 32]
    test = 32
    rows = 8
    noisy = 0.5
    noise = [0.5, 0.5]
    gap = "error"
    [classifier]
    filters = [[], [4]]
    hidden = [[8]]
    lr = [0.05, 0.2]
    batch = 8
    steps = 20
    every = 5
    [meta]
    steps = 60
    batch = 16
    lr = 0.002
    parallel = 8
    every = 5
    bank = 400
    fill = 100
    lambda = 0.5
    lambda_steps = 30
    [watch]
    every = 30
    tasks = 20
    save = 20
"#;

fn recipe() -> Recipe {
    Recipe::parse(RECIPE).unwrap()
}

/// Images of three classes that differ in their means, 4 × 4 pixels; positions tell them apart.
fn data(seed: u64) -> Dataset {
    let mut draws = Draws::new(seed, "data", 0);
    let labels = draws.indices(200, CLASSES, Device::Cpu).unwrap();
    let noise = uniform(&mut draws, &[200, 4, 4, 1]);
    let inputs = noise + labels.to_kind(Kind::Float).view([200, 1, 1, 1]);
    Dataset::new(inputs, labels).unwrap()
}

fn hypotheses(recipe: &Recipe) -> Hypotheses {
    let (images, classifier) = recipe.classification().unwrap();
    let pool = |seed| Pool::new(images, &[data(seed)], Device::Cpu).unwrap();
    Hypotheses::on_images(images.clone(), classifier.clone(), [pool(0), pool(1)])
}

fn open(recipe: Recipe, folder: &std::path::Path) -> MetaTraining {
    tch::set_num_threads(1);
    let hypotheses = hypotheses(&recipe);
    MetaTraining::open_on(recipe, hypotheses, folder, Device::Cpu).unwrap()
}

#[test]
fn interrupted_meta_training_comes_to_the_same_bytes_and_a_checkpoint_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let trained = open(recipe(), &whole).run(&AtomicBool::new(false), &mut |_| {}).unwrap();
    let interrupt = AtomicBool::new(false);
    let stop = &mut |point: &pgdl_nc::Point| {
        interrupt.store(point.step == 30, std::sync::atomic::Ordering::Relaxed);
    };
    assert!(open(recipe(), &parts).run(&interrupt, stop).is_err());
    open(recipe(), &parts).run(&AtomicBool::new(false), &mut |_| {}).unwrap();
    for file in ["checkpoint.safetensors", "state.safetensors", "curve.csv"] {
        let read = |folder: &std::path::Path| std::fs::read(folder.join(file)).unwrap();
        assert!(read(&whole) == read(&parts), "{file}");
    }
    let bytes = std::fs::read(whole.join("checkpoint.safetensors")).unwrap();
    let read = Checkpoint::from_bytes("c".as_ref(), &bytes, Device::Cpu).unwrap();
    assert!(read.model.parameters().equal(trained.model.parameters()));
    assert!(read.description.trained_on.contains("mnist (positions 0-199 of the training half)"));
    for length in [0, 7, 100, bytes.len() - 1] {
        assert!(Checkpoint::from_bytes("c".as_ref(), &bytes[..length], Device::Cpu).is_err());
    }
}

#[test]
fn learners_learn_and_their_gaps_are_those_of_their_outputs() {
    let recipe = recipe();
    let (images, classifier) = recipe.classification().unwrap();
    let images = Images { noisy: 0.0, ..images.clone() };
    let pool = Pool::new(&images, &[data(0)], Device::Cpu).unwrap();
    let tasks = pool.draw(&images, 6, &mut Draws::new(1, "tasks", 0)).unwrap();
    let longer = Classifier { steps: 300, every: 100, weight_decay: [1e-4, 1e-3], ..classifier.clone() };
    let mut seen: Vec<Seen> = Vec::new();
    let mut draws = Draws::new(1, "learners", 0);
    longer
        .train(&images, &tasks, Regularizer::None, &mut draws, &mut |moment, _| {
            seen.push(moment);
            Ok(())
        })
        .unwrap();
    let steps: Vec<u64> = seen.iter().map(|moment| moment.step).collect();
    assert_eq!(steps, [100, 200, 300]);
    let last = seen.last().unwrap();
    let trained = last.errors.f_narrow(1, 0, tasks.train).unwrap();
    assert!(trained.f_mean_dim(1, false, Kind::Float).unwrap().max().double_value(&[]) < 0.1);
    for task in 0..6 {
        let outputs = matrix(&last.outputs.get(task));
        let labels = Vec::<i64>::try_from(tasks.labels.get(task)).unwrap();
        let of = |rows: &[usize]| -> (f64, f64) {
            let count = rows.len() as f64;
            let (mut errors, mut loss) = (0.0, 0.0);
            for &row in rows {
                let own = outputs[row][labels[row] as usize];
                errors += f64::from(u8::from(outputs[row].iter().any(|other| *other > own)));
                loss -= own.ln();
            }
            (errors / count, loss / count)
        };
        let train = tasks.train as usize;
        let all: Vec<usize> = (0..labels.len()).collect();
        let some = (vec![4, 0, 7], vec![train, train + 5]);
        let columns =
            |rows: &[usize]| Tensor::from_slice(&rows.iter().map(|row| *row as i64).collect::<Vec<i64>>());
        for (over, found) in [
            ((&all[..train], &all[train..]), [Gap::Error, Gap::CrossEntropy].map(|gap| last.gap(gap))),
            (
                (&some.0[..], &some.1[..]),
                [Gap::Error, Gap::CrossEntropy]
                    .map(|gap| last.gap_on(gap, &columns(&some.0), &columns(&some.1))),
            ),
        ] {
            let (trained, tested) = (of(over.0), of(over.1));
            let [error, cross_entropy] = found.map(|gap| gap.unwrap().double_value(&[task]));
            assert!((error - (tested.0 - trained.0)).abs() < 1e-6);
            assert!((cross_entropy - (tested.1 - trained.1)).abs() < 1e-4);
        }
    }
}

/// On images that are their own mirror images both looks are the same, on others not.
#[test]
fn a_second_look_is_at_the_mirrored_image() {
    let text = RECIPE
        .replace("outputs = 3", "outputs = 3\n    looks = 2")
        .replace("gap = \"error\"", "gap = \"error\"\n    look = \"mirrored\"")
        .replace("lambda = 0.5", "lambda = 0.0");
    let recipe = Recipe::parse(&text).unwrap();
    let (images, classifier) = recipe.classification().unwrap();
    let outputs = |data: Dataset| -> Tensor {
        let pool = || Pool::new(images, &[data.shallow_clone()], Device::Cpu).unwrap();
        let hypotheses = Hypotheses::on_images(images.clone(), classifier.clone(), [pool(), pool()]);
        let mut draws = Draws::new(7, "episode", 0);
        let drawn = hypotheses.draw(Half::Training, 4, &mut draws).unwrap();
        hypotheses.learn(&drawn, Regularizer::None, &mut draws).unwrap().rows.test_outputs
    };
    let plain = data(0);
    let symmetric =
        Dataset::new(&plain.inputs + plain.inputs.flip([2]), plain.labels.shallow_clone()).unwrap();
    for (data, alike) in [(symmetric, true), (plain, false)] {
        let outputs = outputs(data);
        assert_eq!(outputs.size()[2], 2 * CLASSES);
        let (first, second) = (outputs.narrow(2, 0, CLASSES), outputs.narrow(2, CLASSES, CLASSES));
        assert_eq!(first.allclose(&second, 1e-4, 1e-5, false), alike);
    }
    let regularizing = text.replace("lambda = 0.0", "lambda = 0.5");
    assert!(Recipe::parse(&regularizing).unwrap_err().to_string().contains("no regularizer"));
    let once = text.replace("looks = 2", "looks = 1");
    assert!(Recipe::parse(&once).unwrap_err().to_string().contains("model.looks is 1"));
}

#[test]
fn learners_do_not_see_each_other() {
    let recipe = recipe();
    let (images, classifier) = recipe.classification().unwrap();
    let pool = Pool::new(images, &[data(0)], Device::Cpu).unwrap();
    let tasks = pool.draw(images, 4, &mut Draws::new(3, "tasks", 0)).unwrap();
    let run = |tasks: &ImageTasks| -> Tensor {
        let mut outputs = None;
        let keep = &mut |moment: Seen, _: &mut Draws| {
            outputs = Some(moment.outputs);
            Ok(())
        };
        let mut draws = Draws::new(9, "learners", 0);
        classifier.train(images, tasks, Regularizer::None, &mut draws, keep).unwrap();
        outputs.unwrap()
    };
    let before = run(&tasks);
    // Another first task changes the first learner, and no other.
    let images_of_first = tasks.examples();
    let mut inputs = tasks.inputs.copy();
    let mut first = inputs.narrow(0, 0, images_of_first);
    first.copy_(&(first.copy() + 1.0));
    inputs = inputs.contiguous();
    let changed = ImageTasks { inputs, ..tasks };
    let after = run(&changed);
    assert!(!before.get(0).allclose(&after.get(0), 1e-4, 1e-4, false));
    assert!(before.narrow(0, 1, 3).allclose(&after.narrow(0, 1, 3), 1e-5, 1e-6, false));
}

#[test]
fn tasks_are_what_the_recipe_says() {
    let recipe = recipe();
    let images = recipe.classification().unwrap().0;
    let pool = Pool::new(images, &[data(0)], Device::Cpu).unwrap();
    let truth = Vec::<i64>::try_from(data(0).labels).unwrap();
    let (mut noisy, mut relabelled, mut sizes) = (0, 0.0, std::collections::BTreeSet::new());
    for round in 0..40 {
        let tasks = pool.draw(images, 5, &mut Draws::new(round, "tasks", 0)).unwrap();
        assert!((8..=32).contains(&tasks.train));
        sizes.insert(tasks.train);
        for task in 0..5 {
            let positions = Vec::<i64>::try_from(tasks.positions.get(task)).unwrap();
            let labels = Vec::<i64>::try_from(tasks.labels.get(task)).unwrap();
            let different: std::collections::BTreeSet<&i64> = positions.iter().collect();
            assert_eq!(different.len(), positions.len());
            let wrong = |row: &usize| labels[*row] != truth[positions[*row] as usize];
            let train = tasks.train as usize;
            assert_eq!((train..labels.len()).filter(wrong).count(), 0);
            let wrong = (0..train).filter(wrong).count();
            noisy += usize::from(wrong > 0);
            relabelled += wrong as f64 / train as f64;
        }
    }
    assert!(sizes.len() > 5);
    // Half of the tasks; in them half of the labels are drawn anew, a third of these as they were: 1/3 of 1/2.
    assert!((80..120).contains(&noisy), "{noisy} of 200");
    assert!((relabelled / 200.0 - 1.0 / 6.0).abs() < 0.03, "{relabelled}");

    let balanced = Images { balanced: true, train: [9, 9], noisy: 0.0, ..images.clone() };
    let tasks = pool.draw(&balanced, 3, &mut Draws::new(0, "tasks", 0)).unwrap();
    for task in 0..3 {
        let mut labels = Vec::<i64>::try_from(tasks.labels.get(task).narrow(0, 0, 9)).unwrap();
        labels.sort_unstable();
        assert_eq!(labels, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    }
}

#[test]
fn the_bank_gives_back_what_the_model_saw() {
    let recipe = recipe();
    let hypotheses = hypotheses(&recipe);
    let model = Model::initialize(recipe.model.clone(), &mut Draws::new(1, "model", 0), Device::Cpu).unwrap();
    let ready = model.ready(Precision::Float32, false).unwrap();
    let mut draws = Draws::new(7, "episode", 0);
    let drawn = hypotheses.draw(Half::Training, 8, &mut draws).unwrap();
    let regularizer = Regularizer::Complexity { model: &ready, weight: 0.5 };
    let snapshots = hypotheses.learn(&drawn, regularizer, &mut draws).unwrap();
    assert_eq!(snapshots.len(), 8 * 4);
    let steps = Vec::<i64>::try_from(&snapshots.steps).unwrap();
    assert_eq!(&steps[..9], [5, 5, 5, 5, 5, 5, 5, 5, 10]);
    // With NC in the loss, learners are others.
    let mut draws = Draws::new(7, "episode", 0);
    let drawn = hypotheses.draw(Half::Training, 8, &mut draws).unwrap();
    let plain = hypotheses.learn(&drawn, Regularizer::None, &mut draws).unwrap();
    assert!(!plain.rows.train_outputs.allclose(&snapshots.rows.train_outputs, 1e-4, 1e-4, false));
}

#[test]
fn a_view_is_scaled_and_averaged() {
    let images = data(0).inputs;
    let view = View { size: 2, channels: 3 };
    let seen = view.of(&images, &Scale::of(&images).unwrap()).unwrap();
    assert_eq!(seen.size(), [200, 12]);
    let pixels = images.reshape([200, 4, 4]);
    let (mean, std) = (images.mean(Kind::Double).double_value(&[]), images.std(false).double_value(&[]));
    let corner = pixels.narrow(1, 0, 2).narrow(2, 2, 2).mean_dim([1, 2].as_slice(), false, Kind::Double);
    let expected = (corner - mean) / std;
    for channel in 0..3 {
        let found = seen.select(1, 4 * channel + 1).to_kind(Kind::Double);
        assert!(found.allclose(&expected, 1e-5, 1e-5, false));
    }
    let two = Tensor::zeros([3, 4, 4, 2], (Kind::Float, Device::Cpu));
    assert!(view.of(&two, &Scale::of(&two).unwrap()).is_err());
    assert!(view.of(&Tensor::zeros([3, 4], (Kind::Float, Device::Cpu)), &Scale::of(&two).unwrap()).is_err());
}

/// Tasks of 3 classes drawn among 7, which have the numbers 5 to 11 and 6 images each, in a pool with another set before
/// them.
#[test]
fn tasks_draw_their_classes_and_number_them_anew() {
    let text = RECIPE
        .replace("classes = 3", "classes = 3\n    draw_classes = true\n    balanced = true")
        .replace("train = [8, 32]", "train = [3, 3]")
        .replace("test = 32", "test = 15")
        .replace("rows = 8", "rows = 3")
        .replace("noisy = 0.5", "noisy = 0.0");
    let recipe = Recipe::parse(&text).unwrap();
    let images = recipe.classification().unwrap().0;
    let set = |classes: std::ops::Range<i64>, of_each: i64| {
        let labels = (Tensor::arange((classes.end - classes.start) * of_each, (Kind::Int64, Device::Cpu))
            * 3)
        .remainder(classes.end - classes.start)
            + classes.start;
        let inputs = labels.to_kind(Kind::Float).view([-1, 1, 1, 1]).repeat([1, 4, 4, 1]);
        Dataset::new(inputs, labels).unwrap()
    };
    let sets = [set(0..4, 6), set(5..12, 6)];
    let truth: Vec<i64> = sets.iter().flat_map(|data| Vec::<i64>::try_from(&data.labels).unwrap()).collect();
    let pool = Pool::new(images, &sets, Device::Cpu).unwrap();
    let mut chosen = std::collections::BTreeSet::new();
    for round in 0..40 {
        let tasks = pool.draw(images, 5, &mut Draws::new(round, "tasks", 0)).unwrap();
        assert_eq!((tasks.train, tasks.examples(), tasks.classes), (3, 18, 3));
        for task in 0..5 {
            let positions = Vec::<i64>::try_from(tasks.positions.get(task)).unwrap();
            let labels = Vec::<i64>::try_from(tasks.labels.get(task)).unwrap();
            let mut trained = labels[..3].to_vec();
            trained.sort();
            assert_eq!(trained, [0, 1, 2]);
            // Each new number stands for one class, and all 18 images of the three classes are in the task.
            let pairs: std::collections::BTreeSet<(i64, i64)> = labels
                .iter()
                .zip(&positions)
                .map(|(label, place)| (*label, truth[*place as usize]))
                .collect();
            assert_eq!(pairs.len(), 3, "{pairs:?}");
            let places: std::collections::BTreeSet<i64> = positions.iter().copied().collect();
            assert_eq!(places.len(), 18);
            chosen.extend(pairs);
        }
    }
    // Every class of both sets comes under every number.
    assert_eq!(chosen.len(), 3 * 11);

    let refused = |sets: &[Dataset], word: &str| {
        let error = Pool::new(images, sets, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(&[set(0..2, 20)], "images.classes is 3, but must be at most 2");
    refused(&[set(0..8, 5)], "images.train[1] + images.test is 18, but must be at most 15");
    let fixed = Images { draw_classes: false, ..images.clone() };
    assert!(Pool::new(&fixed, &sets[1..], Device::Cpu).unwrap_err().to_string().contains("a label is 11"));
}

#[test]
fn held_out_tasks_may_be_of_other_data_sets() {
    let other = |name: &str| {
        RECIPE.replace(
            "held_out = \"200-399\"",
            &format!("held_out = \"0-199\"\n    held_out_datasets = {name}"),
        )
    };
    let recipe = Recipe::parse(&other("[\"kmnist\"]")).unwrap();
    let images = recipe.classification().unwrap().0;
    assert_eq!((&images.datasets[0][..], &images.held_out_datasets()[0][..]), ("mnist", "kmnist"));
    let error = Recipe::parse(&other("[\"kmnist\", \"mnist\"]")).unwrap_err().to_string();
    assert!(error.contains("images.held_out is 0"), "{error}");
    // Recipes that say nothing of it are what they were.
    let plain = recipe_text(&self::recipe());
    assert!(!plain.contains("held_out_datasets") && !plain.contains("draw_classes"), "{plain}");
    assert!(recipe_text(&recipe).contains("held_out_datasets"));
}

fn recipe_text(recipe: &Recipe) -> String {
    serde_json::to_string(recipe).unwrap()
}

#[test]
fn recipes_with_what_cannot_be_are_refused() {
    let refused = |from: &str, to: &str, word: &str| {
        let error = Recipe::parse(&RECIPE.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused("held_out = \"200-399\"", "held_out = \"199-399\"", "images.held_out is 199");
    refused("rows = 8", "rows = 9", "images.rows is 9");
    refused("inputs = 16", "inputs = 17", "17");
    refused(
        "form = \"classification\"",
        "form = \"regression\"",
        "form is regression, with [tasks] [learner] [images]",
    );
    refused("noise = [0.5, 0.5]", "noise = [0.5, 0.4]", "images.noise");
    refused("lr = [0.05, 0.2]", "lr = [0.0, 0.2]", "classifier.lr");
    refused("filters = [[], [4]]", "filters = []", "classifier.filters");
    refused("train = [8, 32]", "train = [8, 200]", "images.positions");
    refused("datasets = [\"mnist\"]", "datasets = []", "images.datasets");
}
