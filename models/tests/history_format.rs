//! Properties of reading and writing `ktrial.history/1`.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use ktrial_models::history::{
    Extent, FinalRead, Header, History, Isolation, KnownOutcome, NodeId, Offset, Offsets, Operation,
    PartitionId, PartitionState, Placed,
};
use ktrial_sim::Time;

/// A name with what is awkward in JSON and in record ids.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        "p[0-9]-[0-9]{1,2}",
        "t[0-9]:p-[0-9]",
        "[-:\"\\\\\u{1}é0-9a]{0,6}"
    ]
}

/// An event as plain data: which op, some names, some numbers.
#[derive(Clone, Debug)]
struct Draft {
    op: u8,
    after: u64,
    names: [String; 4],
    numbers: [u32; 3],
    places: Vec<(String, u32, u64, String)>,
    some: bool,
}

fn draft() -> impl Strategy<Value = Draft> {
    let names = [name(), name(), name(), name()];
    let places = vec((name(), 0..3_u32, 0..u64::MAX, name()), 0..4);
    (
        0..20_u8,
        0..1_000_u64,
        names,
        any::<[u32; 3]>(),
        places,
        any::<bool>(),
    )
        .prop_map(|(op, after, names, numbers, places, some)| Draft {
            op,
            after,
            names,
            numbers,
            places,
            some,
        })
}

fn settings() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    btree_map(
        prop_oneof!["[a-z.]{1,8}", Just("partitions".to_owned())],
        "[0-9a-z\"]{0,4}",
        0..3,
    )
}

fn header() -> impl Strategy<Value = Header> {
    (
        name(),
        btree_map(name(), settings(), 0..3),
        settings(),
        settings(),
        settings(),
        settings(),
    )
        .prop_map(|(source, topics, features, broker, producer, clients)| Header {
            source,
            topics,
            features,
            broker,
            producer,
            consumer: Default::default(),
            clients,
        })
}

fn placed(history: &mut History, draft: &Draft) -> Vec<Placed> {
    let names = &mut history.names;
    let place = |(topic, number, offset, id): &(String, u32, u64, String)| {
        let topic = names.topic(topic);
        let partition = names.partition(topic, *number);
        Placed {
            partition,
            offset: Offset(*offset),
            record: names.record(id),
        }
    };
    draft.places.iter().map(place).collect()
}

fn offsets(history: &mut History, draft: &Draft) -> Offsets {
    let names = &mut history.names;
    let place = |(topic, number, offset, _): &(String, u32, u64, String)| {
        let topic = names.topic(topic);
        (names.partition(topic, *number), Offset(*offset))
    };
    draft.places.iter().map(place).collect()
}

fn partitions(history: &mut History, draft: &Draft) -> Box<[PartitionId]> {
    offsets(history, draft)
        .iter()
        .map(|(partition, _)| *partition)
        .collect()
}

/// Appends the event of a draft, naming things in the order in which a reader meets them.
fn push(history: &mut History, draft: &Draft) {
    let [first, second, third, fourth] = draft.names.each_ref().map(String::as_str);
    let [a, b, c] = draft.numbers;
    let operation = match draft.op {
        0 => Operation::Start {
            process: history.names.process(first),
            group: draft.some.then(|| history.names.text(second)),
        },
        1 => Operation::End {
            process: history.names.process(first),
        },
        2 => Operation::Died {
            process: history.names.process(first),
            error: history.names.error(second),
            message: draft.some.then(|| history.names.text(third)),
        },
        3 => Operation::Send {
            process: history.names.process(first),
            topic: history.names.topic(second),
            record: history.names.record(third),
            key: draft.some.then(|| history.names.key(fourth)),
        },
        4 => Operation::Ok {
            record: history.names.record(first),
            partition: a,
            offset: draft.some.then_some(Offset(u64::from(b))),
        },
        5 => Operation::Error {
            record: history.names.record(first),
            error: history.names.error(second),
            message: draft.some.then(|| history.names.text(third)),
            outcome: [None, Some(KnownOutcome::Failed), Some(KnownOutcome::Unknown)][a as usize % 3],
        },
        6 => {
            let transaction = history.names.transaction(second);
            Operation::Begin {
                process: history.names.process(first),
                transaction,
            }
        }
        7 => Operation::Committed {
            transaction: history.names.transaction(first),
            offsets: offsets(history, draft),
        },
        8 => Operation::Aborted {
            transaction: history.names.transaction(first),
        },
        9 => Operation::TransactionError {
            transaction: history.names.transaction(first),
            error: history.names.error(second),
            message: None,
        },
        10 => Operation::AbortError {
            transaction: history.names.transaction(first),
            error: history.names.error(second),
            message: draft.some.then(|| history.names.text(third)),
        },
        11 => {
            let process = history.names.process(first);
            let placed = placed(history, draft);
            Operation::Poll {
                process,
                records: history.keep(placed),
            }
        }
        12 => Operation::Processed {
            process: history.names.process(first),
            record: history.names.record(second),
        },
        13 => Operation::Commit {
            process: history.names.process(first),
            offsets: offsets(history, draft),
        },
        14 => Operation::CommitError {
            process: history.names.process(first),
            offsets: offsets(history, draft),
            error: history.names.error(second),
            message: None,
        },
        15 => {
            let process = history.names.process(first);
            Operation::Assigned {
                process,
                partitions: partitions(history, draft),
            }
        }
        16 => {
            let process = history.names.process(first);
            Operation::Revoked {
                process,
                partitions: partitions(history, draft),
            }
        }
        17 => {
            let process = history.names.process(first);
            Operation::Lost {
                process,
                partitions: partitions(history, draft),
            }
        }
        18 => {
            let topic = history.names.topic(first);
            Operation::State(Box::new(PartitionState {
                partition: history.names.partition(topic, a),
                leader: draft.some.then_some(NodeId((b >> 1) as i32)),
                isr: vec![NodeId(b as i32), NodeId(c as i32)],
                elr: vec![NodeId(c as i32)],
                last_known_elr: vec![],
            }))
        }
        _ => final_read(history, draft),
    };
    let time = Time(history.last_time().0 + draft.after);
    history.push(time, operation);
}

fn final_read(history: &mut History, draft: &Draft) -> Operation {
    let [first, second, third, _] = draft.names.each_ref().map(String::as_str);
    let [a, b, c] = draft.numbers;
    let topic = history.names.topic(first);
    let partition = history.names.partition(topic, a);
    let extent = match draft.some {
        true => Ok(Extent {
            start: Offset(0),
            end: Offset(u64::from(b)),
            reached: Offset(u64::from(c)),
        }),
        false => Err(history.names.error(second)),
    };
    let message = (!draft.some).then(|| history.names.text(third));
    let records = draft
        .places
        .iter()
        .map(|(_, _, offset, id)| (Offset(*offset), history.names.record(id)));
    let records: Vec<_> = records.collect();
    let records = records.into_iter().map(|(offset, record)| Placed {
        partition,
        offset,
        record,
    });
    let records = history.keep(records);
    let isolation = if a & 1 == 0 {
        Isolation::ReadCommitted
    } else {
        Isolation::ReadUncommitted
    };
    Operation::Final(Box::new(FinalRead {
        partition,
        isolation,
        extent,
        message,
        records,
    }))
}

fn written(history: &History) -> Vec<u8> {
    let mut bytes = Vec::new();
    history.write(&mut bytes).expect("memory takes it");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back_the_same(header in header(), drafts in vec(draft(), 0..12)) {
        let mut history = History::new(header);
        drafts.iter().for_each(|draft| push(&mut history, draft));
        let bytes = written(&history);
        let read = History::read(bytes.as_slice()).expect("what we write we can read");
        prop_assert_eq!(&read, &history);
        prop_assert_eq!(written(&read), bytes);
    }

    #[test]
    fn reading_and_judging_never_panics_on_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let _ = History::read(bytes.as_slice());
        let mut after_a_header = br#"{"schema":"ktrial.history/1"}"#.to_vec();
        after_a_header.push(b'\n');
        after_a_header.extend(&bytes);
        let _ = History::read(after_a_header.as_slice());
    }

    #[test]
    fn reading_and_judging_never_panics_on_damaged_lines(
        header in header(),
        drafts in vec(draft(), 1..12),
        damage in vec((any::<prop::sample::Index>(), option::of(any::<u8>())), 0..3),
    ) {
        let mut history = History::new(header);
        drafts.iter().for_each(|draft| push(&mut history, draft));
        let mut bytes = written(&history);
        for (at, with) in damage {
            let at = at.index(bytes.len());
            match with {
                Some(byte) => bytes[at] = byte,
                None => drop(bytes.remove(at)),
            }
        }
        if let Ok(history) = History::read(bytes.as_slice()) {
            let _ = ktrial_models::history::judge(&history);
        }
    }
}
