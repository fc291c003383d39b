use pgdl_network::{Layer, Padding, Pool};
use proptest::prelude::*;

use crate::plain::{self, Images, Window};
use crate::{evaluate, network, tensor, vector};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn windows_see_no_padding(
        height in 1usize..=8, width in 1usize..=8, size in [1usize..=5, 1..=5], strides in [1usize..=3, 1..=3], same: bool,
    ) {
        prop_assume!(same || (size[0] <= height && size[1] <= width));
        let pool = Pool {
            size: size.map(|size| size as i64),
            strides: strides.map(|size| size as i64),
            padding: if same { Padding::Same } else { Padding::Valid },
        };
        let window = Window { kernel: size, strides, dilation: [1, 1], same };
        let shape = [2, height, width, 3];
        // All below zero, so that a padding of zeros would be the maximum.
        let x = tensor(&shape.map(|size| size as i64), 6) - 2.0;
        let plain = Images { shape, data: vector(&x) };

        let mean = |cells: &[f64]| cells.iter().sum::<f64>() / cells.len() as f64;
        let largest = |cells: &[f64]| cells.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let expected = [plain::pool(&plain, &window, largest), plain::pool(&plain, &window, mean)];
        let layers = [Layer::MaxPooling2d(pool.clone()), Layer::AveragePooling2d(pool)];
        for (layer, expected) in layers.into_iter().zip(expected) {
            let y = evaluate(&network(&x.size()[1..], vec![layer]), &x);
            prop_assert_eq!(y.size(), expected.shape.map(|size| size as i64));
            for (found, expected) in vector(&y).iter().zip(&expected.data) {
                prop_assert!((found - expected).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn global_pools_reduce_each_image() {
    let x = tensor(&[2, 3, 4, 5], 7);
    let cells = vector(&x);
    for keepdims in [true, false] {
        let shape: &[i64] = if keepdims { &[2, 1, 1, 5] } else { &[2, 5] };
        let mean = evaluate(&network(&[3, 4, 5], vec![Layer::GlobalAveragePooling2d { keepdims }]), &x);
        let max = evaluate(&network(&[3, 4, 5], vec![Layer::GlobalMaxPooling2d { keepdims }]), &x);
        assert_eq!((mean.size(), max.size()), (shape.to_vec(), shape.to_vec()));
        for (i, (mean, max)) in vector(&mean).into_iter().zip(vector(&max)).enumerate() {
            let (n, c) = (i / 5, i % 5);
            let column: Vec<f64> = (0..12).map(|j| cells[(n * 12 + j) * 5 + c]).collect();
            assert!((mean - column.iter().sum::<f64>() / 12.0).abs() < 1e-14);
            assert_eq!(max, column.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
    }
}
