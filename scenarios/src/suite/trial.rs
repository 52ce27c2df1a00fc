//! What a test keeps of one trial.

use ktrial_models::invariants::{Finding, Invariant, Unjudged, Verdict};
use ktrial_sim::{Duration, Time};

use crate::assertion::{Measure, Measured, Quantile};
use crate::groups::GroupCounts;
use crate::ledger::{Counts, Ledger, Outcome};
use crate::sweep::Vacuity;
use crate::trial::{Detailed, Ending};

/// One trial of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestedTrial {
    /// Its seed.
    pub seed: u64,
    /// Why nothing was put on trial; none if something was.
    pub vacuous: Option<Vacuity>,
    /// What of its script never happened, in words.
    pub never_fired: Vec<String>,
    /// How it ended.
    pub ending: Ending,
    /// Outcomes against the final logs.
    pub counts: Counts,
    /// What groups came to, if there are any.
    pub groups: Option<GroupCounts>,
    /// How long nothing could be written, for the producer that waited longest.
    pub unwritable: Duration,
    /// Latencies of the acknowledged, in the order of [`Quantile::ALL`]; none if nothing was acknowledged.
    pub latencies: Option<[Duration; Quantile::ALL.len()]>,
    /// What was violated: one entry for each invariant and verdict, in the order in which they were noticed.
    pub violated: Vec<Violated>,
    /// What could not be judged although it was put to the test.
    pub unjudged: Vec<Unjudged>,
}

/// An invariant that a trial violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violated {
    /// Which one.
    pub invariant: Invariant,
    /// Whether Kafka promises it.
    pub verdict: Verdict,
    /// How many witnesses there are, at most 32.
    pub witnesses: u64,
    /// The first one.
    pub first: Witnessed,
}

/// A witness in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// When it was noticed.
    pub at: Time,
    /// When the clients of the trial had started.
    pub clients_started: Time,
    /// Record, partition, offset, as far as it has them, and the particulars.
    pub says: String,
}

impl TestedTrial {
    /// What a test keeps.
    pub fn of(detailed: &Detailed) -> Self {
        let trial = &detailed.trial;
        let mut findings: Vec<&Finding> = trial.findings.iter().collect();
        findings.sort_by_key(|finding| finding.at);
        let mut violated: Vec<Violated> = Vec::new();
        for finding in findings {
            let of = (finding.invariant, finding.verdict);
            match violated
                .iter_mut()
                .find(|known| (known.invariant, known.verdict) == of)
            {
                Some(known) => known.witnesses += 1,
                None => violated.push(Violated {
                    invariant: finding.invariant,
                    verdict: finding.verdict,
                    witnesses: 1,
                    first: witnessed(detailed, finding),
                }),
            }
        }
        TestedTrial {
            seed: trial.seed,
            vacuous: trial.vacuity(),
            never_fired: trial.never_fired(),
            ending: trial.ending,
            counts: trial.counts,
            groups: trial.groups,
            unwritable: trial.unwritable,
            latencies: latencies(&detailed.ledger),
            violated,
            unjudged: trial.unjudged.clone(),
        }
    }

    /// What is measured of it; nothing for latencies if nothing was acknowledged, nor for groups if there are none,
    /// nor for what did not come about.
    pub fn measured(&self, measure: Measure) -> Option<Measured> {
        let counts = &self.counts;
        Some(match measure {
            Measure::Sent => Measured::Count(counts.sent),
            Measure::Acknowledged => Measured::Count(counts.acknowledged),
            Measure::Failed => Measured::Count(counts.failed),
            Measure::Unknown => Measured::Count(counts.unknown),
            Measure::Lost => Measured::Count(counts.lost),
            Measure::Deleted => Measured::Count(counts.deleted),
            Measure::Duplicates => Measured::Count(counts.duplicates),
            Measure::Reordered => Measured::Count(counts.reordered),
            Measure::Group(measure) => self.groups.as_ref()?.measured(measure)?,
            Measure::Unwritable => Measured::Time(self.unwritable),
            Measure::Latency(quantile) => {
                let place = Quantile::ALL.iter().position(|known| *known == quantile);
                Measured::Time(self.latencies?[place.expect("all quantiles are listed")])
            }
            Measure::Ending => Measured::Ending(self.ending),
        })
    }
}

fn witnessed(detailed: &Detailed, finding: &Finding) -> Witnessed {
    let record = finding
        .record
        .map(|record| format!("{}-{}", detailed.layout.name(record.producer), record.number));
    let partition = finding
        .partition
        .map(|partition| match detailed.partitions.get(partition) {
            Some(name) => name.to_string(),
            None => format!("partition {}", partition.0),
        });
    let offset = finding.offset.map(|offset| format!("offset {offset}"));
    let parts: Vec<String> = [record, partition, offset].into_iter().flatten().collect();
    let says = match parts.is_empty() {
        true => finding.detail.clone(),
        false => format!("{}: {}", parts.join(", "), finding.detail),
    };
    Witnessed {
        at: finding.at,
        clients_started: detailed.trial.clients_started,
        says,
    }
}

fn latencies(ledger: &Ledger) -> Option<[Duration; Quantile::ALL.len()]> {
    let acknowledged = ledger
        .sends()
        .iter()
        .flatten()
        .filter(|sent| sent.outcome == Outcome::Acknowledged);
    let mut latencies: Vec<Duration> = acknowledged.map(|sent| sent.told.since(sent.at)).collect();
    latencies.sort_unstable();
    (!latencies.is_empty()).then(|| Quantile::ALL.map(|quantile| nearest_rank(&latencies, quantile)))
}

/// The shortest of some sorted lengths that is at least as long as this part of them.
fn nearest_rank(sorted: &[Duration], quantile: Quantile) -> Duration {
    let rank = (sorted.len() * quantile.of_a_thousand()).div_ceil(1_000);
    sorted[rank.max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_latency_that_was_measured() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::millis).collect();
        let of = |quantile| nearest_rank(&sorted, quantile).as_millis();
        assert_eq!(Quantile::ALL.map(of), [100, 180, 198, 200, 200]);
        assert_eq!(nearest_rank(&sorted[..1], Quantile::P50).as_millis(), 1);
    }
}
