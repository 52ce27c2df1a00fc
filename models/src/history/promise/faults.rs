//! What was done to the nodes, as far as it decides what logs may forget.

use std::collections::BTreeSet;

use ktrial_sim::Time;

use super::super::event::{History, Operation};
use super::super::identity::NodeId;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Broker,
    Controller,
}

/// A crash that can take written records away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The page cache: what was not flushed.
    PageCache,
    /// Everything.
    Disk,
}

/// A loss, where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LossyCrash {
    pub(super) time: Time,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) node: NodeId,
    pub(super) loss: Loss,
}

/// All that was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) losses: Vec<LossyCrash>,
    /// When each node was started.
    pub(super) starts: Vec<(Time, String)>,
    /// Whether an operator asked for an unclean election.
    pub(super) elected_unclean: bool,
    /// A fault of a kind that this judge has no rule for.
    pub(super) unknown: Option<String>,
    /// Whether the faults were ended, or there were none.
    pub(super) healed: bool,
    /// How many controllers are named.
    pub(super) controllers: usize,
    /// Whether every broker is a controller too (`process.roles=broker,controller`).
    pub(super) combined: bool,
}

/// Faults that take nothing from a disk.
const HARMLESS_TO_DISKS: [&str; 19] = [
    "start",
    "kill",
    "stop",
    "lost_bytes",
    "pause",
    "resume",
    "skew",
    "cut",
    "cut_one_way",
    "mend",
    "heal",
    "reset",
    "slow",
    "hold",
    "drift",
    "slow_disk",
    "open_cut",
    "elect_preferred",
    "reassign",
];

/// Role and number of a node called `b2`, `c1`, `broker-2`; nothing for a client.
pub(super) fn node(name: &str) -> Option<(Role, NodeId)> {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let number = digits.parse().ok()?;
    let role = match name.as_bytes().first()? {
        b'b' | b'B' => Role::Broker,
        b'c' | b'C' if !name.starts_with("client") => Role::Controller,
        _ => return None,
    };
    Some((role, NodeId(number)))
}

impl Faults {
    pub(super) fn of(history: &History) -> Self {
        let mut faults = Faults {
            healed: true,
            ..Faults::default()
        };
        let mut nodes = BTreeSet::new();
        let mut first = None;
        for event in history.events() {
            let Operation::Fault { what, who } = event.operation else {
                continue;
            };
            let (what, who) = (history.names.text_of(what), history.names.text_of(who));
            let target = node(who);
            first.get_or_insert(what);
            nodes.extend(target);
            let loss = match what {
                "power_off" => Some(Loss::PageCache),
                "lose_disk" => Some(Loss::Disk),
                _ => None,
            };
            match (loss, target) {
                (Some(loss), Some((role, node))) => {
                    let (time, name) = (event.time, who.to_owned());
                    faults.losses.push(LossyCrash {
                        time,
                        name,
                        role,
                        node,
                        loss,
                    });
                }
                (Some(_), None) => {}
                (None, _) if what == "elect_unclean" => faults.elected_unclean = true,
                (None, _) if HARMLESS_TO_DISKS.contains(&what) => {}
                (None, _) => faults.unknown = Some(what.to_owned()),
            }
            match what {
                "heal" => faults.healed = true,
                "start" => faults.starts.push((event.time, who.to_owned())),
                "lost_bytes" => {}
                _ => faults.healed = false,
            }
        }
        let of_role = |role| nodes.iter().filter(|(other, _)| *other == role).count();
        faults.controllers = of_role(Role::Controller);
        // A history that begins with the start of its nodes names them all.
        if first == Some("start") && faults.controllers == 0 {
            faults.combined = true;
            faults.controllers = of_role(Role::Broker);
        }
        faults
    }

    /// Whether a node of this role votes in the metadata quorum.
    pub(super) fn votes(&self, role: Role) -> bool {
        role == Role::Controller || self.combined
    }

    /// When a node was next started after an instant.
    pub(super) fn next_start(&self, name: &str, after: Time) -> Option<Time> {
        self.starts
            .iter()
            .find(|(time, who)| *time >= after && who == name)
            .map(|(time, _)| *time)
    }
}
