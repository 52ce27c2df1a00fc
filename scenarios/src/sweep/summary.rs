//! One arm over all its seeds, added up trial by trial.

use std::collections::BTreeMap;

use ktrial_models::invariants::{Invariant, Verdict};
use ktrial_sim::Duration;

use super::{Latencies, TrialLine, latencies};
use crate::groups::GroupCounts;
use crate::ledger::Counts;
use crate::statistics::Share;

/// One arm over all its seeds.
#[derive(Clone, Debug)]
pub struct ArmSummary {
    /// Sums over all trials.
    pub counts: Counts,
    /// Trials that lost an acknowledged record.
    pub with_loss: Share,
    /// Trials with a duplicate.
    pub with_duplicates: Share,
    /// Trials with reordering.
    pub with_reordering: Share,
    /// What groups came to, if there are any.
    pub groups: Option<GroupSummary>,
    /// How long nothing could be written: least, median and most over the trials.
    pub unwritable: Spread,
    /// From send to acknowledgement, of the acknowledged.
    pub latencies: Latencies,
    /// How many trials ended how.
    pub endings: BTreeMap<String, u64>,
    /// Trials in which an invariant was violated, by verdict; the first seed that shows it.
    pub violations: BTreeMap<(Verdict, Invariant), Violation>,
    /// Trials in which nothing was acknowledged or no fault of the script happened.
    pub vacuous: u64,
    /// In how many trials an invariant was put to the test; none if in none.
    pub exercised: BTreeMap<Invariant, u64>,
    /// Error names with how many sends ended in them.
    pub errors: BTreeMap<String, u64>,
    /// Events and messages, summed.
    pub events: u64,
    /// See `events`.
    pub delivered: u64,
    /// Simulated time, summed.
    pub simulated: Duration,
}

/// What the groups of an arm came to over all its trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSummary {
    /// Sums over all trials, and the most of what is a most.
    pub counts: GroupCounts,
    /// Trials that left a record unprocessed.
    pub with_unprocessed: Share,
    /// Trials that processed a record more than once.
    pub with_twice: Share,
    /// Trials in which two members had a record in work at the same time.
    pub with_together: Share,
    /// Trials that processed a record behind a later one of its key.
    pub with_reordered: Share,
}

impl GroupSummary {
    fn add(&mut self, counts: &GroupCounts) {
        self.counts.add(counts);
        for (share, shown) in [
            (&mut self.with_unprocessed, counts.unprocessed),
            (&mut self.with_twice, counts.processed_twice),
            (&mut self.with_together, counts.processed_together),
            (&mut self.with_reordered, counts.processed_reordered),
        ] {
            share.n += 1;
            share.k += u64::from(shown > 0);
        }
    }
}

/// How often and where an invariant was violated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// In how many trials.
    pub trials: u64,
    /// How many witnesses over all trials, at most 32 of each.
    pub witnesses: u64,
    /// The first seed that shows it.
    pub seed: u64,
}

/// Least, median and most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The least.
    pub least: Duration,
    /// The median (the lower one of two).
    pub median: Duration,
    /// The most.
    pub most: Duration,
}

impl Spread {
    /// Of these values.
    pub fn of(mut values: Vec<Duration>) -> Self {
        values.sort_unstable();
        match (values.first(), values.last()) {
            (Some(least), Some(most)) => Spread {
                least: *least,
                median: values[(values.len() - 1) / 2],
                most: *most,
            },
            _ => Spread::default(),
        }
    }
}

/// What an arm comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArmVerdict {
    /// Nothing was violated.
    Holds,
    /// Nothing was exercised.
    Vacuous,
    /// Something that Kafka does not promise with these settings was violated.
    Exposed,
    /// Something Kafka promises was violated.
    Broken,
}

impl ArmSummary {
    /// Invariants that no trial put to the test: they did not hold, they are VACUOUS.
    pub fn vacuous_invariants(&self) -> Vec<Invariant> {
        let idle = |invariant: &&Invariant| !self.exercised.contains_key(*invariant);
        Invariant::ALL.iter().filter(idle).copied().collect()
    }

    /// What the arm comes to.
    pub fn verdict(&self) -> ArmVerdict {
        if self
            .violations
            .keys()
            .any(|(verdict, _)| *verdict == Verdict::Broken)
        {
            ArmVerdict::Broken
        } else if !self.violations.is_empty() {
            ArmVerdict::Exposed
        } else if self.vacuous == self.with_loss.n {
            ArmVerdict::Vacuous
        } else {
            ArmVerdict::Holds
        }
    }
}

/// Adds trials up.
pub struct Tally {
    summary: ArmSummary,
    unwritable: Vec<Duration>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            summary: ArmSummary {
                counts: Counts::default(),
                with_loss: Share::default(),
                with_duplicates: Share::default(),
                with_reordering: Share::default(),
                groups: None,
                unwritable: Spread::default(),
                latencies: latencies(),
                endings: BTreeMap::new(),
                violations: BTreeMap::new(),
                vacuous: 0,
                exercised: BTreeMap::new(),
                errors: BTreeMap::new(),
                events: 0,
                delivered: 0,
                simulated: Duration::ZERO,
            },
            unwritable: Vec::new(),
        }
    }
}

impl Tally {
    /// Adds a trial.
    pub fn add(&mut self, line: &TrialLine) {
        let summary = &mut self.summary;
        summary.counts.add(&Counts {
            sent: line.sent,
            acknowledged: line.acknowledged,
            failed: line.failed,
            unknown: line.unknown,
            lost: line.lost,
            deleted: line.deleted,
            duplicates: line.duplicates,
            reordered: line.reordered,
        });
        for (share, shown) in [
            (&mut summary.with_loss, line.lost > 0),
            (&mut summary.with_duplicates, line.duplicates > 0),
            (&mut summary.with_reordering, line.reordered > 0),
        ] {
            share.n += 1;
            share.k += u64::from(shown);
        }
        if let Some(counts) = &line.groups {
            summary.groups.get_or_insert_default().add(counts);
        }
        self.unwritable.push(Duration(line.unwritable_ns));
        *summary.endings.entry(line.ending.clone()).or_insert(0) += 1;
        let mut seen = Vec::new();
        for key in line.findings.iter().filter_map(|finding| finding.violation()) {
            let violation = summary.violations.entry(key).or_insert(Violation {
                seed: line.seed,
                ..Violation::default()
            });
            violation.witnesses += 1;
            if !seen.contains(&key) {
                violation.trials += 1;
                seen.push(key);
            }
        }
        summary.vacuous += u64::from(line.vacuous);
        for invariant in Invariant::ALL {
            if !line.unexercised.iter().any(|id| id == invariant.id()) {
                *summary.exercised.entry(*invariant).or_insert(0) += 1;
            }
        }
        for (error, count) in &line.errors {
            *summary.errors.entry(error.clone()).or_insert(0) += count;
        }
        summary.events += line.events;
        summary.delivered += line.messages;
        summary.simulated = summary.simulated.saturating_add(Duration(line.ended_ns));
    }

    /// How many trials were added.
    pub fn trials(&self) -> u64 {
        self.summary.with_loss.n
    }

    /// The sums. `latencies`: of all acknowledged records, where they were kept.
    pub fn finish(self, latencies: Option<Latencies>) -> ArmSummary {
        let mut summary = self.summary;
        summary.unwritable = Spread::of(self.unwritable);
        if let Some(latencies) = latencies {
            summary.latencies = latencies;
        }
        summary
    }
}
