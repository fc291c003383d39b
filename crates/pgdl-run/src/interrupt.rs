//! Ctrl-C and its relatives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Result, RunError};

/// The wish to end a run early. Clones are one and the same wish.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Nobody wishes anything yet.
    pub fn new() -> Interrupt {
        Interrupt::default()
    }

    /// From now on SIGINT, SIGTERM and SIGHUP set the wish; the second of them ends the program at once, with
    /// `exit_code`. (Workers end with their parent, however it ends.)
    ///
    /// # Errors
    /// [`RunError::Signals`] if the system refuses.
    pub fn on_signals(exit_code: i32) -> Result<Interrupt> {
        let interrupt = Interrupt::new();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register_conditional_shutdown(signal, exit_code, Arc::clone(&interrupt.0))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&interrupt.0)))
                .map_err(RunError::Signals)?;
        }
        Ok(interrupt)
    }

    /// Wishes the end.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// The wish as others may watch it.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// Whether the end is wished.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
