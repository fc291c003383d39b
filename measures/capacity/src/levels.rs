//! How deep each layer lies.

use pgdl_measure::network::{Architecture, NetworkError, Source};

/// For each node the number of weight tensors on the longest path from the input up to and including the node.
pub(crate) fn levels(architecture: &Architecture) -> Result<Vec<usize>, NetworkError> {
    let specs = architecture.parameter_specs()?;
    let mut levels: Vec<usize> = Vec::with_capacity(specs.len());
    for (node, specs) in architecture.nodes.iter().zip(&specs) {
        let before = node
            .inputs
            .iter()
            .map(|source| match source {
                Source::Input => 0,
                Source::Node(earlier) => levels[*earlier],
            })
            .max()
            .unwrap_or(0);
        levels.push(before + specs.iter().filter(|spec| spec.role.is_weight()).count());
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgdl_measure::network::{Activation, Dense, Layer, Node};

    #[test]
    fn the_longest_path_counts_and_layers_without_kernels_do_not() {
        let dense = |name: &str, inputs: Vec<Source>| Node {
            name: name.to_string(),
            layer: Layer::Dense(Dense { units: 4, use_bias: true, activation: Activation::Relu }),
            inputs,
        };
        let other =
            |name: &str, layer: Layer, inputs: Vec<Source>| Node { name: name.to_string(), layer, inputs };
        // input → a → b → c → add → out, with a short cut from a to add.
        let nodes = vec![
            dense("a", vec![Source::Input]),
            dense("b", vec![Source::Node(0)]),
            other("drop", Layer::Dropout { rate: 0.1 }, vec![Source::Node(1)]),
            dense("c", vec![Source::Node(2)]),
            other("add", Layer::Add, vec![Source::Node(0), Source::Node(3)]),
            dense("out", vec![Source::Node(4)]),
        ];
        let architecture = Architecture::graph(vec![4], nodes).unwrap();
        assert_eq!(levels(&architecture).unwrap(), [1, 2, 2, 3, 3, 4]);
    }
}
