//! What became of each setting that somebody set.

use std::fmt;

use ktrial_sim::Duration;

use super::catalogue::{Machinery, Reach, ReachLimit, Scope, Setting, Treatment};
use super::effective::Effective;
use super::place::Origin;
use super::value::Value;

/// Something set that does not simply count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Whose.
    pub scope: Scope,
    /// The topic or client, if a particular one.
    pub instance: Option<String>,
    /// The setting.
    pub name: String,
    /// As set.
    pub value: String,
    /// Where.
    pub origin: Origin,
    /// What became of it.
    pub note: Note,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The scenario gives this.
    Replaced(&'static str),
    /// Nothing in the scenario asks for it.
    Inert(Machinery),
    /// It cannot matter.
    Neutral(&'static str),
    /// Not modelled, but set to what holds anyway.
    AtDefault,
    /// Not modelled, and the user accepted that.
    Accepted,
    /// Not modelled: an error.
    Unmodelled,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Replaced(by) => write!(f, "replaced: {by}"),
            Note::Inert(machinery) => write!(f, "inert: no {} here", machinery.word().replace('_', " ")),
            Note::Neutral(reason) => write!(f, "neutral: {reason}"),
            Note::AtDefault => write!(f, "not modelled, but set to its default"),
            Note::Accepted => write!(f, "not modelled, accepted with --allow-unmodelled"),
            Note::Unmodelled => write!(f, "not modelled"),
        }
    }
}

/// What no trial exceeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrialBounds {
    /// How long it lasts, with how far its clocks may be apart.
    pub(super) lasts: Duration,
    /// How many bytes it writes to a partition.
    pub(super) writes: u64,
}

impl Default for TrialBounds {
    /// A scenario lasts a week at most; it may write anything.
    fn default() -> Self {
        TrialBounds {
            lasts: Duration::secs(7 * 86_400),
            writes: u64::MAX,
        }
    }
}

/// What became of a setting that somebody set; none if it is modelled and counts.
pub(super) fn classify(
    scope: Scope,
    combined: bool,
    entry: &Effective,
    reaches: &[Machinery],
    accepted: bool,
    trial: TrialBounds,
) -> Option<Note> {
    if !combined && !scope.reads(entry.setting) {
        return Some(Note::Neutral(match scope {
            Scope::Controller => "only brokers read it",
            _ => "only controllers read it",
        }));
    }
    let (treatment, reach) = entry.setting.treatment_for(scope);
    match treatment {
        Treatment::Modelled { with: Some(with), .. } if !reaches.contains(&with) => Some(Note::Inert(with)),
        Treatment::Modelled { .. } => None,
        Treatment::Replaced { by } => Some(Note::Replaced(by)),
        Treatment::Neutral { reason } => Some(Note::Neutral(reason)),
        Treatment::Inert { without } if !reaches.contains(&without) => Some(Note::Inert(without)),
        Treatment::Inert { .. } | Treatment::Unmodelled => Some(match out_of_reach(entry, reach, trial) {
            _ if entry.is_default_value() => Note::AtDefault,
            Some(reason) => Note::Neutral(reason),
            None if accepted => Note::Accepted,
            None => Note::Unmodelled,
        }),
    }
}

/// Why a limit that is not modelled does not matter in such a trial.
fn out_of_reach(entry: &Effective, reach: Option<Reach>, trial: TrialBounds) -> Option<&'static str> {
    let reach = reach?;
    let number = match entry.value {
        Value::Whole(number) => number,
        Value::Null => -1,
        _ => return None,
    };
    let Ok(number) = u64::try_from(number) else {
        return Some(reach.reason);
    };
    let beyond = match reach.limit {
        ReachLimit::Trial => time(entry.setting, number) > trial.lasts,
        ReachLimit::Writes => number > trial.writes,
        ReachLimit::Number(limit) => i128::from(number) >= i128::from(limit),
    };
    beyond.then_some(reach.reason)
}

/// The unit is the last word of the name.
fn time(setting: &Setting, number: u64) -> Duration {
    let unit = match setting.name.rsplit('.').next() {
        Some("ms") => Duration::millis(1),
        Some("minutes") => Duration::secs(60),
        Some("hours") => Duration::secs(3_600),
        unit => unreachable!("no unit {unit:?}"),
    };
    unit.saturating_mul(number)
}
