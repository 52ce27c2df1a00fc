//! The first law, asked of one trial: does the same manifest always give the same trial?

use std::sync::Arc;

use crate::record::Footprint;
use crate::resolved::{FaultPlan, Resolved};
use crate::story::Story;
use crate::trial::{Bench, Keep};

/// Two runs of one trial that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What was different about the second run.
    pub second: &'static str,
    /// The first thing in which they differ.
    pub what: String,
    /// What the first came to.
    pub one: Footprint,
    /// What the second came to.
    pub other: Footprint,
}

/// Runs a trial again and again: in fresh and used memory, with and without story, causes and judges, and by its
/// explicit script. Returns what all runs have in common.
///
/// # Errors
/// The first run that is not like the first.
pub fn check_determinism(resolved: &Arc<Resolved>, seed: u64) -> Result<Footprint, Box<Difference>> {
    let everything = Keep {
        story: true,
        causes: true,
        ..Keep::default()
    };
    let mut used = Bench::default();
    let first = used.run(resolved, seed, Keep::default());
    let footprint = Footprint::of(&first.trial);
    let mut explicit = Resolved::clone(resolved);
    explicit.faults = FaultPlan::Explicit(Arc::new(first.trial.script));
    let again = used.run(resolved, seed, everything);
    let events = used.trace().cloned();
    let mut unused = Bench::default();
    let fresh = unused.run(resolved, seed, everything);
    let parting = events
        .zip(unused.trace())
        .and_then(|(one, other)| one.first_difference(other));
    let unjudged = Keep {
        unjudged: true,
        ..Keep::default()
    };
    let runs = [
        (
            "in used memory, with story and causes",
            Footprint::of(&again.trial),
        ),
        (
            "in fresh memory, with story and causes",
            Footprint::of(&fresh.trial),
        ),
        (
            "without judges",
            Footprint::of(&used.run(resolved, seed, unjudged).trial),
        ),
        (
            "by its explicit script",
            Footprint::of(&used.run(&Arc::new(explicit), seed, Keep::default()).trial),
        ),
    ];
    for (second, other) in runs {
        if let Some(mut what) = footprint.difference(&other) {
            if let Some((before, one, other)) = &parting {
                what = format!("{what}; after {before} events alike: {one} and {other}");
            }
            if let Some(told) = first_difference(&again.story, &fresh.story) {
                what = format!("{what}; two stories part at {told}");
            }
            return Err(Box::new(Difference {
                second,
                what,
                one: footprint,
                other,
            }));
        }
    }
    Ok(footprint)
}

/// The first thing that two stories tell differently.
fn first_difference(one: &Story, other: &Story) -> Option<String> {
    let (one, other) = (one.told(), other.told());
    let differs = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
    let shown = |told: Option<&(ktrial_sim::Time, _)>| match told {
        Some((at, told)) => format!("{at} {told:?}"),
        None => "the end".to_owned(),
    };
    Some(format!(
        "{} and {}",
        shown(one.get(differs)),
        shown(other.get(differs))
    ))
}
