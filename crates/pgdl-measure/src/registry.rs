//! The registry: every measure that a program knows, registered by name, one call each.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use pgdl_zoo::did_you_mean::did_you_mean;

use crate::error::RegistryError;
use crate::info::MeasureInfo;
use crate::measure::Measure;
use crate::parameter::Parameters;
use crate::spec::{Item, MeasureSpec, Written, parse_list};

/// Makes a measure from its checked parameters.
type Build = Box<dyn Fn(&Parameters) -> Result<Box<dyn Measure>, RegistryError> + Send + Sync>;

/// The measures that a program knows, in the order of their registration. There is no link-time magic: what is not
/// added is not there.
#[derive(Default)]
pub struct Registry {
    entries: Vec<Entry>,
    position: HashMap<&'static str, usize>,
}

struct Entry {
    info: &'static MeasureInfo,
    build: Build,
}

/// A measure with its parameters in place, ready to run.
pub struct Resolved {
    /// Its canonical spelling.
    pub spec: MeasureSpec,
    /// The measure.
    pub measure: Box<dyn Measure>,
}

impl fmt::Debug for Resolved {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_tuple("Resolved").field(&self.spec.as_str()).finish()
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a measure.
    ///
    /// # Errors
    /// The id is taken, is not snake_case, or is one of the words `all` and `family` that lists reserve.
    pub fn add(
        &mut self,
        info: &'static MeasureInfo,
        build: impl Fn(&Parameters) -> Result<Box<dyn Measure>, RegistryError> + Send + Sync + 'static,
    ) -> Result<(), RegistryError> {
        let bad = |reason: &str| RegistryError::BadId { id: info.id.to_string(), reason: reason.to_string() };
        if !is_snake_case(info.id) {
            return Err(bad("an id is snake_case: a-z first, then a-z, 0-9 and single underscores"));
        }
        if matches!(info.id, "all" | "family") {
            return Err(bad("lists reserve this word"));
        }
        if let Some(&position) = self.position.get(info.id) {
            return Err(RegistryError::Duplicate {
                id: info.id.to_string(),
                first: self.entries[position].info.family.to_string(),
                second: info.family.to_string(),
            });
        }
        self.position.insert(info.id, self.entries.len());
        self.entries.push(Entry { info, build: Box::new(build) });
        Ok(())
    }

    /// What every measure says of itself, in the order of registration.
    pub fn infos(&self) -> impl Iterator<Item = &'static MeasureInfo> + '_ {
        self.entries.iter().map(|entry| entry.info)
    }

    /// What one measure says of itself.
    ///
    /// # Errors
    /// No measure has this id; the error's hint names the one that was probably meant.
    pub fn info(&self, id: &str) -> Result<&'static MeasureInfo, RegistryError> {
        Ok(self.entry(id)?.info)
    }

    /// The families, in the order of their first measure.
    pub fn families(&self) -> Vec<&'static str> {
        let mut seen = BTreeSet::new();
        self.infos().map(|info| info.family).filter(|family| seen.insert(*family)).collect()
    }

    /// Reads one measure: `margin` or `margin:p=10`.
    ///
    /// # Errors
    /// The text names no measure or several, or a parameter is unknown, not legal, or given twice.
    pub fn resolve(&self, text: &str) -> Result<Resolved, RegistryError> {
        match parse_list(text)?.as_slice() {
            [Item::Measure(written)] => self.build(written),
            _ => Err(RegistryError::Syntax {
                text: text.to_string(),
                reason: "one measure is expected here, not a list".to_string(),
            }),
        }
    }

    /// Reads a list of measures as [`crate::spec`] defines it: `all`, `family:norms`, `a,b:c=1,d=2,e`. What occurs
    /// twice is kept once, at its first place.
    ///
    /// # Errors
    /// As [`Self::resolve`], and for a family that does not exist.
    pub fn resolve_list(&self, text: &str) -> Result<Vec<Resolved>, RegistryError> {
        let mut resolved: Vec<Resolved> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut keep = |one: Resolved| {
            if seen.insert(one.spec.clone()) {
                resolved.push(one);
            }
        };
        for item in parse_list(text)? {
            match item {
                Item::Measure(written) => keep(self.build(&written)?),
                Item::All => {
                    for info in self.infos() {
                        keep(self.build(&Written { id: info.id, parameters: Vec::new() })?);
                    }
                }
                Item::Family(family) => {
                    self.check_family(family)?;
                    for info in self.infos().filter(|info| info.family == family) {
                        keep(self.build(&Written { id: info.id, parameters: Vec::new() })?);
                    }
                }
            }
        }
        Ok(resolved)
    }

    fn entry(&self, id: &str) -> Result<&Entry, RegistryError> {
        match self.position.get(id) {
            Some(&position) => Ok(&self.entries[position]),
            None => Err(RegistryError::UnknownMeasure {
                id: id.to_string(),
                meant: did_you_mean(id, self.infos().map(|info| info.id)).map(str::to_string),
            }),
        }
    }

    fn check_family(&self, family: &str) -> Result<(), RegistryError> {
        let families = self.families();
        if families.contains(&family) {
            return Ok(());
        }
        Err(RegistryError::UnknownFamily {
            family: family.to_string(),
            meant: did_you_mean(family, families.iter().copied()).map(str::to_string),
            families: families.into_iter().map(str::to_string).collect(),
        })
    }

    fn build(&self, written: &Written) -> Result<Resolved, RegistryError> {
        let entry = self.entry(written.id)?;
        let mut parameters = Parameters::defaults(entry.info.id, entry.info.parameters);
        let mut given = BTreeSet::new();
        for (name, value) in &written.parameters {
            if !given.insert(*name) {
                return Err(RegistryError::IllegalCombination {
                    id: entry.info.id.to_string(),
                    reason: format!("parameter `{name}` is given twice"),
                });
            }
            parameters.set(entry.info.parameters, name, value)?;
        }
        let changed: Vec<(String, String)> = parameters
            .changed(entry.info.parameters)
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        Ok(Resolved { spec: MeasureSpec::new(entry.info.id, &changed), measure: (entry.build)(&parameters)? })
    }
}

/// Whether `id` is snake_case: a letter first, then letters, digits and single underscores, none at the end.
pub fn is_snake_case(id: &str) -> bool {
    id.starts_with(|first: char| first.is_ascii_lowercase())
        && !id.ends_with('_')
        && !id.contains("__")
        && id.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_')
}
