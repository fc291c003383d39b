//! The values of composites, from those of the measures they are made of.

use pgdl_measure::{Asked, Composite, Estimate, MeasureSpec, Request};
use pgdl_run::Record;

use crate::population::Population;
use crate::values::{Entry, MeasureValues, ValueStatus, values_from_records};

/// The value of a composite on one network, where `of` gives what is known of each measure there.
///
/// A composite has a value where all its measures have one and its expression is defined; its standard error is
/// [`pgdl_measure::Expression::evaluate`]'s. Otherwise its status is the gravest of its measures', and the reason names
/// the first measure that has it; or `undefined`, where only the expression has no value.
pub fn composite_entry(composite: &Composite, of: impl Fn(&MeasureSpec) -> Entry) -> Entry {
    let mut gravest: Option<(ValueStatus, String)> = None;
    let mut known: Vec<(&MeasureSpec, Estimate)> = Vec::new();
    for measure in composite.expression.ingredients() {
        match of(measure) {
            Entry::Value { value, standard_error } => {
                known.push((measure, Estimate { value, standard_error }))
            }
            Entry::Absent { status, reason } => {
                if gravest.as_ref().is_none_or(|(gravest, _)| status > *gravest) {
                    gravest = Some((status, named(measure, status, &reason)));
                }
            }
        }
    }
    if let Some((status, reason)) = gravest {
        return Entry::absent(status, reason);
    }
    let estimate = |measure: &MeasureSpec| {
        let found = known.iter().find(|(known, _)| *known == measure);
        found.map_or(Estimate { value: f64::NAN, standard_error: None }, |(_, estimate)| *estimate)
    };
    match composite.expression.evaluate(estimate) {
        Ok(Estimate { value, standard_error }) => Entry::Value { value, standard_error },
        Err(error) => Entry::absent(ValueStatus::Undefined, error.to_string()),
    }
}

fn named(measure: &MeasureSpec, status: ValueStatus, reason: &str) -> String {
    if reason.is_empty() { format!("`{measure}` is {status}") } else { format!("`{measure}`: {reason}") }
}

/// The values of everything that was asked for, measures and composites, in that order.
///
/// `records` count as for [`values_from_records`]. The seconds of a composite are those of its measures together.
pub fn requested_values<'a>(
    population: &Population,
    request: &Request,
    records: impl IntoIterator<Item = &'a Record>,
) -> Vec<MeasureValues> {
    let columns = values_from_records(population, records);
    let values = |asked: &Asked| match asked {
        Asked::Measure(spec) => column(&columns, spec).cloned().unwrap_or_else(|| MeasureValues {
            measure: spec.to_string(),
            entries: population.networks.iter().map(|_| Entry::missing()).collect(),
            seconds: None,
            expression: None,
        }),
        Asked::Composite(composite) => composite_values(population, composite, &columns),
    };
    request.asked.iter().map(values).collect()
}

/// The values of a composite, from those of its measures, as far as they are among `columns`. Its seconds are those of
/// its measures together.
pub fn composite_values(
    population: &Population,
    composite: &Composite,
    columns: &[MeasureValues],
) -> MeasureValues {
    let entry = |measure: &MeasureSpec, place: usize| {
        let found = column(columns, measure).and_then(|column| column.entries.get(place));
        found.cloned().unwrap_or_else(Entry::missing)
    };
    MeasureValues {
        measure: composite.label(),
        entries: (0..population.networks.len())
            .map(|place| composite_entry(composite, |measure| entry(measure, place)))
            .collect(),
        seconds: composite
            .expression
            .ingredients()
            .into_iter()
            .filter_map(|measure| column(columns, measure)?.seconds)
            .reduce(|sum, seconds| sum + seconds),
        expression: Some(composite.expression.to_string()),
    }
}

fn column<'a>(columns: &'a [MeasureValues], measure: &MeasureSpec) -> Option<&'a MeasureValues> {
    columns.iter().find(|column| column.measure == measure.as_str())
}

#[cfg(test)]
mod tests {
    use pgdl_measure::{
        Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe, Registry, RegistryError,
    };

    use super::*;
    use crate::example::{population, record};

    struct Known(&'static MeasureInfo);

    impl Measure for Known {
        fn info(&self) -> &MeasureInfo {
            self.0
        }

        fn evaluate(&self, _: &Probe) -> Result<Measured, MeasureError> {
            MeasureError::failed("composites are made from records alone")
        }
    }

    fn request(text: &str) -> Result<Request, RegistryError> {
        let mut registry = Registry::new();
        for id in ["margin", "l2_norm", "accuracy"] {
            let info: &'static MeasureInfo = Box::leak(Box::new(MeasureInfo {
                id,
                family: "examples",
                version: 1,
                title: "",
                formula: "",
                shapes: "",
                paper: "",
                needs: &[],
                cost: "",
                invariances: Invariances::ALL,
                behaviour: "",
                stochastic: false,
                control: false,
                parameters: &[],
            }));
            registry.add(info, move |_| Ok(Box::new(Known(info))))?;
        }
        registry.request(text)
    }

    /// A record with a value of its own.
    fn valued(network: u64, measure: &str, value: f64, standard_error: Option<f64>) -> Record {
        Record {
            value: Some(value),
            standard_error,
            ..record(network, measure, "", "ok", 0, "2026-01-01T00:00:00Z")
        }
    }

    fn without(network: u64, measure: &str, status: &str) -> Record {
        record(network, measure, "", status, 0, "2026-01-01T00:00:00Z")
    }

    #[test]
    fn composites_are_computed_network_by_network_with_their_errors() {
        let records = [
            valued(10, "margin", 3.0, Some(0.1)),
            valued(10, "accuracy", 0.75, Some(0.01)),
            valued(20, "margin", 5.0, None),
            valued(20, "accuracy", 0.5, None),
        ];
        let request = request("accuracy, win = margin * (1 - accuracy)").unwrap();
        let [accuracy, win] = requested_values(&population(), &request, &records).try_into().unwrap();
        assert_eq!((accuracy.measure.as_str(), accuracy.expression), ("accuracy", None));
        assert_eq!(win.measure, "win");
        assert_eq!(win.expression.as_deref(), Some("margin * (1 - accuracy)"));
        let Entry::Value { value, standard_error: Some(error) } = win.entries[0] else { panic!("a value") };
        assert_eq!(value, 0.75);
        // √((¼ · 0.1)² + (3 · 0.01)²)
        assert!((error - 0.039_051_248_379_533_27).abs() < 1e-15, "{error}");
        assert_eq!(win.entries[1], Entry::Value { value: 2.5, standard_error: None });
        assert_eq!(win.entries[2], Entry::absent(ValueStatus::Missing, "`margin` is missing"));
        assert_eq!(win.covered(), 2);
        assert_eq!(win.seconds, Some(1.0), "four records of a quarter of a second");
    }

    #[test]
    fn the_gravest_ingredient_decides_and_is_named() {
        let records = [
            without(10, "margin", "undefined"),
            valued(10, "l2_norm", 1.0, None),
            without(20, "margin", "undefined"),
            without(20, "l2_norm", "timeout"),
        ];
        let request = request("margin / l2_norm").unwrap();
        let [ratio] = requested_values(&population(), &request, &records).try_into().unwrap();
        assert_eq!(ratio.measure, "margin / l2_norm");
        assert_eq!(ratio.entries[0], Entry::absent(ValueStatus::Undefined, "`margin`: a reason"));
        assert_eq!(ratio.entries[1], Entry::absent(ValueStatus::Timeout, "`l2_norm`: a reason"));
    }

    #[test]
    fn an_expression_without_a_value_is_undefined_with_the_reason() {
        let records = [
            valued(10, "margin", 1.0, Some(0.5)),
            valued(10, "l2_norm", 0.0, None),
            valued(20, "margin", -1.0, None),
            valued(20, "l2_norm", 2.0, None),
        ];
        let request = request("margin / l2_norm, ln(margin)").unwrap();
        let [ratio, logarithm] = requested_values(&population(), &request, &records).try_into().unwrap();
        assert_eq!(
            ratio.entries[0],
            Entry::absent(ValueStatus::Undefined, "`margin / l2_norm`: division by zero")
        );
        assert_eq!(ratio.entries[1].value(), Some(-0.5));
        assert_eq!(logarithm.entries[0], Entry::Value { value: 0.0, standard_error: Some(0.5) });
        assert_eq!(
            logarithm.entries[1],
            Entry::absent(ValueStatus::Undefined, "`ln(margin)`: the logarithm of -1")
        );
    }

    #[test]
    fn what_has_no_records_at_all_is_missing() {
        let request = request("margin, 2 * margin").unwrap();
        for values in requested_values(&population(), &request, &[]) {
            assert_eq!((values.status(), values.entries.len()), (ValueStatus::Missing, 8));
            assert_eq!(values.seconds, None);
        }
    }
}
