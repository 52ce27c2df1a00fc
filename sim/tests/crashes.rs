//! Processes that die or stand still, and machines that lose their power.

mod toy;

use ktrial_sim::{Closure, Crash, Duration, PowerLoss, Status};
use toy::{A, B, Order, Seen, World};

const POWER: Crash = Crash::Power(PowerLoss::EverythingUnflushed);

#[test]
fn a_killed_process_closes_its_connections_at_once() {
    let mut world = World::pair();
    world.crash(10, B, Crash::Process).run(100);
    assert_eq!(world.seen_after(A, 5), [(11, Seen::Closed(0, Closure::Finished))]);
}

#[test]
fn a_killed_process_is_torn_down_before_its_connections_close() {
    let mut world = World::pair();
    world
        .at(5, |simulation| {
            simulation.set_tear_down(Duration::millis(30), Duration::millis(30));
        })
        .crash(10, B, Crash::Process)
        .tell(20, A, Order::Send(0, 1))
        .run(100);
    assert_eq!(
        world.seen_after(A, 19).last(),
        Some(&(41, Seen::Closed(0, Closure::Finished))),
        "what came meanwhile was received by the machine and answered by nobody"
    );
    assert_eq!(world.numbers(B), []);
}

#[test]
fn a_process_started_anew_finds_the_one_before_torn_down() {
    let mut world = World::pair();
    world
        .at(5, |simulation| {
            simulation.set_tear_down(Duration::millis(30), Duration::millis(30));
        })
        .crash(10, B, Crash::Process)
        .tell(11, A, Order::Send(0, 1))
        .start(20, B)
        .run(100);
    assert!(
        world
            .seen_after(A, 11)
            .contains(&(21, Seen::Closed(0, Closure::Finished)))
    );
    assert_eq!(
        world.numbers(B),
        [],
        "the new process reads nothing of the old one's"
    );
}

#[test]
fn a_machine_that_loses_its_power_during_the_tearing_down_says_nothing() {
    let mut world = World::pair();
    world
        .at(5, |simulation| {
            simulation.set_tear_down(Duration::millis(30), Duration::millis(30));
        })
        .crash(10, B, Crash::Process)
        .crash(20, B, POWER)
        .run(1_000);
    assert_eq!(world.seen_after(A, 5), []);
}

#[test]
fn what_a_killed_process_had_sent_still_arrives() {
    let mut world = World::pair();
    world
        .tell(10, B, Order::Send(0, 1))
        .crash(11, B, Crash::Process)
        .run(100);
    assert_eq!(
        world.seen_after(A, 5),
        [
            (11, Seen::Message(0, 1)),
            (12, Seen::Closed(0, Closure::Finished))
        ]
    );
}

#[test]
fn the_machine_of_a_killed_process_retransmits_for_it() {
    let mut world = World::pair();
    world
        .cut(5, 1_000, A, B)
        .tell(10, B, Order::Send(0, 1))
        .crash(20, B, Crash::Process)
        .run(10_000);
    assert_eq!(
        world.seen_after(A, 5),
        [
            (1_411, Seen::Message(0, 1)),
            (1_411, Seen::Closed(0, Closure::Finished))
        ]
    );
}

#[test]
fn a_process_killed_before_it_knew_of_a_connection_resets_it() {
    let mut world = World::new(2);
    world
        .pause(0, 1_000, B)
        .tell(10, A, Order::Connect(B))
        .crash(20, B, Crash::Process)
        .run(100);
    assert_eq!(
        world.seen_after(A, 5),
        [(12, Seen::Connected(0)), (21, Seen::Closed(0, Closure::Finished))]
    );
}

#[test]
fn a_process_killed_during_a_handshake_resets_the_connection() {
    let mut world = World::new(2);
    world
        .tell(10, A, Order::Connect(B))
        .crash(12, B, Crash::Process)
        .run(100);
    assert_eq!(
        world.seen_after(A, 5),
        [(12, Seen::Connected(0)), (14, Seen::Closed(0, Closure::Reset))]
    );
}

#[test]
fn a_new_process_gets_nothing_of_what_the_old_one_was_sent() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Send(0, 1))
        .crash(10, B, Crash::Process)
        .start(10, B)
        .run(1_000);
    assert_eq!(world.seen_after(B, 5), [(10, Seen::Booted)]);
    assert_eq!(world.seen_after(A, 5), [(11, Seen::Closed(0, Closure::Finished))]);
}

#[test]
fn after_a_power_loss_the_other_end_knows_nothing_for_ever() {
    let mut world = World::pair();
    world.crash(10, B, POWER).start(20, B).run(100_000_000);
    assert_eq!(world.seen_after(A, 5), []);
}

/// Sent at 100, tried again at 301, 701 and 1501 ms: then the machine is back and knows no such connection.
#[test]
fn bytes_to_a_machine_that_lost_its_power_get_a_reset_when_it_is_back() {
    let mut world = World::pair();
    world
        .crash(10, B, POWER)
        .tell(100, A, Order::Send(0, 1))
        .start(1_000, B)
        .run(10_000);
    assert_eq!(world.seen_after(A, 5), [(1_502, Seen::Closed(0, Closure::Reset))]);
}

#[test]
fn bytes_under_way_when_the_power_goes_get_a_reset_when_the_machine_is_back() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Send(0, 1))
        .crash(10, B, POWER)
        .start(50, B)
        .run(10_000);
    assert_eq!(world.seen_after(A, 5), [(212, Seen::Closed(0, Closure::Reset))]);
}

#[test]
fn bytes_that_left_before_the_power_went_arrive() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::Send(0, 1))
        .crash(11, A, POWER)
        .run(10_000);
    assert_eq!(world.seen_after(B, 5), [(11, Seen::Message(0, 1))]);
}

#[test]
fn nobody_retransmits_for_a_machine_that_lost_its_power() {
    let mut world = World::pair();
    world
        .cut(5, 100, A, B)
        .tell(10, A, Order::Send(0, 1))
        .crash(20, A, POWER)
        .start(30, A)
        .run(1_000_000);
    assert_eq!(world.seen_after(B, 5), []);
}

#[test]
fn a_power_loss_takes_the_farewell_of_a_process_that_had_died_before() {
    let mut world = World::pair();
    world
        .cut(5, 1_000, A, B)
        .crash(10, A, Crash::Process)
        .crash(20, A, POWER)
        .run(1_000_000);
    assert_eq!(world.seen_after(B, 5), []);
}

#[test]
fn a_power_loss_loses_what_was_not_flushed_and_a_kill_does_not() {
    for (crash, left) in [(Crash::Process, 2), (POWER, 1), (Crash::Disk, 0)] {
        let mut world = World::new(1);
        let log = world.simulation.disk_mut(A).file(ktrial_sim::FileId(0));
        log.append(toy::Number(1));
        log.flush(1);
        log.append(toy::Number(2));
        world.simulation.crash(A, crash);
        let log = world.simulation.disk(A).existing(ktrial_sim::FileId(0));
        assert_eq!(log.map_or(0, |log| log.entries().len()), left, "{crash:?}");
    }
}

#[test]
fn a_lost_disk_is_another_disk() {
    let mut world = World::new(1);
    world
        .simulation
        .disk_mut(A)
        .write_document(ktrial_sim::DocumentId(4), 5);
    world.simulation.crash(A, Crash::Disk);
    let disk = world.simulation.disk(A);
    assert_eq!(
        (disk.document(ktrial_sim::DocumentId(4)), disk.generation()),
        (None, 1)
    );
}

#[test]
fn a_machine_whose_disk_is_replaced_answers_for_its_dead_process() {
    let silent = Seen::Closed(0, Closure::Refused);
    let mut world = World::pair();
    world.crash(5, B, Crash::Process).crash(6, B, Crash::Disk);
    world.tell(10, A, Order::Connect(B)).run(100);
    let refused = [
        (6, Seen::Closed(0, Closure::Finished)),
        (12, Seen::Closed(1, Closure::Refused)),
    ];
    assert_eq!(world.seen_after(A, 5), refused);
    let mut world = World::new(2);
    world.crash(5, B, Crash::Disk);
    world.tell(10, A, Order::Connect(B)).run(100);
    assert!(
        !world.seen_after(A, 5).contains(&(12, silent)),
        "one that ran lost its power"
    );
}

#[test]
fn a_paused_process_finds_everything_in_order_on_waking() {
    let mut world = World::pair();
    world
        .tell(5, B, Order::Timer(0, Duration::millis(10)))
        .tell(5, B, Order::Alarm(8, Duration::millis(12)))
        .pause(10, 100, B)
        .tell(11, A, Order::Send(0, 1))
        .tell(13, A, Order::Send(0, 2))
        .tell(17, A, Order::Send(0, 3))
        .tell(18, A, Order::Close(0))
        .run(1_000);
    assert_eq!(
        world.seen_after(B, 5),
        [
            (100, Seen::Message(0, 1)),
            (100, Seen::Message(0, 2)),
            (100, Seen::Timer(0)),
            (100, Seen::Alarm(8)),
            (100, Seen::Message(0, 3)),
            (100, Seen::Closed(0, Closure::Finished)),
        ]
    );
}

#[test]
fn a_signal_to_a_paused_process_is_found_on_waking() {
    let mut world = World::new(1);
    world
        .pause(10, 100, A)
        .tell(20, A, Order::Timer(0, Duration::ZERO))
        .run(1_000);
    assert_eq!(world.seen_after(A, 5), [(100, Seen::Timer(0))]);
}

#[test]
fn the_network_stack_of_a_paused_process_accepts_connections() {
    let mut world = World::new(2);
    world
        .pause(5, 100, B)
        .tell(10, A, Order::Connect(B))
        .tell(20, A, Order::Send(0, 1))
        .run(1_000);
    assert_eq!(world.seen_after(A, 5), [(12, Seen::Connected(0))]);
    assert_eq!(
        world.seen_after(B, 5),
        [(100, Seen::Accepted(0)), (100, Seen::Message(0, 1))]
    );
}

#[test]
fn a_process_killed_while_paused_takes_what_it_had_not_seen_with_it() {
    let mut world = World::pair();
    world
        .tell(5, B, Order::Timer(0, Duration::millis(10)))
        .pause(10, 100, B)
        .tell(11, A, Order::Send(0, 1))
        .crash(50, B, Crash::Process)
        .start(60, B)
        .run(1_000);
    assert_eq!(world.seen_after(B, 5), [(60, Seen::Booted)]);
    assert_eq!(world.simulation.status(B), Status::Up);
}

#[test]
fn a_process_paused_twice_still_finds_everything_in_order() {
    let mut world = World::pair();
    world
        .pause(10, 50, B)
        .pause(50, 100, B)
        .tell(11, A, Order::Send(0, 1))
        .tell(12, A, Order::Send(0, 2))
        .tell(60, A, Order::Send(0, 3))
        .run(1_000);
    assert_eq!(world.numbers(B), [1, 2, 3]);
    assert!(world.seen_after(B, 5).iter().all(|(at, _)| *at == 100));
}

#[test]
fn a_process_that_ends_itself_does_nothing_more_in_that_step() {
    let mut world = World::pair();
    world
        .tell(10, A, Order::ExitInTheMiddle(B))
        .start(20, A)
        .tell(30, B, Order::Knock(A, 9))
        .run(10_000);
    assert_eq!(world.seen_after(A, 5), [(20, Seen::Booted)]);
    assert_eq!(
        world.seen_after(B, 5),
        [
            (11, Seen::Closed(0, Closure::Finished)),
            (32, Seen::Closed(1, Closure::Refused))
        ]
    );
}

#[test]
fn a_process_that_runs_cannot_be_started_again() {
    let mut world = World::new(1);
    world.start(10, A).run(100);
    assert_eq!(world.simulation.incarnation(A), 1);
    assert_eq!(world.seen(A), [(0, Seen::Booted)]);
}

#[test]
fn bytes_behind_blocked_ones_are_lost_with_the_power_too() {
    let mut world = World::pair();
    world
        .cut(5, 15, A, B)
        .tell(10, A, Order::Send(0, 1))
        .tell(20, A, Order::Send(0, 2))
        .crash(21, A, POWER)
        .run(1_000_000);
    assert_eq!(world.seen_after(B, 5), []);
}

#[test]
fn bytes_under_way_that_run_into_a_cut_are_lost_with_the_power() {
    let mut world = World::pair();
    world.tell(10, A, Order::Send(0, 1));
    world.crash(11, A, POWER).cut(11, 100, A, B);
    world.at(5, |simulation| {
        simulation.link_mut(A, B).latency = Duration::millis(2)
    });
    world.run(1_000_000);
    assert_eq!(world.seen_after(B, 5), []);
}

/// The machine's reset to the second message must not reach its sender before what the dead process had sent.
#[test]
fn a_reset_does_not_overtake_what_was_sent_before_it() {
    let mut world = World::pair();
    world
        .at(5, |simulation| {
            simulation.link_mut(B, A).latency = Duration::millis(40)
        })
        .tell(10, B, Order::Send(0, 1))
        .crash(11, B, Crash::Process)
        .at(12, |simulation| {
            simulation.link_mut(B, A).latency = Duration::millis(1)
        })
        .tell(13, A, Order::Send(0, 2))
        .run(1_000);
    assert_eq!(
        world.seen_after(A, 5),
        [
            (50, Seen::Message(0, 1)),
            (51, Seen::Closed(0, Closure::Finished))
        ]
    );
}

#[test]
fn a_reset_takes_the_place_of_what_a_dead_process_sent_into_a_cut() {
    let mut world = World::pair();
    world
        .cut_way(5, 20, B, A)
        .tell(10, B, Order::Send(0, 1))
        .crash(25, B, Crash::Process)
        .tell(30, A, Order::Send(0, 2))
        .run(1_000);
    assert_eq!(world.seen_after(A, 5), [(32, Seen::Closed(0, Closure::Reset))]);
}

#[test]
fn what_a_dead_process_sent_into_a_cut_arrives_if_nobody_sends_to_it() {
    let mut world = World::pair();
    world
        .cut_way(5, 20, B, A)
        .tell(10, B, Order::Send(0, 1))
        .crash(25, B, Crash::Process)
        .run(1_000);
    assert_eq!(
        world.seen_after(A, 5),
        [
            (211, Seen::Message(0, 1)),
            (211, Seen::Closed(0, Closure::Finished))
        ]
    );
}

/// The answer of the first process was lost; the repeated handshake is answered by the second.
#[test]
fn a_repeated_handshake_can_reach_another_process() {
    let mut world = World::new(2);
    world.tell(100, A, Order::Connect(B));
    world.crash(102, B, Crash::Process).cut_way(102, 200, B, A);
    world.start(300, B).tell(2_000, A, Order::Send(0, 1)).run(10_000);
    assert_eq!(
        world.seen_after(B, 0),
        [
            (300, Seen::Booted),
            (1_104, Seen::Accepted(0)),
            (2_001, Seen::Message(0, 1))
        ]
    );
}

/// The stack gave up at 924.7 s; the process learns of it only after it has worked through what came before.
#[test]
fn a_process_that_sleeps_through_the_end_of_its_connection_cannot_send_past_a_gap() {
    let mut world = World::pair();
    world
        .cut(50, 930_000, A, B)
        .tell(100, A, Order::Send(0, 1))
        .pause(900_000, 940_000, A)
        .tell(910_000, A, Order::Send(0, 2))
        .run(2_000_000);
    assert_eq!(
        world.seen_after(A, 50),
        [(940_000, Seen::Closed(0, Closure::TimedOut))]
    );
    assert_eq!(world.numbers(B), []);
}

#[test]
fn a_process_killed_in_its_sleep_says_nothing_on_a_connection_that_was_reset() {
    let mut world = World::pair();
    world
        .pause(5, 100, A)
        .pause(5, 100, B)
        .at(10, |simulation| simulation.reset_connections(A, B))
        .crash(20, A, Crash::Process)
        .run(1_000);
    assert_eq!(world.seen_after(B, 5), [(100, Seen::Closed(0, Closure::Reset))]);
}

#[test]
fn a_signal_does_not_reach_the_successor_of_the_process_it_was_sent_to() {
    let mut world = World::new(1);
    world
        .tell(10, A, Order::Timer(0, Duration::ZERO))
        .crash(10, A, Crash::Process)
        .start(10, A)
        .run(1_000);
    assert_eq!(world.seen_after(A, 5), [(10, Seen::Booted)]);
}

#[test]
fn a_process_can_end_itself_while_it_boots() {
    let mut world = World::new(2);
    world
        .crash(5, A, Crash::Process)
        .at(5, |simulation| {
            simulation.disk_mut(A).write_document(toy::POISON, 0)
        })
        .start(10, A)
        .at(20, |simulation| {
            simulation.disk_mut(A).delete_document(toy::POISON)
        })
        .start(20, A)
        .tell(30, B, Order::Knock(A, 9))
        .run(10_000);
    assert_eq!(world.seen_after(A, 5), [(20, Seen::Booted)]);
    assert_eq!(world.seen_after(B, 5), [(32, Seen::Closed(0, Closure::Refused))]);
}
