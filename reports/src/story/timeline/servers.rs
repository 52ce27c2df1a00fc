//! What servers do: their quorum, their registrations, their processes.

use ktrial_models::notes::{ClusterNote, Phase, QuorumNote};
use ktrial_sim::{NodeId, Time};

use super::{About, Chronicle};

impl Chronicle<'_> {
    pub(super) fn cluster(&mut self, at: Time, note: &ClusterNote) {
        let text = match note {
            ClusterNote::Fenced(broker) => format!("{} is fenced", self.view.server(*broker)),
            ClusterNote::Unfenced(broker) => format!("{} is unfenced", self.view.server(*broker)),
            ClusterNote::ControlledShutdown(broker) => {
                format!("{} is in controlled shutdown", self.view.server(*broker))
            }
            ClusterNote::TopicRefused { topic, error } => {
                let cluster = &self.view.arm.resolved.cluster;
                let (topic, brokers) = (
                    cluster.topic(*topic),
                    cluster.servers.iter().filter(|server| server.broker),
                );
                format!(
                    "{} cannot be created ({error}): it is to have {} replicas, and there are {} brokers; no group has a \
                     coordinator",
                    topic.name,
                    topic.replication_factor,
                    brokers.count()
                )
            }
            ClusterNote::Registered { broker, epoch, clean } => {
                // Of a first start Kafka knows no clean stop, but there was none of any kind.
                let first = *self.first_epochs.entry(*broker).or_insert(*epoch) == *epoch;
                let how = match (first, clean) {
                    (true, _) => " with an empty disk",
                    (false, true) => "; its last stop was clean",
                    (false, false) => "; its last stop was not clean",
                };
                format!("{} registers{how}", self.view.server(*broker))
            }
            ClusterNote::TopicCreated(..) | ClusterNote::Partition { .. } => return,
        };
        self.end_changes();
        self.line(at, About::Cluster, text);
    }

    pub(super) fn quorum(&mut self, at: Time, node: NodeId, note: QuorumNote) {
        match note {
            QuorumNote::Leads(epoch) if self.active.is_none_or(|(newest, _)| epoch.0 > newest) => {
                self.active = Some((epoch.0, node));
                let name = self.view.name(node);
                self.line(
                    at,
                    About::Cluster,
                    format!("{name} becomes the active controller (epoch {epoch})"),
                );
            }
            QuorumNote::Resigned(epoch) => {
                let name = self.view.name(node);
                self.line(
                    at,
                    About::Cluster,
                    format!("{name} is no longer the active controller (epoch {epoch})"),
                );
            }
            QuorumNote::Truncated { to, from } => {
                let name = self.view.name(node);
                self.line(
                    at,
                    About::Cluster,
                    format!("{name} cuts its metadata log back from {from} to {to}"),
                );
            }
            _ => {}
        }
    }

    pub(super) fn phase(&mut self, at: Time, node: NodeId, phase: Phase) {
        let name = self.view.name(node);
        let is_broker = self.view.is_broker(node);
        let text = match phase {
            Phase::Recovering => return,
            Phase::Starting | Phase::CatchingUp => return,
            Phase::Running if !is_broker => format!("{name} has caught up with the metadata quorum"),
            Phase::ShuttingDown if !is_broker => format!("{name} begins its shutdown"),
            Phase::Running => format!("{name} serves again"),
            Phase::ShuttingDown => format!("{name} begins its controlled shutdown"),
            Phase::Stopped => format!("{name} has stopped in an orderly way"),
            Phase::Exited(why) => format!("{name} ends itself: {why}"),
        };
        self.line(at, About::Broker, text);
    }
}
