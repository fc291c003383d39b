//! Tables of values: what is read from them, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use pgdl_report::{GapColumns, TableSpec, ValueStatus, ValueTable};

const TABLE: &str = "\
id,depth,optimizer,train,test,run,margin,note,l2
model_3,2,adam,1.0,0.9,a,0.5,x,1
model_1,2,sgd,1.0,0.8,a,NaN,y,2
model_2,6,adam,0.99,0.9,b,EXCEEDED,,-inf
model_9,6,sgd,1.0,0.95,b,,z,1e3
";

fn spec(path: &Path) -> TableSpec {
    TableSpec {
        path: path.to_path_buf(),
        hyperparameters: vec!["depth".into(), "optimizer".into()],
        seed: None,
        id: Some("id".into()),
        gap: GapColumns::Accuracies { train: "train".into(), test: "test".into() },
        measures: None,
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The error on a table of this content, without the path, and its hint.
    fn refused(
        &self,
        content: impl AsRef<[u8]>,
        change: impl FnOnce(&mut TableSpec),
    ) -> (String, Option<String>) {
        let path = self.write("table.csv", content);
        let mut spec = spec(&path);
        change(&mut spec);
        let error = spec.read().unwrap_err();
        (error.to_string().replace(&format!("{}: ", path.display()), ""), error.hint())
    }
}

fn assert_is_the_table(table: &ValueTable) {
    assert_eq!(table.population.name, "table");
    let labels: Vec<&str> = table.population.networks.iter().map(|network| network.label.as_str()).collect();
    assert_eq!(labels, ["3", "1", "2", "9"]);
    assert_eq!(table.population.networks[1].gap, 1.0 - 0.8);
    let grid = table.population.grid().unwrap();
    assert_eq!(grid.axes()[0].levels, [0, 0, 1, 1]);
    assert_eq!(grid.axes()[0].labels, ["2", "6"]);
    assert_eq!(grid.axes()[1].levels, [0, 1, 0, 1]);
    let measures: Vec<&str> = table.measures.iter().map(|measure| measure.measure.as_str()).collect();
    assert_eq!(measures, ["margin", "l2"]);
    assert_eq!(table.passed_over, ["run", "note"]);
    let statuses: Vec<ValueStatus> = table.measures[0].entries.iter().map(|entry| entry.status()).collect();
    use ValueStatus::{Exceeded, Missing, Ok, Undefined};
    assert_eq!(statuses, [Ok, Undefined, Exceeded, Missing]);
    let values: Vec<Option<f64>> = table.measures[1].entries.iter().map(|entry| entry.value()).collect();
    assert_eq!(values, [Some(1.0), Some(2.0), Some(f64::NEG_INFINITY), Some(1000.0)]);
}

#[test]
fn a_table_is_read_whatever_its_line_ends_and_marks() {
    let folder = Folder::new();
    let windows = format!("\u{feff}{}", TABLE.replace('\n', "\r\n"));
    for content in [TABLE.to_owned(), windows, TABLE.replace(',', ", "), TABLE.trim_end().to_owned()] {
        assert_is_the_table(&spec(&folder.write("table.csv", content)).read().unwrap());
    }
    assert_is_the_table(&spec(&folder.write("table.tsv", TABLE.replace(',', "\t"))).read().unwrap());
}

#[test]
fn measures_can_be_named() {
    let folder = Folder::new();
    let mut spec = spec(&folder.write("table.csv", TABLE));
    spec.measures = Some(vec!["l2".into()]);
    spec.gap = GapColumns::Gap("test".into());
    let table = spec.read().unwrap();
    assert_eq!(table.measures.len(), 1);
    assert!(table.passed_over.is_empty());
    assert_eq!(table.population.networks[0].gap, 0.9);
}

#[test]
fn a_missing_column_says_what_was_meant() {
    let folder = Folder::new();
    let (message, hint) = folder.refused(TABLE, |spec| spec.hyperparameters[1] = "optimiser".into());
    assert_eq!(message, "no column `optimiser`");
    assert_eq!(hint.as_deref(), Some("did you mean `optimizer`?"));
    let (_, hint) = folder.refused(TABLE, |spec| spec.measures = Some(vec!["zebra".into()]));
    assert_eq!(
        hint.as_deref(),
        Some("its columns: id, depth, optimizer, train, test, run, margin, note, l2")
    );
}

#[test]
fn a_cell_that_is_no_number_is_named_by_line_and_column() {
    let folder = Folder::new();
    let (message, hint) = folder.refused(TABLE.replace("1e3", "1e3x"), |_| {});
    assert_eq!(message, "line 5, column `l2`: `1e3x` is not a number");
    assert_eq!(hint.as_deref(), Some("name the columns of measures, to leave this one out"));
    let refused = |from: &str, to: &str| folder.refused(TABLE.replace(from, to), |_| {}).0;
    assert_eq!(refused("0.99,", ","), "line 4, column `train`: is empty");
    assert_eq!(refused("0.99,", "inf,"), "line 4, column `train`: inf is not finite");
    assert_eq!(refused("model_1,2", "model_1,"), "line 3, column `depth`: is empty");
    assert_eq!(
        refused("model_1,", "first,"),
        "line 3, column `id`: is not a network id (a whole number, or model_<number>)"
    );
    assert_eq!(
        refused("model_1,", "model_3,"),
        "line 3, column `id`: network 3 occurs a second time, first in line 2"
    );
}

#[test]
fn what_is_no_table_is_refused() {
    let folder = Folder::new();
    let refused = |content: &[u8]| folder.refused(content, |_| {}).0;
    assert_eq!(refused(b""), "has no rows");
    assert_eq!(refused(TABLE.lines().next().unwrap().as_bytes()), "has no rows");
    assert_eq!(
        refused(TABLE.replace("a,0.5,x", "a,0.5").as_bytes()),
        "line 2 has 8 fields, but the header has 9"
    );
    assert_eq!(refused(TABLE.replace("note", "run").as_bytes()), "has two columns named `run`");
    let message = format!("is not UTF-8: byte {} (line 6)", TABLE.len());
    assert_eq!(refused(&[TABLE.as_bytes(), b"\xff"].concat()), message);
    assert_eq!(refused(b"\xff\xfei\0d\0"), "is UTF-16, but must be UTF-8");
    let numberless = "id,depth,optimizer,train,test\n1,2,sgd,1,0.9\n";
    assert_eq!(refused(numberless.as_bytes()), "no column beside those named holds numbers");
    let absent = folder.0.path().join("absent.csv");
    assert!(spec(&absent).read().unwrap_err().to_string().starts_with(&format!("{}: ", absent.display())));
}

#[test]
fn a_column_has_one_role() {
    let folder = Folder::new();
    let (message, _) = folder.refused(TABLE, |spec| spec.hyperparameters.push("depth".into()));
    assert_eq!(message, "column `depth` is given two roles");
    let (message, _) = folder.refused(TABLE, |spec| spec.seed = Some("test".into()));
    assert_eq!(message, "column `test` is given two roles");
    let (message, _) = folder.refused(TABLE, |spec| spec.measures = Some(vec!["l2".into(), "l2".into()]));
    assert_eq!(message, "measure `l2` is named twice");
}

/// The table as Parquet, in the given compression. `run` is boolean, `depth` a 32-bit and `id` a 64-bit integer.
fn parquet(path: &Path, compression: Compression) {
    let schema = "message table {
        required int64 id; required int32 depth; required binary optimizer (STRING); required double train;
        required double test; required boolean run; optional binary margin (STRING); required binary note (STRING);
        required float l2; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(fs::File::create(path).unwrap(), schema, properties).unwrap();
    let texts = |texts: &[&'static str]| texts.iter().map(|text| ByteArray::from(*text)).collect::<Vec<_>>();
    let mut group = writer.next_row_group().unwrap();
    macro_rules! column {
        ($kind:ty, $values:expr, $levels:expr) => {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<$kind>().write_batch($values, $levels, None).unwrap();
            column.close().unwrap();
        };
    }
    column!(Int64Type, &[3, 1, 2, 9], None);
    column!(Int32Type, &[2, 2, 6, 6], None);
    column!(ByteArrayType, &texts(&["adam", "sgd", "adam", "sgd"]), None);
    column!(DoubleType, &[1.0, 1.0, 0.99, 1.0], None);
    column!(DoubleType, &[0.9, 0.8, 0.9, 0.95], None);
    column!(BoolType, &[true, true, false, false], None);
    column!(ByteArrayType, &texts(&["0.5", "NaN", "EXCEEDED"]), Some(&[1, 1, 1, 0]));
    column!(ByteArrayType, &texts(&["x", "y", "", "z"]), None);
    column!(FloatType, &[1.0, 2.0, f32::NEG_INFINITY, 1e3], None);
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_holds_the_same_table_in_every_compression() {
    let folder = Folder::new();
    let path = folder.0.path().join("table.parquet");
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
    ] {
        parquet(&path, compression);
        assert_is_the_table(&spec(&path).read().unwrap());
    }
    let mut spec = spec(&path);
    spec.measures = Some(vec!["note".into()]);
    let message = spec.read().unwrap_err().to_string();
    assert_eq!(message, format!("{}: row 1, column `note`: `x` is not a number", path.display()));
}

#[test]
fn a_damaged_parquet_file_is_an_error_or_another_table_and_never_a_panic() {
    let folder = Folder::new();
    let path = folder.0.path().join("table.parquet");
    parquet(&path, Compression::UNCOMPRESSED);
    let sound = fs::read(&path).unwrap();
    for end in (4..sound.len()).step_by(7) {
        folder.write("table.parquet", &sound[..end]);
        assert!(spec(&path).read().is_err(), "{end} bytes");
    }
    for place in 4..sound.len() {
        let mut damaged = sound.clone();
        damaged[place] ^= if place % 2 == 0 { 0x08 } else { 0xff };
        folder.write("table.parquet", damaged);
        // Values may change unnoticed: the format has no checksum here.
        let _ = spec(&path).read();
    }
}
