//! What the quorum makes of disks that lose something.

mod quorum_cluster;

use ktrial_models::documents::{Document, QuorumStateDocument};
use ktrial_models::ids::{DirectoryId, Offset, QuorumEpoch, ServerId};
use ktrial_models::kafka::{METADATA_LOG, document};
use ktrial_models::records::{LogEntry, MetadataBatch, Records};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{Crash, DiskError, Duration, NodeId, PowerLoss, Status};
use quorum_cluster::{CANDIDATE_AGAIN, Cluster, Dice, specification, with_records};

fn with_kraft_version(level: u16) -> ClusterSpecification {
    let mut specification = specification("ccc");
    specification.features.kraft = level;
    specification
}

/// Server 3 hears nothing while one of the others is elected in epoch 1 by the vote of the second. Then the leader
/// is cut off, the second loses its disk, and only the second and server 3 are left.
fn emptied_voter(seed: u64, kraft: u16) -> (Cluster, NodeId) {
    let mut cluster = Cluster::start(seed, with_kraft_version(kraft));
    let third = NodeId(3);
    cluster.isolate(third);
    let leader = cluster.await_leader();
    let second = NodeId(3 - leader.0);
    cluster.isolate(leader);
    cluster.mend(second, third);
    cluster.simulation.crash(second, Crash::Disk);
    cluster.simulation.start(second);
    cluster.run(Duration::secs(20));
    (cluster, second)
}

#[test]
fn with_kraft_version_0_an_emptied_voter_votes_a_second_time_and_an_epoch_has_two_leaders() {
    for seed in 0..10 {
        let (cluster, second) = emptied_voter(seed, 0);
        assert!(cluster.raft(second).is_voter());
        assert_eq!(cluster.watch.divided(), [QuorumEpoch(1)], "seed {seed}");
        assert!(
            !cluster.watch.contradictions.is_empty(),
            "a committed record is gone"
        );
    }
}

#[test]
fn with_kraft_version_1_an_emptied_voter_is_an_observer() {
    for seed in 0..10 {
        let (mut cluster, second) = emptied_voter(seed, 1);
        assert!(!cluster.raft(second).is_voter());
        assert_eq!(cluster.watch.led.len(), 1, "nobody else can be elected");
        cluster.simulation.mend_all();
        cluster.assert_agreed(seed);
        cluster.watch.assert_safe(seed);
    }
}

#[test]
fn with_kraft_version_1_one_lost_disk_among_other_faults_breaks_no_promise() {
    for seed in 0..200 {
        let mut cluster = Cluster::start(seed, with_records(with_kraft_version(1)));
        let mut dice = Dice(seed);
        let victim = NodeId(1 + dice.below(3) as u16);
        for step in 0..12 {
            cluster.run(Duration::millis(dice.below(4_000)));
            let one = NodeId(1 + dice.below(3) as u16);
            match (step, dice.below(3)) {
                (6, _) => cluster.simulation.crash(victim, Crash::Disk),
                (_, 0) => cluster.simulation.crash(one, Crash::Power(PowerLoss::Drawn)),
                (_, 1) => cluster.isolate(one),
                _ => cluster.simulation.mend_all(),
            }
            cluster
                .servers()
                .for_each(|server| cluster.simulation.start(server));
        }
        cluster.simulation.mend_all();
        // A replaced leader that hears itself named as one ends its process, as Kafka's does.
        cluster.run(Duration::secs(10));
        cluster.simulation.start(victim);
        cluster.assert_agreed(seed);
        cluster
            .watch
            .exited
            .retain(|(_, server, _)| *server != ServerId::from(victim));
        cluster.watch.assert_safe(seed);
    }
}

#[test]
fn a_single_voter_commits_before_it_flushes_and_three_do_not() {
    for roles in ["c", "ccc"] {
        let mut cluster = Cluster::start(4, specification(roles));
        while cluster.watch.committed.is_empty() {
            cluster.run(Duration::micros(10));
        }
        for server in cluster.servers() {
            let crash = Crash::Power(PowerLoss::EverythingUnflushed);
            cluster.simulation.crash(server, crash);
        }
        let kept = cluster.servers().filter(|server| {
            let file = cluster.simulation.disk(*server).existing(METADATA_LOG);
            file.is_some_and(|file| !file.entries().is_empty())
        });
        assert_eq!(kept.count(), if roles == "c" { 0 } else { 2 });
    }
}

#[test]
fn a_disk_that_refuses_ends_the_leaders_process() {
    let mut cluster = Cluster::start(6, specification("ccc"));
    let leader = cluster.await_leader();
    cluster.simulation.disk_mut(leader).health.refuses = Some(DiskError::Failing);
    // Its next write: it is told of another epoch, or appends.
    let other = cluster
        .servers()
        .find(|server| *server != leader)
        .expect("there are three");
    cluster.simulation.clock_mut(leader).step_wall(60_000_000_000);
    cluster.run(Duration::secs(10));
    assert_eq!(cluster.simulation.status(leader), Status::Down);
    assert_eq!(cluster.watch.exited.len(), 1);
    assert_eq!(cluster.watch.exited[0].1, ServerId::from(leader));
    assert_eq!(cluster.simulation.status(other), Status::Up);
    cluster.assert_agreed(6);
}

#[test]
fn a_batch_that_cannot_be_read_ends_the_log_of_a_follower_which_fetches_it_again() {
    let mut cluster = Cluster::start(8, specification("ccc"));
    let leader = cluster.await_leader();
    cluster.run(Duration::secs(3));
    let follower = cluster
        .servers()
        .find(|server| *server != leader)
        .expect("there are three");
    cluster.simulation.crash(follower, Crash::Process);
    cluster
        .simulation
        .disk_mut(follower)
        .file(METADATA_LOG)
        .corrupt(0);
    cluster.simulation.start(follower);
    cluster.assert_agreed(8);
    assert_eq!(cluster.watch.truncated.len(), 1);
    cluster.watch.assert_safe(8);
}

#[test]
fn a_candidate_that_lost_followed_and_was_restarted_stands_again_and_ends_itself() {
    let mut cluster = Cluster::prepare(9, specification("ccc"));
    let (candidate, voter) = (NodeId(1), NodeId(3));
    let remember = |voted: u16, leader| {
        let voted = ServerId(voted);
        Document::QuorumState(QuorumStateDocument {
            epoch: QuorumEpoch(5),
            voted: Some((voted, Some(DirectoryId::formatted(voted, 0)))),
            leader,
        })
    };
    // Server 2 was elected by itself and server 3; server 1 has fetched from it, server 3 never heard of it.
    let disk = cluster.simulation.disk_mut(candidate);
    disk.write_document(document::QUORUM_STATE, remember(1, Some(ServerId(2))));
    disk.file(METADATA_LOG).append(LogEntry::Metadata(MetadataBatch {
        base_offset: Offset(0),
        epoch: QuorumEpoch(5),
        records: Records { start: 0, count: 1 },
        corrupt: false,
    }));
    let disk = cluster.simulation.disk_mut(voter);
    disk.write_document(document::QUORUM_STATE, remember(2, None));
    cluster.simulation.start(candidate);
    cluster.simulation.start(voter);
    cluster.run(Duration::secs(5));
    let exits: Vec<_> = cluster.watch.exited.iter().map(|exit| (exit.1, exit.2)).collect();
    assert_eq!(exits, [(ServerId(1), CANDIDATE_AGAIN)]);
}
