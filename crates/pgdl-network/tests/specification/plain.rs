//! Convolution and pooling in plain loops over f64, written from Keras's definition.

/// An array `[n, h, w, c]` in row-major order.
pub struct Images {
    pub shape: [usize; 4],
    pub data: Vec<f64>,
}

impl Images {
    pub fn at(&self, n: usize, h: usize, w: usize, c: usize) -> f64 {
        let [_, height, width, channels] = self.shape;
        self.data[((n * height + h) * width + w) * channels + c]
    }
}

/// For one axis: for each output position, the input positions under the window's cells; `None` in the padding.
pub fn positions(
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    same: bool,
) -> Vec<Vec<Option<usize>>> {
    let extent = (kernel - 1) * dilation + 1;
    let (count, before) = if same {
        let count = input.div_ceil(stride);
        let needed = (count - 1) * stride + extent;
        (count, needed.saturating_sub(input) / 2)
    } else {
        ((input + 1 - extent).div_ceil(stride), 0)
    };
    (0..count)
        .map(|o| {
            (0..kernel)
                .map(|k| (o * stride + k * dilation).checked_sub(before).filter(|&i| i < input))
                .collect()
        })
        .collect()
}

#[derive(Debug)]
pub struct Window {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub dilation: [usize; 2],
    pub same: bool,
}

impl Window {
    fn axes(&self, x: &Images) -> [Vec<Vec<Option<usize>>>; 2] {
        [0, 1]
            .map(|i| positions(x.shape[i + 1], self.kernel[i], self.strides[i], self.dilation[i], self.same))
    }
}

/// `kernel` is `[kh, kw, c / groups, filters]`.
pub fn conv2d(
    x: &Images,
    kernel: &[f64],
    bias: &[f64],
    window: &Window,
    groups: usize,
    filters: usize,
) -> Images {
    let [rows, columns] = window.axes(x);
    let inputs = x.shape[3] / groups;
    let outputs = filters / groups;
    let mut data = Vec::new();
    for n in 0..x.shape[0] {
        for row in &rows {
            for column in &columns {
                for (f, bias) in bias.iter().enumerate() {
                    let mut sum = *bias;
                    for (i, h) in row.iter().enumerate() {
                        for (j, w) in column.iter().enumerate() {
                            let (Some(h), Some(w)) = (h, w) else { continue };
                            for c in 0..inputs {
                                let weight = kernel[((i * window.kernel[1] + j) * inputs + c) * filters + f];
                                sum += weight * x.at(n, *h, *w, f / outputs * inputs + c);
                            }
                        }
                    }
                    data.push(sum);
                }
            }
        }
    }
    Images { shape: [x.shape[0], rows.len(), columns.len(), filters], data }
}

/// `kernel` is `[kh, kw, c, multiplier]`.
pub fn depthwise(x: &Images, kernel: &[f64], bias: &[f64], window: &Window, multiplier: usize) -> Images {
    let [rows, columns] = window.axes(x);
    let channels = x.shape[3];
    let mut data = Vec::new();
    for n in 0..x.shape[0] {
        for row in &rows {
            for column in &columns {
                for c in 0..channels {
                    for m in 0..multiplier {
                        let mut sum = bias[c * multiplier + m];
                        for (i, h) in row.iter().enumerate() {
                            for (j, w) in column.iter().enumerate() {
                                let (Some(h), Some(w)) = (h, w) else { continue };
                                let cell = (i * window.kernel[1] + j) * channels + c;
                                sum += kernel[cell * multiplier + m] * x.at(n, *h, *w, c);
                            }
                        }
                        data.push(sum);
                    }
                }
            }
        }
    }
    Images { shape: [x.shape[0], rows.len(), columns.len(), channels * multiplier], data }
}

/// Reduces the cells of each window that lie on the input.
pub fn pool(x: &Images, window: &Window, reduce: impl Fn(&[f64]) -> f64) -> Images {
    let [rows, columns] = window.axes(x);
    let mut data = Vec::new();
    for n in 0..x.shape[0] {
        for row in &rows {
            for column in &columns {
                for c in 0..x.shape[3] {
                    let mut cells = Vec::new();
                    for h in row.iter().flatten() {
                        for w in column.iter().flatten() {
                            cells.push(x.at(n, *h, *w, c));
                        }
                    }
                    data.push(reduce(&cells));
                }
            }
        }
    }
    Images { shape: [x.shape[0], rows.len(), columns.len(), x.shape[3]], data }
}
