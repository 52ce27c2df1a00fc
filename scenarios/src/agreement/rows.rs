//! What a comparison of a recorded run with its simulation says, row by row.

use ktrial_models::history::{Invariant, Verdict};
use ktrial_sim::Duration;

/// How a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What the real run showed, the simulation shows too.
    Agrees,
    /// It does not, and a number that was measured in the real run says why.
    Explained(String),
    /// It does not: a finding about the models.
    Disagrees(String),
    /// What the real run did there is not simulated yet.
    Open(String),
}

/// Least, median and most over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<T> {
    /// The least.
    pub least: T,
    /// The median (the lower one of two).
    pub median: T,
    /// The most.
    pub most: T,
}

impl<T: Copy + Ord> Range<T> {
    /// Of these values; none of none.
    pub fn of(values: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut values: Vec<T> = values.into_iter().collect();
        values.sort_unstable();
        Some(Range {
            least: *values.first()?,
            median: values[(values.len() - 1) / 2],
            most: *values.last()?,
        })
    }

    /// Whether a value lies in it, ends included.
    pub fn contains(&self, value: T) -> bool {
        self.least <= value && value <= self.most
    }
}

/// In how many seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Among {
    /// In so many,
    pub k: u64,
    /// of so many.
    pub n: u64,
}

/// A fault of the experiment, by when it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRow {
    /// What was done to whom, as the recording names it.
    pub fault: String,
    /// After the first send of the real run; none if the recording lacks it.
    pub real: Option<Duration>,
    /// After the first send of the simulated runs; none if they lack it.
    pub simulated: Option<Range<Duration>>,
    /// How it stands. Instants are told, not judged: a harness is late as it pleases.
    pub standing: Standing,
}

/// What was sent between two faults: measured, and the measure by which counts are explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The fault that it begins with; none: the first send.
    pub after: Option<String>,
    /// How long it was in the real run.
    pub real_length: Duration,
    /// How many records the real run sent in it.
    pub real_sent: u64,
    /// How long it was in the simulated runs.
    pub simulated_length: Range<Duration>,
    /// How many records they sent in it.
    pub simulated_sent: Range<u64>,
}

/// The verdict of one invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictRow {
    /// Which.
    pub invariant: Invariant,
    /// Of the real run.
    pub real: Verdict,
    /// Verdicts of the simulated runs, with how many seeds came to each.
    pub simulated: Vec<(Verdict, Among)>,
    /// How it stands.
    pub standing: Standing,
}

/// A number of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountRow {
    /// Of what.
    pub name: String,
    /// In the real run.
    pub real: u64,
    /// In the simulated runs.
    pub simulated: Range<u64>,
    /// In how many of them there was any.
    pub with: Among,
    /// The simulated numbers if as many records had been sent between the faults as in the real run.
    pub scaled: (u64, u64),
    /// How it stands.
    pub standing: Standing,
}

/// What groups of consumers went through, as one number or one length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Of what.
    pub name: String,
    /// In the real run.
    pub real: Amount,
    /// In the simulated runs.
    pub simulated: Range<Amount>,
    /// How it stands.
    pub standing: Standing,
}

/// A number or a length of time. In one row all are of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// So many.
    Count(u64),
    /// So long.
    Time(Duration),
}

/// What a partition went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourseRow {
    /// Which partition.
    pub partition: String,
    /// Leader, ISR, ELR and last known ELR by roles, one state after the other.
    pub states: Vec<String>,
    /// How many seeds took the course.
    pub taken: Among,
    /// The first of them.
    pub first_seed: Option<u64>,
    /// How many states of it the simulation takes at most, one after the other.
    pub furthest: usize,
    /// How it stands.
    pub standing: Standing,
}

/// The time from a fault to a change that followed it. Negative: in some seed it came before the fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRow {
    /// Which partition.
    pub partition: String,
    /// The fault, with nodes by their roles.
    pub fault: String,
    /// Which state of the course, from 0.
    pub step: usize,
    /// That state.
    pub change: String,
    /// Nanoseconds in the real run, as its observer saw it.
    pub real: i64,
    /// Nanoseconds in the simulated runs that take the course as far as this; none if none does.
    pub simulated: Option<Range<i64>>,
    /// How many runs that are.
    pub of: u64,
    /// How it stands.
    pub standing: Standing,
}

/// A recorded run beside its simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// What made the recording.
    pub source: String,
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds were simulated.
    pub seeds: u64,
    /// The faults.
    pub faults: Vec<FaultRow>,
    /// What was sent between them.
    pub phases: Vec<Phase>,
    /// Verdicts.
    pub verdicts: Vec<VerdictRow>,
    /// Numbers of records.
    pub counts: Vec<CountRow>,
    /// Groups of consumers.
    pub groups: Vec<GroupRow>,
    /// Courses of partitions.
    pub courses: Vec<CourseRow>,
    /// Times from faults to changes.
    pub times: Vec<TimeRow>,
}

impl Agreement {
    /// Every row's name and how it stands, in the order of reports.
    pub fn rows(&self) -> Vec<(String, &Standing)> {
        let faults = self.faults.iter().map(|row| (row.name(), &row.standing));
        let verdicts = self.verdicts.iter().map(|row| (row.name(), &row.standing));
        let counts = self.counts.iter().map(|row| (row.name.clone(), &row.standing));
        let groups = self.groups.iter().map(|row| (row.name.clone(), &row.standing));
        let courses = self.courses.iter().map(|row| (row.name(), &row.standing));
        let times = self.times.iter().map(|row| (row.name(), &row.standing));
        faults
            .chain(verdicts)
            .chain(counts)
            .chain(groups)
            .chain(courses)
            .chain(times)
            .collect()
    }

    fn names(&self, of: impl Fn(&Standing) -> bool) -> Vec<String> {
        let rows = self.rows().into_iter();
        rows.filter(|(_, standing)| of(standing))
            .map(|(name, _)| name)
            .collect()
    }

    /// The names of the rows that disagree.
    pub fn disagreements(&self) -> Vec<String> {
        self.names(|standing| matches!(standing, Standing::Disagrees(_)))
    }

    /// The names of the rows that a measured number explains.
    pub fn explained(&self) -> Vec<String> {
        self.names(|standing| matches!(standing, Standing::Explained(_)))
    }

    /// The names of the rows of which something is not simulated yet.
    pub fn open(&self) -> Vec<String> {
        self.names(|standing| matches!(standing, Standing::Open(_)))
    }
}

impl FaultRow {
    /// Its name among all rows.
    pub fn name(&self) -> String {
        format!("fault {}", self.fault)
    }
}

impl VerdictRow {
    /// Its name among all rows.
    pub fn name(&self) -> String {
        format!("verdict of {}", self.invariant)
    }
}

impl CourseRow {
    /// Its name among all rows.
    pub fn name(&self) -> String {
        format!("course of {}", self.partition)
    }
}

impl TimeRow {
    /// Its name among all rows.
    pub fn name(&self) -> String {
        format!("{}: {} to state {}", self.partition, self.fault, self.step + 1)
    }
}
