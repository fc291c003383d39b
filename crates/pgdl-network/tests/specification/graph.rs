//! Networks that are no chains.

use pgdl_network::{
    Activation, Architecture, Conv2d, Dense, Graph, Layer, Mode, Network, Node, Padding, ParameterSpec, Role,
    Source, gradients,
};
use tch::{Device, Kind, Tensor};

use crate::{devices, evaluate, generator, tensor, vector, with_values};

/// Collects nodes; each call gives the source of what it added.
struct Builder(Vec<Node>);

impl Builder {
    fn add(&mut self, layer: Layer, inputs: &[Source]) -> Source {
        let name = format!("node_{}", self.0.len());
        self.0.push(Node { name, layer, inputs: inputs.to_vec() });
        Source::Node(self.0.len() - 1)
    }

    fn conv_bn(&mut self, filters: i64, kernel: i64, stride: i64, input: Source) -> Source {
        let conv = Conv2d {
            filters,
            kernel: [kernel; 2],
            strides: [stride; 2],
            padding: Padding::Same,
            dilation: [1, 1],
            groups: 1,
            use_bias: false,
            activation: Activation::Linear,
        };
        let conv = self.add(Layer::Conv2d(conv), &[input]);
        let norm =
            Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: 1e-5, momentum: 0.9 };
        self.add(norm, &[conv])
    }

    fn relu(&mut self, input: Source) -> Source {
        self.add(Layer::Activation(Activation::Relu), &[input])
    }
}

/// He et al. 2016, with the 3×3 stem used for 32×32 images, and projections where the shape changes.
pub fn resnet18(widths: [i64; 4], classes: i64) -> Architecture {
    let mut b = Builder(Vec::new());
    let stem = b.conv_bn(widths[0], 3, 1, Source::Input);
    let mut x = b.relu(stem);
    let mut channels = widths[0];
    for (stage, width) in widths.into_iter().enumerate() {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let first = b.conv_bn(width, 3, stride, x);
            let first = b.relu(first);
            let second = b.conv_bn(width, 3, 1, first);
            let shortcut = if stride != 1 || width != channels { b.conv_bn(width, 1, stride, x) } else { x };
            let sum = b.add(Layer::Add, &[second, shortcut]);
            x = b.relu(sum);
            channels = width;
        }
    }
    let pooled = b.add(Layer::GlobalAveragePooling2d { keepdims: false }, &[x]);
    let output = Dense { units: classes, use_bias: true, activation: Activation::Linear };
    b.add(Layer::Dense(output), &[pooled]);
    Architecture::graph(vec![32, 32, 3], b.0).expect("a valid graph")
}

/// 11,173,962 is the well-known count of trainable parameters; the 20 batch normalizations keep moving
/// statistics of 2 · 4,800 values beside them.
#[test]
fn resnet18_has_the_known_size() {
    let architecture = resnet18([64, 128, 256, 512], 10);
    assert_eq!(architecture.trainable_count().expect("a count"), 11_173_962);
    assert_eq!(architecture.parameter_count().expect("a count"), 11_173_962 + 9_600);
    assert_eq!(architecture.classes().expect("a vector"), 10);
    assert!(!architecture.is_sequential());
}

#[test]
fn resnet18_runs_forward_and_backward() {
    let _turn = generator();
    tch::manual_seed(3);
    for device in devices() {
        let architecture = resnet18([64, 128, 256, 512], 10);
        let specs = architecture.parameter_specs().expect("parameters");
        let draw = |spec: &ParameterSpec| match spec.role {
            Role::Gamma | Role::MovingVariance => Tensor::ones(&spec.shape, (Kind::Float, device)),
            _ => Tensor::randn(&spec.shape, (Kind::Float, device)) * 0.05,
        };
        let weights = specs.iter().map(|specs| specs.iter().map(draw).collect()).collect();
        let network = Network::new(architecture, weights).expect("a network");
        let x = tensor(&[2, 32, 32, 3], 30).to_kind(Kind::Float).to_device(device);
        let logits = evaluate(&network, &x);
        assert_eq!(logits.size(), [2, 10]);
        assert!(vector(&logits).iter().all(|logit| logit.is_finite()));
        let leaves = network.trainable().expect("leaves");
        let tensors = leaves.trainable_tensors();
        let outputs = leaves.forward(&x, Mode::Train).expect("a forward pass");
        let loss = outputs.log_softmax(-1, Kind::Float).select(1, 0).mean(Kind::Float).neg();
        for gradient in gradients(&loss, &tensors, Graph::Free).expect("gradients") {
            let norm = gradient.norm().double_value(&[]);
            assert!(norm.is_finite() && norm > 0.0);
        }
    }
}

/// Cuts lie at the relus that end the stem's and the blocks' sums, and where no shortcut passes by.
#[test]
fn the_rest_from_each_cut_point_gives_the_same_output() {
    let network = with_values(resnet18([2, 3, 4, 5], 3));
    let x = tensor(&[2, 32, 32, 3], 31);
    let mut outputs = Vec::new();
    let expected = network
        .forward_observed(&x, Mode::Evaluate, &mut |i, output| {
            assert_eq!(i, outputs.len());
            outputs.push(output.shallow_clone());
            Ok(())
        })
        .expect("a forward pass");
    let cuts = network.cut_points();
    let nodes = &network.architecture().nodes;
    // Stem: conv, bn, relu. Blocks: the sum and its relu. Then pooling and output.
    assert_eq!(cuts.len(), 3 + 8 * 2 + 2);
    for (i, output) in outputs.iter().enumerate() {
        match network.forward_from(i, output, Mode::Evaluate) {
            Ok(found) => {
                assert!(cuts.contains(&i));
                assert_eq!(vector(&found), vector(&expected), "from {}", nodes[i].name);
            }
            Err(error) => {
                assert!(!cuts.contains(&i));
                assert!(error.to_string().contains(&nodes[i].name), "{error}");
            }
        }
    }
}

#[test]
fn the_first_part_alone_gives_each_nodes_output() {
    let network = with_values(resnet18([2, 3, 4, 5], 3));
    let x = tensor(&[2, 32, 32, 3], 31);
    let mut outputs = Vec::new();
    let last = network
        .forward_observed(&x, Mode::Evaluate, &mut |_, output| {
            outputs.push(output.shallow_clone());
            Ok(())
        })
        .expect("a forward pass");
    assert_eq!(outputs.last().map(vector), Some(vector(&last)));
    for (i, expected) in outputs.iter().enumerate() {
        let found = network.forward_to(i, &x, Mode::Evaluate).expect("a part of the pass");
        assert_eq!(vector(&found), vector(expected), "to {}", network.architecture().nodes[i].name);
    }
    assert!(network.forward_to(outputs.len(), &x, Mode::Evaluate).is_err());
    assert!(network.forward_to(0, &tensor(&[2, 32, 32, 1], 31), Mode::Evaluate).is_err());
}

/// A cut point by definition: with the node taken away, no path leads from the input to the output.
#[test]
fn cut_points_are_those_of_the_definition() {
    let graphs = [
        resnet18([2, 3, 4, 5], 3),
        {
            // The input itself is added at the end: only the sum is a cut point.
            let mut b = Builder(Vec::new());
            let a = b.relu(Source::Input);
            let c = b.relu(a);
            b.add(Layer::Add, &[c, Source::Input]);
            Architecture::graph(vec![3], b.0).expect("a valid graph")
        },
        Architecture::sequential(vec![3], vec![Layer::Flatten, Layer::Flatten]).expect("a valid chain"),
    ];
    for graph in graphs {
        let expected: Vec<usize> = (0..graph.nodes.len())
            .filter(|&cut| {
                let mut reached = vec![false; graph.nodes.len()];
                for (i, node) in graph.nodes.iter().enumerate() {
                    reached[i] = i != cut
                        && node.inputs.iter().any(|source| match source {
                            Source::Input => true,
                            Source::Node(j) => reached[*j],
                        });
                }
                !reached[graph.nodes.len() - 1]
            })
            .collect();
        assert_eq!(graph.cut_points(), expected);
    }
}

#[test]
fn an_input_may_be_read_twice() {
    let mut b = Builder(Vec::new());
    let a = b.add(Layer::Rescaling { scale: 2.0, offset: 0.0 }, &[Source::Input]);
    b.add(Layer::Add, &[a, a, Source::Input]);
    let network = Network::new(Architecture::graph(vec![3], b.0).expect("a graph"), vec![vec![], vec![]])
        .and_then(|network| network.to_kind(Kind::Double))
        .expect("a network");
    let x = tensor(&[2, 3], 32);
    assert!(crate::largest_difference(&evaluate(&network, &x), &(&x * 5.0)) < 1e-15);
    assert_eq!((network.kind(), network.device()), (Kind::Double, Device::Cpu));
}

#[test]
fn a_final_softmax_is_stripped_once() {
    let dense = |activation| Layer::Dense(Dense { units: 3, use_bias: true, activation });
    let fused = Architecture::sequential(vec![4], vec![dense(Activation::Softmax)]).expect("a chain");
    let apart = Architecture::sequential(
        vec![4],
        vec![dense(Activation::Linear), Layer::Activation(Activation::Softmax)],
    )
    .expect("a chain");
    let alone =
        Architecture::sequential(vec![4], vec![Layer::Activation(Activation::Softmax)]).expect("a chain");
    let linear = Architecture::sequential(vec![4], vec![dense(Activation::Linear)]).expect("a chain");
    let [fused, apart, alone] = [fused, apart, alone].map(Architecture::strip_softmax);
    assert!(fused.stripped_softmax && apart.stripped_softmax && alone.stripped_softmax);
    assert_eq!(fused.nodes, linear.nodes);
    assert_eq!(apart.nodes, linear.nodes);
    assert_eq!(alone.nodes[0].layer, Layer::Activation(Activation::Linear));
    assert!(!linear.strip_softmax().stripped_softmax);
}
