//! What measures cost alone and together, on a network where it is known.

use std::time::Duration;

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::{
    Invariances, Losses, Measure, MeasureError, MeasureInfo, Measured, Probe, Registry, Resolved,
};
use pgdl_run::{CostOptions, CostReport, CostSubject, Dtype, NetworkCosts, Status, costs};

type Evaluate = fn(&Probe) -> Result<Measured, MeasureError>;

struct Known(&'static MeasureInfo, Evaluate);

impl Measure for Known {
    fn info(&self) -> &MeasureInfo {
        self.0
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        (self.1)(probe)
    }
}

const NAP: Duration = Duration::from_millis(30);

/// Two measures of the same losses (one forward pass that they share), one with a pass of its own over half the sample,
/// one that only sleeps, and one that panics.
const MEASURES: [(&str, Evaluate); 5] = [
    ("mean_loss", |probe| Ok(Measured::value(probe.get(&Losses)?.f_mean(None)?.f_double_value(&[])?))),
    ("worst_loss", |probe| Ok(Measured::value(probe.get(&Losses)?.f_max()?.f_double_value(&[])?))),
    ("own_pass", |probe| {
        let half = probe.inputs().f_narrow(0, 0, probe.sample_size() as i64 / 2)?;
        let sum = probe.forward(&half)?.f_sum(None)?.f_double_value(&[])?;
        Ok(Measured::value(sum).with_standard_error(0.5))
    }),
    ("naps", |_| {
        std::thread::sleep(NAP);
        MeasureError::undefined("it only sleeps")
    }),
    ("panics", |_| panic!("no luck at all")),
];

fn measures(known: &[(&'static str, Evaluate)]) -> Vec<Resolved> {
    let mut registry = Registry::new();
    for &(id, evaluate) in known {
        let info: &'static MeasureInfo = Box::leak(Box::new(MeasureInfo {
            id,
            family: "test",
            version: 3,
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
        registry.add(info, move |_| Ok(Box::new(Known(info, evaluate)))).unwrap();
    }
    registry.resolve_list("all").unwrap()
}

fn measured() -> NetworkCosts {
    let specimen = tiny_networks().unwrap().remove(0);
    costs(&|| Ok(specimen.input()), &measures(&MEASURES), None, &mut |_| {}).unwrap()
}

#[test]
fn passes_are_billed_to_each_alone_and_once_together() {
    let costs = measured();
    let forward: Vec<f64> = costs.measures.iter().map(|measure| measure.passes.forward).collect();
    assert_eq!(forward, [1.0, 1.0, 0.5, 0.0, 0.0]);
    assert_eq!(costs.alone.passes.forward, 2.5);
    assert_eq!(costs.together.passes.forward, 1.5, "the losses are computed once");
}

#[test]
fn outcomes_and_seconds_stand_beside_the_passes() {
    let costs = measured();
    let statuses: Vec<Status> = costs.measures.iter().map(|measure| measure.status).collect();
    assert_eq!(statuses, [Status::Ok, Status::Ok, Status::Ok, Status::Undefined, Status::Failed]);
    assert_eq!(costs.measures[2].standard_error, Some(0.5));
    assert_eq!(costs.measures[3].message.as_deref(), Some("it only sleeps"));
    assert!(costs.measures[4].message.as_ref().unwrap().contains("no luck at all"));
    let naps = &costs.measures[3];
    assert!(naps.seconds >= NAP.as_secs_f64() && naps.seconds_together >= NAP.as_secs_f64());
    let sum: f64 = costs.measures.iter().map(|measure| measure.seconds).sum();
    assert!((costs.alone.seconds - sum).abs() < 1e-9);
    assert!((costs.ratio() - costs.together.seconds / sum).abs() < 1e-9);
}

#[test]
fn a_measure_is_told_when_its_time_is_up() {
    let specimen = tiny_networks().unwrap().remove(0);
    let asks: [(&'static str, Evaluate); 1] = [("asks", |probe| {
        probe.check_deadline()?;
        Ok(Measured::value(0.0))
    })];
    let status = |limit| {
        let costs = costs(&|| Ok(specimen.input()), &measures(&asks), limit, &mut |_| {}).unwrap();
        costs.measures[0].status
    };
    assert_eq!(status(Some(Duration::ZERO)), Status::Timeout);
    assert_eq!(status(None), Status::Ok);
}

#[test]
fn a_report_reads_back() {
    let options = CostOptions {
        device: "cpu".into(),
        dtype: Dtype::Float32,
        sample: None,
        seed: 0,
        batch_size: 256,
        threads: 1,
        limit: None,
    };
    let costs = measured();
    let subject = CostSubject {
        network: "tiny".into(),
        parameters: 7,
        sample: 60,
        device: "cpu".into(),
        ratio: costs.ratio(),
        costs,
    };
    let report = CostReport::new(&options, vec![subject]);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<CostReport>(&text).unwrap(), report);
}
