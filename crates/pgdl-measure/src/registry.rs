//! The registry: every measure that a program knows, registered by name, one call each.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use pgdl_zoo::did_you_mean::did_you_mean;

use crate::error::RegistryError;
use crate::expression::{Expression, Function};
use crate::info::MeasureInfo;
use crate::measure::Measure;
use crate::parameter::Parameters;
use crate::request::{Composite, Request};
use crate::spec::{Item, MeasureSpec, Written, parse_list, position};

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
            [Item::Composite { text, .. }] => Err(no_composite(text)),
            _ => Err(RegistryError::Syntax {
                text: text.to_string(),
                reason: "one measure is expected here, not a list".to_string(),
            }),
        }
    }

    /// Reads a list of measures as [`crate::spec`] defines it, without composites: `all`, `family:norms`,
    /// `a,b:c=1,d=2,e`. What occurs twice is kept once, at its first place.
    ///
    /// # Errors
    /// As [`Self::resolve`], and for a family that does not exist.
    pub fn resolve_list(&self, text: &str) -> Result<Vec<Resolved>, RegistryError> {
        let request = self.request(text)?;
        if let Some(composite) = request.composites().next() {
            return Err(no_composite(&composite.to_string()));
        }
        Ok(request.measures)
    }

    /// Reads a list of measures and composites as [`crate::spec`] defines it. What occurs twice is kept once, at its
    /// first place.
    ///
    /// # Errors
    /// As [`Self::resolve_list`]; a composite without a measure, or under a name that is taken; several mistakes
    /// together as [`RegistryError::Several`].
    pub fn request(&self, text: &str) -> Result<Request, RegistryError> {
        let mut request = Request::default();
        let mut mistakes = Vec::new();
        for item in parse_list(text)? {
            match item {
                Item::Measure(written) => match self.build(&written) {
                    Ok(resolved) => request.add_measure(resolved),
                    Err(mistake) => mistakes.push(mistake),
                },
                Item::Composite { name, text, expression } => {
                    match self.composite(name, text, expression, &request) {
                        Ok((composite, ingredients)) => request.add_composite(composite, ingredients),
                        Err(found) => mistakes.extend(found),
                    }
                }
                Item::All => {
                    for info in self.infos() {
                        request.add_measure(self.with_defaults(info)?);
                    }
                }
                Item::Family(family) => match self.check_family(family) {
                    Ok(()) => {
                        for info in self.infos().filter(|info| info.family == family) {
                            request.add_measure(self.with_defaults(info)?);
                        }
                    }
                    Err(mistake) => mistakes.push(mistake),
                },
            }
        }
        match mistakes.len() {
            0 => Ok(request),
            1 => Err(mistakes.remove(0)),
            _ => Err(RegistryError::Several(mistakes)),
        }
    }

    /// A composite with its ingredients, or every mistake in it.
    fn composite(
        &self,
        name: Option<&str>,
        text: &str,
        expression: Expression<Written>,
        request: &Request,
    ) -> Result<(Composite, Vec<Resolved>), Vec<RegistryError>> {
        let bad = |reason: String| RegistryError::BadComposite { composite: text.to_string(), reason };
        let mut mistakes: Vec<RegistryError> =
            name.and_then(|name| self.unusable_name(name)).map(bad).into_iter().collect();
        let (mut ingredients, mut count): (Vec<Resolved>, usize) = (Vec::new(), 0);
        let resolved = expression.try_map(&mut |written| {
            count += 1;
            let built = self.build(&written);
            Ok::<_, RegistryError>(match built {
                Ok(resolved) => {
                    let spec = resolved.spec.clone();
                    ingredients.push(resolved);
                    spec
                }
                Err(mistake) => {
                    mistakes.push(self.placed(mistake, text, &written));
                    MeasureSpec::new(written.id, &[])
                }
            })
        });
        let expression = match resolved {
            Ok(expression) => expression,
            Err(mistake) => return Err(vec![mistake]),
        };
        if count == 0 {
            mistakes.push(bad("it has no measure in it".to_string()));
        }
        let composite = Composite { name: name.map(str::to_string), expression };
        if let Some(other) = request.composites().find(|other| other.name == composite.name)
            && name.is_some()
            && *other != composite
        {
            mistakes.push(bad(format!("the name is taken by `{other}`")));
        }
        if mistakes.is_empty() { Ok((composite, ingredients)) } else { Err(mistakes) }
    }

    /// Why a composite cannot have this name.
    fn unusable_name(&self, name: &str) -> Option<String> {
        if !is_snake_case(name) {
            return Some("a name is snake_case: a-z first, then a-z, 0-9 and single underscores".to_string());
        }
        if self.position.contains_key(name) {
            return Some(format!("`{name}` is a measure"));
        }
        let reserved =
            matches!(name, "all" | "family") || Function::ALL.iter().any(|each| each.name() == name);
        reserved.then(|| format!("`{name}` is a reserved word"))
    }

    /// A mistake about a measure in an expression, with its place.
    fn placed(&self, mistake: RegistryError, text: &str, written: &Written) -> RegistryError {
        RegistryError::Misread {
            text: text.to_string(),
            position: position(text, written.position),
            reason: mistake.to_string(),
            hint: mistake.hint(),
        }
    }

    /// A measure with its default parameters.
    fn with_defaults(&self, info: &MeasureInfo) -> Result<Resolved, RegistryError> {
        self.build(&Written { id: info.id, parameters: Vec::new(), position: 0 })
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

fn no_composite(text: &str) -> RegistryError {
    RegistryError::BadComposite {
        composite: text.to_string(),
        reason: "only measures are possible here, no expressions".to_string(),
    }
}

/// Whether `id` is snake_case: a letter first, then letters, digits and single underscores, none at the end.
pub fn is_snake_case(id: &str) -> bool {
    id.starts_with(|first: char| first.is_ascii_lowercase())
        && !id.ends_with('_')
        && !id.contains("__")
        && id.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_')
}
