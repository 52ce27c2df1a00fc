//! Whether a trial has converged, and what has not.

use ktrial_models::config::Acks;
use ktrial_models::controller::Controller;
use ktrial_models::ids::{Offset, PartitionId, ServerId};
use ktrial_models::kafka::{Kafka, KafkaNode};
use ktrial_models::notes::Phase;
use ktrial_models::specification::ConsumerSpecification;
use ktrial_sim::{NodeId, Simulation, Status};

use super::TrialDirector;

/// Groups, by number, and readers that need not have read everything.
type Excused<'a> = (&'a [usize], &'a [NodeId]);

impl TrialDirector {
    /// What has not converged, in words; at most `most` of it.
    pub fn pending(&self, simulation: &Simulation<Kafka>, most: usize) -> Vec<String> {
        self.pending_but((&[], &[]), simulation, most)
    }

    /// Whether nothing is left but what groups have not read whose applications never get past a record that always
    /// fails: nobody promises that they do.
    pub(crate) fn only_stuck_groups_are_left(&self, simulation: &Simulation<Kafka>) -> bool {
        let stuck = self
            .resolved
            .consumers
            .iter()
            .filter(|consumer| consumer.gets_stuck(self.sent_records(), simulation.chance()));
        let stuck: Vec<usize> = stuck.map(|consumer| usize::from(consumer.group.0)).collect();
        !stuck.is_empty() && self.pending_but((&stuck, &[]), simulation, 1).is_empty()
    }

    /// What of servers, producers and readers without a group has not converged, but for readers whose `poll` threw.
    pub(crate) fn pending_but_groups(&self, simulation: &Simulation<Kafka>, most: usize) -> Vec<String> {
        let all: Vec<usize> = (0..self.resolved.cluster.groups.names.len()).collect();
        self.pending_but((&all, &self.threw), simulation, most)
    }

    /// What has not converged but for what these groups and readers have not read.
    fn pending_but(&self, excused: Excused<'_>, simulation: &Simulation<Kafka>, most: usize) -> Vec<String> {
        let mut pending = Vec::new();
        let mut add = |text: String| {
            if pending.len() < most {
                pending.push(text);
            }
        };
        if !self.has_active_controller(simulation) {
            add("no controller is active".to_owned());
        }
        for (id, registration) in self.registrations.iter() {
            let Some(name) = self.partition_name(id) else {
                continue;
            };
            match registration.leader {
                None => add(format!("{name} has no leader")),
                Some(_) if registration.isr.len() < registration.replicas.len() => {
                    add(format!(
                        "{name} has {} of {} replicas in sync",
                        registration.isr.len(),
                        registration.replicas.len()
                    ));
                }
                Some(leader) => {
                    if let Some(behind) = self.behind(id, leader, excused, simulation) {
                        add(behind);
                    }
                }
            }
        }
        for server in self.layout.servers() {
            let KafkaNode::Server(process) = simulation.node(server) else {
                continue;
            };
            if process.broker().is_some() && self.phases[usize::from(server.0)] != Some(Phase::Running) {
                add(format!("{} is not running", self.layout.name(server)));
            }
        }
        for (producer, (told, _)) in self.layout.producers().zip(&self.resolved.producers) {
            let KafkaNode::Producer(process) = simulation.node(producer) else {
                continue;
            };
            // With acks=0 a send has its outcome before it has arrived anywhere.
            if told.settings.acks == Acks::None && simulation.has_unread_from(producer) {
                add(format!(
                    "what {} sent has not all arrived",
                    self.layout.name(producer)
                ));
            }
            let waiting = process.pending();
            if waiting > 0 {
                add(format!(
                    "{} waits for the outcome of {waiting} sends",
                    self.layout.name(producer)
                ));
            }
        }
        pending
    }

    fn has_active_controller(&self, simulation: &Simulation<Kafka>) -> bool {
        let mut servers = self.layout.servers();
        servers.any(|server| match simulation.node(server) {
            KafkaNode::Server(process) => {
                let active = process.controller().is_some_and(Controller::is_active);
                active && simulation.status(server) == Status::Up
            }
            _ => false,
        })
    }

    /// What is not yet replicated or read of a partition.
    fn behind(
        &self,
        id: PartitionId,
        leader: ServerId,
        excused: Excused<'_>,
        simulation: &Simulation<Kafka>,
    ) -> Option<String> {
        let name = self.partition_name(id)?;
        let KafkaNode::Server(process) = simulation.node(leader.node()) else {
            return None;
        };
        let log = process.broker().and_then(|broker| broker.partition(id));
        let Some(partition) = log.filter(|partition| partition.is_leader()) else {
            return Some(format!(
                "{} does not lead {name} yet",
                self.layout.name(leader.node())
            ));
        };
        let limit = partition.log().high_watermark();
        if limit < partition.log().end() {
            return Some(format!("{name} is not committed up to its end"));
        }
        let registration = self.registrations.get(id)?;
        let specification = *self.topics.get(&registration.topic)?;
        for (reader, told) in self.layout.readers().zip(&self.resolved.readers) {
            let KafkaNode::Reader(process) = simulation.node(reader) else {
                continue;
            };
            if !told.topics.contains(&specification) || excused.1.contains(&reader) {
                continue;
            }
            if process.position(id).is_none_or(|position| position != limit) {
                return Some(format!(
                    "{} has not read {name} to its end",
                    self.layout.name(reader)
                ));
            }
        }
        self.not_read_by_groups(specification, id, limit, excused.0, simulation)
    }

    /// Which group has no member that has read a partition to its end.
    fn not_read_by_groups(
        &self,
        topic: u16,
        id: PartitionId,
        limit: Offset,
        excused: &[usize],
        simulation: &Simulation<Kafka>,
    ) -> Option<String> {
        for (number, group) in self.resolved.cluster.groups.names.iter().enumerate() {
            let of_group = |told: &ConsumerSpecification| {
                usize::from(told.group.0) == number && told.reader.topics.contains(&topic)
            };
            let each = self.layout.consumers().zip(&self.resolved.consumers);
            let mut members = each.filter(|(_, told)| of_group(told)).peekable();
            if members.peek().is_none() || excused.contains(&number) {
                continue;
            }
            let has_read = members.any(|(node, _)| match simulation.node(node) {
                KafkaNode::Consumer(process) => {
                    let mut positions = process.positions();
                    process.is_settled()
                        && process.is_idle()
                        && positions.any(|(one, at)| one == id && at == Some(limit))
                }
                _ => false,
            });
            if !has_read {
                let name = self.partition_name(id)?;
                let each = self.layout.consumers().zip(&self.resolved.consumers);
                let members = each.filter(|(_, told)| of_group(told)).map(|(node, _)| node);
                let why = self.why_not_read(members, id, limit, simulation);
                return Some(format!("group {group} has not read {name} to its end: {why}"));
            }
        }
        None
    }

    /// What keeps a group from the end of a partition.
    fn why_not_read(
        &self,
        members: impl Iterator<Item = NodeId>,
        id: PartitionId,
        limit: Offset,
        simulation: &Simulation<Kafka>,
    ) -> String {
        for node in members {
            let KafkaNode::Consumer(process) = simulation.node(node) else {
                continue;
            };
            let Some((_, position)) = process.positions().find(|(one, _)| *one == id) else {
                continue;
            };
            let name = self.layout.name(node);
            return match position {
                _ if !process.is_settled() => format!("{name} owns it and is to join again"),
                None => format!("{name} owns it and has no position"),
                Some(at) if at != limit => format!("{name} is at {at} of {limit}"),
                Some(_) => format!("{name} still works on what it was given"),
            };
        }
        "no member owns it".to_owned()
    }
}
