//! The documentation that is made from what a measure says of itself.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Probe, Registry, explain,
};

static INFO: MeasureInfo = MeasureInfo {
    id: "spread",
    family: "examples",
    version: 3,
    title: "How far the outputs spread.",
    formula: "max f   −   min f",
    shapes: "f: [n, C] logits",
    paper: "An Author 2020, A Title That Is Long Enough To Need A Second Line When It Is Printed On A Terminal Of The \
            Usual Width",
    needs: &[Need::Labels, Need::InitialWeights],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Homogeneous(1.0),
    },
    behaviour: "It grows.",
    stochastic: true,
    control: true,
    parameters: &[
        ParameterInfo {
            name: "p",
            kind: ParameterKind::Float { default: 0.5, min: 0.0, max: 1.0 },
            doc: "a share",
        },
        ParameterInfo {
            name: "of",
            kind: ParameterKind::Choice { default: "all", options: &["all", "best"] },
            doc: "which outputs",
        },
    ],
};

#[test]
fn plain_text_has_fixed_headings_and_wraps() {
    let expected = "\
spread (family examples, version 3, control, random: depends on the seed)

Measure
  How far the outputs spread.

Formula
  max f   −   min f

Shapes
  f: [n, C] logits

Paper
  An Author 2020, A Title That Is Long Enough To Need A Second Line When It Is Printed
  On A Terminal Of The Usual Width

Needs
  labels of the training sample, initial weights

Cost
  1 F

Invariances
  layer rescaling: invariant
  BatchNorm scale: changes
  logit scale: times α

Behaviour
  It grows.

Parameters
  p=0.5: a share (a number from 0 to 1)
  of=all: which outputs (one of all, best)
";
    assert_eq!(explain::text(&INFO), expected);
}

#[test]
fn markdown_has_the_same_headings() {
    let markdown = explain::markdown(&INFO);
    assert!(
        markdown.starts_with(
            "## `spread`\n\n_family examples, version 3, control, random: depends on the seed_\n"
        )
    );
    assert!(markdown.contains("\n### Formula\n\n```text\nmax f   −   min f\n```\n"));
    assert!(markdown.contains(
        "\n- `layer rescaling`: invariant\n- `BatchNorm scale`: changes\n- `logit scale`: times α\n"
    ));
    assert!(markdown.ends_with(
        "\n### Parameters\n\n- `p=0.5`: a share (a number from 0 to 1)\n- `of=all`: which outputs (one of all, best)\n"
    ));
}

struct Spread;

impl Measure for Spread {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, _: &Probe) -> Result<Measured, MeasureError> {
        MeasureError::failed("only explained")
    }
}

#[test]
fn a_composite_is_explained_before_its_measures() {
    let mut registry = Registry::new();
    registry.add(&INFO, |_| Ok(Box::new(Spread))).unwrap();
    let request = registry.request("x = 2 * spread:of=best / spread").unwrap();
    let narrow = explain::request_text(&request, 60);
    assert!(narrow.starts_with(
        "x (composite)\n\nExpression\n  2 * spread:of=best / spread\n\nMeasures\n  spread:of=best: How far the outputs spread.\n"
    ));
    assert!(
        narrow.contains("\nNeeds\n  labels of the training sample, initial weights\n"),
        "each once: {narrow}"
    );
    assert!(narrow.contains("\nspread (family examples"));
    let mut text = narrow.lines().filter(|line| line.starts_with(' '));
    assert!(text.all(|line| line.chars().count() <= 60), "{narrow}");
    assert_eq!(narrow.matches("(family examples").count(), 1, "each measure once");
    let wide = explain::request_text(&request, 1000);
    assert!(wide.ends_with(&explain::text(&INFO)));
    let markdown = explain::request_markdown(&request);
    assert!(markdown.starts_with("## `x`\n\n_composite_\n\n### Expression\n\n2 * spread:of=best / spread\n"));
}
