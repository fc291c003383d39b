//! The composites that a board or a report shows besides the measures that have records.

use std::path::Path;

use pgdl_measure::{Asked, Composite, Registry};
use pgdl_report::Manifest;

use crate::exit::{Failure, chain};
use crate::terminal::Terminal;

/// Composites, each once.
#[derive(Debug, Default)]
pub struct Composites(pub Vec<Composite>);

impl Composites {
    /// Those that `--composite` names.
    ///
    /// # Errors
    /// The list cannot be read, or has something in it that is no composite.
    pub fn named(list: Option<&str>, registry: &Registry) -> Result<Composites, Failure> {
        let mut composites = Composites::default();
        for asked in list.map(|list| registry.request(list)).transpose()?.unwrap_or_default().asked {
            match asked {
                Asked::Composite(composite) => composites.add(composite)?,
                Asked::Measure(spec) => {
                    return Err(Failure::usage(format!("`{spec}` is a measure, not a composite"))
                        .hint("measures that have records are shown in any case"));
                }
            }
        }
        Ok(composites)
    }

    /// Adds those of a manifest, as far as its measures are known.
    ///
    /// # Errors
    /// One of them has the name of another.
    pub fn add_those_of(
        &mut self,
        manifest: &Manifest,
        path: &Path,
        registry: &Registry,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        match registry.request(&manifest.measures.join(",")) {
            Ok(request) => request.composites().cloned().try_for_each(|composite| self.add(composite)),
            // Its records can be shown all the same.
            Err(error) => {
                terminal.warn(format_args!("{}: without its composites: {}", path.display(), chain(&error)));
                Ok(())
            }
        }
    }

    fn add(&mut self, composite: Composite) -> Result<(), Failure> {
        match self.0.iter().find(|known| known.label() == composite.label()) {
            Some(known) if *known == composite => {}
            Some(known) => {
                return Err(Failure::usage(format!("`{known}` and `{composite}` have one name")));
            }
            None => self.0.push(composite),
        }
        Ok(())
    }
}
