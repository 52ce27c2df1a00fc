//! Timers and alarms of one process.

mod toy;

use ktrial_sim::{Crash, Duration};
use toy::{A, Order, Seen, World};

fn timer(slot: u16, millis: u64) -> Order {
    Order::Timer(slot, Duration::millis(millis))
}

#[test]
fn a_timer_runs_out_once_after_its_time() {
    let mut world = World::new(1);
    world.tell(10, A, timer(0, 90)).run(10_000);
    assert_eq!(world.seen_after(A, 0), [(100, Seen::Timer(0))]);
}

#[test]
fn timers_of_different_slots_are_independent() {
    let mut world = World::new(1);
    world
        .tell(10, A, timer(1, 90))
        .tell(10, A, timer(0, 40))
        .run(10_000);
    assert_eq!(
        world.seen_after(A, 0),
        [(50, Seen::Timer(0)), (100, Seen::Timer(1))]
    );
}

#[test]
fn a_timer_that_is_postponed_runs_out_only_at_the_later_time() {
    let mut world = World::new(1);
    world
        .tell(10, A, timer(0, 90))
        .tell(50, A, timer(0, 200))
        .run(10_000);
    assert_eq!(world.seen_after(A, 0), [(250, Seen::Timer(0))]);
}

#[test]
fn a_timer_that_is_advanced_runs_out_only_at_the_earlier_time() {
    let mut world = World::new(1);
    world
        .tell(10, A, timer(0, 90))
        .tell(50, A, timer(0, 10))
        .run(10_000);
    assert_eq!(world.seen_after(A, 0), [(60, Seen::Timer(0))]);
}

#[test]
fn a_timer_set_again_for_an_instant_it_once_had_runs_out_once() {
    let mut world = World::new(1);
    world
        .tell(10, A, timer(0, 90))
        .tell(20, A, timer(0, 10))
        .tell(40, A, timer(0, 60))
        .run(10_000);
    assert_eq!(
        world.seen_after(A, 0),
        [(30, Seen::Timer(0)), (100, Seen::Timer(0))]
    );
}

#[test]
fn a_cleared_timer_does_not_run_out() {
    let mut world = World::new(1);
    world
        .tell(10, A, timer(0, 90))
        .tell(20, A, Order::ClearTimer(0))
        .run(10_000);
    assert_eq!(world.seen_after(A, 0), []);
}

#[test]
fn a_timer_set_for_ever_does_not_run_out() {
    let mut world = World::new(1);
    world
        .tell(10, A, timer(0, 90))
        .tell(20, A, Order::Timer(0, Duration::FOREVER))
        .run(1_000_000_000);
    assert_eq!(world.seen_after(A, 0), []);
}

#[test]
fn timers_and_alarms_die_with_their_process() {
    let mut world = World::new(1);
    world
        .tell(10, A, timer(0, 90))
        .tell(10, A, Order::Alarm(1, Duration::millis(90)))
        .crash(20, A, Crash::Process)
        .start(30, A)
        .run(10_000);
    assert_eq!(world.seen_after(A, 0), [(30, Seen::Booted)]);
}

#[test]
fn a_restarted_process_can_use_a_slot_whose_old_event_is_still_queued() {
    for (after, out) in [(20, 60), (60, 100), (200, 240)] {
        let mut world = World::new(1);
        world
            .tell(10, A, timer(0, 90))
            .crash(20, A, Crash::Process)
            .start(30, A)
            .tell(40, A, timer(0, after))
            .run(10_000);
        assert_eq!(world.seen_after(A, 30), [(out, Seen::Timer(0))]);
    }
}

#[test]
fn alarms_go_off_each_once_in_the_order_of_their_times() {
    let mut world = World::new(1);
    for (token, millis) in [(1, 30), (2, 20), (3, 30)] {
        world.tell(10, A, Order::Alarm(token, Duration::millis(millis)));
    }
    world.run(10_000);
    assert_eq!(
        world.seen_after(A, 0),
        [(30, Seen::Alarm(2)), (40, Seen::Alarm(1)), (40, Seen::Alarm(3))]
    );
}

#[test]
fn a_timer_cleared_by_something_found_before_it_on_waking_does_not_run_out() {
    let mut world = World::new(1);
    world
        .tell(10, A, timer(0, 90))
        .pause(20, 200, A)
        .tell(50, A, Order::ClearTimer(0))
        .run(10_000);
    assert_eq!(world.seen_after(A, 0), []);
}

#[test]
fn a_timer_runs_by_its_machines_clock() {
    let mut world = World::new(1);
    world.simulation.set_drift(A, 100_000);
    world.tell(0, A, timer(0, 1_100)).run(10_000);
    assert_eq!(world.seen_after(A, 0), [(1_000, Seen::Timer(0))]);
}

/// Half of the second is gone when the clock changes its rate to 3/2 or 1/2.
#[test]
fn a_timer_follows_a_clock_that_changes_its_rate() {
    for (ppm, out) in [(500_000, 833), (-500_000, 1_500)] {
        let mut world = World::new(1);
        world
            .tell(0, A, timer(0, 1_000))
            .at(500, move |simulation| simulation.set_drift(A, ppm))
            .run(10_000);
        assert_eq!(world.seen_after(A, 0), [(out, Seen::Timer(0))]);
    }
}

#[test]
fn a_step_of_the_wall_clock_moves_no_timer() {
    let mut world = World::new(1);
    world
        .tell(0, A, timer(0, 1_000))
        .at(500, |simulation| simulation.clock_mut(A).step_wall(-400_000_000))
        .run(10_000);
    assert_eq!(world.seen_after(A, 0), [(1_000, Seen::Timer(0))]);
}
