//! One trial as results files keep it: `ktrial.trial/1`.

use std::collections::BTreeMap;

use ktrial_models::invariants::{Exposure, Finding, Invariant, Verdict};
use serde::{Deserialize, Serialize};

use super::Row;
use crate::groups::GroupCounts;
use crate::ledger::is_nothing;

/// The name of the format.
pub const TRIAL_SCHEMA: &str = "ktrial.trial/1";

/// What a trial showed, in one line. Numbers that may pass 2^53 are text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialLine {
    /// [`TRIAL_SCHEMA`].
    pub schema: String,
    /// The name of its arm, if the scenario declares it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arm: Option<String>,
    /// What distinguishes its arm.
    pub settings: BTreeMap<String, String>,
    /// The seed.
    #[serde(with = "as_text")]
    pub seed: u64,
    /// The digest of everything that happened, in hexadecimal.
    pub digest: String,
    /// `converged`, `stalled` or `never ready`.
    pub ending: String,
    /// What did not converge, in words.
    pub pending: Vec<String>,
    /// Whether nothing was put on trial.
    pub vacuous: bool,
    /// Invariants, by their ids, that nothing put to the test, or that could not be judged.
    pub unexercised: Vec<String>,
    /// Records sent.
    pub sent: u64,
    /// Of these: acknowledged.
    pub acknowledged: u64,
    /// Certainly not in the log.
    pub failed: u64,
    /// In the log or not.
    pub unknown: u64,
    /// Acknowledged and in no log, although no retention deleted it.
    pub lost: u64,
    /// Acknowledged and not in the final log, because retention deleted it.
    #[serde(skip_serializing_if = "is_nothing", default)]
    pub deleted: u64,
    /// More than once in the final log.
    pub duplicates: u64,
    /// Behind a later one of the same producer.
    pub reordered: u64,
    /// How long nothing could be written, in nanoseconds.
    pub unwritable_ns: u64,
    /// What groups came to, if there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub groups: Option<GroupCounts>,
    /// What the judges found.
    pub findings: Vec<FindingLine>,
    /// How many sends ended in which error.
    pub errors: BTreeMap<String, u64>,
    /// Events taken from the queue.
    pub events: u64,
    /// Messages read by processes.
    pub messages: u64,
    /// How long the trial was, in nanoseconds of simulated time.
    pub ended_ns: u64,
}

/// A witness of a violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingLine {
    /// The invariant's id.
    pub invariant: String,
    /// Whether Kafka had promised it.
    pub verdict: VerdictWord,
    /// Why it had not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exposure: Option<Exposure>,
    /// When it was noticed, in nanoseconds.
    pub at_ns: u64,
    /// The particulars.
    pub detail: String,
}

/// A verdict without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerdictWord {
    /// Kafka promises it.
    #[serde(rename = "BROKEN")]
    Broken,
    /// Kafka does not.
    #[serde(rename = "EXPOSED")]
    Exposed,
}

impl TrialLine {
    /// Of a trial. `settings`: what distinguishes its arm.
    pub fn of(row: &Row, settings: BTreeMap<String, String>) -> Self {
        let trial = &row.trial;
        let errors = row
            .errors
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count));
        TrialLine {
            schema: TRIAL_SCHEMA.to_owned(),
            arm: None,
            settings,
            seed: trial.seed,
            digest: format!("{:016x}", trial.digest),
            ending: trial.ending.name().to_owned(),
            pending: trial.pending.clone(),
            vacuous: trial.is_vacuous(),
            unexercised: Invariant::ALL
                .iter()
                .filter(|invariant| !trial.has_judged(**invariant))
                .map(|invariant| invariant.id().to_owned())
                .collect(),
            sent: trial.counts.sent,
            acknowledged: trial.counts.acknowledged,
            failed: trial.counts.failed,
            unknown: trial.counts.unknown,
            lost: trial.counts.lost,
            deleted: trial.counts.deleted,
            duplicates: trial.counts.duplicates,
            reordered: trial.counts.reordered,
            unwritable_ns: trial.unwritable.0,
            groups: trial.groups,
            findings: trial.findings.iter().map(FindingLine::of).collect(),
            errors: errors.collect(),
            events: trial.counters.events,
            messages: trial.counters.delivered,
            ended_ns: trial.ended.0,
        }
    }

    /// The line's text, with its end.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("a line has only text keys");
        text.push('\n');
        text
    }
}

impl FindingLine {
    fn of(finding: &Finding) -> Self {
        let (verdict, exposure) = match finding.verdict {
            Verdict::Broken => (VerdictWord::Broken, None),
            Verdict::Exposed(exposure) => (VerdictWord::Exposed, Some(exposure)),
        };
        FindingLine {
            invariant: finding.invariant.id().to_owned(),
            verdict,
            exposure,
            at_ns: finding.at.0,
            detail: finding.detail.clone(),
        }
    }

    /// What did not hold, and whether it was promised. None if no version of ktrial writes that.
    pub fn violation(&self) -> Option<(Verdict, Invariant)> {
        let verdict = match (self.verdict, self.exposure) {
            (VerdictWord::Broken, None) => Verdict::Broken,
            (VerdictWord::Exposed, Some(exposure)) => Verdict::Exposed(exposure),
            _ => return None,
        };
        Some((verdict, Invariant::find(&self.invariant)?))
    }
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| serde::de::Error::custom("a seed is a whole number"))
    }
}
