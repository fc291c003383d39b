//! What happens where data are not as they should be, and the traits of the competition's score that are kept.

use pgdl_score::{
    Axis, Grid, Interval, Observations, Options, Resampling, ScoreError, cmi_fgm, cmi_pgdl,
    cmi_pgdl_symmetric, granulated_kendall, kendall_intervals, score, sign_error,
};

/// A complete grid with the given numbers of values; the last axis runs fastest.
fn complete(values: &[u32]) -> Grid {
    let networks = values.iter().product::<u32>();
    let mut repeat = networks;
    let mut axes = Vec::new();
    for (axis, &count) in values.iter().enumerate() {
        repeat /= count;
        axes.push(Axis {
            name: format!("h{axis}"),
            labels: (0..count).map(|value| value.to_string()).collect(),
            levels: (0..networks).map(|network| network / repeat % count).collect(),
        });
    }
    Grid::new(networks as usize, axes, None).unwrap()
}

/// Distinct numbers in [0, 1) without any order: SplitMix64 of the position and a salt.
fn scattered(networks: usize, salt: u64) -> Vec<f64> {
    (0..networks as u64)
        .map(|network| {
            let mut bits = (network + 1000 * salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((bits ^ (bits >> 31)) >> 11) as f64 / 2f64.powi(53)
        })
        .collect()
}

fn some(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().map(|&value| Some(value)).collect()
}

fn without_intervals() -> Options {
    Options { bootstrap: 0, ..Options::default() }
}

#[test]
fn cmi_pgdl_is_not_invariant_under_negation() {
    let grid = complete(&[2, 2, 3]);
    let gap = scattered(12, 1);
    let measure: Vec<f64> = gap.iter().zip(scattered(12, 2)).map(|(gap, noise)| gap + 0.5 * noise).collect();
    let negative: Vec<f64> = measure.iter().map(|value| -value).collect();
    let value =
        |measure: &[f64]| cmi_pgdl(&Observations::from_numbers(&grid, &gap, measure).unwrap()).unwrap().value;
    assert!((value(&measure) - value(&negative)).abs() > 0.01);
    // The self-pairs do it: even the gap's own negative is not a perfect measure.
    let negative_gap: Vec<f64> = gap.iter().map(|gap| -gap).collect();
    assert!((value(&gap) - 1.0).abs() < 1e-9);
    assert!(value(&negative_gap) < 0.8);
}

#[test]
fn two_hyperparameters_with_one_network_per_cell_tell_nothing_and_the_reader_is_told() {
    let grid = complete(&[3, 4]);
    let gap = scattered(12, 1);
    let scores = score(&grid, &gap, &some(&gap), &without_intervals()).unwrap();
    let pgdl = scores.cmi_pgdl.unwrap();
    assert_eq!(pgdl.value, 0.0);
    assert_eq!(
        scores.warnings,
        ["cmi_pgdl is 0 for every measure here: within every cell of h0 and h1, the gap's sign is certain"]
    );
    // Elsewhere the set that cannot test anything is left out, or the pair with itself decides.
    let fgm = scores.cmi_fgm.unwrap();
    assert!((fgm.value - 1.0).abs() < 1e-12);
    assert!(fgm.sets.last().unwrap().value.is_err());
    assert!((scores.cmi_pgdl_symmetric.unwrap().value - 1.0).abs() < 1e-9);
}

#[test]
fn fewer_than_two_hyperparameters_have_no_competition_score() {
    for (grid, reason) in [
        (complete(&[4]), "needs two hyperparameters, the grid has only h0"),
        (Grid::new(4, vec![], None).unwrap(), "needs two hyperparameters, the grid has none"),
    ] {
        let gap = scattered(4, 1);
        let scores = score(&grid, &gap, &some(&gap), &without_intervals()).unwrap();
        assert_eq!(scores.cmi_pgdl.unwrap_err().0, reason);
        assert_eq!(scores.cmi_pgdl_symmetric.unwrap_err().0, reason);
        assert_eq!(scores.cmi_fgm.unwrap().value, 1.0);
        assert_eq!(scores.kendall_tau_b, Ok(1.0));
    }
}

#[test]
fn a_single_valued_hyperparameter_conditions_on_the_other_alone() {
    let with_single = complete(&[3, 1, 4]);
    let gap = scattered(12, 1);
    let measure = scattered(12, 2);
    let observations = Observations::from_numbers(&with_single, &gap, &measure).unwrap();
    let pairs = cmi_pgdl(&observations).unwrap().sets;
    let of_pair =
        |axes: [usize; 2]| pairs.iter().find(|set| set.axes == axes).unwrap().value.clone().unwrap();
    let fgm = cmi_fgm(&observations).unwrap().sets;
    let of_set = |axes: &[usize]| fgm.iter().find(|set| set.axes == axes).unwrap().value.clone().unwrap();
    assert!(of_pair([0, 1]) > 0.0);
    assert_eq!(of_set(&[0, 1]), of_set(&[0]));
    assert_eq!(of_set(&[1, 2]), of_set(&[2]));
    assert_eq!(of_set(&[1]), of_set(&[]));
    let granulated = granulated_kendall(&observations);
    assert!(granulated.axes[1].value.is_err());
    assert_eq!(granulated.axes[1].undefined_cells, 12);
    let [first, last] = [0, 2].map(|axis| granulated.axes[axis].value.clone().unwrap());
    assert!((granulated.mean.unwrap() - (first + last) / 2.0).abs() < 1e-15);
}

#[test]
fn possible_values_that_nobody_takes_make_no_difference() {
    let grid = complete(&[2, 3, 2]);
    let gap = scattered(12, 1);
    let measure = scattered(12, 2);
    let mut axes = grid.axes().to_vec();
    axes[1].labels.push("never".into());
    let wider = Grid::new(12, axes, None).unwrap();
    let scores = |grid: &Grid| score(grid, &gap, &some(&measure), &without_intervals()).unwrap();
    let (narrow, wide) = (scores(&grid), scores(&wider));
    assert_eq!(narrow.cmi_pgdl, wide.cmi_pgdl);
    assert_eq!(narrow.cmi_fgm, wide.cmi_fgm);
    assert_eq!(
        wide.warnings,
        ["the grid is incomplete: 4 of 16 combinations of hyperparameter values have no network"]
    );
}

#[test]
fn a_missing_value_counts_as_never_larger_or_is_left_out() {
    let grid = complete(&[2, 3, 2]);
    let gap = scattered(12, 1);
    let mut measure = some(&scattered(12, 2));
    measure[5] = None;
    let missing = score(&grid, &gap, &measure, &without_intervals()).unwrap();
    assert_eq!((missing.networks, missing.covered), (12, 11));
    assert!(missing.warnings[0].starts_with("1 of 12 networks have no value"), "{:?}", missing.warnings);
    measure[5] = Some(f64::NAN);
    let not_a_number = score(&grid, &gap, &measure, &without_intervals()).unwrap();
    assert_eq!(missing, not_a_number);

    // Left out everywhere but in the competition's scores: the same as a grid that lacks the network.
    let keep: Vec<usize> = (0..12).filter(|&network| network != 5).collect();
    let axes = grid.axes().iter().map(|axis| Axis {
        levels: keep.iter().map(|&network| axis.levels[network]).collect(),
        ..axis.clone()
    });
    let smaller = Grid::new(11, axes.collect(), None).unwrap();
    let gap_of_kept: Vec<f64> = keep.iter().map(|&network| gap[network]).collect();
    let measure_of_kept: Vec<Option<f64>> = keep.iter().map(|&network| measure[network]).collect();
    let without = score(&smaller, &gap_of_kept, &measure_of_kept, &without_intervals()).unwrap();
    assert_eq!(missing.cmi_fgm, without.cmi_fgm);
    assert_eq!(missing.kendall_tau_b, without.kendall_tau_b);
    assert_eq!(missing.granulated_kendall, without.granulated_kendall);
    assert_eq!(missing.spearman, without.spearman);
    assert_eq!(missing.r2_cv, without.r2_cv);
    assert_ne!(missing.cmi_pgdl, without.cmi_pgdl);
}

#[test]
fn nothing_is_defined_without_values() {
    let grid = complete(&[2, 2, 2]);
    let scores = score(&grid, &scattered(8, 1), &[None; 8], &Options::default()).unwrap();
    assert_eq!(scores.covered, 0);
    assert_eq!(scores.cmi_pgdl.unwrap_err().0, "no network has a value");
    assert!(scores.cmi_fgm.is_err() && scores.kendall_tau_a.is_err() && scores.kendall_tau_b.is_err());
    assert!(scores.granulated_kendall.mean.is_err() && scores.pearson.is_err() && scores.spearman.is_err());
    assert!(scores.cmi_pgdl_ci.is_none() && scores.kendall_tau_b_ci.is_none());
    assert!(scores.granulated_kendall_mean_ci.is_none());
}

#[test]
fn an_empty_grid_is_no_panic() {
    let grid = Grid::new(0, vec![], None).unwrap();
    let scores = score(&grid, &[], &[], &Options { test_examples: Some(100), ..Options::default() }).unwrap();
    assert!(scores.cmi_pgdl.is_err() && scores.sign_error.is_err() && scores.r2_cv.is_err());
}

#[test]
fn equal_gaps_leave_nothing_to_predict() {
    let grid = complete(&[2, 2, 2]);
    let scores = score(&grid, &[0.1; 8], &some(&scattered(8, 1)), &without_intervals()).unwrap();
    assert_eq!(scores.cmi_pgdl.unwrap().value, 0.0);
    assert!(scores.warnings.iter().any(|warning| warning.starts_with("cmi_pgdl is 0 for every measure")));
    assert_eq!(
        scores.cmi_fgm.unwrap_err().0,
        "given these hyperparameters, the sign of the gap never varies"
    );
    assert_eq!(scores.kendall_tau_b.unwrap_err().0, "the gap is the same for all networks");
}

#[test]
fn seeds_are_held_fixed_only_when_the_caller_says_so() {
    // One axis of two values, two seeds. Within a seed the measure is right; across seeds it is not.
    let levels = vec![0, 1, 0, 1];
    let axis = Axis { name: "lr".into(), labels: vec!["a".into(), "b".into()], levels };
    let (gap, measure) = ([0.1, 0.2, 0.3, 0.4], [3.0, 4.0, 1.0, 2.0]);
    let seeded = Grid::new(4, vec![axis.clone()], Some(vec![0, 0, 1, 1])).unwrap();
    let plain = Grid::new(4, vec![axis], None).unwrap();
    let of = |grid: &Grid| score(grid, &gap, &some(&measure), &without_intervals()).unwrap();
    assert_eq!(of(&seeded).granulated_kendall.mean, Ok(1.0));
    assert_eq!(of(&seeded).granulated_kendall.axes[0].cells, [1.0, 1.0]);
    assert_eq!(of(&plain).granulated_kendall.mean, of(&plain).kendall_tau_b);
    assert!(of(&plain).granulated_kendall.mean.unwrap() < 0.0);
    assert_eq!(of(&seeded).cmi_fgm, of(&plain).cmi_fgm);
    assert!(of(&seeded).warnings.is_empty());
    assert_eq!(
        of(&plain).warnings,
        ["the grid is not unique: 2 networks share all hyperparameter values with another one"]
    );
}

#[test]
fn sign_error_by_hand() {
    // Two settings, two trainings each. All differences of gaps are large: weights are 1/2 each, up to rounding.
    let axis = |levels: Vec<u32>| Axis { name: "lr".into(), labels: vec!["a".into(), "b".into()], levels };
    let grid = Grid::new(4, vec![axis(vec![0, 0, 1, 1])], None).unwrap();
    let gap = [0.1, 0.2, 0.8, 0.9];
    // Against setting b: the first is below both, the second ties with one and is above the other.
    let observations = Observations::from_numbers(&grid, &gap, &[1.0, 3.0, 2.0, 3.0]).unwrap();
    let error = sign_error(&observations, 10_000, 0.0).unwrap();
    assert!((error.mean - (0.0 + 0.0 + 1.0 + 0.5) / 4.0).abs() < 1e-12, "{error:?}");
    assert_eq!((error.environments, error.left_out), (2, 0));
    assert_eq!(error.p90, error.max);
    // Four pairs of equal weight: an effective sample size of 4.
    assert!(sign_error(&observations, 10_000, 3.99).is_ok());
    let reason = sign_error(&observations, 10_000, 4.01).unwrap_err().0;
    assert_eq!(reason, "none of 2 environments has a certain gap and an effective sample size of 4.01");
    // With few test examples no difference is certain.
    assert!(sign_error(&observations, 1, 0.0).is_err());
}

#[test]
fn cmi_fgm_by_hand() {
    // Three networks, no hyperparameters: pairs (+,+), (+,+), (+,−) in one direction and mirrored with half weight.
    // p(agree) = 2/3: I = 1 − H(1/3), H(V_g) = 1.
    let grid = Grid::new(3, vec![], None).unwrap();
    let observations = Observations::from_numbers(&grid, &[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]).unwrap();
    let third: f64 = 1.0 / 3.0;
    let expected = 1.0 + third * third.log2() + (1.0 - third) * (1.0 - third).log2();
    let found = cmi_fgm(&observations).unwrap();
    assert!((found.value - expected).abs() < 1e-14);
    assert!(found.argmin.is_empty());
}

#[test]
fn symmetric_cmi_by_hand() {
    // Two networks, one value in both hyperparameters: one cell. Forth: self-pairs 2 (−,−), (a, b) (−,+),
    // (b, a) (+,−). Mirrored: 2 (+,+), (+,−), (−,+). Table [[2, 2], [2, 2]]: no information.
    let axis = |name: &str| Axis { name: name.into(), labels: vec!["a".into()], levels: vec![0, 0] };
    let grid = Grid::new(2, vec![axis("x"), axis("y")], None).unwrap();
    let observations = Observations::from_numbers(&grid, &[1.0, 2.0], &[2.0, 1.0]).unwrap();
    assert_eq!(cmi_pgdl_symmetric(&observations).unwrap().value, 0.0);
    // The program's own: [[0, 1], [1, 2]] of 4: I = H(¼) + H(¼) − (1.5 bits), over H(¼).
    let quarter = -(0.25f64.log2() * 0.25 + 0.75f64.log2() * 0.75);
    let expected = (2.0 * quarter - 1.5) / quarter;
    assert!((cmi_pgdl(&observations).unwrap().value - expected).abs() < 1e-11);
}

#[test]
fn a_constant_measure_does_not_score_zero_in_the_symmetric_variant() {
    // Two networks, one cell, constant measure. Forth: 2 self-pairs (−,−), (+,−), (−,−); mirrored: 2 (+,+), (−,+),
    // (+,+). Table [[3, 1], [1, 3]]: I = 1 − H(¼), H = 1.
    let axis = |name: &str| Axis { name: name.into(), labels: vec!["a".into()], levels: vec![0, 0] };
    let grid = Grid::new(2, vec![axis("x"), axis("y")], None).unwrap();
    let observations = Observations::from_numbers(&grid, &[1.0, 2.0], &[5.0, 5.0]).unwrap();
    let quarter = -(0.25f64.log2() * 0.25 + 0.75f64.log2() * 0.75);
    assert!((cmi_pgdl_symmetric(&observations).unwrap().value - (1.0 - quarter)).abs() < 1e-11);
    assert_eq!(cmi_pgdl(&observations).unwrap().value, 0.0);
}

#[test]
fn options_and_lists_are_checked() {
    let grid = complete(&[2, 2]);
    let gap = scattered(4, 1);
    let error = score(&grid, &gap, &[None; 3], &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "measure has 3 entries for 4 networks");
    assert!(error.hint().is_some());
    for confidence in [0.0, 1.0, f64::NAN] {
        let error =
            score(&grid, &gap, &[None; 4], &Options { confidence, ..Options::default() }).unwrap_err();
        assert!(matches!(error, ScoreError::Option { name: "confidence", .. }), "{error}");
    }
    let error =
        score(&grid, &gap, &[None; 4], &Options { ess_floor: -1.0, ..Options::default() }).unwrap_err();
    assert_eq!(error.to_string(), "option ess_floor is -1, but must be a finite number, at least 0");
}

#[test]
fn intervals_depend_on_the_seed_and_not_on_the_threads() {
    let grid = complete(&[2, 3, 2, 4]);
    // Gap and measure both rise with h3, so that conditioning on it takes most of what they share.
    let rising = |salt: u64| -> Vec<f64> {
        let levels = &grid.axes()[3].levels;
        scattered(48, salt).iter().zip(levels).map(|(noise, &level)| noise + 0.9 * f64::from(level)).collect()
    };
    let (gap, measure) = (rising(1), some(&rising(2)));
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = Options { bootstrap: 200, seed, test_examples: Some(10_000), ..Options::default() };
        pool.install(|| score(&grid, &gap, &measure, &options).unwrap())
    };
    assert_eq!(with(1, 7), with(4, 7));
    assert_ne!(with(1, 7).kendall_tau_b_ci, with(1, 8).kendall_tau_b_ci);
    let scores = with(2, 7);
    for (name, value, interval) in [
        ("cmi_pgdl", scores.cmi_pgdl.unwrap().value, scores.cmi_pgdl_ci),
        ("cmi_pgdl_symmetric", scores.cmi_pgdl_symmetric.unwrap().value, scores.cmi_pgdl_symmetric_ci),
        ("cmi_fgm", scores.cmi_fgm.unwrap().value, scores.cmi_fgm_ci),
        ("kendall_tau_a", scores.kendall_tau_a.unwrap(), scores.kendall_tau_a_ci),
        ("kendall_tau_b", scores.kendall_tau_b.unwrap(), scores.kendall_tau_b_ci),
        ("mean", scores.granulated_kendall.mean.unwrap(), scores.granulated_kendall_mean_ci),
    ] {
        let Some(Interval { low, high, resamples }) = interval else { panic!("{name} has no interval") };
        assert!(low < value && value < high, "{name} {value} in [{low}, {high}]");
        // For cmi_fgm, draws without a cell of equal h3 have no uncertain sign, and are dropped.
        assert!(if name == "cmi_fgm" { (190..200).contains(&resamples) } else { resamples == 200 });
    }
}

#[test]
fn the_threads_do_not_change_the_scores_of_a_large_grid() {
    let grid = complete(&[6, 5, 4, 3, 4]);
    let n = grid.networks();
    let (gap, measure) = (scattered(n, 1), some(&scattered(n, 2)));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| score(&grid, &gap, &measure, &without_intervals()).unwrap())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn the_interval_of_kendalls_tau_has_the_width_that_theory_says() {
    // Independent lists without ties: var τ = 2(2n + 5) / 9n(n − 1) (Kendall 1938).
    let n = 211;
    let (x, y) = (scattered(n, 1), scattered(n, 2));
    let resampling = Resampling { resamples: 2000, seed: 1, confidence: 0.95 };
    let interval = kendall_intervals(&x, &y, &resampling).tau_a.unwrap();
    let n = n as f64;
    let expected = 2.0 * 1.96 * (2.0 * (2.0 * n + 5.0) / (9.0 * n * (n - 1.0))).sqrt();
    let ratio = (interval.high - interval.low) / expected;
    assert!((0.85..1.15).contains(&ratio), "width is {ratio} of the expected one");
}

#[test]
fn the_interval_of_the_granulated_mean_by_hand() {
    // One axis in two cells with τ = +1 and −1: resampled means −1, 0, +1 with probabilities ¼, ½, ¼.
    let axis = |name: &str, levels: Vec<u32>| Axis {
        name: name.into(),
        labels: vec!["a".into(), "b".into()],
        levels,
    };
    let grid = Grid::new(4, vec![axis("x", vec![0, 1, 0, 1]), axis("y", vec![0, 0, 1, 1])], None).unwrap();
    // Along y: a tied measure (no cell) and τ = −1.
    let scores =
        score(&grid, &[1.0, 2.0, 3.0, 4.0], &some(&[1.0, 2.0, 1.0, 0.0]), &Options::default()).unwrap();
    assert_eq!(scores.granulated_kendall.axes[0].cells, [1.0, -1.0]);
    assert_eq!(scores.granulated_kendall.axes[1].cells, [-1.0]);
    // Ψ = (ψ_x + ψ_y)/2, with ψ_y = −1 in every resample.
    let interval = scores.granulated_kendall_mean_ci.unwrap();
    assert_eq!((interval.low, interval.high), (-1.0, 0.0));
}
