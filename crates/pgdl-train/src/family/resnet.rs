//! Residual networks for small images (He et al. 2016).

use pgdl_network::{Activation, Conv2d, Layer, Node, Padding, Source};

use super::dense;
use crate::error::Result;
use crate::settings::{SettingInfo, Settings};

pub(super) const SETTINGS: &[SettingInfo] = &[
    SettingInfo::count("width", 1.0, 4096.0, "filters of the first stage; each later one has twice as many")
        .or(64.0),
    SettingInfo::count("stages", 1.0, 6.0, "stages; each but the first begins with stride 2").or(4.0),
    SettingInfo::count("blocks", 1.0, 64.0, "blocks of two 3×3 convolutions in a stage").or(2.0),
];

/// Conv 3×3, stages of basic blocks, global average pooling, dense. Batch normalization follows each convolution; where
/// a block changes the shape, its shortcut is a 1×1 convolution. With the defaults it is ResNet-18 with the 3×3 stem of
/// 32×32 images, of 11,173,962 trainable parameters for three channels and ten classes.
pub(super) fn nodes(settings: &Settings, classes: i64) -> Result<Vec<Node>> {
    let width = settings.count("width")?;
    let mut graph = Graph(Vec::new());
    let stem = graph.normalized(width, 3, 1, Source::Input);
    let mut x = graph.relu(stem);
    let mut channels = width;
    for stage in 0..settings.count("stages")? {
        let filters = width << stage;
        for block in 0..settings.count("blocks")? {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let first = graph.normalized(filters, 3, stride, x);
            let first = graph.relu(first);
            let second = graph.normalized(filters, 3, 1, first);
            let shortcut = match stride == 1 && filters == channels {
                true => x,
                false => graph.normalized(filters, 1, stride, x),
            };
            let sum = graph.add(Layer::Add, vec![second, shortcut]);
            x = graph.relu(sum);
            channels = filters;
        }
    }
    let pooled = graph.add(Layer::GlobalAveragePooling2d { keepdims: false }, vec![x]);
    graph.add(dense(classes, Activation::Linear), vec![pooled]);
    Ok(graph.0)
}

/// The nodes so far.
struct Graph(Vec<Node>);

impl Graph {
    fn add(&mut self, layer: Layer, inputs: Vec<Source>) -> Source {
        let name = format!("{}_{}", layer.kind().to_lowercase(), self.0.len());
        self.0.push(Node { name, layer, inputs });
        Source::Node(self.0.len() - 1)
    }

    fn relu(&mut self, input: Source) -> Source {
        self.add(Layer::Activation(Activation::Relu), vec![input])
    }

    /// A convolution without bias, normalized.
    fn normalized(&mut self, filters: i64, kernel: i64, stride: i64, input: Source) -> Source {
        let conv = self.add(
            Layer::Conv2d(Conv2d {
                filters,
                kernel: [kernel; 2],
                strides: [stride; 2],
                padding: Padding::Same,
                dilation: [1, 1],
                groups: 1,
                use_bias: false,
                activation: Activation::Linear,
            }),
            vec![input],
        );
        self.add(
            Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: 1e-5, momentum: 0.9 },
            vec![conv],
        )
    }
}
