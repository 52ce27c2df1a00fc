//! The trials of one arm of a claim, one after the other.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::resolved::Resolved;
use crate::suite::TestedTrial;
use crate::sweep::{ArmSummary, Row, Tally, TrialLine, latencies, take_outcomes};
use crate::trial::{Bench, Keep};

/// What an arm of a claim came to.
#[derive(Debug)]
pub struct OnTrial {
    /// Over all trials.
    pub summary: ArmSummary,
    /// Each of them, by its seed.
    pub trials: Vec<TestedTrial>,
}

impl OnTrial {
    /// Runs an arm with these seeds.
    pub fn run(arm: &Arc<Resolved>, seeds: Range<u64>) -> Self {
        let (mut bench, mut tally, mut all) = (Bench::default(), Tally::default(), latencies());
        let mut trials = Vec::new();
        for seed in seeds {
            let detailed = bench.run(arm, seed, Keep::default());
            trials.push(TestedTrial::of(&detailed));
            let errors = take_outcomes(&detailed.ledger, &mut all);
            let row = Row {
                arm: 0,
                trial: detailed.trial,
                errors,
            };
            tally.add(&TrialLine::of(&row, BTreeMap::new()));
        }
        OnTrial {
            summary: tally.finish(Some(all)),
            trials,
        }
    }
}
