//! Models in JSON: the traps of PGDL's form, and errors that say what is wrong and where.

use std::path::Path;

use pgdl_network::{Activation, Layer, Source};
use pgdl_zoo::ZooError;
use pgdl_zoo::keras::Model;
use serde_json::{Value, json};

fn parse(value: &Value) -> Result<Model, ZooError> {
    Model::parse(value, Path::new("folder/config.json"))
}

fn pgdl(layers: Value, shape: Value) -> Value {
    json!({ "model_config": layers, "input_shape": shape })
}

fn layers(model: &Model) -> Vec<Layer> {
    model.architecture.nodes.iter().map(|node| node.layer.clone()).collect()
}

/// Message and hint of the error.
fn error(value: &Value) -> String {
    let error = parse(value).expect_err(&value.to_string());
    format!("{error} | {}", error.hint().unwrap_or_default())
}

#[test]
fn floats_with_integer_values_are_integers() {
    let model = pgdl(
        json!([
            { "layer_name": "Conv2D", "filters": 16.0, "kernel_size": 3.0, "strides": [2.0, 1], "padding": "SAME" },
            { "layer_name": "MaxPool2D", "pool_size": 2.0 },
            { "layer_name": "Dropout", "rate": 0 },
            { "layer_name": "Flatten" },
            { "layer_name": "Dense", "units": 10.0 },
        ]),
        json!([32.0, 32, 3]),
    );
    let model = parse(&model).unwrap();
    assert_eq!(model.architecture.input_shape, [32, 32, 3]);
    assert_eq!(
        model.architecture.shapes().unwrap(),
        [vec![16, 32, 16], vec![8, 16, 16], vec![8, 16, 16], vec![2048], vec![10]]
    );
    assert!(!model.architecture.stripped_softmax);
    assert!(
        error(&pgdl(json!([{ "layer_name": "Dense", "units": 2.5 }]), json!([4])))
            .contains("units must be an integer")
    );
}

#[test]
fn a_final_softmax_is_taken_off_in_all_its_forms_and_the_fact_is_kept() {
    let dense = json!({ "layer_name": "Dense", "units": 4 });
    for last in [
        json!([{ "layer_name": "Dense", "units": 4, "activation": "softmax" }]),
        json!([dense, { "layer_name": "Softmax" }]),
        json!([dense, { "layer_name": "Softmax", "axis": 1 }]),
        json!([dense, { "layer_name": "Activation", "activation": "softmax" }]),
        json!([dense, { "layer_name": "Activation", "activation": { "class_name": "Softmax", "config": {} } }]),
    ] {
        let model = parse(&pgdl(last, json!([6]))).unwrap();
        assert!(model.architecture.stripped_softmax);
        assert_eq!(layers(&model).len(), 1);
        assert_eq!(layers(&model)[0].activation(), Some(Activation::Linear));
    }
}

#[test]
fn what_is_not_supported_is_named_with_file_and_layer_and_what_is() {
    let unsupported = error(&pgdl(
        json!([{ "layer_name": "Dense", "units": 4 }, { "layer_name": "LSTM", "units": 3 }]),
        json!([6]),
    ));
    for sign in ["folder/config.json", "lstm", "number 2", "LSTM", "Conv2D", "SeparableConv2D", "LeakyReLU"] {
        assert!(unsupported.contains(sign), "no {sign} in {unsupported}");
    }
    let image = json!([8, 8, 3]);
    let conv = |key: &str, value: Value| {
        let mut layer = json!({ "layer_name": "Conv2D", "filters": 4, "kernel_size": 3, "name": "first" });
        layer[key] = value;
        error(&pgdl(json!([layer]), image.clone()))
    };
    let channels = conv("data_format", json!("channels_first"));
    assert!(
        channels.contains("first (Conv2D): data_format = \"channels_first\"")
            && channels.contains("channels_last")
    );
    assert!(conv("activation", json!("sparsemax")).contains("supported: activation = linear, relu"));
    assert!(conv("padding", json!("causal")).contains("valid or same"));
    assert!(conv("kernel_size", json!([3, 3, 3])).contains("kernel_size must be"));
    assert!(conv("filters", json!(null)).contains("filters is missing"));
    assert!(conv("groups", json!(2)).contains("`first` (Conv2D)"));
    assert!(
        error(&pgdl(json!([{ "layer_name": "Softmax", "axis": 1 }, { "layer_name": "Flatten" }]), image))
            .contains("axis = 1")
    );
    assert!(error(&json!({ "class_name": "Model2", "config": {} })).contains("Model2"));
    assert!(error(&json!({ "layers": [] })).contains("neither PGDL's form"));
    assert!(error(&pgdl(json!([]), json!([3]))).contains("no layer"));
    assert!(error(&pgdl(json!([{ "layer_name": "Flatten" }]), json!([null, 3]))).contains("open size"));
}

fn input(name: &str) -> Value {
    json!({ "class_name": "InputLayer", "name": name, "inbound_nodes": [],
            "config": { "batch_input_shape": [null, 5], "name": name } })
}

fn dense(name: &str, reads: Value) -> Value {
    json!({ "class_name": "Dense", "name": name, "inbound_nodes": reads, "config": { "name": name, "units": 5 } })
}

fn functional(layers: &[Value], output: &str) -> Value {
    json!({ "class_name": "Functional", "config": { "layers": layers, "output_layers": [[output, 0, 0]] } })
}

#[test]
fn layers_of_a_functional_model_are_put_in_order_and_their_weights_stay_in_that_of_the_file() {
    let add = json!({ "class_name": "Add", "name": "sum", "config": {},
                      "inbound_nodes": [[["late", 0, 0, {}], ["early", 0, 0, {}]]] });
    let model = functional(
        &[
            add,
            dense("late", json!([[["early", 0, 0, {}]]])),
            dense("early", json!([[["in", 0, 0, {}]]])),
            input("in"),
        ],
        "sum",
    );
    let model = parse(&model).unwrap();
    let names: Vec<&str> = model.architecture.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["early", "late", "sum"]);
    assert_eq!(model.architecture.nodes[2].inputs, [Source::Node(1), Source::Node(0)]);
    let records: Vec<(&str, Option<usize>)> =
        model.layers.iter().map(|layer| (layer.name.as_str(), layer.node)).collect();
    assert_eq!(records, [("sum", Some(2)), ("late", Some(1)), ("early", Some(0))]);
}

#[test]
fn a_layer_without_weights_may_be_used_twice_and_one_with_weights_not() {
    let relu = |reads: Value| json!({ "class_name": "ReLU", "name": "relu", "config": { "name": "relu" }, "inbound_nodes": reads });
    let twice = json!([[["a", 0, 0, {}]], [["b", 0, 0, {}]]]);
    let head = dense("head", json!([[["relu", 1, 0, {}]]]));
    let a = dense("a", json!([[["in", 0, 0, {}]]]));
    let b = dense("b", json!([[["relu", 0, 0, {}]]]));
    let model =
        parse(&functional(&[input("in"), a.clone(), relu(twice.clone()), b.clone(), head], "head")).unwrap();
    let names: Vec<&str> = model.architecture.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a", "relu", "b", "relu@1", "head"]);
    let shared = dense("shared", json!([[["in", 0, 0, {}]], [["shared", 0, 0, {}]]]));
    let last = dense("last", json!([[["shared", 1, 0, {}]]]));
    assert!(error(&functional(&[input("in"), shared, last], "last")).contains("weights that are used twice"));
}

#[test]
fn graphs_that_are_none_are_errors() {
    let a = dense("a", json!([[["b", 0, 0, {}]]]));
    let b = dense("b", json!([[["a", 0, 0, {}]]]));
    assert!(error(&functional(&[input("in"), a, b], "b")).contains("what is not there: a, b"));
    let a = dense("a", json!([[["in", 0, 0, {}]]]));
    assert!(error(&functional(&[input("in"), a.clone()], "c")).contains("no output c"));
    assert!(error(&functional(&[input("in"), input("other"), a.clone()], "a")).contains("several inputs"));
    assert!(error(&functional(std::slice::from_ref(&a), "a")).contains("no input layer"));
    let both = json!({ "class_name": "Functional", "config": { "layers": [input("in"), a],
                       "output_layers": [["a", 0, 0], ["in", 0, 0]] } });
    assert!(error(&both).contains("2 outputs"));
}
