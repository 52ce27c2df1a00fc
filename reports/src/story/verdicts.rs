//! What a trial means: a verdict for every invariant, with the promise it rests on.

use std::collections::BTreeMap;

use ktrial_models::invariants::{Finding, Invariant, Verdict};
use serde::Serialize;

use super::words::{Moment, View};

/// What became of one invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InvariantVerdict {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `BROKEN`, `EXPOSED`, `holds` or `VACUOUS`.
    pub verdict: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Why it was not promised, or not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// How many witnesses there are.
    pub witnesses: usize,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstWitness>,
}

/// A witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstWitness {
    /// When it was noticed, in microseconds since the clients' start.
    #[serde(rename = "at_us")]
    pub at: Moment,
    /// The partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// The record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The particulars.
    pub detail: String,
}

/// The verdicts: those that broke first, then what is exposed, what holds, what nothing exercised or nobody could judge.
pub fn verdicts(view: View<'_>) -> Vec<InvariantVerdict> {
    let mut found: BTreeMap<(Verdict, Invariant), Vec<&Finding>> = BTreeMap::new();
    for finding in &view.detailed.trial.findings {
        found
            .entry((finding.verdict, finding.invariant))
            .or_default()
            .push(finding);
    }
    let mut verdicts: Vec<InvariantVerdict> = found
        .iter()
        .map(|((verdict, invariant), findings)| {
            let (word, because) = match verdict {
                Verdict::Broken => ("BROKEN", None),
                Verdict::Exposed(exposure) => ("EXPOSED", Some(exposure.reason().to_owned())),
            };
            let first = findings.iter().min_by_key(|finding| finding.at);
            InvariantVerdict {
                because,
                witnesses: findings.len(),
                first: first.map(|finding| witness(view, finding)),
                ..plain(*invariant, word)
            }
        })
        .collect();
    for word in ["holds", "VACUOUS"] {
        for invariant in Invariant::ALL {
            let violated = found.keys().any(|(_, known)| known == invariant);
            if !violated && view.detailed.trial.has_judged(*invariant) == (word == "holds") {
                let mut unjudged = view.detailed.trial.unjudged.iter();
                let unjudged = unjudged.find(|known| known.invariant == *invariant);
                verdicts.push(InvariantVerdict {
                    because: unjudged.map(|known| known.because.clone()),
                    ..plain(*invariant, word)
                });
            }
        }
    }
    verdicts
}

fn plain(invariant: Invariant, verdict: &'static str) -> InvariantVerdict {
    InvariantVerdict {
        id: invariant.id(),
        name: invariant.name(),
        verdict,
        says: invariant.about(),
        because: None,
        witnesses: 0,
        first: None,
    }
}

fn witness(view: View<'_>, finding: &Finding) -> FirstWitness {
    FirstWitness {
        at: view.moment(finding.at),
        partition: finding.partition.map(|partition| view.partition(partition)),
        record: finding.record.map(|record| view.record(record)),
        offset: finding.offset.map(|offset| offset.0),
        detail: finding.detail.clone(),
    }
}

impl InvariantVerdict {
    /// In lines, for those that were violated.
    pub fn lines(&self) -> Vec<String> {
        // The judges keep 32 of an invariant and verdict.
        let of = match self.witnesses {
            1 => "1 witness".to_owned(),
            most @ 32.. => format!("{most} witnesses or more"),
            some => format!("{some} witnesses"),
        };
        let mut lines = vec![format!(
            "{:7}  {} {} ({of}): {}",
            self.verdict, self.id, self.name, self.says
        )];
        match &self.because {
            Some(because) => lines.push(format!("         not promised: {because}")),
            None => lines.push(
                "         Kafka promises this with these settings and faults: please report the seed"
                    .to_owned(),
            ),
        }
        if let Some(first) = &self.first {
            let mut place = Vec::new();
            place.extend(first.record.clone());
            place.extend(first.partition.clone());
            place.extend(first.offset.map(|offset| format!("offset {offset}")));
            lines.push(format!(
                "         first at {}: {}{}{}",
                first.at,
                place.join(", "),
                if place.is_empty() { "" } else { ": " },
                first.detail
            ));
        }
        lines
    }
}
