//! Who waits how long for somebody who does not answer.

use ktrial_sim::{Crash, Duration, PowerLoss};

use super::*;

/// Events of twenty seconds in which the machine of a follower's leader is off, and the session outlasts that.
fn events_without_leader(settings: &str) -> u64 {
    let settings = format!("{settings} controller.broker.session.timeout.ms=60000");
    let mut cluster = running(2, &[&[2, 3]], &settings);
    cluster.run_for(Duration::secs(1));
    cluster
        .simulation
        .crash(FIRST.node(), Crash::Power(PowerLoss::Drawn));
    let before = cluster.simulation.counters().events;
    cluster.run_for(Duration::secs(20));
    cluster.simulation.counters().events - before
}

#[test]
fn socket_connection_setup_timeout_ms_ends_a_followers_attempts_to_reach_a_machine_that_is_off() {
    let (short, long) = (
        events_without_leader("broker.socket.connection.setup.timeout.ms=500 broker.request.timeout.ms=1000"),
        events_without_leader(
            "broker.socket.connection.setup.timeout.ms=10000 broker.request.timeout.ms=1000",
        ),
    );
    assert!(short > long + 10, "{short} and {long}");
}

#[test]
fn replica_socket_timeout_ms_ends_a_followers_attempts_to_reach_a_machine_that_is_off() {
    let (short, long) = (
        events_without_leader("broker.replica.socket.timeout.ms=500 broker.request.timeout.ms=1000"),
        events_without_leader("broker.replica.socket.timeout.ms=30000 broker.request.timeout.ms=1000"),
    );
    assert!(short > long + 10, "{short} and {long}");
}

/// Messages in the first 20 ms after a server stood still for six seconds.
fn messages_after_a_pause(of: ServerId, settings: &str) -> u64 {
    let mut cluster = running(2, &[&[2, 3]], settings);
    cluster.run_for(Duration::secs(1));
    cluster.simulation.pause(of.node());
    cluster.run_for(Duration::secs(6));
    cluster.simulation.resume(of.node());
    messages(&mut cluster, Duration::millis(20))
}

#[test]
fn request_timeout_ms_ends_a_followers_wait_for_a_leader_that_stands_still() {
    let (impatient, patient) = (
        messages_after_a_pause(FIRST, "broker.request.timeout.ms=1000"),
        messages_after_a_pause(FIRST, "broker.request.timeout.ms=30000"),
    );
    assert!(impatient > patient, "{impatient} and {patient}");
}

#[test]
fn controller_socket_timeout_ms_ends_a_brokers_wait_for_a_controller_that_stands_still() {
    let (impatient, patient) = (
        messages_after_a_pause(ServerId(1), "broker.controller.socket.timeout.ms=500"),
        messages_after_a_pause(ServerId(1), "broker.controller.socket.timeout.ms=30000"),
    );
    assert!(impatient > patient + 2, "{impatient} and {patient}");
}

/// Events of 100 seconds in which the machine of a server is off and its session, if it has one, lasts on.
fn events_while_off(roles: (u16, u16), off: ServerId, settings: &str) -> u64 {
    let (controllers, brokers) = roles;
    let settings = format!("{settings} controller.broker.session.timeout.ms=600000");
    let mut specification = with_settings(brokers, &[&[controllers + 1]], &settings);
    specification.servers = support::specification(controllers, brokers).servers;
    let mut cluster = Cluster::start(specification, 1);
    cluster.run_for(Duration::secs(20));
    cluster
        .simulation
        .crash(off.node(), Crash::Power(PowerLoss::Drawn));
    let before = cluster.simulation.counters().events;
    cluster.run_for(Duration::secs(100));
    cluster.simulation.counters().events - before
}

#[test]
fn socket_connection_setup_timeout_ms_ends_a_voters_attempts_to_reach_a_machine_that_is_off() {
    let events = |timeout: u32| {
        let settings = format!(
            "controller.socket.connection.setup.timeout.ms={timeout} controller.socket.connection.setup.timeout.max.ms={timeout}"
        );
        events_while_off((2, 0), ServerId(2), &settings)
    };
    let (short, long) = (events(500), events(30_000));
    assert!(short > long + 10, "{short} and {long}");
}

#[test]
fn socket_connection_setup_timeout_max_ms_ends_the_doubling_of_a_servers_patience_with_a_machine_that_is_off()
{
    let settings = |file: &str, most: u32| {
        format!(
            "{file}.socket.connection.setup.timeout.ms=500 {file}.socket.connection.setup.timeout.max.ms={most}"
        )
    };
    // A voter and a dead one; a broker and its dead controller.
    let voter = |most| events_while_off((2, 0), ServerId(2), &settings("controller", most));
    let broker = |most| events_while_off((1, 1), ServerId(1), &settings("broker", most));
    for (short, long) in [(voter(500), voter(60_000)), (broker(500), broker(60_000))] {
        assert!(short > long + 10, "{short} and {long}");
    }
}
