//! A competition's rules.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::exit::Failure;

/// The rules of 2020 on the zoos that come along.
const RULES_OF_2020: &str = include_str!("rules.toml");

/// A competition's rules, as a TOML file states them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The competition's name.
    pub name: String,
    /// The budget per network, pooled over each zoo.
    pub seconds_per_network: u64,
    /// The phases by name.
    pub phase: BTreeMap<String, Phase>,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its zoos; its score is the mean over them.
    pub zoos: Vec<String>,
    /// How many submissions everybody has per day (UTC).
    pub submissions_per_day: u32,
    /// A phase whose budget a submission must have kept before.
    pub after: Option<String>,
}

impl Rules {
    /// Reads rules, or gives those of 2020.
    ///
    /// # Errors
    /// The file cannot be read, or contradicts itself: says where.
    pub fn read(path: Option<&Path>) -> Result<Rules, Failure> {
        let Some(path) = path else {
            return Rules::parse(RULES_OF_2020).map_err(Failure::usage);
        };
        let about = |reason: String| Failure::usage(format!("{}: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| about(error.to_string()))?;
        Rules::parse(&text).map_err(about)
    }

    fn parse(text: &str) -> Result<Rules, String> {
        let rules: Rules = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let fits = |name: &str| {
            !name.is_empty()
                && name.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '_' | '-'))
        };
        if !fits(&rules.name) {
            return Err(format!("`{}` is no name: letters, digits, `_` and `-` make one", rules.name));
        }
        if rules.seconds_per_network == 0 {
            return Err("seconds_per_network is 0: nothing could be computed".to_owned());
        }
        if rules.phase.is_empty() {
            return Err("there is no phase".to_owned());
        }
        for (name, phase) in &rules.phase {
            if !fits(name) {
                return Err(format!("`{name}` is no phase's name: letters, digits, `_` and `-` make one"));
            }
            if phase.zoos.is_empty() {
                return Err(format!("phase {name} has no zoo"));
            }
            if let Some(twice) =
                phase.zoos.iter().enumerate().find(|(at, zoo)| phase.zoos[..*at].contains(zoo))
            {
                return Err(format!("phase {name} has the zoo {} twice", twice.1));
            }
            if phase.submissions_per_day == 0 {
                return Err(format!("phase {name} admits no submission: submissions_per_day is 0"));
            }
            match &phase.after {
                Some(before) if !rules.phase.contains_key(before) => {
                    return Err(format!("phase {name} comes after {before}, which is no phase"));
                }
                Some(before) if before == name => return Err(format!("phase {name} comes after itself")),
                _ => {}
            }
        }
        Ok(rules)
    }

    /// A phase by name.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn phase(&self, name: &str) -> Result<&Phase, Failure> {
        self.phase.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.phase.keys().map(String::as_str).collect();
            Failure::usage(format!("{} has no phase `{name}`", self.name))
                .hint(format!("its phases are {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_2020_are_sound() {
        let rules = Rules::parse(RULES_OF_2020).unwrap();
        assert_eq!(rules.seconds_per_network, 300);
        assert_eq!(rules.phase("final").unwrap().after.as_deref(), Some("development"));
        assert!(rules.phase("finale").is_err());
    }

    #[test]
    fn rules_that_contradict_themselves_are_refused() {
        let good =
            "name = \"a\"\nseconds_per_network = 1\n[phase.p]\nzoos = [\"z\"]\nsubmissions_per_day = 1\n";
        assert!(Rules::parse(good).is_ok());
        for (text, reason) in [
            (good.replace("\"a\"", "\"a/b\""), "no name"),
            (good.replace("network = 1", "network = 0"), "nothing could be computed"),
            (good.replace("[\"z\"]", "[]"), "no zoo"),
            (good.replace("[\"z\"]", "[\"z\", \"y\", \"z\"]"), "the zoo z twice"),
            (good.replace("day = 1", "day = 0"), "admits no submission"),
            (good.replace("day = 1", "day = 1\nafter = \"q\""), "which is no phase"),
            (good.replace("day = 1", "day = 1\nafter = \"p\""), "after itself"),
            (good.replace("zoos", "zoo"), "unknown field"),
            ("name = \"a\"\nseconds_per_network = 1\n[phase]\n".to_owned(), "no phase"),
        ] {
            let error = Rules::parse(&text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
