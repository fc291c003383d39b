//! What a record holds: a `tf.train.Example` with the bytes features `inputs` and `output`, each a serialized
//! `TensorProto`.
//!
//! The messages declare the fields that are read; prost passes over the others.

use std::collections::BTreeMap;

use prost::Message;
use prost::bytes::Bytes;

/// Feature of the network's input, DT_FLOAT.
const INPUTS: &str = "inputs";
/// Feature of the label, DT_INT32.
const OUTPUT: &str = "output";

/// TensorFlow's code of 32-bit floats.
const DT_FLOAT: i32 = 1;
/// TensorFlow's code of 32-bit integers.
const DT_INT32: i32 = 3;
/// Names of TensorFlow's first data types, for messages.
const TYPE_NAMES: [&str; 11] = [
    "DT_INVALID",
    "DT_FLOAT",
    "DT_DOUBLE",
    "DT_INT32",
    "DT_UINT8",
    "DT_INT16",
    "DT_INT8",
    "DT_STRING",
    "DT_COMPLEX64",
    "DT_INT64",
    "DT_BOOL",
];

#[derive(Clone, PartialEq, Message)]
struct ExampleProto {
    #[prost(message, optional, tag = "1")]
    features: Option<FeaturesProto>,
}

#[derive(Clone, PartialEq, Message)]
struct FeaturesProto {
    #[prost(btree_map = "string, message", tag = "1")]
    feature: BTreeMap<String, FeatureProto>,
}

#[derive(Clone, PartialEq, Message)]
struct FeatureProto {
    #[prost(message, optional, tag = "1")]
    bytes_list: Option<BytesListProto>,
}

#[derive(Clone, PartialEq, Message)]
struct BytesListProto {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    value: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    tensor_shape: Option<TensorShapeProto>,
    #[prost(bytes = "bytes", tag = "4")]
    tensor_content: Bytes,
    #[prost(float, repeated, tag = "5")]
    float_val: Vec<f32>,
    #[prost(int32, repeated, tag = "7")]
    int_val: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<DimProto>,
    #[prost(bool, tag = "3")]
    unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
struct DimProto {
    #[prost(int64, tag = "1")]
    size: i64,
}

/// One labelled input, still encoded; its shapes are checked.
#[derive(Debug, Clone)]
pub struct Example {
    inputs: TensorProto,
    shape: Vec<i64>,
    count: usize,
    label: i32,
}

impl Example {
    /// Parses a record's payload. The error says what is wrong with it.
    pub fn parse(payload: Vec<u8>) -> Result<Self, String> {
        let example =
            ExampleProto::decode(Bytes::from(payload)).map_err(|error| format!("is no Example: {error}"))?;
        let features = example.features.unwrap_or_default().feature;
        let inputs = tensor(&features, INPUTS, DT_FLOAT)?;
        let (shape, count) = shape(&inputs, INPUTS)?;
        check_payload(INPUTS, count, inputs.tensor_content.len(), inputs.float_val.len())?;
        let output = tensor(&features, OUTPUT, DT_INT32)?;
        let (output_shape, output_count) = self::shape(&output, OUTPUT)?;
        if output_count != 1 {
            return Err(format!("has an `{OUTPUT}` of shape {output_shape:?}, which is no scalar"));
        }
        check_payload(OUTPUT, 1, output.tensor_content.len(), output.int_val.len())?;
        let label = match (&output.tensor_content[..], output.int_val.as_slice()) {
            (&[a, b, c, d], _) => i32::from_le_bytes([a, b, c, d]),
            (_, [value]) => *value,
            // As in TensorFlow: a tensor without values is zero.
            _ => 0,
        };
        Ok(Example { inputs, shape, count, label })
    }

    /// The shape of the input.
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// The label as it stands there; it may be negative.
    pub fn label(&self) -> i32 {
        self.label
    }

    /// Whether the payload holds fewer values than the shape, because equal values are not repeated.
    pub fn is_abbreviated(&self) -> bool {
        self.inputs.tensor_content.is_empty() && self.inputs.float_val.len() < self.count
    }

    /// Writes the input into `values`, which must have as many elements as the shape.
    pub fn decode_into(&self, values: &mut [f32]) -> Result<(), String> {
        if values.len() != self.count {
            return Err(format!(
                "has an `{INPUTS}` of shape {:?} among inputs of {} values",
                self.shape,
                values.len()
            ));
        }
        if !self.inputs.tensor_content.is_empty() {
            for (value, bytes) in values.iter_mut().zip(self.inputs.tensor_content.chunks_exact(4)) {
                *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
            return Ok(());
        }
        // As in TensorFlow: the last value stands for all that follow, and no value for zeros.
        let given = &self.inputs.float_val;
        values[..given.len()].copy_from_slice(given);
        values[given.len()..].fill(given.last().copied().unwrap_or(0.0));
        Ok(())
    }
}

/// A record's payload for the input `values` of `shape` and its label, in the form that TensorFlow's
/// `serialize_tensor` gives.
pub fn serialize(shape: &[i64], values: &[f32], label: i32) -> Vec<u8> {
    let tensor = |dtype: i32, shape: &[i64], content: Vec<u8>| {
        let dim = shape.iter().map(|size| DimProto { size: *size }).collect();
        let tensor = TensorProto {
            dtype,
            tensor_shape: Some(TensorShapeProto { dim, unknown_rank: false }),
            tensor_content: content.into(),
            ..TensorProto::default()
        };
        let list = BytesListProto { value: vec![tensor.encode_to_vec().into()] };
        FeatureProto { bytes_list: Some(list) }
    };
    let content = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let feature = BTreeMap::from([
        (INPUTS.to_owned(), tensor(DT_FLOAT, shape, content)),
        (OUTPUT.to_owned(), tensor(DT_INT32, &[], label.to_le_bytes().to_vec())),
    ]);
    ExampleProto { features: Some(FeaturesProto { feature }) }.encode_to_vec()
}

fn tensor(features: &BTreeMap<String, FeatureProto>, name: &str, dtype: i32) -> Result<TensorProto, String> {
    let feature = features.get(name).ok_or_else(|| {
        let found: Vec<_> = features.keys().map(String::as_str).take(8).collect();
        format!(
            "has no feature `{name}` (it has: {})",
            if found.is_empty() { "none".into() } else { found.join(", ") }
        )
    })?;
    let values = feature.bytes_list.as_ref().map_or(&[][..], |list| &list.value);
    let [bytes] = values else {
        return Err(format!("has {} byte strings as `{name}`, not one", values.len()));
    };
    let tensor = TensorProto::decode(bytes.clone())
        .map_err(|error| format!("has an `{name}` that is no TensorProto: {error}"))?;
    if tensor.dtype != dtype {
        let type_name = |code: i32| {
            let known = usize::try_from(code).ok().and_then(|code| TYPE_NAMES.get(code));
            known.map_or_else(|| format!("type {code}"), |name| (*name).to_owned())
        };
        return Err(format!("has an `{name}` of {}, not {}", type_name(tensor.dtype), type_name(dtype)));
    }
    Ok(tensor)
}

fn shape(tensor: &TensorProto, name: &str) -> Result<(Vec<i64>, usize), String> {
    let stated = tensor.tensor_shape.clone().unwrap_or_default();
    let shape: Vec<i64> = stated.dim.iter().map(|dim| dim.size).collect();
    let count = shape
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul(usize::try_from(*size).ok()?))
        .filter(|count| *count <= isize::MAX as usize / 4 && !stated.unknown_rank)
        .ok_or_else(|| format!("has an `{name}` of the impossible shape {shape:?}"))?;
    Ok((shape, count))
}

/// All supported types have four bytes per element.
fn check_payload(name: &str, count: usize, content: usize, values: usize) -> Result<(), String> {
    match content {
        0 if values <= count => Ok(()),
        0 => Err(format!("has an `{name}` of {count} elements with {values} values")),
        _ if content == 4 * count => Ok(()),
        _ => Err(format!("has an `{name}` of {count} elements with {content} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(payload: Vec<u8>) -> Result<(Vec<i64>, Vec<f32>, i32), String> {
        let example = Example::parse(payload)?;
        if example.count > 1 << 16 {
            return Err("large".into());
        }
        let mut values = vec![f32::NAN; example.count];
        example.decode_into(&mut values)?;
        Ok((example.shape().to_vec(), values, example.label()))
    }

    /// A feature map entry, by hand: key, then Feature { BytesList { value } }.
    fn entry(name: &str, tensor: &[u8]) -> Vec<u8> {
        let field = |tag: u8, bytes: &[u8]| [&[tag << 3 | 2, bytes.len() as u8][..], bytes].concat();
        field(1, &[field(1, name.as_bytes()), field(2, &field(1, &field(1, tensor)))].concat())
    }

    fn example(entries: &[Vec<u8>]) -> Vec<u8> {
        let features = entries.concat();
        [&[0x0a, features.len() as u8][..], &features].concat()
    }

    // Wire bytes by hand: dtype 1 (0x08), shape 2 (0x12), tensor_content 4 (0x22), float_val 5 (0x2a packed,
    // 0x2d single), int_val 7 (0x3a packed, 0x38 single).
    const SHAPE_3: [u8; 6] = [0x12, 4, 0x12, 2, 8, 3];
    const LABEL_2: [u8; 7] = [8, 3, 0x12, 0, 0x3a, 1, 2];

    fn float(rest: &[u8]) -> Vec<u8> {
        [&[8, 1][..], &SHAPE_3, rest].concat()
    }

    #[test]
    fn both_payload_forms_are_read() {
        let content = [&[0x22, 12][..], &[0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64]].concat();
        let packed = [&[0x2a, 12][..], &content[2..]].concat();
        let single =
            [&[0x2d][..], &content[2..6], &[0x2d], &content[6..10], &[0x2d], &content[10..]].concat();
        let in_content = [&[8, 3, 0x12, 0, 0x22, 4][..], &[2, 0, 0, 0]].concat();
        for inputs in [content, packed, single] {
            for output in [&LABEL_2[..], &in_content, &[8, 3, 0x38, 2]] {
                let tensors = [entry("inputs", &float(&inputs)), entry("output", output)];
                let reversed = [tensors[1].clone(), tensors[0].clone()];
                for order in [tensors, reversed] {
                    assert_eq!(parts(example(&order)).unwrap(), (vec![3], vec![1.0, 2.0, 3.0], 2));
                }
            }
        }
    }

    #[test]
    fn missing_values_repeat_the_last() {
        let read = |inputs: &[u8]| {
            let payload = example(&[entry("inputs", &float(inputs)), entry("output", &LABEL_2)]);
            assert!(Example::parse(payload.clone()).unwrap().is_abbreviated());
            parts(payload).unwrap().1
        };
        assert_eq!(read(&[0x2d, 0, 0, 128, 63]), [1.0; 3]);
        assert_eq!(read(&[0x2a, 8, 0, 0, 128, 63, 0, 0, 0, 64]), [1.0, 2.0, 2.0]);
        assert_eq!(read(&[]), [0.0; 3]);
        let payload = example(&[entry("inputs", &float(&[])), entry("output", &[8, 3, 0x12, 0])]);
        assert_eq!(parts(payload).unwrap().2, 0);
    }

    #[test]
    fn wrong_contents_are_errors() {
        let sound = entry("inputs", &float(&[0x2d, 0, 0, 128, 63]));
        let label = entry("output", &LABEL_2);
        let says = |entries: &[Vec<u8>], part: &str| {
            let error = parts(example(entries)).unwrap_err();
            assert!(error.contains(part), "`{error}` does not contain `{part}`");
        };
        says(&[], "no feature `inputs`");
        says(std::slice::from_ref(&sound), "no feature `output` (it has: inputs)");
        says(&[entry("inputs", &[8, 2]), label.clone()], "DT_DOUBLE, not DT_FLOAT");
        says(&[entry("inputs", &[8, 99]), label.clone()], "type 99");
        says(&[sound.clone(), entry("output", &[8, 9, 0x50, 1])], "DT_INT64, not DT_INT32");
        says(&[sound.clone(), entry("output", &[8, 3, 0x12, 4, 0x12, 2, 8, 2])], "no scalar");
        says(&[entry("inputs", &float(&[0x22, 3, 0, 0, 0])), label.clone()], "3 bytes");
        let four = [&[0x2a, 16][..], &[0; 16]].concat();
        says(&[entry("inputs", &float(&four)), label.clone()], "4 values");
        let negative = [8, 1, 0x12, 13, 0x12, 11, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        says(&[entry("inputs", &negative), label.clone()], "impossible shape");
        let unknown_rank = [8, 1, 0x12, 2, 0x18, 1];
        says(&[entry("inputs", &unknown_rank), label], "impossible shape");
    }

    #[test]
    fn every_truncation_and_flip_is_an_error_or_an_example() {
        let whole = serialize(&[2, 2, 1], &[1.0, -2.0, 0.5, 4.0], 7);
        for length in 0..whole.len() {
            assert!(parts(whole[..length].to_vec()).is_err(), "{length} bytes");
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = parts(bytes);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read(shape in prop::collection::vec(1i64..4, 0..4), start in any::<f32>(), label in any::<i32>()) {
            let count: i64 = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|index| f32::from_bits(start.to_bits().wrapping_add(index as u32))).collect();
            let (read_shape, read_values, read_label) = parts(serialize(&shape, &values, label)).unwrap();
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!((read_shape, bits(&read_values), read_label), (shape, bits(&values), label));
        }

        #[test]
        fn any_bytes_give_an_example_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parts(bytes);
        }
    }
}
