//! Every built-in measure keeps the contract that plugins are held to.

use pgdl_measure::{Registry, contract, explain};

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measures::register(&mut registry).unwrap();
    registry
}

/// Those that train, search or sample take their time; their crates have this test of their own.
#[test]
fn every_measure_keeps_its_promises() {
    let mut registry = Registry::new();
    let families = [
        pgdl_measure_controls::register,
        pgdl_measure_capacity::register,
        pgdl_measure_norms::register,
        pgdl_measure_spectral::register,
        pgdl_measure_heavy_tails::register,
        pgdl_measure_margin::register,
        pgdl_measure_representation::register,
        pgdl_measure_augmentation::register,
        pgdl_measure_calibration::register,
        pgdl_measure_gradient::register,
    ];
    families.iter().for_each(|register| register(&mut registry).unwrap());
    let violations = contract::check(&registry).unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}

#[test]
fn the_first_families_are_complete() {
    let registry = registry();
    let ids = |family: &str| -> Vec<&str> {
        registry.infos().filter(|info| info.family == family).map(|info| info.id).collect()
    };
    assert_eq!(
        registry.families(),
        [
            "controls",
            "capacity",
            "norms",
            "spectral",
            "heavy_tails",
            "margin",
            "representation",
            "augmentation",
            "calibration",
            "gradient",
            "sharpness",
            "pac_bayes",
            "singular",
            "robustness",
            "description_length",
            "stability",
            "information",
            "learned"
        ]
    );
    assert_eq!(
        ids("controls"),
        ["constant", "random", "hyperparameters_only", "noisy_oracle", "train_loss", "train_error"]
    );
    assert_eq!(ids("capacity"), ["params", "depth", "vc_dim", "vc_dim_fgm"]);
    assert_eq!(
        ids("norms"),
        [
            "l2_norm",
            "distance_from_init",
            "param_norm",
            "frobenius_distance",
            "frobenius_product",
            "frobenius_sum",
            "l1_inf_product",
            "l3_15_product",
            "path_norm",
            "path_norm_over_margin"
        ]
    );
    assert_eq!(
        ids("spectral"),
        [
            "spectral_product",
            "spectral_sum",
            "spectral_distance",
            "fro_over_spec",
            "spectral_init",
            "spectral_orig",
            "spectral_product_over_margin",
            "spectral_sum_over_margin",
            "spectral_distance_over_margin",
            "fro_over_spec_over_margin",
            "bartlett_2017",
            "neyshabur_2018",
            "golowich_2018",
            "long_sedghi_2020",
            "rademacher_spectral",
            "covering_number"
        ]
    );
    assert_eq!(
        ids("heavy_tails"),
        [
            "alpha",
            "alpha_hat",
            "log_alpha_norm",
            "stable_rank",
            "mp_soft_rank",
            "log_spectral_norm",
            "effective_rank"
        ]
    );
    assert_eq!(
        ids("margin"),
        [
            "margin",
            "inverse_margin",
            "hidden_margin",
            "augment_margin",
            "mixup_margin",
            "manifold_mixup_margin",
            "kv_margin",
            "kv_gn_margin",
            "adversarial_radius",
            "constrained_margin"
        ]
    );
    assert_eq!(
        ids("representation"),
        [
            "davies_bouldin",
            "cdnv",
            "neural_collapse",
            "two_nn",
            "cka",
            "label_variation",
            "vpm",
            "vr",
            "wcv",
            "dbi_mixup",
            "persistent_homology"
        ]
    );
    assert_eq!(
        ids("augmentation"),
        ["mixup_accuracy", "noise_response", "always_generalize", "gi_score", "pal_score"]
    );
    assert_eq!(
        ids("calibration"),
        ["cross_entropy", "negative_entropy", "expected_calibration_error", "confidence", "temperature"]
    );
    assert_eq!(
        ids("gradient"),
        [
            "jacobian_norm",
            "input_gradient_norm",
            "gradient_noise",
            "gsnr",
            "gradient_coherence",
            "fisher_rao",
            "tic",
            "iiw"
        ]
    );
    assert_eq!(
        ids("sharpness"),
        [
            "sharpness",
            "average_sharpness",
            "sharpness_flatness",
            "sharpness_init",
            "sharpness_orig",
            "sharpness_mag_flatness",
            "sharpness_mag_init",
            "sharpness_mag_orig",
            "sam",
            "asam",
            "hessian_max",
            "hessian_trace",
            "hessian_density",
            "relative_flatness",
            "minimum_sharpness"
        ]
    );
    assert_eq!(
        ids("pac_bayes"),
        [
            "pac_bayes_init",
            "pac_bayes_orig",
            "pac_bayes_flatness",
            "pac_bayes_mag_init",
            "pac_bayes_mag_orig",
            "pac_bayes_mag_flatness",
            "pac_bayes_bound",
            "compression_bound"
        ]
    );
    assert_eq!(
        ids("singular"),
        ["llc", "wbic", "waic", "singular_fluctuation", "bayes_error", "gibbs_error", "posterior_gap"]
    );
    assert_eq!(ids("robustness"), ["layer_reinit", "layer_rerandomize", "module_criticality"]);
    assert_eq!(
        ids("description_length"),
        ["quantized_bits", "pruning_curve", "two_part_code", "prequential", "intrinsic_dimension"]
    );
    assert_eq!(
        ids("stability"),
        ["leave_one_out", "influence_trace", "empirical_rademacher", "disagreement"]
    );
    assert_eq!(ids("information"), ["weight_information", "fmi_bound"]);
    assert_eq!(ids("learned"), ["nc", "linear_signature"]);
}

#[test]
fn the_controls_are_exactly_the_family_of_that_name() {
    for info in registry().infos() {
        assert_eq!(info.control, info.family == "controls", "{}", info.id);
    }
}

#[test]
fn lists_and_spellings_resolve() {
    let registry = registry();
    let specs = |text: &str| -> Vec<String> {
        registry.resolve_list(text).unwrap().iter().map(|one| one.spec.to_string()).collect()
    };
    assert_eq!(
        specs("vc_dim,margin:variant=as_coded,p=5.0,params,margin:p=10"),
        ["vc_dim", "margin:p=5,variant=as_coded", "params", "margin"]
    );
    assert_eq!(specs("family:capacity,depth,params"), ["params", "depth", "vc_dim", "vc_dim_fgm"]);
    assert_eq!(specs("all").len(), registry.infos().count());
}

#[test]
fn mistakes_are_answered_with_what_was_meant() {
    let registry = registry();
    let refused = |text: &str| {
        let error = registry.resolve_list(text).unwrap_err();
        format!("{error} | {}", error.hint().unwrap_or_default())
    };
    assert_eq!(refused("magrin"), "unknown measure `magrin` | did you mean `margin`?");
    assert_eq!(refused("family:norm"), "unknown measure family `norm` | did you mean `norms`?");
    assert_eq!(
        refused("margin:p=101"),
        "measure `margin`: parameter `p=101` is not legal: it takes a number from 0 to 100 | "
    );
    assert!(
        refused("margin:q=1").contains("`p`, a number from 0 to 100; `variant`, one of signed, as_coded")
    );
    assert!(refused("params:p=1").contains("it takes no parameters"));
    assert!(refused("margin:variant=absolute").contains("one of signed, as_coded"));
    assert!(refused("noisy_oracle:sigma=-1").contains("a number of at least 0"));
    assert!(refused("expected_calibration_error:bins=2.5").contains("an integer from 1 to 100000"));
    assert!(refused("margin:p=5,p=6").contains("twice"));
    assert!(refused("margin:p=nan").contains("not legal"));
}

#[test]
fn the_explanation_has_its_headings_in_order() {
    for info in registry().infos() {
        let text = explain::text(info);
        let markdown = explain::markdown(info);
        let mut at = 0;
        let headings = ["Measure", "Formula", "Shapes", "Paper", "Needs", "Cost", "Invariances", "Behaviour"];
        for heading in headings {
            let found = text[at..]
                .find(&format!("\n{heading}\n  "))
                .unwrap_or_else(|| panic!("{heading} in {}", info.id));
            at += found;
            assert!(markdown.contains(&format!("\n### {heading}\n\n")), "{heading} in {}", info.id);
        }
        assert_eq!(text.contains("\nParameters\n"), !info.parameters.is_empty());
    }
}
