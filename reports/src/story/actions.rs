//! Faults in words.

use std::collections::BTreeMap;

use ktrial_scenarios::{Action, Role, ScriptEntry, Unflushed, Way};

use crate::numbers::time;

/// What was done to `names` (`b1 and b2`), by an entry of the script. `bound` holds what `$name`s stand for.
pub fn sentence(entry: &ScriptEntry, names: &str, bound: &BTreeMap<String, String>) -> String {
    let lasting = entry
        .lasting
        .map_or(String::new(), |length| format!(" for {}", time(length.0)));
    let role = |role: &Role| role_text(role, bound);
    if names.is_empty() && !entry.action.roles().is_empty() && !matches!(entry.action, Action::Hold { .. }) {
        let whom = entry
            .action
            .roles()
            .first()
            .map_or(String::new(), |whom| role(whom));
        return format!(
            "{} hits nobody: nothing was {whom} at that moment",
            entry.action.name()
        );
    }
    let because = |whom: &Role| {
        let text = role(whom);
        if text == names {
            String::new()
        } else {
            format!(" ({text})")
        }
    };
    match &entry.action {
        Action::Bind { .. } => String::new(),
        Action::Kill(who) => format!(
            "{names} {} killed, as by SIGKILL{lasting}{}",
            are(names),
            because(who)
        ),
        Action::PowerOff { who, unflushed } => {
            let left = match unflushed {
                Unflushed::Drawn => "what was not flushed may be gone",
                Unflushed::Lost => "everything not flushed is gone",
            };
            format!("{names} lose{} power{lasting}: {left}{}", s(names), because(who))
        }
        Action::LoseDisk(who) => format!(
            "{names} lose{} power and disk{lasting}: nothing is left{}",
            s(names),
            because(who)
        ),
        // Those that were down or paused have lines of their own.
        Action::Start(_) | Action::Resume(_) => String::new(),
        Action::Stop(who) => format!(
            "{names} {} told to shut down (SIGTERM){}",
            are(names),
            because(who)
        ),
        Action::RollingRestart { who, .. } => {
            format!(
                "{names} {} restarted, one after the other{}",
                are(names),
                because(who)
            )
        }
        Action::Stall { who, by } => format!(
            "the application of {names} is busy for {}; the client's own threads go on{}",
            time(by.0),
            because(who)
        ),
        Action::Scale { who, to } => format!("of {names}, {to} are to run{}", because(who)),
        Action::Redeploy { who, rolling, .. } => {
            let how = if *rolling {
                "one after the other"
            } else {
                "all at once"
            };
            format!(
                "{names} {} closed and started again, {how}{}",
                are(names),
                because(who)
            )
        }
        Action::Pause(who) => format!(
            "{names} stand{} still, as in a long garbage collection{lasting}{}",
            s(names),
            because(who)
        ),
        Action::Cut { who, from, way } => {
            let from = other(who, from, bound);
            let cut = match way {
                Way::Both => format!("{names} {} cut off from {from}", are(names)),
                Way::Out => format!("nothing that {names} send{} reaches {from}", s(names)),
                Way::In => format!("nothing from {from} reaches {names}"),
            };
            format!("{cut}{lasting}{}", because(who))
        }
        Action::Mend { who, from, .. } => {
            format!("the links of {names} to {} are mended", other(who, from, bound))
        }
        Action::MendAll => "all links are mended".to_owned(),
        Action::Reset { who, from } => {
            format!("connections of {names} to {} are reset", other(who, from, bound))
        }
        Action::Slow {
            who, from, latency, ..
        } => format!(
            "the links of {names} to {} take {} longer{lasting}",
            other(who, from, bound),
            time(latency.0)
        ),
        Action::Hold { kinds, from, to } => {
            let side = |word: &str, whom: &Option<Role>| {
                whom.as_ref()
                    .map_or(String::new(), |whom| format!(" {word} {}", role(whom)))
            };
            format!(
                "connections that carry {}{}{} stall{lasting}",
                kinds.join(", "),
                side("from", from),
                side("to", to)
            )
        }
        Action::Skew { by_ms: 0, .. } => format!("the wall clock of {names} is set right"),
        Action::Skew { by_ms, .. } => {
            let way = if *by_ms < 0 { "behind" } else { "ahead of" };
            format!(
                "the wall clock of {names} is set {} {way} the true time{lasting}",
                time(ktrial_sim::Duration::millis(by_ms.unsigned_abs()))
            )
        }
        Action::Drift { by_ppm, .. } => {
            let way = if *by_ppm < 0 { "slow" } else { "fast" };
            format!(
                "the clocks of {names} run {} ppm too {way}{lasting}",
                by_ppm.unsigned_abs()
            )
        }
        Action::SlowDisk { times, .. } => {
            format!("the disk of {names} gets {times} times slower{lasting}")
        }
        Action::FillDisk(who) => format!("the disk of {names} is full{lasting}{}", because(who)),
        Action::FailDisk(who) => format!("the disk of {names} fails{lasting}{}", because(who)),
        Action::OpenCut { cut, longest, .. } => format!(
            "on {names} other threads get in between at {cut}, for at most {}{lasting}",
            longest.0
        ),
        Action::ElectUnclean => "an operator starts unclean elections (kafka-leader-election)".to_owned(),
        Action::ElectPreferred => {
            "an operator gives leaderships back to preferred replicas (kafka-leader-election)".to_owned()
        }
    }
}

/// The end of what an entry did to links, clocks, disks or threads.
pub fn taken_back(action: &Action, names: &str) -> String {
    match action {
        Action::Cut { .. } => format!("the cut links of {names} are mended"),
        Action::Slow { .. } => format!("the links of {names} are as fast as before"),
        Action::Hold { kinds, .. } => format!("connections that carry {} go on", kinds.join(", ")),
        Action::Skew { .. } | Action::Drift { .. } => format!("the clocks of {names} are set right"),
        Action::OpenCut { cut, .. } => format!("nothing gets in between at {cut} any more"),
        _ => format!("the disk of {names} is as before"),
    }
}

/// The other side of a link: everything but the first side is everything else.
fn other(who: &Role, from: &Role, bound: &BTreeMap<String, String>) -> String {
    match from {
        Role::Except(all, but) if **all == Role::Everything && **but == *who => "everything else".to_owned(),
        from => role_text(from, bound),
    }
}

/// A role without the number that a choice was drawn as.
fn undrawn(role: &Role) -> Role {
    let boxed = |role: &Role| Box::new(undrawn(role));
    match role {
        Role::Pick(_, role) => Role::OneOf(boxed(role)),
        Role::And(one, other) => Role::And(boxed(one), boxed(other)),
        Role::Except(one, other) => Role::Except(boxed(one), boxed(other)),
        role => role.clone(),
    }
}

/// A role with what its bound names stand for.
fn role_text(role: &Role, bound: &BTreeMap<String, String>) -> String {
    let mut text = undrawn(role).to_string();
    for (name, meaning) in bound.iter().rev() {
        text = text.replace(&format!("${name}"), meaning);
    }
    text
}

fn several(names: &str) -> bool {
    names.contains(' ')
}

fn are(names: &str) -> &'static str {
    if several(names) { "are" } else { "is" }
}

fn s(names: &str) -> &'static str {
    if several(names) { "" } else { "s" }
}
