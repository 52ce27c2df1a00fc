//! Random kills, power losses, cuts and pauses on controllers and brokers: what the controllers commit stays one
//! history, told once, and the cluster heals.

mod support;

use ktrial_models::ids::{PartitionId, ServerId};
use ktrial_models::metadata::{MetadataImage, PartitionRegistration};
use ktrial_models::notes::{ClusterNote, Note};
use ktrial_sim::{Crash, Duration, PowerLoss};
use support::{Cluster, specification, topic};

const P: PartitionId = PartitionId(0);

/// Numbers for the choice of faults: a multiplicative congruential generator, enough for that.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn committed(cluster: &Cluster, id: ServerId) -> &MetadataImage {
    cluster.server(id).controller().expect("a controller").committed()
}

fn disturb(cluster: &mut Cluster, dice: &mut Dice) {
    let one = ServerId(1 + dice.below(6) as u16);
    let other = ServerId(1 + dice.below(6) as u16);
    match dice.below(8) {
        0 | 1 => cluster.kill(one),
        2 => {
            let loss = Crash::Power(PowerLoss::Drawn);
            cluster.simulation.crash(one.node(), loss);
        }
        3 | 4 => cluster.restart(one),
        5 if one != other => {
            cluster.simulation.cut(one.node(), other.node());
            cluster.simulation.cut(other.node(), one.node());
        }
        6 => cluster.simulation.pause(one.node()),
        _ => {
            cluster.simulation.mend_all();
            cluster.simulation.resume(one.node());
        }
    }
}

/// Ends all faults. A broker that cannot register for a minute ends itself and is started again.
fn heal(cluster: &mut Cluster) {
    cluster.simulation.mend_all();
    for server in cluster.servers() {
        cluster.simulation.resume(server.node());
    }
    for _ in 0..3 {
        for server in cluster.servers() {
            cluster.restart(server);
        }
        cluster.run_for(Duration::secs(40));
    }
}

/// Every change of the partition that was told, in that order.
fn told(cluster: &Cluster) -> Vec<&PartitionRegistration> {
    let told = cluster.told.iter().filter_map(|told| match &told.note {
        Note::Cluster(ClusterNote::Partition { registration, .. }) => Some(&**registration),
        _ => None,
    });
    told.collect()
}

fn disturbed(eligible_leader_replicas: bool, seed: u64) -> Cluster {
    let mut specification = specification(3, 3);
    specification.features.eligible_leader_replicas = u16::from(eligible_leader_replicas);
    specification.topics = vec![topic("orders", &[&[4, 5, 6]], 2)];
    let mut cluster = Cluster::running(specification, seed);
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9) + 1);
    for _ in 0..30 {
        disturb(&mut cluster, &mut dice);
        let pause = 100 + dice.below(4_000);
        cluster.run_for(Duration::millis(pause));
    }
    heal(&mut cluster);
    cluster
}

#[test]
fn every_change_is_told_once_and_in_order_and_leads_to_a_healed_partition() {
    for seed in 0..40 {
        let cluster = disturbed(seed % 2 == 0, seed);
        let told = told(&cluster);
        for (number, registration) in told.iter().enumerate() {
            let epoch = registration.partition_epoch.0 as usize;
            assert_eq!(epoch, number, "seed {seed}: changes are told once and in order");
            let replicas = &registration.replicas;
            let mut members = registration.isr.iter().chain(&registration.elr);
            assert!(members.all(|id| replicas.contains(id)), "seed {seed}");
            let leads = |leader| registration.isr.contains(&leader);
            assert!(
                registration.leader.is_none_or(leads),
                "seed {seed}: {registration:?}"
            );
        }
        for pair in told.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            let moved = before.leader != after.leader;
            assert!(!moved || after.leader_epoch > before.leader_epoch, "seed {seed}");
        }
        let last = told.last().expect("it was created");
        assert_eq!(last.isr.len(), 3, "seed {seed}: {last:?}");
    }
}

#[test]
fn all_controllers_come_to_know_the_same() {
    for seed in 100..120 {
        let cluster = disturbed(true, seed);
        let first = committed(&cluster, ServerId(1));
        for other in [2, 3].map(ServerId) {
            let other = committed(&cluster, other);
            assert_eq!(first.partition(P), other.partition(P), "seed {seed}");
            let brokers = |image: &MetadataImage| image.brokers().map(|(id, b)| (id, *b)).collect::<Vec<_>>();
            assert_eq!(brokers(first), brokers(other), "seed {seed}");
        }
    }
}
