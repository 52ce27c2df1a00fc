//! The words that faults are written with: what they mean, or what was expected.

use ktrial_models::config::nearest;
use ktrial_models::cuts;

use crate::fault::FaultKind;
use crate::role::{PartitionName, Role};
use crate::script::{Happening, PhaseName, ScriptEntry, Trigger, Unflushed, Way};
use crate::span::parse_duration;

const ORDINALS: [&str; 10] = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
];
const PHASES: [(&str, PhaseName); 5] = [
    ("starting", PhaseName::Starting),
    ("catching up", PhaseName::CatchingUp),
    ("recovering", PhaseName::Recovering),
    ("running", PhaseName::Running),
    ("shutting down", PhaseName::ShuttingDown),
];
/// Forms of a trigger.
const HAPPENINGS: &str = "NTH election of PARTITION, NTH isr shrink of PARTITION, NTH isr expansion of PARTITION, \
     NTH truncation of PARTITION, NTH controller election, NTH fencing of ROLE, NTH PHASE of ROLE \
     (phases: starting, catching up, recovering, running, shutting down; NTH: first to tenth)";

pub(crate) fn known_cut(text: &str) -> Result<(), String> {
    let names = || cuts::NAMES.iter().map(|(name, _)| *name);
    if cuts::number(text).is_some() {
        return Ok(());
    }
    let hint = nearest(text, names()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    Err(format!(
        "`{text}` is no cut: expected one of {}{hint}",
        names().collect::<Vec<_>>().join(", ")
    ))
}

pub(crate) fn processes(text: &str) -> Result<u32, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("`{text}` is no number of processes"))
}

/// Whether a redeploy takes one after the other.
pub(crate) fn rolling(text: &str) -> Result<bool, String> {
    match text {
        "rolling" => Ok(true),
        "all at once" => Ok(false),
        other => Err(format!("`{other}`: expected rolling, or all at once")),
    }
}

pub(crate) fn unflushed(text: &str) -> Result<Unflushed, String> {
    match text {
        "drawn" => Ok(Unflushed::Drawn),
        "lost" => Ok(Unflushed::Lost),
        other => Err(format!("`{other}`: expected drawn or lost")),
    }
}

pub(crate) fn way(text: &str) -> Result<Way, String> {
    match text {
        "both" => Ok(Way::Both),
        "out" => Ok(Way::Out),
        "in" => Ok(Way::In),
        other => Err(format!("`{other}`: expected both, out or in")),
    }
}

pub(crate) fn fault_kind(text: &str) -> Result<FaultKind, String> {
    let known = FaultKind::NAMES.iter().find(|(name, _)| *name == text);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let names = || FaultKind::NAMES.iter().map(|(name, _)| *name);
        let hint = nearest(text, names()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        format!(
            "`{text}` is no fault that can be drawn: expected one of {}{hint}",
            names().collect::<Vec<_>>().join(", ")
        )
    })
}

pub(crate) fn count_range(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("`{text}` is no count: expected a number or a range, like 1..3");
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let (least, most) = (
        least.trim().parse().map_err(|_| wrong())?,
        most.trim().parse().map_err(|_| wrong())?,
    );
    if least > most || most > 1_000 {
        return Err(wrong());
    }
    Ok((least, most))
}

pub(crate) fn signed_millis(text: &str) -> Result<i64, String> {
    let (sign, length) = match text.trim().strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text.trim().trim_start_matches('+')),
    };
    parse_duration(length).map(|length| sign * length.as_millis() as i64)
}

pub(crate) fn parts_per_million(text: &str) -> Result<i32, String> {
    let limit = ktrial_sim::Clock::MAX_DRIFT_PPM;
    let wrong = || {
        format!(
            "`{text}` is no drift: expected parts per million from -{limit}ppm to {limit}ppm, like 200ppm"
        )
    };
    let number = text.trim().strip_suffix("ppm").ok_or_else(wrong)?.trim();
    number
        .parse()
        .ok()
        .filter(|ppm: &i32| (-limit..=limit).contains(ppm))
        .ok_or_else(wrong)
}

/// Reads `second election of orders-0` and the like.
pub(crate) fn happening(text: &str) -> Result<(u32, Happening), String> {
    let wrong = || format!("`{text}` is no trigger: expected {HAPPENINGS}");
    let (ordinal, rest) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let nth = ORDINALS
        .iter()
        .position(|known| *known == ordinal)
        .ok_or_else(wrong)? as u32
        + 1;
    let partition = |name: &str| PartitionName::parse(name).map(|partition| partition.to_string());
    let happening = if rest == "controller election" {
        Happening::ControllerElection
    } else if let Some(name) = rest.strip_prefix("election of ") {
        Happening::ElectionOf(partition(name)?)
    } else if let Some(name) = rest.strip_prefix("isr shrink of ") {
        Happening::IsrShrinkOf(partition(name)?)
    } else if let Some(name) = rest.strip_prefix("isr expansion of ") {
        Happening::IsrExpansionOf(partition(name)?)
    } else if let Some(name) = rest.strip_prefix("truncation of ") {
        Happening::TruncationOf(partition(name)?)
    } else if let Some(role) = rest.strip_prefix("fencing of ") {
        Happening::FencingOf(Role::parse(role)?)
    } else {
        let phase = PHASES.iter().find_map(|(words, phase)| {
            let role = rest.strip_prefix(words)?.strip_prefix(" of ")?;
            Some((role, *phase))
        });
        let (role, phase) = phase.ok_or_else(wrong)?;
        Happening::PhaseOf(Role::parse(role)?, phase)
    };
    Ok((nth, happening))
}

/// A happening as scenarios write it: what [`happening`] reads.
fn written(nth: u32, happening: &Happening) -> String {
    let ordinal = match ORDINALS.get(nth.saturating_sub(1) as usize) {
        Some(ordinal) => (*ordinal).to_owned(),
        None => format!("{nth}th"),
    };
    let what = match happening {
        Happening::ElectionOf(partition) => format!("election of {partition}"),
        Happening::IsrShrinkOf(partition) => format!("isr shrink of {partition}"),
        Happening::IsrExpansionOf(partition) => format!("isr expansion of {partition}"),
        Happening::TruncationOf(partition) => format!("truncation of {partition}"),
        Happening::ControllerElection => "controller election".to_owned(),
        Happening::FencingOf(role) => format!("fencing of {role}"),
        Happening::PhaseOf(role, phase) => {
            let known = PHASES.iter().find(|(_, known)| known == phase);
            format!("{} of {role}", known.map_or("", |(words, _)| words))
        }
    };
    format!("{ordinal} {what}")
}

impl ScriptEntry {
    /// What waits for what: `pause of leader of orders-0 (when: second election of orders-0)`.
    pub fn words(&self) -> String {
        let whom: Vec<String> = self
            .action
            .roles()
            .iter()
            .take(1)
            .map(ToString::to_string)
            .collect();
        let whom = whom.first().map_or(String::new(), |whom| format!(" of {whom}"));
        let moment = match &self.trigger {
            Trigger::At(after) => format!("at: {}", after.0),
            Trigger::On { happening, nth, .. } => format!("when: {}", written(*nth, happening)),
        };
        format!("{}{whom} ({moment})", self.action.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_read() {
        let orders = "orders-0".to_owned();
        assert_eq!(
            happening("second election of orders-0"),
            Ok((2, Happening::ElectionOf(orders)))
        );
        assert_eq!(
            happening("first controller election"),
            Ok((1, Happening::ControllerElection))
        );
        assert!(matches!(
            happening("third recovering of b1"),
            Ok((3, Happening::PhaseOf(_, PhaseName::Recovering)))
        ));
        for wrong in [
            "election of orders-0",
            "first",
            "zeroth election of orders-0",
            "first dance of b1",
        ] {
            assert!(happening(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn triggers_are_written_as_they_are_read() {
        for text in [
            "second election of orders-0",
            "first controller election",
            "tenth fencing of leader of orders-0",
            "third catching up of b1",
            "first isr shrink of a-b-12",
        ] {
            let (nth, happening) = happening(text).unwrap();
            assert_eq!(written(nth, &happening), text);
        }
    }

    #[test]
    fn a_drift_that_is_too_fast_is_refused_with_the_limit() {
        assert_eq!(parts_per_million("-50000ppm"), Ok(-50_000));
        let limit = ktrial_sim::Clock::MAX_DRIFT_PPM;
        let error = parts_per_million(&format!("{}ppm", limit + 1)).unwrap_err();
        assert!(error.contains(&format!("to {limit}ppm")), "{error}");
    }

    #[test]
    fn a_skew_goes_both_ways() {
        assert_eq!(signed_millis("-60s"), Ok(-60_000));
        assert_eq!(signed_millis("+3min"), Ok(180_000));
    }
}
