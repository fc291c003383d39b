//! Progress on standard error: bars on a terminal, elsewhere (in a log, in CI) a line now and then. No caller branches on
//! that.

use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::evaluate::time;
use crate::terminal::Terminal;

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Networks,
    Evaluations,
    Cells,
    Epochs,
    MetaSteps,
    Bytes,
}

impl Unit {
    /// Its bar.
    fn template(self) -> &'static str {
        match self {
            Self::Networks => "{bar:24} {pos}/{len} networks  {elapsed} elapsed, {eta} left  {wide_msg}",
            Self::Evaluations => "{bar:24} {pos}/{len}  {prefix}  {wide_msg}",
            Self::Cells => "{bar:24} {pos}/{len} cells  {elapsed} elapsed, {eta} left  {wide_msg}",
            Self::Epochs => "{bar:24} {pos}/{len} epochs  {elapsed} elapsed, {eta} left  {wide_msg}",
            Self::MetaSteps => "{bar:24} {pos}/{len} meta-steps  {elapsed} elapsed, {eta} left",
            Self::Bytes => "{bar:24} {bytes}/{total_bytes}  {wide_msg}",
        }
    }

    /// How far it has come, in a line.
    fn line(self, bar: &ProgressBar) -> String {
        let (done, all) = (bar.position(), bar.length().unwrap_or(0));
        let counted = match self {
            Self::Networks => format!("{done} of {all} networks"),
            Self::Evaluations => format!("{done} of {all} values"),
            Self::Cells => format!("{done} of {all} cells"),
            Self::Epochs => format!("{done} of {all} epochs"),
            Self::MetaSteps => format!("{done} of {all} meta-steps"),
            Self::Bytes => format!("{} of {}", HumanBytes(done), HumanBytes(all)),
        };
        let elapsed = bar.elapsed();
        let left = match self {
            Self::Evaluations => bar.prefix(),
            _ if done == 0 || all < done => String::new(),
            _ => format!("{} left", time(elapsed.mul_f64((all - done) as f64 / done as f64))),
        };
        let parts = [counted, format!("{} elapsed", time(elapsed)), left, bar.message()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// After how long a log gets its first line; later ones come each tenth of the time gone by, and no faster.
const FIRST_LINE: Duration = Duration::from_secs(60);

/// When the line after one at `elapsed` is due: once a minute at first, once an hour after ten.
fn next_line(elapsed: Duration) -> Duration {
    elapsed + (elapsed / 10).max(FIRST_LINE)
}

/// Writes lines for as long as the bar lives and is not finished.
fn log(bar: &ProgressBar, unit: Unit, terminal: &Terminal) {
    let (bar, terminal) = (bar.downgrade(), *terminal);
    // Without a thread there are no lines, and nothing else is lost.
    let _ = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
        let mut due = FIRST_LINE;
        loop {
            std::thread::sleep(Duration::from_secs(1));
            match bar.upgrade() {
                Some(bar) if !bar.is_finished() => {
                    if bar.elapsed() >= due {
                        due = next_line(bar.elapsed());
                        terminal.note(unit.line(&bar));
                    }
                }
                _ => break,
            }
        }
    });
}

/// A bar over `total` networks, with an estimate of the time left.
pub fn networks(total: u64, terminal: &Terminal) -> ProgressBar {
    bar(Some(total), Unit::Networks, terminal)
}

/// A bar over `total` evaluations; whoever draws it puts the time left into its prefix.
pub fn evaluations(total: u64, terminal: &Terminal) -> ProgressBar {
    bar(Some(total), Unit::Evaluations, terminal)
}

/// A bar over the cells of an experiment.
pub fn cells(terminal: &Terminal) -> ProgressBar {
    bar(Some(0), Unit::Cells, terminal)
}

/// A bar over the meta-steps of a training.
pub fn meta_steps(total: u64, terminal: &Terminal) -> ProgressBar {
    bar(Some(total), Unit::MetaSteps, terminal)
}

/// A bar over the epochs of a network's training.
pub fn epochs(total: u64, terminal: &Terminal) -> ProgressBar {
    bar(Some(total), Unit::Epochs, terminal)
}

/// A bar over bytes.
pub fn bytes(terminal: &Terminal) -> ProgressBar {
    bar(Some(0), Unit::Bytes, terminal)
}

fn bar(total: Option<u64>, unit: Unit, terminal: &Terminal) -> ProgressBar {
    let target = if terminal.quiet || !terminal.interactive {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    // The templates are checked by a test; the default style is as good as any if one were wrong.
    let style =
        ProgressStyle::with_template(unit.template()).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(total, target).with_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    if terminal.interactive {
        bar.enable_steady_tick(Duration::from_millis(200));
    } else if !terminal.quiet {
        log(&bar, unit, terminal);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::{FIRST_LINE, Unit, next_line};
    use indicatif::ProgressBar;
    use std::time::Duration;

    #[test]
    fn the_templates_are_legal() {
        for unit in
            [Unit::Networks, Unit::Evaluations, Unit::Cells, Unit::Epochs, Unit::MetaSteps, Unit::Bytes]
        {
            assert!(indicatif::ProgressStyle::with_template(unit.template()).is_ok(), "{unit:?}");
        }
    }

    #[test]
    fn lines_say_how_far_it_has_come() {
        let bar = ProgressBar::hidden().with_elapsed(Duration::from_secs(60)).with_message("network 7");
        bar.set_length(64);
        assert_eq!(Unit::Networks.line(&bar), "0 of 64 networks, 60 s elapsed, network 7");
        bar.set_position(16);
        assert_eq!(Unit::Networks.line(&bar), "16 of 64 networks, 60 s elapsed, 3 min left, network 7");
        bar.set_message("");
        assert_eq!(Unit::Evaluations.line(&bar), "16 of 64 values, 60 s elapsed");
        bar.set_prefix("1 h 00 min left, 2 not ok");
        assert_eq!(Unit::Evaluations.line(&bar), "16 of 64 values, 60 s elapsed, 1 h 00 min left, 2 not ok");
        bar.set_position(2048);
        bar.set_length(4096);
        assert_eq!(Unit::Bytes.line(&bar), "2.00 KiB of 4.00 KiB, 60 s elapsed, 60 s left");
    }

    #[test]
    fn a_long_log_stays_short() {
        let (mut at, mut lines) = (FIRST_LINE, 1);
        while at < Duration::from_secs(24 * 3600) {
            at = next_line(at);
            lines += 1;
        }
        assert!((40..80).contains(&lines), "{lines}");
    }
}
