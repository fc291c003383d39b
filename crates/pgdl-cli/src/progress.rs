//! Progress bars on standard error; off a terminal they vanish, and no caller branches on that.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::Terminal;

const UNITS: &str = "{bar:24} {pos}/{len} networks  {elapsed} elapsed, {eta} left  {wide_msg}";
const EVALUATIONS: &str = "{bar:24} {pos}/{len}  {prefix}  {wide_msg}";
const CELLS: &str = "{bar:24} {pos}/{len} cells  {elapsed} elapsed, {eta} left  {wide_msg}";
const EPOCHS: &str = "{bar:24} {pos}/{len} epochs  {elapsed} elapsed, {eta} left  {wide_msg}";
const META_STEPS: &str = "{bar:24} {pos}/{len} meta-steps  {elapsed} elapsed, {eta} left";
const BYTES: &str = "{bar:24} {bytes}/{total_bytes}  {wide_msg}";

/// A bar over `total` networks, with an estimate of the time left.
pub fn networks(total: u64, terminal: &Terminal) -> ProgressBar {
    bar(Some(total), UNITS, terminal)
}

/// A bar over `total` evaluations; whoever draws it puts the time left into its prefix.
pub fn evaluations(total: u64, terminal: &Terminal) -> ProgressBar {
    bar(Some(total), EVALUATIONS, terminal)
}

/// A bar over the cells of an experiment.
pub fn cells(terminal: &Terminal) -> ProgressBar {
    bar(Some(0), CELLS, terminal)
}

/// A bar over the meta-steps of a training.
pub fn meta_steps(total: u64, terminal: &Terminal) -> ProgressBar {
    bar(Some(total), META_STEPS, terminal)
}

/// A bar over the epochs of a network's training.
pub fn epochs(total: u64, terminal: &Terminal) -> ProgressBar {
    bar(Some(total), EPOCHS, terminal)
}

/// A bar over bytes.
pub fn bytes(terminal: &Terminal) -> ProgressBar {
    bar(Some(0), BYTES, terminal)
}

fn bar(total: Option<u64>, template: &str, terminal: &Terminal) -> ProgressBar {
    let target = if terminal.quiet || !terminal.interactive {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    // The templates are checked by a test; the default style is as good as any if one were wrong.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(total, target).with_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_templates_are_legal() {
        for template in [super::UNITS, super::EVALUATIONS, super::CELLS, super::META_STEPS, super::BYTES] {
            assert!(indicatif::ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
