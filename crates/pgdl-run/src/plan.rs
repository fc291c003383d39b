//! The plan of a run: networks × measures, minus what valid records already hold.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use pgdl_measure::{Need, Resolved};
use pgdl_zoo::Zoo;

use crate::error::{Result, RunError};
use crate::protocol::Dtype;
use crate::record::{Key, Record};
use crate::shard::Shard;

/// What is to become of evaluations that records hold already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// A valid record stands, whatever its status: only what is missing is evaluated.
    #[default]
    OnlyMissing,
    /// Valid records that are `ok` stand; the others are tried again.
    RetryFailed,
    /// Everything is evaluated again.
    Force,
}

/// What a plan is made for, besides the zoo and the measures.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Seed of the run.
    pub seed: u64,
    /// How many training samples the measures see, from the front of the training set; `None`: all.
    pub sample: Option<u64>,
    /// Floating-point type of weights and inputs.
    pub dtype: Dtype,
    /// Only these networks; `None`: all.
    pub networks: Option<Vec<u64>>,
    /// Only this part of the networks.
    pub shard: Option<Shard>,
    /// What is to become of evaluations that records hold already.
    pub reuse: Reuse,
}

/// A zoo as far as plans and records need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZooIdentity {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub root: PathBuf,
    /// SHA-256 of all of it.
    pub digest: String,
    /// SHA-256 of its data.
    pub data_digest: String,
    /// Size of its training set.
    pub train_size: u64,
    /// Its networks, in its order.
    pub networks: Vec<u64>,
}

impl ZooIdentity {
    /// Looks at a zoo. Reads its files once, for their digests.
    ///
    /// # Errors
    /// [`RunError::Zoo`] if a file is missing or cannot be read.
    pub fn of(zoo: &Zoo) -> Result<ZooIdentity> {
        Ok(ZooIdentity {
            name: zoo.name().to_owned(),
            root: zoo.root().to_owned(),
            digest: zoo.digest()?,
            data_digest: zoo.data_digest()?,
            train_size: zoo.train_size()? as u64,
            networks: zoo.networks().iter().map(|network| network.id).collect(),
        })
    }
}

/// A network of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its id in the zoo.
    pub network: u64,
    /// SHA-256 over its files.
    pub weights_digest: String,
}

/// A measure of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The measure with its parameters, in canonical form.
    pub spec: String,
    /// The measure's id.
    pub measure: String,
    /// Its version.
    pub version: u32,
    /// Its parameters, in canonical form.
    pub parameters: String,
    /// What must exist besides network and training sample.
    pub needs: Vec<Need>,
}

impl Question {
    /// The question that a measure puts.
    pub fn of(resolved: &Resolved) -> Question {
        let info = resolved.measure.info();
        Question {
            spec: resolved.spec.as_str().to_owned(),
            measure: resolved.spec.id().to_owned(),
            version: info.version,
            parameters: resolved.spec.parameters().to_owned(),
            needs: info.needs.to_vec(),
        }
    }
}

/// One network with the measures that are still to be evaluated on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// Index of the network among the plan's subjects.
    pub subject: usize,
    /// Indices of the measures among the plan's questions.
    pub questions: Vec<usize>,
}

/// Networks × measures, and what of it is still to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) zoo: ZooIdentity,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) questions: Vec<Question>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) options: PlanOptions,
    pub(crate) sample: u64,
    held: usize,
    outdated: usize,
}

impl Plan {
    /// Plans the evaluation of `measures` on the networks of `zoo`, given the records there are.
    ///
    /// # Errors
    /// [`RunError::UnknownNetwork`] if the options name one; [`RunError::Zoo`] if a network's files cannot be read.
    pub fn new(zoo: &Zoo, measures: &[Resolved], records: &[Record], options: PlanOptions) -> Result<Plan> {
        let identity = ZooIdentity::of(zoo)?;
        let questions = measures.iter().map(Question::of).collect();
        Plan::from_parts(identity, questions, records, options, |network| {
            Ok(zoo.weights_digest_or_unreadable(network)?)
        })
    }

    /// As [`Plan::new`], of a zoo's identity and questions, with `weights_digest` giving the digest of a network.
    ///
    /// # Errors
    /// As [`Plan::new`], and those of `weights_digest`.
    pub fn from_parts(
        zoo: ZooIdentity,
        questions: Vec<Question>,
        records: &[Record],
        options: PlanOptions,
        weights_digest: impl Fn(u64) -> Result<String>,
    ) -> Result<Plan> {
        let mut subjects = Vec::new();
        for network in selected(&zoo, &options)? {
            subjects.push(Subject { network, weights_digest: weights_digest(network)? });
        }
        let sample = options.sample.map_or(zoo.train_size, |sample| sample.min(zoo.train_size));
        let jobs = Vec::new();
        let mut plan = Plan { zoo, subjects, questions, jobs, options, sample, held: 0, outdated: 0 };

        let held = Held::of(records);
        let all: Vec<usize> = (0..plan.questions.len()).collect();
        for subject in 0..plan.subjects.len() {
            let questions = plan.missing(subject, &all, &held);
            if !questions.is_empty() {
                plan.jobs.push(Job { subject, questions });
            }
        }
        plan.held = plan.size() - plan.outstanding();
        plan.outdated = plan.count_outdated(records);
        Ok(plan)
    }

    /// The zoo.
    pub fn zoo(&self) -> &ZooIdentity {
        &self.zoo
    }

    /// The networks, those without work included.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// The measures.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// What the plan was made for.
    pub fn options(&self) -> &PlanOptions {
        &self.options
    }

    /// The number of training samples that the measures see.
    pub fn sample(&self) -> u64 {
        self.sample
    }

    /// Networks × measures.
    pub fn size(&self) -> usize {
        self.subjects.len() * self.questions.len()
    }

    /// Evaluations that valid records hold.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Evaluations still to be done.
    pub fn outstanding(&self) -> usize {
        self.jobs.iter().map(|job| job.questions.len()).sum()
    }

    /// Networks with evaluations still to be done.
    pub fn networks_outstanding(&self) -> usize {
        self.jobs.len()
    }

    /// Records of these networks and measures that are no longer valid: made with other weights or data, or by another
    /// version of the measure. (Those made with another seed, sample or type are valid for another plan.)
    pub fn outdated(&self) -> usize {
        self.outdated
    }

    /// The records that answer the plan, at most one for each network and measure: of valid ones the newest that is
    /// `ok`, or else the newest. In the plan's order: by network, then by measure. `records` are in the order in which
    /// they were written.
    pub fn answers<'a>(&self, records: &'a [Record]) -> Vec<&'a Record> {
        let mut best: HashMap<(Key, Option<&str>), &Record> = HashMap::new();
        for record in records {
            for zoo in [None, Some(record.zoo_digest.as_str())] {
                best.entry((record.key(), zoo))
                    .and_modify(|best| {
                        if record.status.is_ok() || !best.status.is_ok() {
                            *best = record;
                        }
                    })
                    .or_insert(record);
            }
        }
        let cells = (0..self.subjects.len())
            .flat_map(|subject| (0..self.questions.len()).map(move |question| (subject, question)));
        cells
            .filter_map(|(subject, question)| {
                best.get(&(self.key(subject, question), self.scope(question))).copied()
            })
            .collect()
    }

    /// What a record must have to answer a question about a subject.
    pub(crate) fn key(&self, subject: usize, question: usize) -> Key {
        let (subject, question) = (&self.subjects[subject], &self.questions[question]);
        Key {
            network: subject.network,
            measure: question.measure.clone(),
            version: question.version,
            parameters: question.parameters.clone(),
            weights_digest: subject.weights_digest.clone(),
            data_digest: self.zoo.data_digest.clone(),
            sample: self.sample,
            seed: self.options.seed,
            dtype: self.options.dtype.as_str().to_owned(),
        }
    }

    /// The zoo's digest where the question's answer depends on all of the zoo: on the gaps of other networks.
    fn scope(&self, question: usize) -> Option<&str> {
        self.questions[question].needs.contains(&Need::TrueGaps).then_some(self.zoo.digest.as_str())
    }

    /// Those of `questions` about a subject that are to be evaluated, given what is held.
    pub(crate) fn missing(&self, subject: usize, questions: &[usize], held: &Held) -> Vec<usize> {
        let missing = |&question: &usize| {
            !held.stands(&self.key(subject, question), self.scope(question), self.options.reuse)
        };
        questions.iter().copied().filter(missing).collect()
    }

    fn count_outdated(&self, records: &[Record]) -> usize {
        let current: HashMap<u64, &str> =
            self.subjects.iter().map(|subject| (subject.network, subject.weights_digest.as_str())).collect();
        let versions: HashMap<&str, u32> =
            self.questions.iter().map(|question| (question.spec.as_str(), question.version)).collect();
        let outdated = |record: &&Record| {
            let (Some(&weights), Some(&version)) =
                (current.get(&record.network), versions.get(record.spec().as_str()))
            else {
                return false;
            };
            record.zoo == self.zoo.name
                && (record.weights_digest != weights
                    || record.version != version
                    || record.data_digest != self.zoo.data_digest)
        };
        records.iter().filter(outdated).count()
    }
}

/// The networks that the options leave, in the zoo's order. Parts are dealt from these.
fn selected(zoo: &ZooIdentity, options: &PlanOptions) -> Result<Vec<u64>> {
    let wanted: Option<HashSet<u64>> =
        options.networks.as_ref().map(|wanted| wanted.iter().copied().collect());
    if let Some(wanted) = &options.networks
        && let Some(&network) = wanted.iter().find(|network| !zoo.networks.contains(network))
    {
        return Err(RunError::UnknownNetwork { zoo: zoo.name.clone(), network });
    }
    let wanted =
        zoo.networks.iter().filter(|network| wanted.as_ref().is_none_or(|wanted| wanted.contains(network)));
    let in_shard = |position| options.shard.is_none_or(|shard| shard.holds(position));
    Ok(wanted.enumerate().filter(|(position, _)| in_shard(*position)).map(|(_, &network)| network).collect())
}

/// Which evaluations records hold, from before this run and from its time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(HashMap<(Key, Option<String>), Standing>);

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    ok: bool,
    /// Written since the run began, by this process or another.
    fresh: bool,
}

impl Held {
    /// What the records from before the run hold.
    pub(crate) fn of(records: &[Record]) -> Held {
        let mut held = Held::default();
        records.iter().for_each(|record| held.add(record, false));
        held
    }

    /// Adds a record that was written since the run began.
    pub(crate) fn add_fresh(&mut self, record: &Record) {
        self.add(record, true);
    }

    fn add(&mut self, record: &Record, fresh: bool) {
        for zoo in [None, Some(record.zoo_digest.clone())] {
            let standing = self.0.entry((record.key(), zoo)).or_default();
            standing.ok |= record.status.is_ok();
            standing.fresh |= fresh;
        }
    }

    fn stands(&self, key: &Key, zoo: Option<&str>, reuse: Reuse) -> bool {
        let Some(standing) = self.0.get(&(key.clone(), zoo.map(str::to_owned))) else { return false };
        match reuse {
            Reuse::OnlyMissing => true,
            Reuse::RetryFailed => standing.ok || standing.fresh,
            Reuse::Force => standing.fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::record::tests::sample_record;

    fn zoo() -> ZooIdentity {
        ZooIdentity {
            name: "tiny".into(),
            root: PathBuf::from("/nowhere"),
            digest: "z".repeat(64),
            data_digest: "d".repeat(64),
            train_size: 100,
            networks: vec![3, 7, 20, 21],
        }
    }

    fn question(measure: &str) -> Question {
        Question {
            spec: measure.into(),
            measure: measure.into(),
            version: 1,
            parameters: String::new(),
            needs: Vec::new(),
        }
    }

    fn options(reuse: Reuse) -> PlanOptions {
        PlanOptions { seed: u64::MAX, reuse, ..PlanOptions::default() }
    }

    fn plan(records: &[Record], options: PlanOptions) -> Result<Plan> {
        let questions = vec![question("l2_norm"), question("margin")];
        Plan::from_parts(zoo(), questions, records, options, |network| Ok(format!("{network:064x}")))
    }

    fn outstanding(plan: &Plan) -> Vec<(u64, Vec<&str>)> {
        let specs = |job: &Job| {
            job.questions.iter().map(|&question| plan.questions[question].spec.as_str()).collect()
        };
        plan.jobs.iter().map(|job| (plan.subjects[job.subject].network, specs(job))).collect()
    }

    #[test]
    fn without_records_everything_is_to_be_done() {
        let plan = plan(&[], options(Reuse::OnlyMissing)).unwrap();
        assert_eq!((plan.size(), plan.held(), plan.outstanding()), (8, 0, 8));
        assert_eq!(outstanding(&plan)[1], (7, vec!["l2_norm", "margin"]));
    }

    #[test]
    fn reuse_decides_what_a_record_stands_for() {
        let records = [sample_record(3, "l2_norm", Status::Ok), sample_record(3, "margin", Status::Crashed)];
        let of_three = |reuse| {
            let plan = plan(&records, options(reuse)).unwrap();
            outstanding(&plan)
                .into_iter()
                .find(|(network, _)| *network == 3)
                .map(|(_, specs)| specs.join(" "))
        };
        assert_eq!(of_three(Reuse::OnlyMissing), None);
        assert_eq!(of_three(Reuse::RetryFailed), Some("margin".into()));
        assert_eq!(of_three(Reuse::Force), Some("l2_norm margin".into()));
    }

    #[test]
    fn a_record_is_valid_by_content_alone() {
        type Change = fn(&mut Record);
        let still_valid: [(&str, Change); 4] = [
            ("device", |record| record.device = "cuda:0".into()),
            ("time", |record| record.utc = String::new()),
            ("zoo's name", |record| record.zoo = "renamed".into()),
            ("zoo's digest", |record| record.zoo_digest = "grown".into()),
        ];
        let invalid: [(&str, Change); 8] = [
            ("measure", |record| record.measure = "margin".into()),
            ("version", |record| record.version = 2),
            ("parameters", |record| record.parameters = "p=5".into()),
            ("weights", |record| record.weights_digest = "other".into()),
            ("data", |record| record.data_digest = "other".into()),
            ("sample", |record| record.sample = 99),
            ("seed", |record| record.seed = 0),
            ("dtype", |record| record.dtype = "float64".into()),
        ];
        let held = |change: Change| {
            let mut record = sample_record(3, "l2_norm", Status::Ok);
            change(&mut record);
            let records = [record];
            let plan = plan(&records, options(Reuse::OnlyMissing)).unwrap();
            let answered = plan.answers(&records).iter().any(|record| record.measure == "l2_norm");
            let held = !outstanding(&plan)[0].1.contains(&"l2_norm");
            assert_eq!(answered, held);
            held
        };
        for (what, change) in still_valid {
            assert!(held(change), "another {what} leaves a record valid");
        }
        for (what, change) in invalid {
            assert!(!held(change), "another {what} makes a record invalid");
        }
    }

    #[test]
    fn what_looked_at_the_true_gaps_is_valid_for_the_very_same_zoo_only() {
        let mut control = question("l2_norm");
        control.needs = vec![Need::TrueGaps];
        let mut record = sample_record(3, "l2_norm", Status::Ok);
        let outstanding = |record: &Record| {
            let records = std::slice::from_ref(record);
            let plan = Plan::from_parts(
                zoo(),
                vec![control.clone()],
                records,
                options(Reuse::OnlyMissing),
                |network| Ok(format!("{network:064x}")),
            );
            plan.unwrap().outstanding()
        };
        assert_eq!(outstanding(&record), 3);
        record.zoo_digest = "other gaps".into();
        assert_eq!(outstanding(&record), 4);
    }

    #[test]
    fn outdated_records_are_counted() {
        let mut old = sample_record(3, "l2_norm", Status::Ok);
        old.weights_digest = "before".into();
        let mut other_seed = sample_record(3, "l2_norm", Status::Ok);
        other_seed.seed = 1;
        assert_eq!(plan(&[old, other_seed], options(Reuse::OnlyMissing)).unwrap().outdated(), 1);
    }

    #[test]
    fn the_sample_is_never_larger_than_the_training_set() {
        let with =
            |sample| plan(&[], PlanOptions { sample, ..options(Reuse::OnlyMissing) }).unwrap().sample();
        assert_eq!([with(None), with(Some(10)), with(Some(1000))], [100, 10, 100]);
    }

    #[test]
    fn shards_and_named_networks_select() {
        let networks = |networks: Option<Vec<u64>>, shard: Option<&str>| {
            let shard = shard.map(|shard| shard.parse().unwrap());
            let plan = plan(&[], PlanOptions { networks, shard, ..options(Reuse::OnlyMissing) })?;
            Ok::<_, RunError>(plan.subjects().iter().map(|subject| subject.network).collect::<Vec<_>>())
        };
        assert_eq!(networks(None, Some("1/3")).unwrap(), [3, 21]);
        assert_eq!(networks(Some(vec![21, 7]), None).unwrap(), [7, 21], "in the zoo's order");
        assert_eq!(networks(Some(vec![21, 7]), Some("2/2")).unwrap(), [21]);
        let error = networks(Some(vec![4]), None).unwrap_err();
        assert_eq!(error.to_string(), "zoo tiny has no network 4");
    }

    #[test]
    fn of_several_answers_the_newest_ok_one_counts() {
        let with_value = |value| Record { value: Some(value), ..sample_record(3, "margin", Status::Ok) };
        let failed = sample_record(3, "margin", Status::Failed);
        let timeout = sample_record(3, "margin", Status::Timeout);
        let plan = plan(&[], options(Reuse::OnlyMissing)).unwrap();
        let records = [with_value(1.0), failed.clone(), with_value(2.0), timeout.clone()];
        assert_eq!(plan.answers(&records), [&records[2]]);
        let records = [failed, timeout];
        assert_eq!(plan.answers(&records), [&records[1]]);
    }
}
