//! Datagrams, which promise nothing.

mod toy;

use ktrial_sim::{Crash, Duration, Link, Simulation};
use toy::{A, B, Order, Seen, World};

fn arrivals(world: &World) -> Vec<u32> {
    let seen = world.seen(B);
    let numbers = seen.iter().filter_map(|(_, seen)| match seen {
        Seen::Datagram(from, number) => {
            assert_eq!(*from, A);
            Some(*number)
        }
        _ => None,
    });
    numbers.collect()
}

#[test]
fn datagrams_are_lost_as_often_as_their_link_loses_them() {
    let mut world = World::new(2);
    world.simulation.link_mut(A, B).datagram_loss = u32::MAX / 4;
    for number in 0..4_000 {
        world.tell(10, A, Order::Datagram(B, number));
    }
    world.run(100);
    let arrived = arrivals(&world).len();
    assert!((2_850..3_150).contains(&arrived), "{arrived} of 4000");
}

#[test]
fn datagrams_overtake_each_other() {
    let link = Link {
        spread: Duration::millis(50),
        ..toy::exact()
    };
    let mut world = World::with(Simulation::default(), 1, 2, link);
    for number in 0..100 {
        world.tell(10, A, Order::Datagram(B, number));
    }
    world.run(1_000);
    let mut numbers = arrivals(&world);
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_datagram_arrives_only_at_a_process_that_runs_and_over_a_link_that_is_whole() {
    let obstacles: [fn(&mut World); 3] = [
        |world| {
            world.crash(10, B, Crash::Process).start(50, B);
        },
        |world| {
            world.pause(10, 50, B);
        },
        |world| {
            world.cut_way(10, 50, A, B);
        },
    ];
    for obstacle in obstacles {
        let mut world = World::new(2);
        obstacle(&mut world);
        world
            .tell(20, A, Order::Datagram(B, 1))
            .tell(60, A, Order::Datagram(B, 2))
            .run(1_000);
        assert_eq!(arrivals(&world), [2]);
    }
}
