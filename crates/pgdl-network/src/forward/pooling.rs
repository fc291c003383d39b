//! Maximum and mean over windows.

use tch::Tensor;

use crate::error::Result;
use crate::layer::Pool;
use crate::shape::{Window, layer_error};

fn windows(x: &Tensor, pool: &Pool) -> Result<[Window; 2]> {
    let size = x.size();
    let place = |i: usize| {
        Window::place(size[i + 1], pool.size[i], pool.strides[i], 1, pool.padding)
            .ok_or_else(|| layer_error("pooling", format!("its window does not fit {size:?}")))
    };
    Ok([place(0)?, place(1)?])
}

fn symmetric(windows: &[Window; 2]) -> bool {
    windows.iter().all(|window| window.before == window.after)
}

/// Pads `[N, H, W, C]` and views it as `[N, C, H, W]`.
fn padded(x: &Tensor, [vertical, horizontal]: &[Window; 2], value: f64) -> Result<Tensor> {
    let padding = [0, 0, horizontal.before, horizontal.after, vertical.before, vertical.after];
    Ok(x.f_pad(padding, "constant", value)?.f_permute([0, 3, 1, 2])?)
}

fn back(y: &Tensor) -> Result<Tensor> {
    Ok(y.f_permute([0, 2, 3, 1])?.f_contiguous()?)
}

/// Maximum over windows of `[N, H, W, C]`; padded cells count as −∞.
pub(super) fn max(x: &Tensor, pool: &Pool) -> Result<Tensor> {
    let windows = windows(x, pool)?;
    let (x, padding) = if symmetric(&windows) {
        (x.f_permute([0, 3, 1, 2])?, [windows[0].before, windows[1].before])
    } else {
        (padded(x, &windows, f64::NEG_INFINITY)?, [0, 0])
    };
    back(&x.f_max_pool2d(pool.size, pool.strides, padding, [1, 1], false)?)
}

/// Mean over the windows' cells that lie inside `[N, H, W, C]`.
pub(super) fn average(x: &Tensor, pool: &Pool) -> Result<Tensor> {
    let windows = windows(x, pool)?;
    if symmetric(&windows) {
        let padding = [windows[0].before, windows[1].before];
        let x = x.f_permute([0, 3, 1, 2])?;
        return back(&x.f_avg_pool2d(pool.size, pool.strides, padding, false, false, None)?);
    }
    let size = x.size();
    let sums = padded(x, &windows, 0.0)?.f_avg_pool2d(pool.size, pool.strides, [0, 0], false, true, 1)?;
    let rows = cells_inside(size[1], pool.size[0], pool.strides[0], &windows[0]);
    let columns = cells_inside(size[2], pool.size[1], pool.strides[1], &windows[1]);
    let options = (x.f_kind()?, x.device());
    let rows = Tensor::f_from_slice(&rows)?.f_to(options.1)?.f_to_kind(options.0)?;
    let columns = Tensor::f_from_slice(&columns)?.f_to(options.1)?.f_to_kind(options.0)?;
    let cells = rows.f_reshape([1, windows[0].output, 1, 1])?.f_mul(&columns.f_reshape([1, 1, -1, 1])?)?;
    Ok(back(&sums)?.f_div(&cells)?)
}

/// For each position along one axis, how many of the window's cells lie on the input.
fn cells_inside(input: i64, size: i64, stride: i64, window: &Window) -> Vec<f64> {
    (0..window.output)
        .map(|position| {
            let begin = position * stride - window.before;
            ((begin + size).min(input) - begin.max(0)) as f64
        })
        .collect()
}
