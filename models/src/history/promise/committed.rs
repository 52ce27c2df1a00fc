//! Whether what a partition has committed stays committed.
//!
//! Rules, all from the settings and the recorded faults:
//!
//! * no unclean election is allowed (`unclean.leader.election.enable`), and no operator asks for one;
//! * at most one replica less than min.insync.replicas forgets something while the others have not yet copied
//!   it back. A power loss forgets what was not flushed, which is nothing with `flush.messages=1`;
//! * no controller loses its disk (with kraft.version=0, which is assumed unless the header tells, it votes
//!   again all the same; with kraft.version=1 fewer than half may, KIP-853), and a controller that is alone
//!   does not lose power, because it commits before it flushes;
//! * with eligible leader replicas, no replica that forgot something is elected before it was in sync
//!   again (the last known leader is, KIP-966, PartitionChangeBuilder);
//! * without them, no replica forgets something while it is the whole ISR.

use ktrial_sim::Time;

use super::super::event::{History, Operation, PartitionState};
use super::super::identity::{NodeId, PartitionId};
use super::super::settings::TopicSettings;
use super::faults::{Faults, Loss, LossyCrash, Role};

/// What brokers told of one partition, in order.
pub(super) type States<'h> = Vec<(Time, &'h PartitionState)>;

/// What brokers told of one partition, in order of time.
pub(super) fn states(history: &History, partition: PartitionId) -> States<'_> {
    let told = history
        .events()
        .iter()
        .filter_map(|event| match &event.operation {
            Operation::State(state) if state.partition == partition => Some((event.time, &**state)),
            _ => None,
        });
    told.collect()
}

/// What the cluster's finalized features say.
#[derive(Clone, Copy)]
pub(super) struct Cluster {
    /// `eligible.leader.replicas.version=1`.
    pub(super) eligible_leader_replicas: bool,
    /// `kraft.version=1`.
    pub(super) voters_are_known_by_disk: bool,
}

/// The crashes that made a broker forget records of a topic.
pub(super) fn losses<'f>(faults: &'f Faults, topic: &TopicSettings) -> Vec<&'f LossyCrash> {
    let forgot = |crash: &&LossyCrash| {
        crash.role == Role::Broker && !(crash.loss == Loss::PageCache && topic.flushes_each_append)
    };
    faults.losses.iter().filter(forgot).collect()
}

/// Why the partition's committed records need not stay; none where they must.
pub(super) fn released(
    faults: &Faults,
    topic: &TopicSettings,
    states: &States<'_>,
    cluster: Cluster,
) -> Option<String> {
    if let Some(kind) = &faults.unknown {
        return Some(format!("the fault {kind:?} is unknown to this judge"));
    }
    if topic.unclean_election {
        return Some("unclean.leader.election.enable=true".to_owned());
    }
    if faults.elected_unclean {
        return Some("an operator asked for an unclean election".to_owned());
    }
    controllers_forgot(faults, cluster).or_else(|| {
        let losses = losses(faults, topic);
        too_many_forgot(faults, &losses, topic, states).or_else(|| match cluster.eligible_leader_replicas {
            true => elected_without_its_log(&losses, states),
            false => last_replica_forgot(&losses, states),
        })
    })
}

fn controllers_forgot(faults: &Faults, cluster: Cluster) -> Option<String> {
    let voters: Vec<&LossyCrash> = faults
        .losses
        .iter()
        .filter(|crash| faults.votes(crash.role))
        .collect();
    let mut emptied: Vec<&str> = voters
        .iter()
        .filter(|crash| crash.loss == Loss::Disk)
        .map(|crash| crash.name.as_str())
        .collect();
    emptied.sort_unstable();
    emptied.dedup();
    let tolerated = match cluster.voters_are_known_by_disk {
        true => faults.controllers.saturating_sub(1) / 2,
        false => 0,
    };
    if emptied.len() > tolerated {
        return Some(format!("of the controllers {} lost the disk", emptied.join(", ")));
    }
    let alone = voters.first().filter(|_| faults.controllers == 1)?;
    Some(format!("the only controller {} lost power", alone.name))
}

/// When a replica that forgot something was first seen in the ISR again.
fn back_in_sync(faults: &Faults, crash: &LossyCrash, states: &States<'_>) -> Time {
    let Some(start) = faults.next_start(&crash.name, crash.time) else {
        return Time::NEVER;
    };
    let back = states.iter().find(|(time, state)| {
        *time > start && state.isr.contains(&crash.node) && state.leader != Some(crash.node)
    });
    back.map_or(Time::NEVER, |(time, _)| *time)
}

fn too_many_forgot(
    faults: &Faults,
    losses: &[&LossyCrash],
    topic: &TopicSettings,
    states: &States<'_>,
) -> Option<String> {
    let seen = states.iter().map(|(_, state)| state.isr.len() as u64).max();
    let replicas = topic.replication_factor.or(seen).unwrap_or(1).max(1);
    let needed = topic.min_insync_replicas.clamp(1, replicas);
    let until: Vec<Time> = losses
        .iter()
        .map(|crash| back_in_sync(faults, crash, states))
        .collect();
    let together = |crash: &LossyCrash| {
        let lacking = losses
            .iter()
            .zip(&until)
            .filter(|(other, until)| other.time <= crash.time && crash.time < **until);
        let mut names: Vec<&str> = lacking.map(|(other, _)| other.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let (crash, names) = losses
        .iter()
        .map(|crash| (crash, together(crash)))
        .max_by_key(|(_, names)| names.len())
        .filter(|(_, names)| names.len() as u64 >= needed)?;
    let forgot = match crash.loss {
        Loss::Disk => "lost its disk",
        Loss::PageCache => "lost power before flushing",
    };
    Some(format!(
        "{} {forgot}, {} of {replicas} replicas at a time; min.insync.replicas={needed} covers {}",
        names.join(", "),
        names.len(),
        needed - 1,
    ))
}

/// The node led again before it had copied from another leader what it forgot.
fn elected_without_its_log(losses: &[&LossyCrash], states: &States<'_>) -> Option<String> {
    losses.iter().find_map(|crash| {
        let mut after = states.iter().filter(|(time, _)| *time > crash.time);
        let first = after
            .find(|(_, state)| state.leader == Some(crash.node) || copied_from_another(state, crash.node));
        let elected = first.is_some_and(|(_, state)| state.leader == Some(crash.node));
        let led_on = states.iter().rev().find(|(time, _)| *time <= crash.time);
        let before = led_on.is_some_and(|(_, state)| state.leader == Some(crash.node));
        // What is seen first after the crash may still be the old state, told by a broker that lags.
        let interrupted = states.iter().any(|(time, state)| {
            *time > crash.time && (state.leader.is_none() || !state.isr.contains(&crash.node))
        });
        (elected && (!before || interrupted)).then(|| {
            format!(
                "{} was elected after it had lost data (last known leader)",
                crash.name
            )
        })
    })
}

fn copied_from_another(state: &PartitionState, node: NodeId) -> bool {
    state.leader.is_some_and(|leader| leader != node) && state.isr.contains(&node)
}

fn last_replica_forgot(losses: &[&LossyCrash], states: &States<'_>) -> Option<String> {
    losses.iter().find_map(|crash| {
        let (_, state) = states.iter().rev().find(|(time, _)| *time <= crash.time)?;
        (state.isr == [crash.node])
            .then(|| format!("{} lost data while it was the whole ISR (no ELR)", crash.name))
    })
}
