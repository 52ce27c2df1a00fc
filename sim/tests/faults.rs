//! Holds, armed cuts, slow links, and disks from trial to trial.

mod toy;

use ktrial_sim::{
    ArmedCut, Crash, DiskError, DiskHealth, DocumentId, Duration, FileId, Hold, NodeId, Simulation,
};
use toy::{A, B, C, Order, Seen, World};

/// Everything whose number ends with this digit.
fn kind(digit: u8) -> Hold {
    Hold {
        kinds: 1 << digit,
        from: None,
        to: None,
    }
}

#[test]
fn a_hold_stalls_a_kind_and_what_follows_on_its_connection_until_it_is_released() {
    let mut world = World::pair();
    world.hold(5, 500, kind(7));
    for number in [1, 7, 2] {
        world.tell(10, A, Order::Send(0, number));
    }
    world.tell(400, A, Order::Send(0, 3)).run(1_000);
    assert_eq!(
        world.seen_after(B, 5),
        [
            (11, Seen::Message(0, 1)),
            (500, Seen::Message(0, 7)),
            (500, Seen::Message(0, 2)),
            (500, Seen::Message(0, 3))
        ]
    );
}

#[test]
fn what_crosses_a_release_still_arrives_in_order() {
    let mut world = World::pair();
    world.hold(5, 500, kind(7));
    for number in [7, 17, 1] {
        world.tell(100, A, Order::Send(0, number));
    }
    world
        .tell(499, A, Order::Send(0, 2))
        .tell(500, A, Order::Send(0, 3));
    world.run(1_000);
    assert_eq!(world.numbers(B), [7, 17, 1, 2, 3]);
}

#[test]
fn a_hold_spares_other_connections_and_the_other_direction() {
    let mut world = World::pair();
    world.tell(0, A, Order::Connect(B));
    world.hold(5, 500, kind(7));
    world
        .tell(10, A, Order::Send(0, 7))
        .tell(10, A, Order::Send(1, 1))
        .tell(10, B, Order::Send(0, 2))
        .run(100);
    assert_eq!((world.numbers(B), world.numbers(A)), (vec![1], vec![2]));
}

#[test]
fn a_hold_of_one_sender_or_receiver_spares_the_others() {
    for (from, to) in [(Some(A), None), (None, Some(C)), (Some(A), Some(C))] {
        let mut world = World::new(3);
        world.tell(0, A, Order::Connect(C)).tell(0, B, Order::Connect(A));
        let only = Hold { from, to, ..kind(7) };
        world.hold(5, 500, only);
        world
            .tell(10, A, Order::Send(0, 7))
            .tell(10, B, Order::Send(0, 17))
            .run(100);
        assert_eq!((world.numbers(C), world.numbers(A)), (vec![], vec![17]));
    }
}

#[test]
fn what_two_holds_stall_goes_on_only_after_both_are_released() {
    let mut world = World::pair();
    world.hold(5, 200, kind(7));
    world.hold(5, 500, kind(7));
    world.tell(10, A, Order::Send(0, 7)).run(1_000);
    assert_eq!(world.seen_after(B, 5), [(500, Seen::Message(0, 7))]);
}

#[test]
fn releasing_a_hold_twice_does_not_release_a_later_one() {
    let mut world = World::pair();
    let first = world.simulation.hold(kind(7));
    world.simulation.release(first);
    world.simulation.hold(kind(7));
    world.simulation.release(first);
    world.tell(10, A, Order::Send(0, 7)).run(1_000);
    assert_eq!(world.numbers(B), []);
}

#[test]
fn what_is_released_into_a_cut_comes_by_retransmission() {
    let mut world = World::pair();
    world.hold(5, 100, kind(7));
    world.cut(50, 200, A, B);
    world.tell(10, A, Order::Send(0, 7)).run(1_000);
    assert_eq!(world.seen_after(B, 5), [(300, Seen::Message(0, 7))]);
}

#[test]
fn what_is_retransmitted_into_a_hold_comes_with_its_release() {
    let mut world = World::pair();
    world.cut(5, 100, A, B);
    world.hold(50, 500, kind(7));
    for number in [1, 7, 2] {
        world.tell(10, A, Order::Send(0, number));
    }
    world.run(1_000);
    assert_eq!(
        world.seen_after(B, 5),
        [
            (211, Seen::Message(0, 1)),
            (500, Seen::Message(0, 7)),
            (500, Seen::Message(0, 2))
        ]
    );
}

#[test]
fn a_slow_link_delays_what_is_sent_while_it_is_slow() {
    let mut world = World::pair();
    world
        .at(5, |simulation| {
            simulation.link_mut(A, B).latency = Duration::millis(40)
        })
        .tell(10, A, Order::Send(0, 1))
        .tell(10, B, Order::Send(0, 2))
        .at(20, |simulation| {
            simulation.link_mut(A, B).latency = Duration::millis(1)
        })
        .tell(60, A, Order::Send(0, 3))
        .run(1_000);
    assert_eq!(
        world.seen_after(B, 5),
        [(50, Seen::Message(0, 1)), (61, Seen::Message(0, 3))]
    );
    assert_eq!(world.seen_after(A, 5), [(11, Seen::Message(0, 2))]);
}

#[test]
fn a_cut_that_is_not_armed_never_opens_and_draws_nothing() {
    let mut world = World::new(1);
    world.tell(10, A, Order::Pass(3, 0)).run(100);
    assert_eq!(world.seen_after(A, 5), [(10, Seen::Opened(None))]);
    assert_eq!(world.simulation.counters().draws, 0);
}

fn armed(cut: u16, node: Option<NodeId>, numerator: u32, denominator: u32) -> ArmedCut {
    ArmedCut {
        cut,
        node,
        numerator,
        denominator,
        longest: Duration::millis(10),
    }
}

/// How often an armed cut opens in a thousand passages of one node, each another one.
fn openings(cut: ArmedCut) -> usize {
    let mut world = World::new(1);
    world.simulation.arm_cut(cut);
    for who in 0..1_000 {
        world.tell(10, A, Order::Pass(3, who));
    }
    world.run(100);
    let seen = world.seen_after(A, 5);
    let opened = seen
        .iter()
        .filter(|(_, seen)| matches!(seen, Seen::Opened(Some(_))));
    let count = opened.count();
    assert_eq!(world.simulation.cuts_opened(), count as u64);
    count
}

#[test]
fn an_armed_cut_opens_as_often_as_it_was_armed_to() {
    assert_eq!(openings(armed(3, None, 1, 1)), 1_000);
    assert_eq!(openings(armed(3, Some(A), 0, 1)), 0);
    let quarter = openings(armed(3, Some(A), 1, 4));
    assert!((200..300).contains(&quarter), "{quarter} of 1000");
}

#[test]
fn arming_concerns_one_cut_and_one_node() {
    assert_eq!(openings(armed(2, None, 1, 1)), 0);
    assert_eq!(openings(armed(3, Some(B), 1, 1)), 0);
}

#[test]
fn a_cut_stays_open_no_longer_than_it_was_armed_for() {
    let mut world = World::new(1);
    world.simulation.arm_cut(armed(3, None, 1, 1));
    for who in 0..1_000 {
        world.tell(10, A, Order::Pass(3, who));
    }
    world.run(100);
    let mut lengths: Vec<Duration> = Vec::new();
    for (_, seen) in world.seen_after(A, 5) {
        if let Seen::Opened(Some(length)) = seen {
            lengths.push(length);
        }
    }
    assert!(lengths.iter().all(|length| *length <= Duration::millis(10)));
    assert!(lengths.iter().any(|length| *length > Duration::millis(9)));
    assert!(lengths.iter().any(|length| *length < Duration::millis(1)));
}

#[test]
fn disarmed_cuts_open_no_more() {
    let mut world = World::new(1);
    world.simulation.arm_cut(armed(3, None, 1, 1));
    world
        .at(5, Simulation::disarm_cuts)
        .tell(10, A, Order::Pass(3, 0))
        .run(100);
    assert_eq!(world.seen_after(A, 5), [(10, Seen::Opened(None))]);
}

#[test]
fn the_next_trial_begins_with_new_disks() {
    let mut world = World::new(2);
    let disk = world.simulation.disk_mut(A);
    disk.file(FileId(1)).append(toy::Number(5));
    disk.write_document(DocumentId(2), 6);
    disk.health = DiskHealth {
        slowness: 9,
        refuses: Some(DiskError::Full),
    };
    world.simulation.crash(B, Crash::Disk);
    let world = World::with(world.simulation, 1, 2, toy::exact());
    for node in [A, B] {
        let disk = world.simulation.disk(node);
        assert_eq!(disk.existing_ids().count(), 0);
        assert_eq!(disk.document(DocumentId(2)), None);
        assert_eq!((disk.health, disk.generation()), (DiskHealth::default(), 0));
    }
}

#[test]
fn what_was_held_counts_its_retransmissions_anew() {
    let mut world = World::pair();
    world.cut(5, 100, A, B).hold(50, 500, kind(7)).cut(450, 800, A, B);
    world.tell(10, A, Order::Send(0, 7)).run(10_000);
    assert_eq!(world.seen_after(B, 5), [(1_100, Seen::Message(0, 7))]);
}

#[test]
fn the_next_trial_begins_with_nothing_armed_and_nothing_held() {
    let mut world = World::new(1);
    world.simulation.arm_cut(armed(3, None, 1, 1));
    world.simulation.hold(kind(7));
    let mut world = World::with(world.simulation, 1, 2, toy::exact());
    world
        .tell(0, A, Order::Connect(B))
        .tell(10, A, Order::Pass(3, 0))
        .tell(10, A, Order::Send(0, 7))
        .run(100);
    assert_eq!(world.seen_after(A, 5), [(10, Seen::Opened(None))]);
    assert_eq!(world.numbers(B), [7]);
    assert_eq!(world.simulation.cuts_opened(), 0);
}
