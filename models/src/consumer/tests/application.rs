use ktrial_sim::Duration;

use super::bench::*;
use crate::kafka::Signal;

#[test]
fn every_record_takes_its_time() {
    let mut slow = application();
    slow.processing = (Duration::millis(50), Duration::millis(50));
    let mut bench = bench_of("", slow).joined();
    bench.batches = 1;
    bench.pass(Duration::secs(1));
    let processed = bench.processed();
    assert!((10..=20).contains(&processed), "{processed}");
    bench.pass(Duration::secs(2));
    assert_eq!(bench.processed(), 40);
}

#[test]
fn a_stall_holds_the_next_record_up() {
    let mut bench = bench("").joined();
    bench.signal(Signal::Stall(Duration::secs(3)));
    bench.batches = 1;
    bench.pass(Duration::secs(2));
    assert_eq!(bench.processed(), 0);
    bench.pass(Duration::secs(3));
    assert_eq!(bench.processed(), 40);
}

#[test]
fn a_process_that_is_told_to_end_before_it_runs_just_ends() {
    let mut bench = bench("");
    bench.signal(Signal::Terminate);
    assert!(bench.desk.exited);
    assert_eq!(bench.names(), Vec::<&str>::new());
}

#[test]
fn a_client_that_never_finds_its_brokers_can_be_closed() {
    let mut bench = bench("");
    bench
        .deaf_to
        .extend(["FindCoordinator", "Metadata", "ApiVersions"]);
    bench.pass(Duration::secs(5));
    bench.signal(Signal::Terminate);
    bench.pass(Duration::secs(40));
    assert!(bench.desk.exited);
}
