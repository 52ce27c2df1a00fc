//! What settings of brokers and readers change in a whole cluster, from the text of a setting to what happens: those
//! that no other file shows.

mod groups;
mod handlers;
mod readers;
mod storage;
#[path = "../support/mod.rs"]
mod support;
mod waiting;

use ktrial_models::config::{self, SettingsBuilder};
use ktrial_models::ids::{PartitionId, ServerId};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::Duration;
use support::{Cluster, specification, topic};

/// The first partition of the topic.
const P: PartitionId = PartitionId(0);
/// The first broker; controller 1 comes before it.
const FIRST: ServerId = ServerId(2);

/// What counts with these settings (`scope.name=value`, separated by blanks). A setting that is not modelled stops
/// the test as it stops a run.
fn resolve(settings: &str) -> config::Resolution {
    let mut builder = SettingsBuilder::new(config::Cluster {
        topics: vec!["orders".to_owned()],
        ..config::Cluster::default()
    });
    for setting in settings.split_whitespace() {
        builder.set(setting).unwrap_or_else(|error| panic!("{error}"));
    }
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(resolution.refusals, [], "{settings}");
    resolution
}

/// A controller, brokers from 2 on, and a topic with these replicas, all with these settings.
fn with_settings(brokers: u16, assignment: &[&[u16]], settings: &str) -> ClusterSpecification {
    let resolution = resolve(settings);
    let mut specification = specification(1, brokers);
    specification.broker = resolution.broker;
    specification.controller = resolution.controller;
    let mut orders = topic("orders", assignment, 1);
    orders.settings = resolution.topics[0].by_brokers;
    orders.min_insync_replicas = None;
    specification.topics = vec![orders];
    specification
}

/// Such a cluster, with its topic.
fn running(brokers: u16, assignment: &[&[u16]], settings: &str) -> Cluster {
    Cluster::running(with_settings(brokers, assignment, settings), 1)
}

/// Messages read by any process while `span` passes.
fn messages(cluster: &mut Cluster, span: Duration) -> u64 {
    let before = cluster.simulation.counters().delivered;
    cluster.run_for(span);
    cluster.simulation.counters().delivered - before
}

/// Milliseconds until something holds, at most a minute.
fn millis_until(cluster: &mut Cluster, holds: impl Fn(&Cluster) -> bool) -> u64 {
    let start = cluster.simulation.now();
    assert!(
        cluster.run_until(Duration::secs(60), holds),
        "never: {:?}",
        cluster.told
    );
    cluster.simulation.now().since(start).as_millis()
}
