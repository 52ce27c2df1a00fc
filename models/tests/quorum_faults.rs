//! The metadata quorum under faults: what it promises, and what its timers do.

mod quorum_cluster;

use ktrial_models::ids::ServerId;
use ktrial_models::mutation::{Mutation, Mutations};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{Crash, Duration, NodeId, PowerLoss};
use quorum_cluster::{Cluster, Dice, specification, with_records};

/// Forty faults, one after the other with up to three seconds between them, with processes coming back all the
/// time; then everything is healed.
fn storm(seed: u64, specification: ClusterSpecification) -> Cluster {
    let mut cluster = Cluster::start(seed, specification);
    let mut dice = Dice(seed);
    for _ in 0..40 {
        let span = Duration::millis(dice.below(3_000));
        cluster.run(span);
        let all: Vec<NodeId> = cluster.servers().collect();
        let one = all[dice.below(all.len() as u64) as usize];
        let other = all[dice.below(all.len() as u64) as usize];
        // Half of the time at the leader: that is where it matters.
        let one = if dice.below(2) == 0 {
            cluster.leader().unwrap_or(one)
        } else {
            one
        };
        match dice.below(12) {
            0 => cluster.simulation.crash(one, Crash::Process),
            1 => cluster.simulation.crash(one, Crash::Power(PowerLoss::Drawn)),
            2 => cluster
                .simulation
                .crash(one, Crash::Power(PowerLoss::EverythingUnflushed)),
            3 => cluster.simulation.pause(one),
            4 => cluster.isolate(one),
            5 if one != other => cluster.simulation.cut(one, other),
            6 if one != other => cluster.cut(one, other),
            7 => {
                let step = dice.below(20_000) as i64 - 10_000;
                cluster.simulation.clock_mut(one).step_wall(step * 1_000_000);
            }
            8 if one != other => cluster.simulation.reset_connections(one, other),
            _ => cluster.simulation.mend_all(),
        }
        for server in all {
            if dice.below(3) == 0 {
                cluster.simulation.resume(server);
                cluster.simulation.start(server);
            }
        }
    }
    heal(&mut cluster);
    cluster
}

fn heal(cluster: &mut Cluster) {
    cluster.simulation.mend_all();
    for server in cluster.servers() {
        cluster.simulation.resume(server);
        cluster.simulation.start(server);
    }
    // Longer than the largest backward step of a clock: frozen timers must thaw.
    cluster.run(Duration::secs(30));
    for server in cluster.servers() {
        cluster.simulation.start(server);
    }
}

#[test]
fn no_fault_but_a_lost_disk_makes_two_leaders_in_an_epoch_or_takes_a_committed_record() {
    let (mut elections, mut cuts) = (0, 0);
    for seed in 0..400 {
        let mut cluster = storm(seed, with_records(specification("ccc")));
        cluster.watch.assert_safe(seed);
        cluster.assert_agreed(seed);
        cluster.watch.assert_safe(seed);
        elections += cluster.watch.led.len();
        cuts += cluster.watch.truncated.len();
    }
    // The storm is one: it made leaders change and logs diverge.
    assert!(
        elections > 400 * 5 && cuts > 10,
        "{elections} elections, {cuts} cuts"
    );
}

#[test]
fn five_voters_and_an_observer_keep_the_same_promises() {
    for seed in 0..100 {
        let mut cluster = storm(seed, with_records(specification("cccxxb")));
        cluster.watch.assert_safe(seed);
        cluster.assert_agreed(seed);
        cluster.watch.assert_safe(seed);
    }
}

/// A leader that comes back before the others have missed it tells them that it leads no more, all at once: both
/// stand for election in the same epoch, and its vote decides.
fn quick_restart(seed: u64, mutations: Mutations) -> Cluster {
    let mut specification = specification("ccc");
    specification.mutations = mutations;
    specification.capacity.process_start = (Duration::millis(300), Duration::millis(300));
    let mut cluster = Cluster::start(seed, specification);
    cluster.run(Duration::secs(8));
    // Two leaders of one epoch end each other's processes; then nobody is left to be restarted.
    if let Some(leader) = cluster.leader() {
        cluster.simulation.crash(leader, Crash::Process);
        cluster.simulation.start(leader);
        cluster.run(Duration::secs(8));
    }
    cluster
}

#[test]
fn a_voter_that_votes_twice_makes_two_leaders_in_an_epoch_and_one_that_does_not_makes_none() {
    let mut divided = 0;
    for seed in 0..100 {
        quick_restart(seed, Mutations::default()).watch.assert_safe(seed);
        let twice = quick_restart(seed, Mutations::only(Mutation::VoteTwice));
        divided += u32::from(!twice.watch.divided().is_empty());
    }
    assert!(divided > 0);
}

#[test]
fn a_leader_cut_off_from_all_voters_resigns_after_one_and_a_half_fetch_timeouts() {
    for seed in 0..20 {
        let mut cluster = Cluster::start(seed, specification("ccc"));
        let leader = cluster.await_leader();
        cluster.run(Duration::secs(3));
        cluster.isolate(leader);
        let cut = cluster.simulation.now();
        cluster.run(Duration::secs(5));
        let (at, who, _) = cluster.watch.resigned[0];
        assert_eq!(who, ServerId::from(leader));
        let after = at.since(cut);
        // The last fetches came up to half a second before.
        assert!(
            after >= Duration::millis(2_400) && after <= Duration::millis(3_010),
            "{after}"
        );
    }
}

#[test]
fn a_follower_that_was_cut_off_comes_back_without_disturbing_the_leader() {
    for seed in 0..20 {
        let mut cluster = Cluster::start(seed, specification("ccc"));
        let leader = cluster.await_leader();
        cluster.run(Duration::secs(3));
        let epoch = cluster.raft(leader).epoch();
        let follower = cluster
            .servers()
            .find(|server| *server != leader)
            .expect("there are three");
        cluster.isolate(follower);
        cluster.run(Duration::secs(20));
        assert_eq!(cluster.raft(follower).epoch(), epoch, "pre-votes do not bump it");
        cluster.rejoin(follower);
        cluster.assert_agreed(seed);
        assert_eq!(cluster.raft(leader).epoch(), epoch);
        assert_eq!(cluster.leader(), Some(leader));
    }
}

#[test]
fn a_paused_leader_comes_back_to_a_higher_epoch_and_follows() {
    for seed in 0..20 {
        let mut cluster = Cluster::start(seed, specification("ccc"));
        let old = cluster.await_leader();
        let epoch = cluster.raft(old).epoch();
        cluster.simulation.pause(old);
        cluster.run(Duration::secs(8));
        assert_eq!(cluster.watch.led.len(), 2, "seed {seed}");
        cluster.simulation.resume(old);
        cluster.assert_agreed(seed);
        assert!(cluster.raft(old).epoch() > epoch);
        assert_ne!(cluster.leader(), Some(old));
        cluster.watch.assert_safe(seed);
    }
}

#[test]
fn a_forward_step_of_the_leaders_clock_makes_it_resign() {
    let mut cluster = Cluster::start(1, specification("ccc"));
    let leader = cluster.await_leader();
    cluster.run(Duration::secs(3));
    cluster.simulation.clock_mut(leader).step_wall(60_000_000_000);
    cluster.run(Duration::secs(2));
    assert_eq!(cluster.watch.resigned.len(), 1);
    cluster.assert_agreed(1);
    cluster.watch.assert_safe(1);
}

#[test]
fn a_forward_step_of_a_followers_clock_makes_it_ask_for_votes_in_vain() {
    let mut cluster = Cluster::start(1, specification("ccc"));
    let leader = cluster.await_leader();
    cluster.run(Duration::secs(3));
    let epoch = cluster.raft(leader).epoch();
    let follower = cluster
        .servers()
        .find(|server| *server != leader)
        .expect("there are three");
    cluster.simulation.clock_mut(follower).step_wall(60_000_000_000);
    cluster.run(Duration::millis(520));
    cluster.assert_agreed(1);
    // The other follower still hears its leader and promises no vote (KIP-996).
    assert_eq!(
        (cluster.leader(), cluster.raft(leader).epoch()),
        (Some(leader), epoch)
    );
}

#[test]
fn a_backward_step_freezes_a_followers_fetch_timer_until_its_clock_has_caught_up() {
    for back in [0, 20] {
        let mut cluster = Cluster::start(2, specification("ccc"));
        let leader = cluster.await_leader();
        cluster.run(Duration::secs(3));
        for server in cluster.servers() {
            cluster
                .simulation
                .clock_mut(server)
                .step_wall(-back * 1_000_000_000);
        }
        cluster.run(Duration::secs(1));
        cluster.simulation.crash(leader, Crash::Process);
        cluster.run(Duration::secs(10));
        let elected = cluster.leader().is_some_and(|new| new != leader);
        assert_eq!(elected, back == 0, "{back} s");
        cluster.run(Duration::secs(20));
        assert!(cluster.leader().is_some());
        cluster.watch.assert_safe(2);
    }
}

#[test]
fn the_same_seed_gives_the_same_storm() {
    for seed in [1, 2, 3] {
        let digest = |seed| {
            storm(seed, with_records(specification("cccxb")))
                .simulation
                .digest()
        };
        assert_eq!(digest(seed), digest(seed));
        assert_ne!(digest(seed), digest(seed + 10));
    }
}
