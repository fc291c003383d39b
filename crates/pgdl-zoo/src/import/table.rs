//! A table of Keras models: files, accuracies, hyperparameters.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::did_you_mean::did_you_mean;
use crate::hyperparameter::{HyperValue, Hyperparameter};
use crate::{Listing, Metrics, NetworkEntry, Result, ZooError};

const FILE: &str = "file";
const WEIGHTS_FILE: &str = "weights_file";
const INIT_FILE: &str = "init_file";
const ID: &str = "id";
const TRAIN_ACC: &str = "train_acc";
const TEST_ACC: &str = "test_acc";
const TRAIN_LOSS: &str = "train_loss";
const TEST_LOSS: &str = "test_loss";

const REQUIRED: [&str; 3] = [FILE, TRAIN_ACC, TEST_ACC];
const OPTIONAL: [&str; 5] = [ID, WEIGHTS_FILE, INIT_FILE, TRAIN_LOSS, TEST_LOSS];

/// A table, read and checked by itself.
#[derive(Debug)]
pub(super) struct Table {
    /// What `model_configs.json` will say.
    pub listing: Listing,
    /// The files of each network, in the order of the listing.
    pub files: Vec<ModelFiles>,
    /// Columns that may not be what they are taken for.
    pub warnings: Vec<String>,
}

/// The files of one network.
#[derive(Debug, PartialEq)]
pub(super) struct ModelFiles {
    /// The row, in words.
    pub row: String,
    pub model: PathBuf,
    pub weights: Option<PathBuf>,
    pub initial: Option<PathBuf>,
}

struct Columns<'t> {
    path: &'t Path,
    names: Vec<String>,
}

impl Table {
    /// Reads a CSV file with a head. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// When a column is missing or stands twice, a cell is not what its column wants, an id stands twice, or there is no
    /// row: with row and column.
    pub(super) fn read(path: &Path) -> Result<Table> {
        let mut text = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut text))
            .map_err(|source| ZooError::io(path, source))?;
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let malformed = |error: csv::Error| ZooError::malformed(path, error.to_string());
        let columns =
            Columns { path, names: reader.headers().map_err(malformed)?.iter().map(str::to_owned).collect() };
        columns.check()?;
        let axes: Vec<usize> = columns.hyperparameters().collect();
        let mut hyperparameters: Vec<Hyperparameter> = axes
            .iter()
            .map(|at| Hyperparameter { name: columns.names[*at].clone(), possible_values: Vec::new() })
            .collect();
        let mut rows: Vec<(NetworkEntry, ModelFiles)> = Vec::new();
        let mut ids = BTreeSet::new();
        for (number, record) in reader.records().enumerate() {
            let record = record.map_err(malformed)?;
            let line = record.position().map_or(0, csv::Position::line);
            let row = Row { columns: &columns, record, name: format!("row {} (line {line})", number + 1) };
            let id = row.id()?.unwrap_or(number as u64);
            if !ids.insert(id) {
                return Err(row.wrong(ID, format!("{id} stands twice")));
            }
            let values = axes.iter().map(|at| row.hyperparameter(*at)).collect::<Result<Vec<_>>>()?;
            for (axis, value) in hyperparameters.iter_mut().zip(&values) {
                if !axis.possible_values.contains(value) {
                    axis.possible_values.push(value.clone());
                }
            }
            let metrics = row.metrics()?;
            let files = row.files()?;
            rows.push((
                NetworkEntry { id, hyperparameters: values, metrics: Some(metrics), dev_name: None },
                files,
            ));
        }
        if rows.is_empty() {
            return Err(ZooError::malformed(path, "the table has no rows"));
        }
        hyperparameters.iter_mut().for_each(|axis| axis.possible_values.sort());
        rows.sort_by_key(|(network, _)| network.id);
        let (networks, files) = rows.into_iter().unzip();
        let warnings = columns.warnings();
        Ok(Table { listing: Listing { hyperparameters, networks }, files, warnings })
    }
}

impl Columns<'_> {
    fn position(&self, column: &str) -> Option<usize> {
        self.names.iter().position(|name| name == column)
    }

    fn hyperparameters(&self) -> impl Iterator<Item = usize> {
        (0..self.names.len()).filter(|at| {
            let name = self.names[*at].as_str();
            !REQUIRED.contains(&name) && !OPTIONAL.contains(&name)
        })
    }

    fn check(&self) -> Result<()> {
        for (at, name) in self.names.iter().enumerate() {
            if name.is_empty() {
                return Err(ZooError::malformed(self.path, format!("column {} has no name", at + 1)));
            }
            if self.names[..at].contains(name) {
                return Err(ZooError::malformed(self.path, format!("column `{name}` stands twice")));
            }
        }
        for column in REQUIRED {
            if self.position(column).is_none() {
                let others = self.hyperparameters().map(|at| self.names[at].as_str());
                let hint = match did_you_mean(column, others) {
                    Some(meant) => format!("is it the one named `{meant}`?"),
                    None => format!("the columns are {}", self.names.join(", ")),
                };
                return Err(ZooError::Missing {
                    path: self.path.to_path_buf(),
                    what: format!("column `{column}`"),
                    hint: Some(hint),
                });
            }
        }
        Ok(())
    }

    /// Hyperparameters whose names look like a column with a meaning, misspelt.
    fn warnings(&self) -> Vec<String> {
        let special = [WEIGHTS_FILE, INIT_FILE, TRAIN_LOSS, TEST_LOSS];
        self.hyperparameters()
            .filter_map(|at| {
                let name = &self.names[at];
                let meant = did_you_mean(
                    name,
                    special.into_iter().filter(|special| self.position(special).is_none()),
                )?;
                Some(format!("column `{name}` is taken for a hyperparameter; did you mean `{meant}`?"))
            })
            .collect()
    }
}

struct Row<'c> {
    columns: &'c Columns<'c>,
    record: csv::StringRecord,
    name: String,
}

impl Row<'_> {
    fn wrong(&self, column: &str, what: impl std::fmt::Display) -> ZooError {
        ZooError::malformed(self.columns.path, format!("{}, column `{column}`: {what}", self.name))
    }

    /// The text of a cell; `None` where the column is absent or the cell empty.
    fn cell(&self, column: &str) -> Option<&str> {
        let text = self.record.get(self.columns.position(column)?)?;
        (!text.is_empty()).then_some(text)
    }

    fn id(&self) -> Result<Option<u64>> {
        match (self.columns.position(ID), self.cell(ID)) {
            (None, _) => Ok(None),
            (Some(_), None) => Err(self.wrong(ID, "empty")),
            (Some(_), Some(text)) => {
                text.parse().map(Some).map_err(|_| self.wrong(ID, format!("`{text}` is no whole number")))
            }
        }
    }

    fn number(&self, column: &str) -> Result<Option<f64>> {
        self.cell(column)
            .map(|text| {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                number.ok_or_else(|| self.wrong(column, format!("`{text}` is no number")))
            })
            .transpose()
    }

    fn accuracy(&self, column: &str) -> Result<f64> {
        let accuracy = self.number(column)?.ok_or_else(|| self.wrong(column, "empty"))?;
        match accuracy {
            0.0..=1.0 => Ok(accuracy),
            1.0..=100.0 => {
                Err(self.wrong(column, format!("{accuracy} is no share between 0 and 1 (a percentage?)")))
            }
            _ => Err(self.wrong(column, format!("{accuracy} is no share between 0 and 1"))),
        }
    }

    fn metrics(&self) -> Result<Metrics> {
        Ok(Metrics {
            train_acc: self.accuracy(TRAIN_ACC)?,
            test_acc: self.accuracy(TEST_ACC)?,
            train_loss: self.number(TRAIN_LOSS)?,
            test_loss: self.number(TEST_LOSS)?,
        })
    }

    fn hyperparameter(&self, at: usize) -> Result<HyperValue> {
        let column = &self.columns.names[at];
        let text = self.cell(column).ok_or_else(|| self.wrong(column, "empty"))?;
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        Ok(number.map_or_else(|| HyperValue::Text(text.to_owned()), HyperValue::Number))
    }

    /// A path that exists.
    fn path(&self, column: &str) -> Result<Option<PathBuf>> {
        let Some(text) = self.cell(column) else { return Ok(None) };
        let folder = self.columns.path.parent().unwrap_or(Path::new(""));
        let path = folder.join(text);
        if path.exists() {
            Ok(Some(path))
        } else {
            Err(self.wrong(column, format!("{} not found", path.display())))
        }
    }

    fn files(&self) -> Result<ModelFiles> {
        Ok(ModelFiles {
            row: self.name.clone(),
            model: self.path(FILE)?.ok_or_else(|| self.wrong(FILE, "empty"))?,
            weights: self.path(WEIGHTS_FILE)?,
            initial: self.path(INIT_FILE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.keras", "b.keras", "c.keras"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        Table::read(&path)
    }

    #[test]
    fn columns_without_a_meaning_are_hyperparameters() {
        let table = read(
            "\u{feff}id,file,lr,optimizer,train_acc,test_acc,test_loss\n\
             7, a.keras ,0.10,sgd,1,0.5,1.5\n\
             3,b.keras,0.1,\"adam\",0.99,0.25,\n\
             5,c.keras,1e-3,sgd,1.0,0,0.5\n",
        )
        .unwrap();
        let listing = &table.listing;
        let axes: Vec<_> =
            listing.hyperparameters.iter().map(|axis| (axis.name.as_str(), &axis.possible_values)).collect();
        let number = HyperValue::Number;
        let text = |text: &str| HyperValue::Text(text.to_owned());
        assert_eq!(
            axes,
            [("lr", &vec![number(0.001), number(0.1)]), ("optimizer", &vec![text("adam"), text("sgd")])]
        );
        assert_eq!(listing.networks.iter().map(|network| network.id).collect::<Vec<_>>(), [3, 5, 7]);
        let metrics = listing.networks[2].metrics.unwrap();
        assert_eq!((metrics.train_acc, metrics.test_acc), (1.0, 0.5));
        assert_eq!((metrics.train_loss, metrics.test_loss), (None, Some(1.5)));
        assert!(table.files[0].model.ends_with("b.keras") && table.files[0].row == "row 2 (line 3)");
        assert_eq!(table.warnings, [""; 0]);
    }

    #[test]
    fn without_ids_networks_are_counted() {
        let table = read("file,train_acc,test_acc\nb.keras,1,1\na.keras,1,1\n").unwrap();
        assert_eq!(table.listing.networks[1].id, 1);
        assert!(table.files[1].model.ends_with("a.keras"));
    }

    #[test]
    fn a_misspelt_column_is_pointed_out() {
        let table = read("file,train_acc,test_acc,train_los,lr\na.keras,1,1,2,3\n").unwrap();
        assert_eq!(table.warnings.len(), 1);
        assert!(table.warnings[0].contains("`train_los`") && table.warnings[0].contains("`train_loss`"));
    }

    #[test]
    fn errors_name_row_and_column() {
        let says = |text: &str, parts: &[&str]| {
            let error = read(text).unwrap_err();
            let message = format!("{error}; {}", error.hint().unwrap_or_default());
            for part in parts {
                assert!(message.contains(part), "`{part}` in {message}");
            }
            assert!(message.contains("table.csv"));
        };
        says("file,train_accuracy,test_acc\na.keras,1,1\n", &["column `train_acc`", "`train_accuracy`"]);
        says("File,train_acc,test_acc\n", &["column `file`", "`File`"]);
        says("file,train_acc,test_acc,lr,lr\n", &["`lr` stands twice"]);
        says("file,train_acc,test_acc,\n", &["column 4 has no name"]);
        says("file,train_acc,test_acc\n", &["no rows"]);
        says("", &["column `file`"]);
        says(
            "file,train_acc,test_acc\na.keras,1,1\nb.keras,x,1\n",
            &["row 2 (line 3)", "`train_acc`", "`x`"],
        );
        says("file,train_acc,test_acc\na.keras,1,nan\n", &["row 1", "`test_acc`", "`nan`"]);
        says("file,train_acc,test_acc\na.keras,98.5,1\n", &["row 1", "`train_acc`", "percentage"]);
        says("file,train_acc,test_acc\na.keras,1,-1\n", &["`test_acc`", "-1"]);
        says("file,train_acc,test_acc\na.keras,1\n", &["line: 2", "fields"]);
        says("file,train_acc,test_acc,lr\na.keras,1,1,\n", &["row 1", "`lr`", "empty"]);
        says("file,train_acc,test_acc\nd.keras,1,1\n", &["row 1", "`file`", "d.keras not found"]);
        says(
            "file,train_acc,test_acc,init_file\na.keras,1,1,z.h5\n",
            &["row 1", "`init_file`", "z.h5 not found"],
        );
        says(
            "id,file,train_acc,test_acc\n1,a.keras,1,1\n1,b.keras,1,1\n",
            &["row 2", "`id`", "1 stands twice"],
        );
        says("id,file,train_acc,test_acc\n1.5,a.keras,1,1\n", &["row 1", "`id`", "`1.5`"]);
    }
}
