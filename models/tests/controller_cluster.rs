//! Whole clusters: what the controllers make of brokers that die, return, stop in order or lose their disk. The
//! courses are those that recordings of Apache Kafka show for the same faults.

mod support;

use ktrial_models::ids::ServerId;
use ktrial_models::notes::{ChangeReason, ClusterNote, Election, Note};
use ktrial_sim::{Crash, Duration, Time};
use support::{Cluster, specification, topic};

/// Controllers 1, 2, 3; brokers 4, 5, 6; a topic with replicas 4, 5, 6.
fn cluster(eligible_leader_replicas: bool, min_isr: u32, seed: u64) -> Cluster {
    let mut specification = specification(3, 3);
    specification.features.eligible_leader_replicas = u16::from(eligible_leader_replicas);
    specification.topics = vec![topic("orders", &[&[4, 5, 6]], min_isr)];
    Cluster::running(specification, seed)
}

/// The partition's course since a time: when, and `L4 isr456 elr- lk-`, with how the leader was elected.
fn course(cluster: &Cluster, since: Time) -> Vec<(Time, String, Option<Election>)> {
    let list = |ids: &[ServerId]| match ids {
        [] => "-".to_owned(),
        ids => ids.iter().map(ToString::to_string).collect(),
    };
    let one = |id: Option<ServerId>| id.map_or("-".to_owned(), |id| id.to_string());
    let told = cluster.told.iter().filter(|told| told.at >= since);
    let changes = told.filter_map(|told| match &told.note {
        Note::Cluster(ClusterNote::Partition {
            registration,
            election,
            ..
        }) => {
            let state = format!(
                "L{} isr{} elr{} lk{}",
                one(registration.leader),
                list(&registration.isr),
                list(&registration.elr),
                one(registration.last_known_elr)
            );
            Some((told.at, state, *election))
        }
        _ => None,
    });
    changes.collect()
}

fn states(cluster: &Cluster, since: Time) -> Vec<String> {
    let course = course(cluster, since);
    course.into_iter().map(|(_, state, _)| state).collect()
}

#[test]
fn a_killed_leader_is_replaced_when_its_session_ends() {
    for seed in 0..5 {
        let mut cluster = cluster(true, 2, seed);
        let killed = cluster.simulation.now();
        cluster.kill(ServerId(4));
        cluster.run_for(Duration::secs(15));
        let course = course(&cluster, killed);
        assert_eq!(course[0].1, "L5 isr56 elr- lk-", "seed {seed}");
        assert_eq!(course[0].2, Some(Election::FromIsr));
        let after = course[0].0.since(killed);
        assert!(after > Duration::secs(7) && after < Duration::secs(11), "{after}");
    }
}

#[test]
fn no_restart_is_faster_than_the_session_of_the_process_before() {
    let mut cluster = cluster(true, 2, 1);
    let killed = cluster.simulation.now();
    cluster.kill(ServerId(6));
    cluster.restart(ServerId(6));
    cluster.run_for(Duration::secs(25));
    assert_eq!(
        states(&cluster, killed),
        ["L4 isr45 elr- lk-", "L4 isr456 elr- lk-"]
    );
    let out = course(&cluster, killed)[0].0.since(killed);
    assert!(out > Duration::secs(7) && out < Duration::secs(12), "{out}");
}

#[test]
fn the_last_replica_that_loses_its_disk_leads_again_with_an_empty_log() {
    let mut cluster = cluster(true, 1, 2);
    let start = cluster.simulation.now();
    cluster.kill(ServerId(5));
    cluster.kill(ServerId(6));
    cluster.run_for(Duration::secs(15));
    cluster.simulation.crash(ServerId(4).node(), Crash::Disk);
    cluster.run_for(Duration::secs(15));
    assert_eq!(states(&cluster, start).last().unwrap(), "L- isr- elr4 lk4");
    let back = cluster.simulation.now();
    for broker in [4, 5, 6] {
        cluster.restart(ServerId(broker));
    }
    // It is unfenced before it has told of its new directory, and being told elects nobody: that waits for the next
    // look for preferred leaders, leader.imbalance.check.interval.seconds later at most.
    cluster.run_for(Duration::secs(310));
    let course = course(&cluster, back);
    let states: Vec<_> = course.iter().map(|(_, state, _)| state.as_str()).collect();
    assert_eq!(
        states[..3],
        ["L- isr- elr- lk4", "L- isr- elr- lk4", "L4 isr4 elr- lk-"]
    );
    assert_eq!(course[2].2, Some(Election::LastKnownLeader));
    assert_eq!(states.last(), Some(&"L4 isr456 elr- lk-"));
}

#[test]
fn without_elr_the_last_member_of_the_isr_keeps_its_place() {
    let mut cluster = cluster(false, 1, 3);
    let start = cluster.simulation.now();
    cluster.kill(ServerId(5));
    cluster.kill(ServerId(6));
    cluster.run_for(Duration::secs(15));
    cluster.kill(ServerId(4));
    cluster.run_for(Duration::secs(15));
    assert_eq!(states(&cluster, start).last().unwrap(), "L- isr4 elr- lk-");
    let back = cluster.simulation.now();
    cluster.restart(ServerId(5));
    cluster.run_for(Duration::secs(10));
    assert_eq!(states(&cluster, back), [""; 0], "it may not lead");
    cluster.restart(ServerId(4));
    cluster.run_for(Duration::secs(15));
    assert_eq!(states(&cluster, back)[0], "L4 isr4 elr- lk-");
}

#[test]
fn an_orderly_stop_moves_the_leadership_before_the_process_ends() {
    let mut cluster = cluster(true, 2, 4);
    let asked = cluster.simulation.now();
    cluster.terminate(ServerId(4));
    assert!(cluster.run_until(Duration::secs(20), |cluster| !cluster.runs(ServerId(4))));
    cluster.run_for(Duration::secs(2));
    let moved = &course(&cluster, asked)[0];
    assert_eq!(moved.1, "L5 isr56 elr- lk-");
    assert!(moved.0.since(asked) < Duration::secs(1), "no session has to end");
    let reasons = cluster.told.iter().filter_map(|told| match &told.note {
        Note::Cluster(ClusterNote::Partition { reason, .. }) if told.at >= asked => Some(*reason),
        _ => None,
    });
    let reasons: Vec<_> = reasons.collect();
    assert_eq!(reasons, [ChangeReason::ControlledShutdown(ServerId(4))]);
}

#[test]
fn a_clean_stop_is_proved_by_the_epoch_in_the_clean_shutdown_file() {
    let mut cluster = cluster(true, 2, 5);
    cluster.terminate(ServerId(4));
    cluster.run_for(Duration::secs(15));
    cluster.kill(ServerId(5));
    cluster.run_for(Duration::secs(15));
    let back = cluster.simulation.now();
    for broker in [4, 5] {
        cluster.restart(ServerId(broker));
    }
    cluster.run_for(Duration::secs(20));
    let registered = cluster.told.iter().filter_map(|told| match &told.note {
        Note::Cluster(ClusterNote::Registered { broker, clean, .. }) if told.at >= back => {
            Some((broker.0, *clean))
        }
        _ => None,
    });
    let mut registered: Vec<_> = registered.collect();
    registered.sort_unstable();
    assert_eq!(registered, [(4, true), (5, false)]);
    assert_eq!(states(&cluster, back).last().unwrap(), "L6 isr456 elr- lk-");
}

#[test]
fn brokers_outlive_the_loss_of_the_active_controller_without_a_change() {
    let mut cluster = cluster(true, 2, 6);
    cluster.run_for(Duration::secs(5));
    let active = [1, 2, 3].map(ServerId).into_iter().find(|id| {
        let controller = cluster.server(*id).controller();
        controller.is_some_and(|controller| controller.is_active())
    });
    let lost = cluster.simulation.now();
    cluster.kill(active.expect("one is active"));
    cluster.run_for(Duration::secs(40));
    assert_eq!(states(&cluster, lost), [""; 0]);
}
