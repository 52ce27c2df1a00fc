//! Each setting of a reader, from its text to what it changes.

mod bench;

use ktrial_sim::{Closure, ConnectionId, Input};

use self::bench::{Bench, P};
use crate::ids::{Offset, ServerId};

#[test]
fn auto_offset_reset_says_where_a_reader_begins() {
    for (settings, polled) in [
        ("auto.offset.reset=earliest", vec![(0, 5)]),
        ("auto.offset.reset=latest", vec![]),
    ] {
        let mut bench = Bench::new(settings);
        bench.pass(1_000);
        assert_eq!(bench.polled(), polled, "{settings}");
        assert_eq!(bench.reader.position(P), Some(Offset(5)));
    }
    let mut bench = Bench::new("auto.offset.reset=none");
    bench.pass(1_000);
    assert_eq!(bench.reader.position(P), None);
}

#[test]
fn max_poll_records_is_what_one_poll_hands_out() {
    for (settings, polled) in [
        ("max.poll.records=2", vec![(0, 2), (2, 2), (4, 1)]),
        ("max.poll.records=500", vec![(0, 5)]),
    ] {
        let mut bench = Bench::new(&format!("{settings} auto.offset.reset=earliest"));
        bench.pass(1_000);
        assert_eq!(bench.polled(), polled, "{settings}");
    }
}

#[test]
fn check_crcs_keeps_spoilt_records_from_the_application() {
    for (settings, records) in [("check.crcs=true", 0), ("check.crcs=false", 1)] {
        let mut bench = Bench::new(&format!("{settings} auto.offset.reset=earliest"));
        bench.log.corrupt = true;
        bench.pass(1_000);
        assert_eq!(bench.polled().len(), records, "{settings}");
    }
}

#[test]
fn request_timeout_ms_closes_the_connection_of_a_fetch_without_answer() {
    for (settings, closes) in [
        ("request.timeout.ms=1000", 1_000),
        ("request.timeout.ms=2500", 2_500),
    ] {
        let mut bench = Bench::new(settings);
        bench.answers_fetches = false;
        bench.millis_until(|bench| bench.fetches > 0);
        let closed = bench.millis_until(|bench| !bench.desk.closed.is_empty());
        assert!((closes..closes + 110).contains(&closed), "{settings}: {closed}");
    }
}

/// Milliseconds between a reader's questions for metadata, each of which costs the connection.
fn pauses(settings: &str) -> Vec<u64> {
    let mut bench = Bench::new(&format!(
        "{settings} reconnect.backoff.ms=10 reconnect.backoff.max.ms=10"
    ));
    bench.hangs_up = true;
    bench.pass(8_000);
    bench.asked.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn retry_backoff_ms_is_the_first_pause_of_a_reader_that_gets_no_metadata() {
    let (short, long) = (
        pauses("retry.backoff.ms=100")[0],
        pauses("retry.backoff.ms=700")[0],
    );
    assert!((100..220).contains(&short), "{short}");
    assert!((700..820).contains(&long), "{long}");
}

#[test]
fn retry_backoff_max_ms_is_the_longest_pause_of_a_reader_that_gets_no_metadata() {
    let (short, long) = (
        pauses("retry.backoff.max.ms=200"),
        pauses("retry.backoff.max.ms=1000"),
    );
    assert!(short[4] < 320, "{short:?}");
    assert!(long[4] > 800, "{long:?}");
}

/// Milliseconds between a reader's attempts to connect to the only server it knows, which all fail at once.
fn attempts_to_connect(settings: &str) -> Vec<u64> {
    // Metadata that could not be asked for are asked for again after retry.backoff.ms.
    let mut bench = Bench::new(&format!("{settings} retry.backoff.ms=10 retry.backoff.max.ms=10"));
    bench.connects = false;
    let mut pauses = Vec::new();
    for attempt in 0..6 {
        pauses.push(bench.millis_until(|bench| bench.desk.opened.len() > attempt));
        let closed = Input::Closed(ConnectionId(attempt as u32), Closure::Reset);
        bench.reader.handle_in(closed, &mut bench.desk);
    }
    pauses.split_off(1)
}

#[test]
fn reconnect_backoff_ms_is_a_readers_first_pause_between_connections() {
    let (short, long) = (
        attempts_to_connect("reconnect.backoff.ms=50")[0],
        attempts_to_connect("reconnect.backoff.ms=500")[0],
    );
    assert!((50..170).contains(&short), "{short}");
    assert!((500..620).contains(&long), "{long}");
}

#[test]
fn reconnect_backoff_max_ms_is_a_readers_longest_pause_between_connections() {
    let (short, long) = (
        attempts_to_connect("reconnect.backoff.max.ms=100")[4],
        attempts_to_connect("reconnect.backoff.max.ms=1000")[4],
    );
    assert!(short < 220, "{short}");
    assert!(long > 600, "{long}");
}

/// Milliseconds until a reader gives up attempts to connect to which nothing answers, for the first two.
fn given_up_after(settings: &str) -> [u64; 2] {
    let mut bench = Bench::new(settings);
    bench.connects = false;
    [1, 2].map(|attempt| {
        bench.millis_until(|bench| bench.desk.opened.len() == attempt);
        bench.millis_until(|bench| bench.desk.closed.len() == attempt)
    })
}

#[test]
fn socket_connection_setup_timeout_ms_is_a_readers_first_patience_with_a_connection() {
    for timeout in [1_000, 3_000] {
        let first = given_up_after(&format!(
            "socket.connection.setup.timeout.ms={timeout} socket.connection.setup.timeout.max.ms={timeout}"
        ))[0];
        assert!((timeout..timeout + 110).contains(&first), "{first}");
    }
}

#[test]
fn socket_connection_setup_timeout_max_ms_is_a_readers_longest_patience_with_a_connection() {
    let second = |longest: u64| {
        given_up_after(&format!(
            "socket.connection.setup.timeout.ms=1000 socket.connection.setup.timeout.max.ms={longest}"
        ))[1]
    };
    assert!(second(9_000) > 1_500);
    assert!(second(1_000) < 1_500);
}

#[test]
fn connections_max_idle_ms_closes_a_readers_connection_without_traffic() {
    for (settings, closed) in [
        ("connections.max.idle.ms=5000", true),
        ("connections.max.idle.ms=540000", false),
    ] {
        let mut bench = Bench::new(settings);
        bench.pass(10_000);
        assert_eq!(!bench.desk.closed.is_empty(), closed, "{settings}");
    }
}

#[test]
fn metadata_max_age_ms_is_how_often_a_reader_asks_for_metadata() {
    for (settings, asked) in [("metadata.max.age.ms=1000", 10), ("metadata.max.age.ms=5000", 2)] {
        let mut bench = Bench::new(settings);
        bench.pass(500);
        let before = bench.asked.len();
        bench.pass(10_400);
        assert_eq!(bench.asked.len() - before, asked, "{settings}");
    }
}

/// Whether a reader whose questions for metadata nobody answers still knows more servers than those it was given
/// (server 1) after ten seconds.
fn remembers_other_servers(settings: &str) -> bool {
    let mut bench = Bench::new(&format!(
        "{settings} metadata.max.age.ms=1000 request.timeout.ms=500"
    ));
    bench.leader = ServerId(2);
    bench.pass(500);
    bench.answers_metadata = false;
    bench.pass(10_000);
    let opened = bench.desk.opened.len();
    bench.pass(10_000);
    bench.desk.opened[opened..].contains(&ServerId(2))
}

#[test]
fn metadata_recovery_strategy_says_whether_a_reader_starts_again_from_its_bootstrap_servers() {
    let trigger = "metadata.recovery.rebootstrap.trigger.ms=3000";
    assert!(!remembers_other_servers(&format!(
        "metadata.recovery.strategy=rebootstrap {trigger}"
    )));
    assert!(remembers_other_servers(&format!(
        "metadata.recovery.strategy=none {trigger}"
    )));
}

#[test]
fn metadata_recovery_rebootstrap_trigger_ms_says_after_how_long_a_reader_starts_again() {
    assert!(!remembers_other_servers(
        "metadata.recovery.rebootstrap.trigger.ms=3000"
    ));
    assert!(remembers_other_servers(
        "metadata.recovery.rebootstrap.trigger.ms=300000"
    ));
}
