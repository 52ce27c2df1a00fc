//! Whom roles mean at the moment.

use ktrial_models::groups::partition_of;
use ktrial_models::ids::ServerId;
use ktrial_sim::NodeId;

use super::TrialDirector;
use crate::role::{PartitionName, RoleView};

impl RoleView for TrialDirector {
    fn node(&self, name: &str) -> Option<NodeId> {
        self.layout.node(name)
    }
    fn bound(&self, name: &str) -> Vec<NodeId> {
        self.bound.get(name).cloned().unwrap_or_default()
    }
    fn leader(&self, partition: &PartitionName) -> Option<NodeId> {
        self.registration(partition)?.leader.map(ServerId::node)
    }
    fn replicas(&self, partition: &PartitionName) -> Vec<NodeId> {
        let replicas = self
            .registration(partition)
            .map(|registration| &registration.replicas);
        replicas
            .into_iter()
            .flatten()
            .map(|replica| replica.node())
            .collect()
    }
    fn active_controller(&self) -> Option<NodeId> {
        self.active_controller.map(|(_, node)| node)
    }
    fn controllers(&self) -> Vec<NodeId> {
        let servers = self.resolved.cluster.servers.iter();
        servers
            .filter(|server| server.controller)
            .map(|server| server.id.node())
            .collect()
    }
    fn brokers(&self) -> Vec<NodeId> {
        let servers = self.resolved.cluster.servers.iter();
        servers
            .filter(|server| server.broker)
            .map(|server| server.id.node())
            .collect()
    }
    fn rack(&self, name: &str) -> Vec<NodeId> {
        let number = self.resolved.racks.iter().position(|known| known == name);
        let servers = self.resolved.cluster.servers.iter();
        servers
            .filter(|server| server.rack.map(usize::from) == number && number.is_some())
            .map(|server| server.id.node())
            .collect()
    }
    fn producers(&self) -> Vec<NodeId> {
        self.layout.producers().collect()
    }
    fn readers(&self) -> Vec<NodeId> {
        self.layout.readers().collect()
    }
    fn consumers(&self, group: Option<&str>) -> Vec<NodeId> {
        let names = &self.resolved.cluster.groups.names;
        let number = group.map(|group| names.iter().position(|known| known == group));
        let each = self.layout.consumers().zip(&self.resolved.consumers);
        each.filter(|(_, told)| number.is_none_or(|number| number == Some(usize::from(told.group.0))))
            .map(|(node, _)| node)
            .collect()
    }
    fn coordinator(&self, group: &str) -> Option<NodeId> {
        let topic = &self.resolved.cluster.groups.offsets_topic;
        self.leader(&PartitionName {
            topic: topic.name.clone(),
            index: partition_of(group, topic.partitions),
        })
    }
    fn everything(&self) -> Vec<NodeId> {
        self.layout.everything().collect()
    }
}
