//! A scenario with all its settings resolved: what a trial needs besides a seed.

use std::sync::Arc;

use ktrial_models::specification::{
    ClusterSpecification, ConsumerSpecification, ProducerSpecification, ReaderSpecification,
    ServerSpecification,
};
use ktrial_sim::{Duration, Link, NodeId};

use crate::script::Script;
use crate::span::Span;
use crate::workload::Workload;

/// Everything that stays the same for all seeds of an arm.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The scenario's name.
    pub scenario: String,
    /// The servers, topics and their settings.
    pub cluster: Arc<ClusterSpecification>,
    /// Producers with empty workloads; a trial fills them.
    pub producers: Vec<(ProducerSpecification, Workload)>,
    /// Readers.
    pub readers: Vec<ReaderSpecification>,
    /// Consumers of groups.
    pub consumers: Vec<Arc<ConsumerSpecification>>,
    /// Those of them that do not run from the start, by their number.
    pub idle_consumers: Vec<usize>,
    /// How long after the other clients each consumer starts; none: with them.
    pub starts: Vec<Option<Span>>,
    /// Names of racks, by number.
    pub racks: Vec<String>,
    /// Every link of the cluster.
    pub link: Link,
    /// How long the cluster stands ready before its clients start. What brokers and controllers do periodically
    /// has any phase then, as in a cluster that has been up for long.
    pub idle: Span,
    /// How long the clients work while faults happen.
    pub duration: Duration,
    /// How long sends may wait for their outcome afterwards, before the faults are taken back.
    pub quiesce: Duration,
    /// How long everything may take to converge afterwards; none: as long as what happened may take, and three minutes
    /// at least.
    pub heal: Option<Duration>,
    /// What happens to the cluster.
    pub faults: FaultPlan,
}

/// How a trial's script comes about.
#[derive(Clone, Debug)]
pub enum FaultPlan {
    /// Drawn from the seed.
    Drawn(Arc<crate::fault::Faults>),
    /// As written down.
    Explicit(Arc<Script>),
}

/// The name of the operator's machine.
pub(crate) const OPERATOR: &str = "operator";

/// Names of servers: brokers are `b1`, `b2` ..., dedicated controllers `c1`, `c2` ....
pub(crate) fn server_names(servers: &[ServerSpecification]) -> Vec<String> {
    let (mut brokers, mut controllers) = (0, 0);
    let each = servers.iter().map(|server| {
        let (prefix, count) = match server.broker {
            true => ("b", &mut brokers),
            false => ("c", &mut controllers),
        };
        *count += 1;
        format!("{prefix}{count}")
    });
    each.collect()
}

/// Which machine is what: the operator, then the servers by id, then producers, then readers, then consumers of
/// groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    names: Vec<String>,
    servers: u16,
    producers: u16,
    readers: u16,
}

impl Layout {
    /// The machines of a scenario.
    pub fn new(resolved: &Resolved) -> Self {
        let mut names = vec![OPERATOR.to_owned()];
        names.extend(server_names(&resolved.cluster.servers));
        names.extend(
            resolved
                .producers
                .iter()
                .map(|(producer, _)| producer.name.clone()),
        );
        names.extend(resolved.readers.iter().map(|reader| reader.name.clone()));
        let consumers = resolved.consumers.iter();
        names.extend(consumers.map(|consumer| consumer.reader.name.clone()));
        Layout {
            names,
            servers: resolved.cluster.servers.len() as u16,
            producers: resolved.producers.len() as u16,
            readers: resolved.readers.len() as u16,
        }
    }

    /// The operator's machine.
    pub const OPERATOR: NodeId = NodeId(0);

    /// How many machines there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// There is always an operator.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// A machine's name.
    pub fn name(&self, node: NodeId) -> &str {
        &self.names[usize::from(node.0)]
    }

    /// A machine by its name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.names
            .iter()
            .position(|known| known == name)
            .map(|index| NodeId(index as u16))
    }

    /// The servers' machines.
    pub fn servers(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.servers).map(NodeId)
    }

    /// The producers' machines, in order of their declaration.
    pub fn producers(&self) -> impl Iterator<Item = NodeId> + use<> {
        (self.servers + 1..=self.servers + self.producers).map(NodeId)
    }

    /// The readers' machines, in order of their declaration.
    pub fn readers(&self) -> impl Iterator<Item = NodeId> + use<> {
        let first = self.servers + self.producers + 1;
        (first..first + self.readers).map(NodeId)
    }

    /// The machines of groups' consumers, in order of their declaration.
    pub fn consumers(&self) -> impl Iterator<Item = NodeId> + use<> {
        (self.servers + self.producers + self.readers + 1..self.names.len() as u16).map(NodeId)
    }

    /// The machines of all clients.
    pub fn clients(&self) -> impl Iterator<Item = NodeId> + use<> {
        (self.servers + 1..self.names.len() as u16).map(NodeId)
    }

    /// The how manieth consumer of a group a machine is.
    #[inline]
    pub fn consumer_index(&self, node: NodeId) -> Option<usize> {
        node.0
            .checked_sub(self.servers + self.producers + self.readers + 1)
            .map(usize::from)
    }

    /// Everything but the operator.
    pub fn everything(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..self.names.len() as u16).map(NodeId)
    }

    /// The names of everything but the operator.
    pub fn names(&self) -> &[String] {
        &self.names[1..]
    }

    /// The how manieth producer a machine is.
    #[inline]
    pub fn producer_index(&self, node: NodeId) -> Option<usize> {
        let index = node.0.checked_sub(self.servers + 1)?;
        (index < self.producers).then_some(usize::from(index))
    }

    /// The how manieth reader a machine is.
    pub fn reader_index(&self, node: NodeId) -> Option<usize> {
        node.0
            .checked_sub(self.servers + self.producers + 1)
            .filter(|index| *index < self.readers)
            .map(usize::from)
    }
}
