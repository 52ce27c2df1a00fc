//! The metadata quorum without faults and with single ones: who leads, and what a restart may forget.

mod quorum_cluster;

use ktrial_models::ids::{QuorumEpoch, ServerId};
use ktrial_models::kafka::Signal;
use ktrial_sim::{Crash, Duration, NodeId, PowerLoss};
use quorum_cluster::{Cluster, specification};

#[test]
fn three_controllers_elect_one_leader_and_everybody_follows_it() {
    for seed in 0..50 {
        let mut cluster = Cluster::start(seed, specification("cccbbb"));
        cluster.assert_agreed(seed);
        cluster.watch.assert_safe(seed);
    }
}

#[test]
fn a_single_controller_leads_at_once() {
    let mut cluster = Cluster::start(1, specification("cb"));
    cluster.run(Duration::secs(4));
    assert_eq!(cluster.leader(), Some(NodeId(1)));
    cluster.assert_agreed(1);
}

#[test]
fn combined_servers_elect_a_leader() {
    for seed in 0..10 {
        let mut cluster = Cluster::start(seed, specification("xxx"));
        cluster.assert_agreed(seed);
        cluster.watch.assert_safe(seed);
    }
}

#[test]
fn a_killed_leader_is_replaced_and_comes_back_as_a_follower() {
    for seed in 0..20 {
        let mut cluster = Cluster::start(seed, specification("cccb"));
        let old = cluster.await_leader();
        cluster.simulation.crash(old, Crash::Process);
        cluster.run(Duration::millis(1));
        let new = cluster.await_leader();
        assert_ne!(old, new);
        cluster.simulation.start(old);
        cluster.assert_agreed(seed);
        cluster.watch.assert_safe(seed);
    }
}

#[test]
fn a_restarted_leader_does_not_resume_its_epoch() {
    for seed in 0..20 {
        let mut cluster = Cluster::start(seed, specification("c"));
        cluster.await_leader();
        let epoch = cluster.raft(NodeId(1)).epoch();
        let crash = Crash::Power(PowerLoss::EverythingUnflushed);
        cluster.simulation.crash(NodeId(1), crash);
        cluster.simulation.start(NodeId(1));
        cluster.run(Duration::secs(5));
        assert!(cluster.raft(NodeId(1)).epoch() > epoch, "seed {seed}");
        assert_eq!(cluster.leader(), Some(NodeId(1)));
    }
}

#[test]
fn an_orderly_stop_of_the_leader_hands_over_without_waiting_for_the_fetch_timeout() {
    let mut cluster = Cluster::start(3, specification("ccc"));
    let old = cluster.await_leader();
    cluster.run(Duration::secs(3));
    cluster.simulation.signal(old, Signal::Terminate);
    let before = cluster.simulation.now();
    cluster.run(Duration::millis(1));
    let new = cluster.await_leader();
    assert_ne!(old, new);
    let (at, ..) = *cluster.watch.led.last().expect("somebody leads");
    assert!(at.since(before) < Duration::millis(100), "{}", at.since(before));
    cluster.run(Duration::secs(1));
    assert_eq!(cluster.watch.stopped.len(), 1);
    assert_eq!(cluster.watch.stopped[0].1, ServerId::from(old));
}

#[test]
fn an_idle_quorum_costs_its_fetches() {
    let mut cluster = Cluster::start(5, specification("cccc"));
    cluster.assert_agreed(5);
    let before = cluster.simulation.counters();
    cluster.run(Duration::secs(10));
    let after = cluster.simulation.counters();
    // Three followers ask twice a second and are answered.
    let messages = after.delivered - before.delivered;
    assert!((117..=123).contains(&messages), "{messages}");
    // Besides, only timers: the leader's own, and those that end the wait of the fetches.
    let events = after.events - before.events;
    assert!(events < 3 * messages, "{events}");
}

#[test]
fn the_epoch_of_a_cluster_without_faults_is_that_of_its_first_election() {
    let mut cluster = Cluster::start(7, specification("ccc"));
    cluster.assert_agreed(7);
    let epoch = cluster.raft(NodeId(1)).epoch();
    cluster.run(Duration::secs(60));
    assert_eq!(cluster.raft(NodeId(1)).epoch(), epoch);
    assert!(epoch >= QuorumEpoch(1));
}
