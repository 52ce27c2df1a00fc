//! Bytes and handshakes sent into a cut, or to a machine without power, come by TCP's own clock.

mod toy;

use ktrial_sim::{Closure, Crash, Duration, PowerLoss, Simulation};
use toy::{A, B, Order, Seen, World};

/// The first bytes would have arrived at 101 ms; TCP tries again 200, 600, 1400, 3000, 6200, 12600 and 25400 ms
/// later.
#[test]
fn after_a_cut_of_twenty_seconds_bytes_come_with_the_seventh_retransmission() {
    let mut world = World::pair();
    world
        .cut(50, 20_050, A, B)
        .tell(100, A, Order::Send(0, 1))
        .tell(15_000, A, Order::Send(0, 2))
        .run(60_000);
    assert_eq!(
        world.seen_after(B, 50),
        [(25_501, Seen::Message(0, 1)), (25_501, Seen::Message(0, 2))]
    );
}

/// Linux waits for 200 ms and the round trip it has smoothed, which the other machine draws out to 40 ms when it holds
/// its acknowledgement back.
#[test]
fn each_way_waits_for_a_time_of_its_own_which_doubles() {
    let mut waits = Vec::new();
    for seed in 0..50 {
        let mut link = toy::exact();
        link.smoothed_round_trip = Duration::millis(45);
        let mut world = World::with(Simulation::default(), seed, 2, link);
        world.tell(0, A, Order::Connect(B)).cut(50, 120, A, B);
        world
            .tell(100, A, Order::Send(0, 1))
            .tell(1_000, A, Order::Send(0, 2));
        world.cut(999, 1_300, A, B).run(60_000);
        let times: Vec<u64> = world.seen_after(B, 50).iter().map(|(at, _)| *at).collect();
        let first = times[0] - 101;
        assert!((200..=245).contains(&first), "{first}");
        assert!(
            (3 * first - 1..=3 * first + 2).contains(&(times[1] - 1_001)),
            "{times:?}"
        );
        waits.push(first);
    }
    waits.sort_unstable();
    assert!(waits[0] < 205 && waits[49] > 240, "{waits:?}");
}

#[test]
fn what_is_sent_after_the_mending_waits_behind_what_was_sent_before() {
    let mut world = World::pair();
    world
        .cut(50, 1_000, A, B)
        .tell(100, A, Order::Send(0, 1))
        .tell(1_100, A, Order::Send(0, 2))
        .tell(1_600, A, Order::Send(0, 3))
        .run(60_000);
    assert_eq!(
        world.seen_after(B, 50),
        [
            (1_501, Seen::Message(0, 1)),
            (1_501, Seen::Message(0, 2)),
            (1_601, Seen::Message(0, 3))
        ]
    );
}

#[test]
fn a_second_cut_starts_from_the_first_retransmission_again() {
    let mut world = World::pair();
    world
        .cut(50, 1_000, A, B)
        .tell(100, A, Order::Send(0, 1))
        .cut(2_000, 2_100, A, B)
        .tell(2_050, A, Order::Send(0, 2))
        .run(60_000);
    assert_eq!(
        world.seen_after(B, 50),
        [(1_501, Seen::Message(0, 1)), (2_251, Seen::Message(0, 2))]
    );
}

#[test]
fn bytes_under_way_when_the_cut_begins_are_lost_in_it() {
    let mut world = World::pair();
    world.tell(100, A, Order::Send(0, 1));
    world.cut(100, 150, A, B).run(60_000);
    assert_eq!(world.seen_after(B, 50), [(301, Seen::Message(0, 1))]);
}

#[test]
fn cuts_count_and_each_needs_its_mending() {
    let mut world = World::pair();
    world.cut(50, 300, A, B).cut(50, 5_000, A, B);
    world.tell(100, A, Order::Send(0, 1)).run(60_000);
    assert_eq!(world.seen_after(B, 50), [(6_301, Seen::Message(0, 1))]);
}

/// 200 ms doubling to 102.4 s, then every 120 s; the sixteenth time-out, at 924.6 s, is the end.
#[test]
fn unacknowledged_bytes_break_their_senders_end_after_924_seconds() {
    let mut world = World::pair();
    world
        .cut(50, 924_650, A, B)
        .tell(100, A, Order::Send(0, 1))
        .run(2_000_000);
    assert_eq!(
        world.seen_after(A, 50),
        [(924_701, Seen::Closed(0, Closure::TimedOut))]
    );
    assert_eq!(world.numbers(B), []);
}

#[test]
fn bytes_that_get_through_with_the_last_retransmission_keep_the_connection() {
    let mut world = World::pair();
    world
        .cut(50, 804_650, A, B)
        .tell(100, A, Order::Send(0, 1))
        .run(2_000_000);
    assert_eq!(world.seen_after(A, 50), []);
    assert_eq!(world.seen_after(B, 50), [(804_701, Seen::Message(0, 1))]);
}

#[test]
fn the_other_end_of_a_connection_given_up_stays_half_open_until_it_sends() {
    let mut world = World::pair();
    world.cut_way(50, 924_650, A, B);
    world
        .tell(100, A, Order::Send(0, 1))
        .tell(1_000_000, B, Order::Send(0, 2))
        .run(2_000_000);
    assert_eq!(
        world.seen_after(B, 50),
        [(1_000_002, Seen::Closed(0, Closure::Reset))]
    );
}

/// The handshake would have arrived at 101 ms; it is repeated after 1, 2, 3, 4, 5, 7, 11, 19 and 35 s.
#[test]
fn a_handshake_into_a_cut_is_repeated_five_times_a_second_apart_and_then_doubling() {
    let mut world = World::new(2);
    world
        .cut(50, 20_050, A, B)
        .tell(100, A, Order::Connect(B))
        .run(60_000);
    assert_eq!(world.seen_after(A, 0), [(35_102, Seen::Connected(0))]);
    assert_eq!(world.seen_after(B, 0), [(35_103, Seen::Accepted(0))]);
}

#[test]
fn a_handshake_is_given_up_after_131_seconds() {
    let mut world = World::new(2);
    world
        .cut(50, 131_090, A, B)
        .tell(100, A, Order::Connect(B))
        .run(500_000);
    assert_eq!(
        world.seen_after(A, 0),
        [(131_101, Seen::Closed(0, Closure::TimedOut))]
    );
}

#[test]
fn an_answer_to_a_handshake_lost_in_a_cut_is_asked_for_again() {
    let mut world = World::new(2);
    world.tell(100, A, Order::Connect(B));
    world.cut_way(102, 200, B, A).run(60_000);
    assert_eq!(world.seen_after(A, 0), [(1_103, Seen::Connected(0))]);
    assert_eq!(world.seen_after(B, 0), [(1_104, Seen::Accepted(0))]);
}

#[test]
fn a_refusal_lost_in_a_cut_comes_with_the_next_handshake() {
    let mut world = World::new(2);
    world.crash(1, B, Crash::Process).tell(100, A, Order::Connect(B));
    world.cut_way(102, 200, B, A).run(60_000);
    assert_eq!(
        world.seen_after(A, 0),
        [(1_103, Seen::Closed(0, Closure::Refused))]
    );
}

#[test]
fn a_machine_without_power_answers_the_first_handshake_after_it_is_back() {
    let mut world = World::new(2);
    world
        .crash(1, B, Crash::Power(PowerLoss::Drawn))
        .tell(100, A, Order::Connect(B))
        .start(2_000, B)
        .run(60_000);
    assert_eq!(world.seen_after(A, 0), [(2_102, Seen::Connected(0))]);
}

#[test]
fn a_cut_of_one_direction_stops_only_what_goes_that_way() {
    let mut world = World::pair();
    world.cut_way(50, 500, A, B);
    world
        .tell(100, A, Order::Send(0, 1))
        .tell(100, B, Order::Send(0, 2))
        .run(60_000);
    assert_eq!(world.seen_after(A, 50), [(101, Seen::Message(0, 2))]);
    assert_eq!(world.seen_after(B, 50), [(701, Seen::Message(0, 1))]);
}

#[test]
fn nobody_connects_while_either_direction_is_cut() {
    for (from, to) in [(A, B), (B, A)] {
        let mut world = World::new(2);
        world.cut_way(50, 500, from, to);
        world.tell(100, A, Order::Connect(B)).run(60_000);
        assert_eq!(world.seen_after(A, 0), [(1_102, Seen::Connected(0))]);
    }
}

#[test]
fn a_black_hole_tells_nobody_anything() {
    let mut world = World::pair();
    world
        .cut(50, 900_000, A, B)
        .tell(100, A, Order::Send(0, 1))
        .run(800_000);
    assert_eq!(world.seen_after(A, 50), []);
    assert_eq!(world.seen_after(B, 50), []);
}

/// The machine came back without its process's connections, but its resets do not get through until 5 s: the one
/// that the sixth transmission asks for does.
#[test]
fn a_reset_lost_in_a_cut_is_asked_for_again_by_the_next_retransmission() {
    let mut world = World::pair();
    world
        .crash(50, B, Crash::Power(PowerLoss::Drawn))
        .start(60, B)
        .cut_way(70, 5_000, B, A)
        .tell(100, A, Order::Send(0, 1))
        .run(60_000);
    assert_eq!(
        world.seen_after(A, 50),
        [(6_302, Seen::Closed(0, Closure::Reset))]
    );
}
