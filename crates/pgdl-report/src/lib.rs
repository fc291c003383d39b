//! Scores, rankings, leaderboards and tables, from records and from values computed elsewhere.
//!
//! A [`Population`] (the networks of a zoo or the rows of a table, with their true gaps) and [`MeasureValues`] (per
//! network a value, or a status with its reason) make a [`ScoreReport`]; it is printed as JSON, or as a [`Table`] in
//! one of four ways. [`Findings`], all that is to be reported of a zoo, become a page ([`report_page`]) with plots
//! ([`write_plots`]). Values come from records ([`values_from_records`]), from competition prediction files
//! ([`Predictions`]) or from CSV and Parquet tables ([`TableSpec`]).

mod columns;
pub mod compare;
pub mod competition;
pub mod composite;
pub mod error;
#[cfg(test)]
mod example;
pub mod export;
mod figure;
pub mod findings;
pub mod html;
pub mod leaderboard;
pub mod manifest;
pub mod plot;
pub mod population;
pub mod predictions;
pub mod published;
mod quiet_panics;
pub mod ranking;
pub mod reproduce;
pub mod score_report;
mod score_table;
pub mod table;
mod text;
pub mod value_table;
pub mod values;
mod whole_file;

pub use compare::{Committed, Comparison, Difference};
pub use competition::ScoresFile;
pub use composite::{composite_entry, requested_values};
pub use error::{ReportError, Result};
pub use export::{ExportFormat, export_records, record_frame};
pub use findings::{Findings, FoundRecords, MeasureNote};
pub use html::report_page;
pub use leaderboard::{Leaderboard, Statistic};
pub use manifest::{Level, Manifest, ManifestZoo, Tolerance};
pub use plot::curves::{Curve, CurvePoint, Curves};
pub use plot::files::write_plots;
pub use population::{GapKind, Population, PopulationNetwork};
pub use predictions::{Prediction, Predictions, predict_file};
pub use published::{Published, PublishedComparison, PublishedRow};
pub use ranking::ranking;
pub use reproduce::{RECORDS_ARCHIVE, Results, ScoredZoo};
pub use score_report::{
    CompetitionTotal, MeasureScore, SCORE_REPORT_SCHEMA, ScoreReport, score_report_schema,
};
pub use table::{Cell, Column, Digits, Table, TextOptions, Tone};
pub use value_table::{GapColumns, TableSpec, ValueTable};
pub use values::{CountingRecords, Entry, MeasureValues, ValueStatus, counting_records, values_from_records};
pub use whole_file::WholeFile;
