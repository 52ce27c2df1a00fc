//! What a connection promises while it lives, and how it ends.

mod toy;

use ktrial_sim::{Closure, Crash, Duration, Link, NodeId, Simulation};
use toy::{A, B, ECHOED, Order, Seen, World};

#[test]
fn connecting_takes_one_round_trip_and_the_acceptor_learns_of_it_half_a_round_trip_later() {
    let mut world = World::pair();
    world.run(100);
    assert_eq!(world.seen_after(A, 0), [(2, Seen::Connected(0))]);
    assert_eq!(world.seen_after(B, 0), [(3, Seen::Accepted(0))]);
}

#[test]
fn messages_arrive_in_order_whatever_their_latencies() {
    for seed in 0..50 {
        let link = Link {
            spread: Duration::millis(50),
            ..toy::exact()
        };
        let mut world = World::with(Simulation::default(), seed, 2, link);
        world.tell(0, A, Order::Connect(B));
        for number in 0..100 {
            world.tell(500 + u64::from(number), A, Order::Send(0, number));
        }
        world.run(5_000);
        assert_eq!(world.numbers(B), (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn both_directions_of_a_connection_are_independent() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Send(0, 1))
        .tell(10, B, Order::Send(0, 2))
        .run(20);
    assert_eq!(world.seen_after(A, 5), [(11, Seen::Message(0, 2))]);
    assert_eq!(world.seen_after(B, 5), [(11, Seen::Message(0, 1))]);
}

#[test]
fn a_node_can_connect_to_itself() {
    let mut world = World::new(1);
    world.tell(0, A, Order::Connect(A)).tell(10, A, Order::Send(0, 7));
    world.run(20);
    assert_eq!(
        world.seen_after(A, 0),
        [
            (2, Seen::Connected(0)),
            (3, Seen::Accepted(1)),
            (11, Seen::Message(1, 7))
        ]
    );
}

#[test]
fn bandwidth_delays_a_message_by_those_sent_before_it() {
    let mut world = World::pair();
    // 100 bytes at one byte a microsecond leave the card in 100 microseconds.
    world.at(5, |simulation| {
        simulation.link_mut(A, B).bytes_per_microsecond = 1;
    });
    for number in 0..30 {
        world.tell(10, A, Order::Send(0, number));
    }
    world.run(100);
    let arrivals: Vec<u64> = world.seen_after(B, 5).iter().map(|(at, _)| *at).collect();
    assert_eq!((arrivals[0], arrivals[29]), (11, 14));
}

#[test]
fn nobody_listening_refuses_after_one_round_trip() {
    let mut world = World::new(2);
    world.crash(1, B, Crash::Process);
    world.tell(10, A, Order::Connect(B)).run(100);
    assert_eq!(world.seen_after(A, 0), [(12, Seen::Closed(0, Closure::Refused))]);
}

#[test]
fn nothing_can_be_sent_before_the_connection_is_up() {
    let mut world = World::new(2);
    world
        .tell(0, A, Order::Connect(B))
        .tell(1, A, Order::Send(0, 5))
        .run(100);
    assert_eq!(
        world.seen_after(A, 0),
        [(1, Seen::Unsent(5)), (2, Seen::Connected(0))]
    );
    assert_eq!(world.numbers(B), []);
}

#[test]
fn what_was_sent_before_a_close_still_arrives_and_the_end_after_it() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Send(0, 1))
        .tell(10, A, Order::Send(0, 2))
        .tell(10, A, Order::Close(0))
        .run(100);
    assert_eq!(
        world.seen_after(B, 5),
        [
            (11, Seen::Message(0, 1)),
            (11, Seen::Message(0, 2)),
            (11, Seen::Closed(0, Closure::Finished))
        ]
    );
}

#[test]
fn nothing_can_be_sent_on_a_closed_connection() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Close(0))
        .tell(11, A, Order::Send(0, 1))
        .run(100);
    assert_eq!(world.seen_after(A, 5), [(11, Seen::Unsent(1))]);
}

#[test]
fn closing_before_the_answer_arrives_leaves_the_acceptor_in_peace() {
    let mut world = World::new(2);
    world
        .tell(0, A, Order::Connect(B))
        .tell(1, A, Order::Close(0))
        .run(100);
    assert_eq!(world.seen_after(A, 0), []);
    assert_eq!(world.seen_after(B, 0), []);
}

#[test]
fn messages_that_cross_a_close_are_not_read_and_their_sender_sees_the_close_first() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Close(0))
        .tell(10, B, Order::Send(0, 1))
        .run(5_000);
    assert_eq!(world.numbers(A), []);
    assert_eq!(world.seen_after(B, 5), [(11, Seen::Closed(0, Closure::Finished))]);
    assert_eq!(
        world.simulation.pending(),
        0,
        "nobody retransmits to a closed end for ever"
    );
}

#[test]
fn a_muted_connection_leaves_messages_and_the_end_unread_until_it_is_unmuted() {
    let mut world = World::pair();
    world
        .tell(10, B, Order::Mute(0))
        .tell(11, A, Order::Send(0, 1))
        .tell(12, A, Order::Send(0, 2))
        .tell(13, A, Order::Close(0))
        .tell(50, B, Order::Unmute(0))
        .run(100);
    assert_eq!(
        world.seen_after(B, 5),
        [
            (50, Seen::Message(0, 1)),
            (50, Seen::Message(0, 2)),
            (50, Seen::Closed(0, Closure::Finished))
        ]
    );
}

/// A broker that handles one request of a connection at a time, whose client is gone: the response to the first
/// request is answered by a reset (one hop there, one hop back), and what is read until then still runs.
#[test]
fn requests_left_in_the_socket_run_until_the_first_response_is_reset() {
    let mut world = World::pair();
    world.tell(5, B, Order::Serve(Duration::millis(5)));
    for number in 1..=4 {
        world.tell(10, A, Order::Send(0, number));
    }
    world.tell(12, A, Order::Close(0)).run(1_000);
    assert_eq!(
        world.seen_after(B, 5),
        [
            (11, Seen::Message(0, 1)),
            (16, Seen::Message(0, 2)),
            (18, Seen::Closed(0, Closure::Reset))
        ]
    );
}

#[test]
fn with_short_service_times_all_requests_of_a_gone_client_run() {
    let mut world = World::pair();
    world.tell(5, B, Order::Serve(Duration::micros(500)));
    for number in 1..=4 {
        world.tell(10, A, Order::Send(0, number));
    }
    world.tell(10, A, Order::Close(0)).run(1_000);
    assert_eq!(world.numbers(B), [1, 2, 3, 4]);
}

#[test]
fn a_reset_fault_breaks_both_ends_at_once_and_drops_what_is_under_way() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Send(0, 1))
        .at(10, |simulation| simulation.reset_connections(B, A))
        .run(5_000);
    assert_eq!(world.seen_after(A, 5), [(10, Seen::Closed(0, Closure::Reset))]);
    assert_eq!(world.seen_after(B, 5), [(10, Seen::Closed(0, Closure::Reset))]);
}

#[test]
fn a_process_hears_nothing_of_a_connection_that_was_reset_before_it_was_accepted() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Connect(B))
        .at(12, |simulation| simulation.reset_connections(A, B))
        .run(100);
    let broken = [(12, Seen::Closed(0, Closure::Reset))];
    assert_eq!(world.seen_after(B, 5), broken);
}

#[test]
fn a_reset_fault_spares_connections_of_other_nodes() {
    let mut world = World::new(3);
    world
        .tell(0, A, Order::Connect(B))
        .tell(0, A, Order::Connect(NodeId(2)))
        .at(10, |simulation| simulation.reset_connections(A, B))
        .tell(20, A, Order::Send(1, 4))
        .run(100);
    assert_eq!(world.numbers(NodeId(2)), [4]);
}

#[test]
fn requests_and_answers_of_many_connections_find_their_way() {
    let mut world = World::new(2);
    world.tell(0, B, Order::Echo);
    for connection in 0..20 {
        world.tell(0, A, Order::Connect(B));
        world.tell(10, A, Order::Send(connection, connection as u32));
    }
    world.run(100);
    for connection in 0..20usize {
        let answer = Seen::Message(connection, connection as u32 + ECHOED);
        assert!(world.seen(A).contains(&(12, answer)));
    }
}

#[test]
fn a_port_that_is_no_longer_listened_on_keeps_its_connections() {
    let mut world = World::pair();
    world.tell(10, B, Order::StopListening);
    world
        .tell(20, A, Order::Connect(B))
        .tell(30, A, Order::Send(0, 1))
        .run(100);
    assert_eq!(world.seen_after(A, 5), [(22, Seen::Closed(1, Closure::Refused))]);
    assert_eq!(world.numbers(B), [1]);
}

#[test]
fn what_is_sent_later_over_a_faster_link_waits_for_what_was_sent_before() {
    let mut world = World::pair();
    world
        .at(5, |simulation| {
            simulation.link_mut(A, B).latency = Duration::millis(40)
        })
        .tell(10, A, Order::Send(0, 1))
        .at(20, |simulation| {
            simulation.link_mut(A, B).latency = Duration::millis(1)
        })
        .tell(30, A, Order::Send(0, 2))
        .run(100);
    assert_eq!(
        world.seen_after(B, 5),
        [(50, Seen::Message(0, 1)), (50, Seen::Message(0, 2))]
    );
}
