//! What happens in a run, for those who watch.

use std::time::Duration;

use crate::record::Record;

/// Something that happened. Slots are the places of the workers, counted from 0; the worker in a slot may change.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The run begins.
    Started {
        /// Networks with something to evaluate.
        networks: usize,
        /// Evaluations to do.
        evaluations: usize,
        /// Evaluations that valid records hold.
        held: usize,
        /// Workers side by side.
        jobs: usize,
    },
    /// A worker has opened the zoo and put its data on the device.
    WorkerReady {
        /// Its place.
        slot: usize,
        /// The device, as `cpu` or `cuda:0`.
        device: String,
        /// Why this one.
        reason: String,
        /// What the user should know about it.
        warning: Option<String>,
    },
    /// A worker takes up a network.
    NetworkStarted {
        /// The worker's place.
        slot: usize,
        /// The network.
        network: u64,
        /// The number of measures to evaluate on it.
        measures: usize,
    },
    /// A worker takes up a measure.
    MeasureStarted {
        /// The worker's place.
        slot: usize,
        /// The network.
        network: u64,
        /// The measure.
        spec: String,
    },
    /// A record was made, and written if the storage allows.
    Recorded {
        /// The worker's place.
        slot: usize,
        /// The record.
        record: Box<Record>,
        /// How far the run is.
        standing: Standing,
    },
    /// Another process on the same run folder did some of the work.
    DoneElsewhere {
        /// The network.
        network: u64,
        /// The number of its evaluations that need not be done here.
        evaluations: usize,
        /// How far the run is.
        standing: Standing,
    },
    /// All that is left is being done by other processes on the same run folder.
    WaitingForOthers {
        /// The place of the worker that has nothing to do.
        slot: usize,
    },
    /// A worker died or was ended; another one takes its place.
    WorkerLost {
        /// Its place.
        slot: usize,
        /// What happened, as the end of a sentence about the worker.
        reason: String,
    },
    /// A worker wrote a line to standard error, or a measure printed one.
    Talk {
        /// The worker's place.
        slot: usize,
        /// The line.
        line: String,
    },
    /// The run ends early: no further work is begun.
    Stopping {
        /// Somebody wishes it; otherwise it cannot go on.
        interrupted: bool,
    },
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// Evaluations done.
    pub done: usize,
    /// Evaluations to do in all.
    pub total: usize,
    /// Networks finished.
    pub networks_done: usize,
    /// Networks in all.
    pub networks: usize,
    /// Evaluations whose status is not `ok`.
    pub not_ok: usize,
    /// An estimate of the time left; `None` while a measure has not been seen yet.
    pub time_left: Option<Duration>,
}

/// Something that watches a run.
pub trait Progress {
    /// Called on the thread that called [`crate::execute`], one event after the other.
    fn event(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Progress for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn event(&mut self, _event: &Event) {}
}

/// Counts and estimates: what each measure has taken so far, it will take on each network that is left.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    standing: Standing,
    workers: usize,
    /// Per measure.
    paces: Vec<Pace>,
    /// Everything about a network that is no measure: its loading.
    loading: Pace,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    left: usize,
    seen: usize,
    seconds: f64,
}

impl Pace {
    fn saw(&mut self, seconds: f64) {
        self.left = self.left.saturating_sub(1);
        self.seen += 1;
        self.seconds += seconds;
    }

    fn seconds_left(&self) -> Option<f64> {
        match (self.left, self.seen) {
            (0, _) => Some(0.0),
            (_, 0) => None,
            (left, seen) => Some(left as f64 * self.seconds / seen as f64),
        }
    }
}

impl Tally {
    /// `left` holds, per measure, the number of networks it is to be evaluated on.
    pub(crate) fn new(left: &[usize], networks: usize, workers: usize) -> Tally {
        let total = left.iter().sum();
        let pace = |&left| Pace { left, ..Pace::default() };
        Tally {
            standing: Standing { total, networks, ..Standing::default() },
            workers: workers.max(1),
            paces: left.iter().map(pace).collect(),
            loading: pace(&networks),
        }
    }

    pub(crate) fn evaluated(&mut self, measure: usize, ok: bool, seconds: f64) {
        self.standing.done += 1;
        self.standing.not_ok += usize::from(!ok);
        if let Some(pace) = self.paces.get_mut(measure) {
            pace.saw(seconds);
        }
    }

    pub(crate) fn loaded(&mut self, seconds: f64) {
        self.loading.saw(seconds);
    }

    pub(crate) fn network_done(&mut self) {
        self.standing.networks_done += 1;
    }

    /// Another process did these.
    pub(crate) fn done_elsewhere(&mut self, measures: &[usize]) {
        self.standing.done += measures.len();
        for &measure in measures {
            if let Some(pace) = self.paces.get_mut(measure) {
                pace.left = pace.left.saturating_sub(1);
            }
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        let seconds: Option<f64> = self.paces.iter().chain([&self.loading]).map(Pace::seconds_left).sum();
        let time_left =
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds / self.workers as f64).ok());
        Standing { time_left, ..self.standing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_what_the_measures_have_taken_so_far() {
        let mut tally = Tally::new(&[3, 3], 3, 2);
        assert_eq!(tally.standing().time_left, None);
        tally.loaded(1.0);
        tally.evaluated(0, true, 2.0);
        assert_eq!(tally.standing().time_left, None, "one measure has not been seen");
        tally.evaluated(1, false, 4.0);
        tally.network_done();
        let standing = tally.standing();
        assert_eq!(standing.time_left, Some(Duration::from_secs(7)), "2 × (1 + 2 + 4) s on two workers");
        assert_eq!((standing.done, standing.total, standing.not_ok, standing.networks_done), (2, 6, 1, 1));
        tally.done_elsewhere(&[0, 1]);
        assert_eq!(tally.standing().done, 4);
    }
}
