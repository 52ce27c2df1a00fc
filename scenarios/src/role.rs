//! Whom a fault means: roles, not numbers, resolved at the moment the fault happens.

use std::fmt;

use ktrial_models::config::nearest;
use ktrial_sim::{NodeId, Sequence};
use serde::{Deserialize, Serialize};

/// A partition by its topic's name and its number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionName {
    /// The topic.
    pub topic: String,
    /// The partition's number in it.
    pub index: u32,
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

impl PartitionName {
    /// Reads `TOPIC-NUMBER`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no partition: expected TOPIC-NUMBER, like orders-0");
        let (topic, index) = text.trim().rsplit_once('-').ok_or_else(wrong)?;
        Ok(PartitionName {
            topic: topic.to_owned(),
            index: index.parse().map_err(|_| wrong())?,
        })
    }
}

/// Nodes by what they are at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A node by its name: `b1`, `c2`, a client's name.
    Node(String),
    /// What a name was bound to.
    Bound(String),
    /// The broker that leads a partition.
    LeaderOf(PartitionName),
    /// The other replicas of a partition.
    FollowersOf(PartitionName),
    /// The first of them in the partition's assignment.
    FollowerOf(PartitionName),
    /// All replicas of a partition.
    ReplicasOf(PartitionName),
    /// The controller that leads the quorum.
    ActiveController,
    /// The other controllers.
    StandbyControllers,
    /// The first of them.
    StandbyController,
    /// All controllers.
    Controllers,
    /// All brokers.
    Brokers,
    /// Brokers of a rack.
    Rack(String),
    /// All clients.
    Clients,
    /// All producers.
    Producers,
    /// All readers.
    Readers,
    /// All consumers of groups.
    Consumers,
    /// The consumers of a group.
    ConsumersOf(String),
    /// The broker that coordinates a group.
    CoordinatorOf(String),
    /// Every server and client.
    Everything,
    /// One or the other.
    And(Box<Role>, Box<Role>),
    /// The first without the second.
    Except(Box<Role>, Box<Role>),
    /// One of them, drawn before the trial starts.
    OneOf(Box<Role>),
    /// The n-th of them (modulo how many there are when it happens): what a draw made of `OneOf`.
    Pick(u32, Box<Role>),
}

const FORMS: [&str; 21] = [
    "leader of PARTITION",
    "followers of PARTITION",
    "a follower of PARTITION",
    "replicas of PARTITION",
    "active controller",
    "standby controllers",
    "a standby controller",
    "controllers",
    "brokers",
    "rack NAME",
    "clients",
    "producers",
    "readers",
    "consumers",
    "consumers of GROUP",
    "coordinator of group GROUP",
    "everything",
    "ROLE and ROLE",
    "ROLE except ROLE",
    "one of ROLE",
    "$NAME",
];

impl Role {
    /// The forms a role can have, for help texts.
    pub fn forms() -> &'static [&'static str] {
        &FORMS
    }

    /// Reads a role.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(role) = text.strip_prefix("one of ") {
            return Ok(Role::OneOf(Box::new(Role::parse(role)?)));
        }
        if let Some((number, role)) = text
            .strip_prefix("pick ")
            .and_then(|rest| rest.split_once(" of "))
        {
            let number = number
                .parse()
                .map_err(|_| format!("`{text}`: `{number}` is no number"))?;
            return Ok(Role::Pick(number, Box::new(Role::parse(role)?)));
        }
        if let Some((one, other)) = text.split_once(" except ") {
            return Ok(Role::Except(
                Box::new(Role::parse(one)?),
                Box::new(Role::parse(other)?),
            ));
        }
        if let Some((one, other)) = text.split_once(" and ") {
            return Ok(Role::And(
                Box::new(Role::parse(one)?),
                Box::new(Role::parse(other)?),
            ));
        }
        let of = |prefix: &str| text.strip_prefix(prefix).map(PartitionName::parse);
        if let Some(partition) = of("leader of ") {
            return partition.map(Role::LeaderOf);
        }
        if let Some(partition) = of("followers of ") {
            return partition.map(Role::FollowersOf);
        }
        if let Some(partition) = of("a follower of ") {
            return partition.map(Role::FollowerOf);
        }
        if let Some(partition) = of("replicas of ") {
            return partition.map(Role::ReplicasOf);
        }
        if let Some(group) = text.strip_prefix("coordinator of group ") {
            return Ok(Role::CoordinatorOf(group.trim().to_owned()));
        }
        if let Some(group) = text.strip_prefix("consumers of ") {
            return Ok(Role::ConsumersOf(group.trim().to_owned()));
        }
        if let Some(rack) = text.strip_prefix("rack ") {
            return Ok(Role::Rack(rack.trim().to_owned()));
        }
        if let Some(name) = text.strip_prefix('$') {
            return Ok(Role::Bound(name.to_owned()));
        }
        match text {
            "active controller" => Ok(Role::ActiveController),
            "standby controllers" => Ok(Role::StandbyControllers),
            "a standby controller" => Ok(Role::StandbyController),
            "controllers" => Ok(Role::Controllers),
            "brokers" => Ok(Role::Brokers),
            "clients" => Ok(Role::Clients),
            "producers" => Ok(Role::Producers),
            "readers" => Ok(Role::Readers),
            "consumers" => Ok(Role::Consumers),
            "everything" => Ok(Role::Everything),
            name if !name.is_empty() && !name.contains(' ') => Ok(Role::Node(name.to_owned())),
            other => {
                let hint = nearest(other, FORMS.iter().copied())
                    .map_or(String::new(), |form| format!("; did you mean `{form}`?"));
                Err(format!(
                    "`{other}` is no role: expected a node's name or one of: {}{hint}",
                    FORMS.join(", ")
                ))
            }
        }
    }

    /// Every node name, bound name, rack and partition the role mentions, for checking before a trial starts.
    pub fn mentions(&self, each: &mut impl FnMut(Mention<'_>)) {
        match self {
            Role::Node(name) => each(Mention::Node(name)),
            Role::Bound(name) => each(Mention::Bound(name)),
            Role::Rack(name) => each(Mention::Rack(name)),
            Role::ConsumersOf(name) | Role::CoordinatorOf(name) => each(Mention::Group(name)),
            Role::LeaderOf(partition)
            | Role::FollowersOf(partition)
            | Role::FollowerOf(partition)
            | Role::ReplicasOf(partition) => each(Mention::Partition(partition)),
            Role::And(one, other) | Role::Except(one, other) => {
                one.mentions(each);
                other.mentions(each);
            }
            Role::OneOf(role) | Role::Pick(_, role) => role.mentions(each),
            _ => {}
        }
    }

    /// The role with every choice drawn.
    pub fn drawn(&self, draws: &mut Sequence) -> Role {
        match self {
            Role::OneOf(role) => Role::Pick(draws.below(1 << 16) as u32, Box::new(role.drawn(draws))),
            Role::And(one, other) => Role::And(Box::new(one.drawn(draws)), Box::new(other.drawn(draws))),
            Role::Except(one, other) => {
                Role::Except(Box::new(one.drawn(draws)), Box::new(other.drawn(draws)))
            }
            role => role.clone(),
        }
    }

    /// The nodes it means now, without repetition, in order.
    pub fn resolve(&self, view: &impl RoleView) -> Vec<NodeId> {
        let mut nodes = match self {
            Role::Node(name) => view.node(name).into_iter().collect(),
            Role::Bound(name) => view.bound(name),
            Role::LeaderOf(partition) => view.leader(partition).into_iter().collect(),
            Role::FollowersOf(partition) => {
                let leader = view.leader(partition);
                view.replicas(partition)
                    .into_iter()
                    .filter(|node| Some(*node) != leader)
                    .collect()
            }
            Role::FollowerOf(partition) => {
                let leader = view.leader(partition);
                view.replicas(partition)
                    .into_iter()
                    .find(|node| Some(*node) != leader)
                    .into_iter()
                    .collect()
            }
            Role::ReplicasOf(partition) => view.replicas(partition),
            Role::ActiveController => view.active_controller().into_iter().collect(),
            Role::StandbyControllers => {
                let active = view.active_controller();
                view.controllers()
                    .into_iter()
                    .filter(|node| Some(*node) != active)
                    .collect()
            }
            Role::StandbyController => {
                let active = view.active_controller();
                view.controllers()
                    .into_iter()
                    .find(|node| Some(*node) != active)
                    .into_iter()
                    .collect()
            }
            Role::Controllers => view.controllers(),
            Role::Brokers => view.brokers(),
            Role::Rack(name) => view.rack(name),
            Role::Clients => {
                let mut clients = view.producers();
                clients.extend(view.readers());
                clients.extend(view.consumers(None));
                clients
            }
            Role::Producers => view.producers(),
            Role::Readers => view.readers(),
            Role::Consumers => view.consumers(None),
            Role::ConsumersOf(group) => view.consumers(Some(group)),
            Role::CoordinatorOf(group) => view.coordinator(group).into_iter().collect(),
            Role::Everything => view.everything(),
            Role::And(one, other) => {
                let mut nodes = one.resolve(view);
                nodes.extend(other.resolve(view));
                nodes
            }
            Role::Except(one, other) => {
                let without = other.resolve(view);
                one.resolve(view)
                    .into_iter()
                    .filter(|node| !without.contains(node))
                    .collect()
            }
            Role::OneOf(role) => role.resolve(view).into_iter().take(1).collect(),
            Role::Pick(number, role) => {
                let nodes = role.resolve(view);
                let count = nodes.len().max(1);
                nodes
                    .into_iter()
                    .nth(*number as usize % count)
                    .into_iter()
                    .collect()
            }
        };
        let mut seen = Vec::new();
        nodes.retain(|node| {
            let new = !seen.contains(node);
            seen.push(*node);
            new
        });
        nodes
    }
}

/// Something a role names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mention<'a> {
    /// A node.
    Node(&'a str),
    /// A bound name.
    Bound(&'a str),
    /// A rack.
    Rack(&'a str),
    /// A partition.
    Partition(&'a PartitionName),
    /// A group.
    Group(&'a str),
}

/// What roles are resolved against.
pub trait RoleView {
    /// A node by its name.
    fn node(&self, name: &str) -> Option<NodeId>;
    /// What a name was bound to.
    fn bound(&self, name: &str) -> Vec<NodeId>;
    /// Who leads a partition.
    fn leader(&self, partition: &PartitionName) -> Option<NodeId>;
    /// Its replicas in order of their assignment.
    fn replicas(&self, partition: &PartitionName) -> Vec<NodeId>;
    /// Who leads the quorum.
    fn active_controller(&self) -> Option<NodeId>;
    /// All controllers.
    fn controllers(&self) -> Vec<NodeId>;
    /// All brokers.
    fn brokers(&self) -> Vec<NodeId>;
    /// Brokers of a rack.
    fn rack(&self, name: &str) -> Vec<NodeId>;
    /// All producers.
    fn producers(&self) -> Vec<NodeId>;
    /// All readers.
    fn readers(&self) -> Vec<NodeId>;
    /// Consumers of a group, or of all groups.
    fn consumers(&self, group: Option<&str>) -> Vec<NodeId>;
    /// Who leads the partition of `__consumer_offsets` that keeps a group.
    fn coordinator(&self, group: &str) -> Option<NodeId>;
    /// All servers and clients.
    fn everything(&self) -> Vec<NodeId>;
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Node(name) => f.write_str(name),
            Role::Bound(name) => write!(f, "${name}"),
            Role::LeaderOf(partition) => write!(f, "leader of {partition}"),
            Role::FollowersOf(partition) => write!(f, "followers of {partition}"),
            Role::FollowerOf(partition) => write!(f, "a follower of {partition}"),
            Role::ReplicasOf(partition) => write!(f, "replicas of {partition}"),
            Role::ActiveController => f.write_str("active controller"),
            Role::StandbyControllers => f.write_str("standby controllers"),
            Role::StandbyController => f.write_str("a standby controller"),
            Role::Controllers => f.write_str("controllers"),
            Role::Brokers => f.write_str("brokers"),
            Role::Rack(name) => write!(f, "rack {name}"),
            Role::Clients => f.write_str("clients"),
            Role::Producers => f.write_str("producers"),
            Role::Readers => f.write_str("readers"),
            Role::Consumers => f.write_str("consumers"),
            Role::ConsumersOf(group) => write!(f, "consumers of {group}"),
            Role::CoordinatorOf(group) => write!(f, "coordinator of group {group}"),
            Role::Everything => f.write_str("everything"),
            Role::And(one, other) => write!(f, "{one} and {other}"),
            Role::Except(one, other) => write!(f, "{one} except {other}"),
            Role::OneOf(role) => write!(f, "one of {role}"),
            Role::Pick(number, role) => write!(f, "pick {number} of {role}"),
        }
    }
}

impl Serialize for Role {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Role::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_written_as_it_is_read() {
        for text in [
            "leader of orders-0",
            "a follower of my-topic-12",
            "active controller",
            "rack a",
            "everything except clients and leader of orders-0",
            "b1 and b2",
            "$old",
            "one of brokers except $old",
            "pick 7 of controllers",
        ] {
            assert_eq!(Role::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_role_that_is_none_is_refused_with_the_nearest_form() {
        let error = Role::parse("actve controller").unwrap_err();
        assert!(error.contains("did you mean `active controller`?"), "{error}");
        assert!(
            Role::parse("leader of orders")
                .unwrap_err()
                .contains("TOPIC-NUMBER")
        );
    }
}
