//! What sockets hold: a writer can ask, and wait. A message of the toy has 100 bytes, a way takes a millisecond.

mod toy;

use ktrial_sim::{Link, SEGMENT_BOOKKEEPING, Simulation};
use toy::{A, B, Order, Seen, World};

/// What a socket of 1,000 bytes takes at these milliseconds.
fn room_at(world: &mut World, times: &[u64]) -> Vec<u64> {
    for at in times {
        world.tell(*at, A, Order::AskRoom(0, 1_000));
    }
    world.run(times.iter().max().expect("some time") + 1);
    let seen = world.seen_after(A, 9).into_iter();
    seen.filter_map(|(_, seen)| match seen {
        Seen::Room(bytes) => Some(bytes),
        _ => None,
    })
    .collect()
}

#[test]
fn what_the_other_machine_has_not_taken_in_fills_the_socket() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Send(0, 1))
        .tell(10, A, Order::Send(0, 2));
    assert_eq!(room_at(&mut world, &[10, 12]), [800, 1_000]);
}

#[test]
fn into_a_cut_no_more_goes_than_the_socket_holds() {
    let mut world = World::pair();
    world
        .cut(9, 10_000, A, B)
        .tell(10, A, Order::Send(0, 1))
        .tell(20, A, Order::Send(0, 2));
    assert_eq!(room_at(&mut world, &[15, 25, 5_000]), [900, 800, 800]);
}

#[test]
fn what_was_sent_without_an_acknowledgement_takes_room_beside_its_bytes() {
    let link = Link {
        congestion_window: 2,
        ..toy::exact()
    };
    let mut world = World::with(Simulation::default(), 1, 2, link);
    world.tell(0, A, Order::Connect(B)).cut(9, 10_000, A, B);
    for number in 0..3 {
        world.tell(10, A, Order::Send(0, number));
    }
    world.tell(20, A, Order::AskRoom(0, 10_000)).run(30);
    let left = 10_000 - 3 * 100 - 2 * SEGMENT_BOOKKEEPING;
    assert!(world.seen(A).contains(&(20, Seen::Room(left))));
}

#[test]
fn a_reader_that_stands_still_leaves_what_its_own_socket_does_not_take_to_the_writers() {
    let mut world = World::pair();
    world.tell(5, B, Order::TakeIn(150)).pause(9, 1_000, B);
    for number in 0..4 {
        world.tell(10, A, Order::Send(0, number));
    }
    assert_eq!(room_at(&mut world, &[10, 50]), [600, 750]);
}

#[test]
fn who_waits_for_room_learns_of_it_once_half_a_round_trip_after_something_was_taken_in() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Send(0, 1))
        .tell(10, A, Order::AwaitRoom(0))
        .tell(20, A, Order::Send(0, 2))
        .run(30);
    let roomier = |world: &World| {
        let seen = world.seen_after(A, 5).into_iter();
        seen.filter(|(_, seen)| *seen == Seen::Roomier(0))
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    assert_eq!(roomier(&world), [12]);
}

#[test]
fn who_waits_for_room_behind_a_cut_learns_of_it_after_the_retransmission() {
    let mut world = World::pair();
    world
        .cut(9, 100, A, B)
        .tell(10, A, Order::Send(0, 1))
        .tell(10, A, Order::AwaitRoom(0))
        .run(500);
    let seen = world.seen_after(A, 11);
    assert_eq!(
        seen,
        [(212, Seen::Roomier(0))],
        "sent at 10, tried again 200 ms after it was due"
    );
}
