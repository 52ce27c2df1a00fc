//! What became of each setting that somebody set.

use std::fmt;

use super::catalogue::{Machinery, Reach, Scope, Treatment};
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

/// What became of a setting that somebody set; none if it is modelled and counts.
pub(super) fn classify(
    scope: Scope,
    combined: bool,
    entry: &Effective,
    reaches: &[Machinery],
    accepted: bool,
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
        Treatment::Inert { .. } | Treatment::Unmodelled => Some(match out_of_reach(entry, reach) {
            _ if entry.is_default_value() => Note::AtDefault,
            Some(reason) => Note::Neutral(reason),
            None if accepted => Note::Accepted,
            None => Note::Unmodelled,
        }),
    }
}

/// Why a limit that is not modelled does not matter in such a trial.
fn out_of_reach(entry: &Effective, reach: Option<Reach>) -> Option<&'static str> {
    let reach = reach?;
    let number = match entry.value {
        Value::Whole(number) => number,
        Value::Null => -1,
        _ => return None,
    };
    let beyond = number < 0 || i128::from(number) >= i128::from(reach.limit);
    beyond.then_some(reach.reason)
}
