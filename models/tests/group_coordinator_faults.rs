//! Commits to a group whose coordinators die, stop, and are cut off, one broker at a time: what was answered without
//! an error is never lost, and offsets that were refused for good are not there.

mod support;

use ktrial_models::ids::{PartitionId, ServerId};
use ktrial_models::protocol::{ErrorCode, Response};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{Crash, Duration, PowerLoss, Status};
use support::groups::with_group;
use support::{Cluster, specification, topic};

const P: PartitionId = PartitionId(0);
/// Another one of the same topic.
const Q: PartitionId = PartitionId(1);

fn three_brokers() -> ClusterSpecification {
    let mut specification = specification(1, 3);
    specification.topics = vec![topic("orders", &[&[2, 3, 4], &[2, 3, 4]], 1)];
    let mut specification = with_group(specification);
    // Whatever leads has what two replicas had: a fault of one broker at a time costs nothing.
    specification.groups.offsets_topic.min_insync_replicas = Some(2);
    specification.groups.offsets_topic.settings.min_insync_replicas = 2;
    specification
}

/// A few bits that follow from a seed.
struct Bits(u64);

impl Bits {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// What is known of the group's offset.
struct Commits {
    /// The newest that was acknowledged.
    acknowledged: u64,
    /// Later ones that may have been applied.
    uncertain: Vec<u64>,
    next: u64,
}

impl Commits {
    fn told(&mut self, offset: u64, error: Option<ErrorCode>) {
        match error {
            Some(ErrorCode::None) => {
                self.acknowledged = offset;
                self.uncertain.clear();
            }
            // Refused before anything was done.
            Some(ErrorCode::CoordinatorLoadInProgress) => {}
            _ => self.uncertain.push(offset),
        }
    }

    /// Commits offset after offset while a broker fails.
    fn while_it_fails(&mut self, cluster: &mut Cluster, bits: &mut Bits) {
        let brokers = cluster.brokers();
        for _ in 0..bits.below(4) {
            cluster.use_probe(bits.below(3) as u16);
            let to = brokers[bits.below(3) as usize];
            let sent = cluster.send_commit(to, None, P, self.next);
            cluster.run_for(Duration::millis(50 + bits.below(3_000)));
            let error = match cluster.answer(sent) {
                Some(Ok(Response::OffsetCommit(answer))) => Some(answer.partitions[0].1),
                _ => None,
            };
            self.told(self.next, error);
            self.next += 1;
        }
    }

    /// One more commit, of a healthy cluster.
    fn afterwards(&mut self, cluster: &mut Cluster) {
        let coordinator = cluster.coordinator();
        for _ in 0..30 {
            let error = cluster.commit(coordinator, None, P, self.next);
            self.told(self.next, Some(error));
            self.next += 1;
            if error == ErrorCode::None {
                return;
            }
            cluster.run_for(Duration::millis(500));
        }
        panic!("no commit succeeds in a healthy cluster");
    }

    fn check(&self, cluster: &mut Cluster, seed: u64) {
        let coordinator = cluster.coordinator();
        let (mut error, mut found) = cluster.committed(coordinator, P, true);
        if error == ErrorCode::NotCoordinator {
            // It missed the high watermark between reading its log and serving, and learns of the next one only
            // (`CoordinatorContext.transitionTo`).
            assert_eq!(
                cluster.commit(coordinator, None, Q, 1),
                ErrorCode::None,
                "seed {seed}"
            );
            (error, found) = cluster.committed(coordinator, P, true);
        }
        assert_eq!(error, ErrorCode::None, "seed {seed}");
        let found = found.unwrap_or_default();
        assert!(
            found == self.acknowledged || self.uncertain.contains(&found),
            "seed {seed}: {found}, acknowledged {}, uncertain {:?}",
            self.acknowledged,
            self.uncertain
        );
    }
}

fn strike(cluster: &mut Cluster, victim: ServerId, fault: u64) {
    match fault {
        0 => cluster.kill(victim),
        1 => cluster
            .simulation
            .crash(victim.node(), Crash::Power(PowerLoss::EverythingUnflushed)),
        2 => cluster.terminate(victim),
        _ => {
            for other in cluster.brokers().into_iter().filter(|id| *id != victim) {
                cluster.simulation.cut(other.node(), victim.node());
                cluster.simulation.cut(victim.node(), other.node());
            }
        }
    }
}

fn heal(cluster: &mut Cluster, victim: ServerId, fault: u64) {
    cluster.simulation.mend_all();
    if fault < 3 {
        let stopped = |cluster: &Cluster| cluster.simulation.status(victim.node()) != Status::Up;
        assert!(cluster.run_until(Duration::secs(60), stopped));
        cluster.restart(victim);
    }
    let in_sync = |cluster: &Cluster| {
        let runs = cluster.brokers().into_iter().all(|id| cluster.runs(id));
        runs && {
            let partition = cluster.offsets_partition(victim);
            cluster.leader(partition).is_some_and(|leader| {
                let (end, high_watermark) = cluster.ends(leader, partition);
                cluster.isr(partition).len() == 3 && end == high_watermark
            })
        }
    };
    assert!(cluster.run_until(Duration::secs(120), in_sync), "does not heal");
}

#[test]
fn an_acknowledged_commit_outlives_any_fault_of_one_broker_at_a_time() {
    for seed in 0..24 {
        let mut cluster = Cluster::running(three_brokers(), seed);
        cluster.coordinator();
        cluster.run_for(Duration::secs(1));
        let mut bits = Bits(seed);
        let mut commits = Commits {
            acknowledged: 0,
            uncertain: Vec::new(),
            next: 1,
        };
        for _ in 0..6 {
            let victim = match bits.below(2) {
                0 => cluster.coordinator(),
                _ => cluster.brokers()[bits.below(3) as usize],
            };
            let fault = bits.below(4);
            strike(&mut cluster, victim, fault);
            commits.while_it_fails(&mut cluster, &mut bits);
            heal(&mut cluster, victim, fault);
            cluster.use_probe(0);
            commits.check(&mut cluster, seed);
            commits.afterwards(&mut cluster);
        }
    }
}
