//! What answers do: clients.md 2.3, and the orders of retries of 2.2.

use super::*;

#[test]
fn a_refusal_is_retried_after_the_back_off() {
    let mut bench = Bench::new(ProducerSettings::default(), 1, sends(&[0]));
    bench.pass(10);
    let first = bench.take_produce();
    bench.refuse(&first, ErrorCode::NotEnoughReplicas);
    bench.pass(79);
    assert!(bench.produces.is_empty());
    bench.pass(41);
    let second = bench.take_produce();
    assert_eq!(second.sequence(), first.sequence());
    bench.accept(&second, 0);
    assert_eq!(bench.acknowledged(), [0]);
}

#[test]
fn without_idempotence_a_lost_connection_reverses_the_order() {
    let mut bench = Bench::new(
        ProducerSettings {
            enable_idempotence: false,
            ..ProducerSettings::default()
        },
        1,
        sends(&[0, 20, 40]),
    );
    bench.pass(60);
    let first = bench.take_produce();
    bench.produces.clear();
    bench.lose(first.connection);
    bench.pass(1_000);
    let order: Vec<u32> = bench
        .produces
        .iter()
        .flat_map(|produce| produce.numbers(&bench))
        .collect();
    assert_eq!(order, [2, 1, 0]);
}
