//! Plots as SVG and PNG files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::{ReportError, Result};
use crate::figure::{Figure, Palette};
use crate::findings::Findings;
use crate::leaderboard::Statistic;
use crate::plot::from_findings::{
    CmiKind, ColouredBy, cmi_map, cost_plot, interval_plot, scatter, slice_plot,
};
use crate::whole_file;

/// Writes every plot of the findings into `folder`, as SVG and as PNG, and returns how many plots there are.
///
/// Per zoo a folder with `intervals`, `cost_cmi`, `cost_tau_b`, and per measure a folder with `scatter_<hyperparameter>` (one
/// for each, coloured by it), `slices`, `cmi_pgdl` and `cmi_fgm`; what is undefined is not there. PNG files have two pixels per
/// CSS pixel.
///
/// # Errors
/// When a folder or file cannot be written.
pub fn write_plots(findings: &[Findings], folder: &Path) -> Result<usize> {
    let mut zoos = Names::default();
    let mut written = 0;
    for findings in findings {
        let palette = Palette::of(&findings.population.hyperparameters);
        let zoo = folder.join(zoos.of(&findings.population.name));
        let mut write = |folder: &Path, name: &str, figure: Option<Figure>| -> Result<()> {
            let Some(figure) = figure else { return Ok(()) };
            written += 1;
            write_figure(folder, name, &figure, &palette)
        };
        write(&zoo, "intervals", interval_plot(findings, true))?;
        write(&zoo, "cost_cmi", cost_plot(findings, Statistic::CmiPgdl, true))?;
        write(&zoo, "cost_tau_b", cost_plot(findings, Statistic::KendallTauB, true))?;
        let mut measures = Names::default();
        for measure in &findings.measures {
            let folder = zoo.join(measures.of(&measure.score.measure));
            let axes = findings.grid.axes();
            if axes.is_empty() {
                write(&folder, "scatter", Some(scatter(findings, measure, ColouredBy::Nothing, true)))?;
            }
            let mut hyperparameters = Names::default();
            for (place, axis) in axes.iter().enumerate() {
                let name = format!("scatter_{}", hyperparameters.of(&axis.name));
                let figure = scatter(findings, measure, ColouredBy::Hyperparameter(place), true);
                write(&folder, &name, Some(figure))?;
            }
            write(&folder, "slices", slice_plot(findings, measure, true))?;
            write(&folder, "cmi_pgdl", cmi_map(findings, measure, CmiKind::Pgdl, true))?;
            write(&folder, "cmi_fgm", cmi_map(findings, measure, CmiKind::Fgm, true))?;
        }
    }
    Ok(written)
}

pub(crate) fn write_figure(folder: &Path, name: &str, figure: &Figure, palette: &Palette) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|source| ReportError::Unwritable { path: folder.to_path_buf(), source })?;
    let path = |extension: &str| -> PathBuf { folder.join(format!("{name}.{extension}")) };
    whole_file::write(&path("svg"), figure.to_svg(palette).as_bytes())?;
    whole_file::write(&path("png"), &figure.to_png(palette)?)
}

/// Names of files, each used once.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// A name that every file system takes, after a text that may hold anything.
    fn of(&mut self, text: &str) -> String {
        const LONGEST: usize = 100;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '=' | ',');
        let name: String =
            text.chars().map(|letter| if plain(letter) { letter } else { '_' }).take(LONGEST).collect();
        let name = if name.is_empty() { "_".to_owned() } else { name };
        // Some file systems do not tell capitals from small letters.
        let mut unique = name.clone();
        let mut number = 2;
        while !self.taken.insert(unique.to_lowercase()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leads_out_of_the_folder_and_no_two_share_a_name() {
        let mut names = Names::default();
        assert_eq!(names.of("margin:p=5,q=2"), "margin_p=5,q=2");
        assert_eq!(names.of("../../etc/passwd"), "______etc_passwd");
        assert_eq!(names.of(".."), "__");
        assert_eq!(names.of("a/b"), "a_b");
        assert_eq!(names.of("A:B"), "A_B_2");
        assert_eq!(names.of(""), "_");
        assert!(names.of(&"long".repeat(1000)).len() <= 100);
    }
}
