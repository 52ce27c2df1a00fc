//! Requests that wait for a handler.

use ktrial_models::probe::Ask;
use ktrial_models::protocol::{Request, Response};

use super::*;

/// How long the first of four requests takes, each on a connection of its own and 50 ms of work for the only handler.
/// The fourth does not fit into a queue of two or less while the first is worked on.
fn first_answer_after(settings: &str) -> Duration {
    let mut specification = with_settings(1, &[&[2]], &format!("broker.num.io.threads=1 {settings}"));
    specification.capacity.request_service = Duration::millis(50);
    let mut cluster = Cluster::running(specification, 1);
    let start = cluster.simulation.now();
    let asked = [0, 1, 2, 3].map(|probe| {
        cluster.use_probe(probe);
        let asked = cluster.send(FIRST, Ask::Request(Request::ApiVersions));
        cluster.run_for(Duration::millis(5));
        asked
    });
    cluster.use_probe(0);
    assert_eq!(cluster.await_answer(asked[0]), Some(Ok(Response::ApiVersions)));
    cluster.simulation.now().since(start)
}

#[test]
fn queued_max_requests_is_how_many_wait_before_a_network_thread_stands_still_with_its_answers() {
    let took = |requests: u32| {
        first_answer_after(&format!(
            "broker.num.network.threads=1 broker.queued.max.requests={requests}"
        ))
    };
    let (one, many) = (took(1), took(500));
    assert!(many < Duration::millis(60), "{many}");
    assert!(
        one > Duration::millis(90),
        "the answer was there after one request, and left after two: {one}"
    );
}

#[test]
fn num_network_threads_share_the_connections_whose_answers_a_full_queue_holds_up() {
    let took = |threads: u32| {
        first_answer_after(&format!(
            "broker.queued.max.requests=1 broker.num.network.threads={threads}"
        ))
    };
    let (one, eight) = (took(1), took(8));
    assert!(
        eight < Duration::millis(60),
        "another thread than the one that stands still: {eight}"
    );
    assert!(one > Duration::millis(90), "{one}");
}
