//! What readers ask for and brokers obey.

use std::sync::Arc;

use ktrial_models::config::Acks;
use ktrial_models::kafka::KafkaNode;
use ktrial_models::notes::{ClientNote, Note};
use ktrial_models::reader::Reader;
use ktrial_models::specification::ReaderSpecification;
use ktrial_sim::{Duration, NodeId};
use smallvec::smallvec;

use super::*;

/// A broker and a reader behind it that has not been started.
fn with_reader(settings: &str) -> (Cluster, NodeId) {
    let reader = ReaderSpecification {
        name: "reader".to_owned(),
        settings: resolve(settings).readers[0].settings.clone(),
        rack: None,
        topics: vec![0],
        bootstrap: smallvec![FIRST],
    };
    let mut cluster = Cluster::prepare_with(with_settings(1, &[&[2]], ""), 1, |specification| {
        vec![KafkaNode::Reader(Box::new(Reader::new(
            Arc::clone(specification),
            reader,
        )))]
    });
    let node = cluster.others();
    for server in cluster.servers() {
        cluster.simulation.start(server.node());
    }
    (cluster.settled(), node)
}

/// How many records have been handed out.
fn polled(cluster: &Cluster) -> u32 {
    let count = |note: &Note| match note {
        Note::Client(ClientNote::Polled { count, .. }) => *count,
        _ => 0,
    };
    cluster.told.iter().map(|told| count(&told.note)).sum()
}

/// Milliseconds for five records, each written when the one before has been handed out.
fn five_records(settings: &str) -> u64 {
    let (mut cluster, reader) = with_reader(&format!("{settings} consumer.auto.offset.reset=earliest"));
    cluster.simulation.start(reader);
    cluster.run_for(Duration::secs(3));
    (1..=5)
        .map(|record| {
            cluster.write(P, Acks::Leader, 1);
            millis_until(&mut cluster, |cluster| polled(cluster) == record)
        })
        .sum()
}

#[test]
fn fetch_min_bytes_makes_records_wait_for_more() {
    let (at_once, gathered) = (
        five_records("consumer.fetch.min.bytes=1"),
        five_records("consumer.fetch.min.bytes=100000"),
    );
    assert!(at_once < 200 && gathered > 1_800, "{at_once} and {gathered}");
}

#[test]
fn fetch_max_wait_ms_ends_the_wait_for_more() {
    let wait = |millis: u32| {
        five_records(&format!(
            "consumer.fetch.min.bytes=100000 consumer.fetch.max.wait.ms={millis}"
        ))
    };
    let (short, long) = (wait(100), wait(2_000));
    assert!(short < 800 && long > 7_000, "{short} and {long}");
}

/// Messages while a reader takes up sixty batches that are there already.
fn messages_to_read(settings: &str) -> u64 {
    let (mut cluster, reader) = with_reader(&format!("{settings} consumer.auto.offset.reset=earliest"));
    for _ in 0..60 {
        cluster.write(P, Acks::Leader, 1);
    }
    cluster.simulation.start(reader);
    let messages = messages(&mut cluster, Duration::secs(5));
    assert_eq!(polled(&cluster), 60);
    messages
}

#[test]
fn fetch_max_bytes_of_a_reader_limits_an_answer() {
    let (one_by_one, at_once) = (
        messages_to_read("consumer.fetch.max.bytes=1"),
        messages_to_read("consumer.fetch.max.bytes=52428800"),
    );
    assert!(one_by_one > at_once + 80, "{one_by_one} and {at_once}");
}

#[test]
fn max_partition_fetch_bytes_limits_what_an_answer_holds_of_a_partition() {
    let (one_by_one, at_once) = (
        messages_to_read("consumer.max.partition.fetch.bytes=1"),
        messages_to_read("consumer.max.partition.fetch.bytes=1048576"),
    );
    assert!(one_by_one > at_once + 80, "{one_by_one} and {at_once}");
}
