//! A trial is a function of its manifest: of nothing else, and of no more of it than it should be.

mod toy;

use ktrial_sim::{
    ArmedCut, Crash, Duration, EventId, Footprint, Hold, Link, PowerLoss, Simulation, run_twice,
};
use toy::{A, B, C, Order, Seen, Toy, World};

const D: ktrial_sim::NodeId = ktrial_sim::NodeId(3);

/// Four nodes, a connection each from A to B and from C to D, traffic on both, and every kind of fault on B.
fn busy(simulation: Simulation<Toy>, seed: u64, faults: bool) -> World {
    let link = Link {
        datagram_loss: 1 << 30,
        ..Link::default()
    };
    let mut world = World::with(simulation, seed, 4, link);
    world.tell(0, A, Order::Connect(B)).tell(0, C, Order::Connect(D));
    world.tell(5, B, Order::Echo).tell(5, D, Order::Echo);
    for number in 0..200u32 {
        let at = 10 + 3 * u64::from(number);
        world.tell(at, A, Order::Send(0, number));
        world.tell(at, C, Order::Send(0, number));
        for _ in 0..3 {
            world.tell(at, D, Order::Datagram(C, number));
        }
        world.tell(at, C, Order::Timer(0, Duration::millis(u64::from(number) % 7)));
        world.tell(at, D, Order::Pass(0, u64::from(number)));
    }
    if faults {
        world.at(50, |simulation| {
            simulation.arm_cut(ArmedCut {
                cut: 0,
                node: Some(B),
                numerator: 1,
                denominator: 2,
                longest: Duration::millis(1),
            });
            simulation.hold(Hold {
                kinds: 2,
                from: None,
                to: Some(B),
            });
        });
        world.cut(100, 250, A, B).pause(300, 350, B);
        world.crash(400, B, Crash::Power(PowerLoss::Drawn)).start(500, B);
    }
    world.run(5_000);
    world
}

fn footprint(seed: u64) -> Footprint {
    busy(Simulation::default(), seed, true).simulation.footprint()
}

#[test]
fn the_same_seed_gives_the_same_digest_counters_and_end() {
    assert_eq!(footprint(1), footprint(1));
}

#[test]
fn another_seed_gives_another_digest() {
    assert_ne!(footprint(1).digest, footprint(2).digest);
}

#[test]
fn keeping_causes_changes_nothing() {
    let mut simulation = Simulation::default();
    simulation.trace_causes(true);
    let traced = busy(simulation, 1, true);
    assert!(traced.simulation.trace().is_some());
    assert_eq!(traced.simulation.footprint(), footprint(1));
}

#[test]
fn a_trial_in_a_used_simulation_is_the_same_as_in_a_fresh_one() {
    let used = busy(Simulation::default(), 77, true).simulation;
    let again = busy(used, 1, true);
    let fresh = busy(Simulation::default(), 1, true);
    assert_eq!(again.simulation.footprint(), fresh.simulation.footprint());
    assert_eq!(again.stage.seen, fresh.stage.seen);
}

#[test]
fn a_trial_in_a_simulation_used_for_more_nodes_is_the_same() {
    let used = World::new(9).simulation;
    assert_eq!(busy(used, 1, true).simulation.footprint(), footprint(1));
}

#[test]
fn running_in_pieces_is_running_at_once() {
    let mut world = World::pair();
    world.tell(5, B, Order::Echo);
    for number in 0..50 {
        world.tell(10 + u64::from(number), A, Order::Send(0, number));
    }
    for until in 0..100 {
        world.run(until);
    }
    let mut at_once = World::pair();
    at_once.tell(5, B, Order::Echo);
    for number in 0..50 {
        at_once.tell(10 + u64::from(number), A, Order::Send(0, number));
    }
    at_once.run(99);
    assert_eq!(world.simulation.footprint(), at_once.simulation.footprint());
}

#[test]
fn a_double_run_of_a_trial_agrees() {
    let run = |simulation: &mut Simulation<Toy>| {
        *simulation = busy(std::mem::take(simulation), 3, true).simulation;
    };
    assert_eq!(run_twice(run), Ok(footprint(3)));
}

#[test]
fn a_double_run_finds_a_trial_that_remembers_the_one_before() {
    let mut seed = 0;
    let run = |simulation: &mut Simulation<Toy>| {
        seed += 1;
        *simulation = busy(std::mem::take(simulation), seed, true).simulation;
    };
    let divergence = run_twice(run).expect_err("two seeds");
    assert_ne!(divergence.first.digest, divergence.second.digest);
}

#[test]
fn taking_the_faults_away_leaves_every_instant_of_an_unrelated_pair_as_it_was() {
    let (with, without) = (
        busy(Simulation::default(), 5, true),
        busy(Simulation::default(), 5, false),
    );
    for node in [C, D] {
        let of = |world: &World| -> Vec<_> {
            let seen = world.stage.seen.iter();
            seen.filter(|(_, by, _)| *by == node).copied().collect()
        };
        assert_eq!(of(&with), of(&without));
        assert!(of(&with).len() > 200);
    }
    assert_ne!(with.seen(A), without.seen(A));
}

#[test]
fn sending_more_to_one_node_leaves_the_latencies_to_another_as_they_were() {
    let arrivals = |more: bool| {
        let link = Link::default();
        let mut world = World::with(Simulation::default(), 4, 3, link);
        world.tell(0, A, Order::Connect(B)).tell(0, A, Order::Connect(C));
        for number in 0..50u32 {
            let at = 10 + u64::from(number);
            world.tell(at, A, Order::Send(0, number));
            world.tell(at, A, Order::Datagram(B, number));
            if more {
                world.tell(at, A, Order::Send(1, number));
                world.tell(at, A, Order::Datagram(C, number));
                world.tell(at, A, Order::Draw(u64::from(number)));
            }
        }
        world.run(1_000);
        let seen = world.stage.seen.iter();
        let at_b: Vec<_> = seen.filter(|(_, by, _)| *by == B).copied().collect();
        at_b
    };
    assert_eq!(arrivals(false), arrivals(true));
}

#[test]
fn a_draw_is_the_same_whenever_it_is_asked_for() {
    let mut world = World::new(1);
    for who in [7, 8, 7] {
        world.tell(10 + who, A, Order::Draw(who));
    }
    world.tell(50, A, Order::Draw(7)).run(100);
    let drawn: Vec<Seen> = world.seen_after(A, 5).iter().map(|(_, seen)| *seen).collect();
    assert!(drawn[0] == drawn[1] && drawn[1] == drawn[3] && drawn[0] != drawn[2]);
}

/// The events during which a message was sent and read, when something kept it from being read on arrival.
fn sent_and_read(world: &mut World) -> (EventId, EventId) {
    world.run(10_000);
    let event_of = |wanted: fn(&Seen) -> bool| {
        let at = world.stage.seen.iter().position(|(.., seen)| wanted(seen));
        world.stage.events[at.expect("it was seen")]
    };
    (
        event_of(|seen| matches!(seen, Seen::Wrote(_, 2))),
        event_of(|seen| matches!(seen, Seen::Message(_, 2))),
    )
}

fn traced_pair() -> World {
    let mut simulation = Simulation::default();
    simulation.trace_causes(true);
    let mut world = World::with(simulation, 1, 2, toy::exact());
    world.tell(0, A, Order::Connect(B));
    world
        .tell(20, A, Order::Send(0, 1))
        .tell(20, A, Order::Send(0, 2));
    world
}

#[test]
fn a_message_names_the_event_that_sent_it_however_long_it_was_kept() {
    let obstacles: [fn(&mut World); 4] = [
        |_| {},
        |world| {
            world.cut(10, 1_000, A, B);
        },
        |world| {
            world.pause(10, 1_000, B);
        },
        |world| {
            world.tell(10, B, Order::Mute(0)).tell(900, B, Order::Unmute(0));
        },
    ];
    for (number, obstacle) in obstacles.into_iter().enumerate() {
        let mut world = traced_pair();
        obstacle(&mut world);
        let (sent, read) = sent_and_read(&mut world);
        let trace = world.simulation.trace().expect("asked for");
        assert!(trace.causes(read).any(|cause| cause == sent), "obstacle {number}");
    }
}

#[test]
fn what_is_queued_during_the_set_up_has_no_cause() {
    let mut world = traced_pair();
    world.run(100);
    let trace = world.simulation.trace().expect("asked for");
    assert_eq!(trace.causes(EventId(1)).count(), 0);
    assert_eq!(trace.causes(EventId::SET_UP).count(), 0);
}

#[test]
fn the_latencies_of_a_process_do_not_depend_on_what_its_predecessor_connected_to() {
    let arrivals = |more: usize| {
        let mut world = World::with(Simulation::default(), 4, 2, Link::default());
        for _ in 0..more {
            world.tell(0, A, Order::Connect(B));
        }
        world.crash(100, A, Crash::Process).start(200, A);
        world.tell(300, A, Order::Connect(B)).run(1_000);
        let seen = world.stage.seen.iter();
        let connected: Vec<_> = seen
            .filter(|(at, by, _)| *by == A && at.millis() >= 300)
            .copied()
            .collect();
        connected
    };
    assert_eq!(arrivals(0), arrivals(5));
}

/// Debug and release, any machine, any number of threads around it.
#[test]
fn the_golden_digest_of_the_busy_trial_stays_as_it_is() {
    let footprint = footprint(1);
    assert_eq!(footprint.digest.value(), 17_705_843_264_795_696_878);
}
