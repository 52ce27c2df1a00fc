//! What each `controller.quorum.*` setting changes.

mod quorum_cluster;

use ktrial_models::ids::{Offset, ServerId};
use ktrial_models::kafka::Signal;
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{Crash, Duration, NodeId};
use quorum_cluster::{Cluster, specification, with_records};

fn changed(roles: &str, change: impl FnOnce(&mut ClusterSpecification)) -> ClusterSpecification {
    let mut specification = specification(roles);
    change(&mut specification);
    specification
}

#[test]
fn controller_quorum_election_timeout_ms_is_how_long_voters_wait_for_a_leader_at_first() {
    let elected_after = |millis| {
        let specification = changed("ccc", |to| {
            to.controller.controller_quorum_election_timeout_ms = Duration::millis(millis);
        });
        let mut cluster = Cluster::start(1, specification);
        cluster.await_leader();
        cluster.watch.led[0].0.millis()
    };
    assert!((2_500..6_000).contains(&elected_after(1_000)));
    assert!((5_500..12_000).contains(&elected_after(4_000)));
}

#[test]
fn controller_quorum_fetch_timeout_ms_is_how_long_followers_miss_a_dead_leader() {
    let replaced_after = |millis| {
        let specification = changed("ccc", |to| {
            to.controller.controller_quorum_fetch_timeout_ms = Duration::millis(millis);
        });
        let mut cluster = Cluster::start(1, specification);
        let leader = cluster.await_leader();
        cluster.run(Duration::secs(3));
        cluster.simulation.crash(leader, Crash::Process);
        let killed = cluster.simulation.now();
        cluster.run(Duration::secs(20));
        cluster.watch.led[1].0.since(killed).as_millis()
    };
    // Both may miss it at the same time and split the votes: then one more election timeout.
    assert!((1_400..4_300).contains(&replaced_after(2_000)));
    assert!((7_400..10_300).contains(&replaced_after(8_000)));
}

#[test]
fn controller_quorum_election_backoff_max_ms_is_what_lesser_successors_wait() {
    let elected_after = |millis| {
        let specification = changed("ccc", |to| {
            to.controller.controller_quorum_election_backoff_max_ms = Duration::millis(millis);
        });
        let mut cluster = Cluster::start(1, specification);
        let leader = cluster.await_leader();
        cluster.run(Duration::secs(3));
        let first = cluster
            .servers()
            .find(|server| *server != leader)
            .expect("there are three");
        cluster.simulation.crash(first, Crash::Process);
        cluster.simulation.signal(leader, Signal::Terminate);
        let stopped = cluster.simulation.now();
        cluster.run(Duration::secs(3));
        cluster.watch.led[1].0.since(stopped).as_millis()
    };
    assert!((500..510).contains(&elected_after(1_000)));
    assert!((50..60).contains(&elected_after(100)));
}

#[test]
fn controller_quorum_append_linger_ms_is_how_long_records_are_gathered() {
    let gathered = |millis| {
        let specification = changed("c", |to| {
            to.controller.controller_quorum_append_linger_ms = Duration::millis(millis);
        });
        let mut cluster = Cluster::start(1, specification);
        cluster.run(Duration::secs(10));
        // The start of the epoch is written at once; the controller's first records come right behind it.
        let [start, first] = &cluster.watch.appended[..] else {
            panic!("{:?}", cluster.watch.appended);
        };
        first.0.since(start.0).as_millis()
    };
    assert!((24..32).contains(&gathered(25)), "{}", gathered(25));
    assert!((299..307).contains(&gathered(300)), "{}", gathered(300));
}

#[test]
fn controller_quorum_request_timeout_ms_is_when_an_observer_looks_for_another_leader() {
    let found_after = |millis| {
        let specification = changed("cccb", |to| {
            to.broker.controller_quorum_request_timeout_ms = Duration::millis(millis);
        });
        let mut cluster = Cluster::start(1, specification);
        let old = cluster.await_leader();
        cluster.run(Duration::secs(3));
        cluster.isolate(old);
        let cut = cluster.simulation.now();
        let knows = |cluster: &Cluster| {
            let leader = cluster.raft(NodeId(4)).leader();
            leader.is_some_and(|leader| leader != ServerId::from(old))
        };
        while !knows(&cluster) {
            cluster.run(Duration::millis(10));
        }
        cluster.simulation.now().since(cut).as_millis()
    };
    assert!((1_500..4_000).contains(&found_after(2_000)));
    assert!((9_000..12_000).contains(&found_after(10_000)));
}

#[test]
fn controller_quorum_retry_backoff_ms_is_how_often_an_observer_asks_voters_that_know_no_leader() {
    let messages = |millis| {
        let specification = changed("ccb", |to| {
            to.broker.controller_quorum_retry_backoff_ms = Duration::millis(millis);
        });
        let mut cluster = Cluster::start(1, specification);
        cluster.simulation.crash(NodeId(2), Crash::Process);
        cluster.run(Duration::secs(10));
        let before = cluster.simulation.counters().delivered;
        cluster.run(Duration::secs(10));
        cluster.simulation.counters().delivered - before
    };
    let (often, seldom) = (messages(20), messages(1_000));
    assert!(often > 600 && seldom < 80, "{often} and {seldom}");
}

#[test]
fn controller_quorum_fetch_max_bytes_limits_what_one_fetch_returns() {
    let messages = |bytes| {
        let specification = changed("cb", |to| to.broker.controller_quorum_fetch_max_bytes = bytes);
        let mut cluster = Cluster::start(1, with_records(specification));
        cluster.simulation.crash(NodeId(2), Crash::Process);
        cluster.run(Duration::secs(60));
        let before = cluster.simulation.counters().delivered;
        cluster.simulation.start(NodeId(2));
        cluster.run(Duration::secs(6));
        assert!(
            cluster.raft(NodeId(2)).high_watermark() > Some(Offset(100)),
            "it has caught up"
        );
        cluster.simulation.counters().delivered - before
    };
    let (one_by_one, at_once) = (messages(1), messages(1_048_576));
    assert!(one_by_one > at_once + 150, "{one_by_one} and {at_once}");
}
