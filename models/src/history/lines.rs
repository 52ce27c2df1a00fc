//! From a line of `ktrial.history/1` to the operation it stands for.

use serde::Deserialize;
use serde::de::Error as _;

use super::event::{
    Extent, FinalRead, History, Isolation, KnownOutcome, Offsets, Operation, PartitionState, Placed,
};
use super::identity::{NodeId, Offset, PartitionId, TextId};
use super::shapes::{
    Acknowledgement, CommittedOffsets, Done, Failure, Fault, Final, Life, Polled, Rebalanced, Refusal, Send,
    State, Text, Transaction,
};

type Parsed = Result<Operation, serde_json::Error>;

/// The operation of a line whose op is `op`, or none where the op is unknown.
pub(super) fn operation(
    history: &mut History,
    op: &str,
    line: &[u8],
) -> Result<Option<Operation>, serde_json::Error> {
    let parsed = match op {
        "start" | "end" | "died" => life(history, op, line),
        "send" | "ok" | "error" => send(history, op, line),
        "begin" | "committed" | "aborted" | "txn-error" | "abort-error" => transaction(history, op, line),
        "poll" => poll(history, line),
        "processed" => processed(history, line),
        "commit" | "commit-error" => commit(history, op, line),
        "assigned" | "revoked" | "lost" | "seek" => rebalance(history, op, line),
        "state" => state(history, line),
        "fault" => fault(history, line),
        "final" => final_read(history, line),
        _ => return Ok(None),
    };
    parsed.map(Some)
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(line)
}

fn text(history: &mut History, text: Option<Text<'_>>) -> Option<TextId> {
    text.map(|text| history.names.text(&text.0))
}

fn partition(history: &mut History, topic: &Text<'_>, number: u32) -> PartitionId {
    let topic = history.names.topic(&topic.0);
    history.names.partition(topic, number)
}

fn offsets(history: &mut History, offsets: &[(Text<'_>, u32, u64)]) -> Offsets {
    offsets
        .iter()
        .map(|(topic, number, at)| (partition(history, topic, *number), Offset(*at)))
        .collect()
}

fn life(history: &mut History, op: &str, line: &[u8]) -> Parsed {
    let life: Life<'_> = parse(line)?;
    let process = history.names.process(&life.process.0);
    Ok(match op {
        "start" => Operation::Start {
            process,
            group: text(history, life.group),
        },
        "end" => Operation::End { process },
        _ => {
            let failure: Failure<'_> = parse(line)?;
            let error = history.names.error(&failure.error.0);
            Operation::Died {
                process,
                error,
                message: text(history, failure.message),
            }
        }
    })
}

fn send(history: &mut History, op: &str, line: &[u8]) -> Parsed {
    Ok(match op {
        "send" => {
            let send: Send<'_> = parse(line)?;
            let names = &mut history.names;
            let (process, topic) = (names.process(&send.process.0), names.topic(&send.topic.0));
            let record = names.record(&send.id.0);
            Operation::Send {
                process,
                record,
                topic,
                key: send.key.map(|key| names.key(&key.0)),
            }
        }
        "ok" => {
            let ok: Acknowledgement<'_> = parse(line)?;
            let record = history.names.record(&ok.id.0);
            let offset = match ok.offset {
                -1 => None,
                offset => Some(Offset(u64::try_from(offset).map_err(|_| {
                    serde_json::Error::custom(format!("offset {offset}: expected -1 or an offset from 0"))
                })?)),
            };
            Operation::Ok {
                record,
                partition: ok.partition,
                offset,
            }
        }
        _ => {
            let (refusal, failure): (Refusal<'_>, Failure<'_>) = (parse(line)?, parse(line)?);
            let outcome = match refusal.outcome.as_ref().map(|outcome| outcome.0.as_ref()) {
                None => None,
                Some("failed") => Some(KnownOutcome::Failed),
                Some("unknown") => Some(KnownOutcome::Unknown),
                Some(other) => {
                    let problem = format!("outcome {other:?}: expected failed or unknown");
                    return Err(serde_json::Error::custom(problem));
                }
            };
            let record = history.names.record(&refusal.id.0);
            let error = history.names.error(&failure.error.0);
            Operation::Error {
                record,
                error,
                message: text(history, failure.message),
                outcome,
            }
        }
    })
}

fn transaction(history: &mut History, op: &str, line: &[u8]) -> Parsed {
    let parsed: Transaction<'_> = parse(line)?;
    let transaction = history.names.transaction(&parsed.txn.0);
    Ok(match op {
        "begin" => {
            let process = parsed
                .process
                .ok_or_else(|| serde_json::Error::missing_field("process"))?;
            Operation::Begin {
                process: history.names.process(&process.0),
                transaction,
            }
        }
        "committed" => Operation::Committed {
            transaction,
            offsets: offsets(history, &parsed.offsets),
        },
        "aborted" => Operation::Aborted { transaction },
        _ => {
            let failure: Failure<'_> = parse(line)?;
            let error = history.names.error(&failure.error.0);
            let message = text(history, failure.message);
            if op == "txn-error" {
                Operation::TransactionError {
                    transaction,
                    error,
                    message,
                }
            } else {
                Operation::AbortError {
                    transaction,
                    error,
                    message,
                }
            }
        }
    })
}

fn poll(history: &mut History, line: &[u8]) -> Parsed {
    let polled: Polled<'_> = parse(line)?;
    let process = history.names.process(&polled.process.0);
    let mut records = Vec::with_capacity(polled.records.len());
    for (topic, number, offset, id) in &polled.records {
        let partition = partition(history, topic, *number);
        let record = history.names.record(&id.0);
        records.push(Placed {
            partition,
            offset: Offset(*offset),
            record,
        });
    }
    Ok(Operation::Poll {
        process,
        records: history.keep(records),
    })
}

fn processed(history: &mut History, line: &[u8]) -> Parsed {
    let done: Done<'_> = parse(line)?;
    let process = history.names.process(&done.process.0);
    Ok(Operation::Processed {
        process,
        record: history.names.record(&done.id.0),
    })
}

fn commit(history: &mut History, op: &str, line: &[u8]) -> Parsed {
    let parsed: CommittedOffsets<'_> = parse(line)?;
    let process = history.names.process(&parsed.process.0);
    let offsets = offsets(history, &parsed.offsets);
    if op == "commit" {
        return Ok(Operation::Commit { process, offsets });
    }
    let failure: Failure<'_> = parse(line)?;
    let error = history.names.error(&failure.error.0);
    Ok(Operation::CommitError {
        process,
        offsets,
        error,
        message: text(history, failure.message),
    })
}

fn rebalance(history: &mut History, op: &str, line: &[u8]) -> Parsed {
    let parsed: Rebalanced<'_> = parse(line)?;
    let process = history.names.process(&parsed.process.0);
    let partitions = parsed
        .partitions
        .iter()
        .map(|(topic, number)| partition(history, topic, *number))
        .collect();
    Ok(match op {
        "assigned" => Operation::Assigned { process, partitions },
        "revoked" => Operation::Revoked { process, partitions },
        "seek" => Operation::Seek { process, partitions },
        _ => Operation::Lost { process, partitions },
    })
}

fn state(history: &mut History, line: &[u8]) -> Parsed {
    let state: State<'_> = parse(line)?;
    let nodes = |ids: Vec<i32>| ids.into_iter().map(NodeId).collect();
    Ok(Operation::State(Box::new(PartitionState {
        partition: partition(history, &state.topic, state.partition),
        leader: (state.leader >= 0).then_some(NodeId(state.leader)),
        isr: nodes(state.isr),
        elr: nodes(state.elr),
        last_known_elr: nodes(state.last_known_elr),
    })))
}

fn fault(history: &mut History, line: &[u8]) -> Parsed {
    let fault: Fault<'_> = parse(line)?;
    Ok(Operation::Fault {
        what: history.names.text(&fault.what.0),
        who: history.names.text(&fault.who.0),
    })
}

fn final_read(history: &mut History, line: &[u8]) -> Parsed {
    let read: Final<'_> = parse(line)?;
    let isolation = Isolation::parse(&read.isolation.0).ok_or_else(|| {
        let found = &read.isolation.0;
        serde_json::Error::custom(format!(
            "isolation {found:?}: expected read_uncommitted or read_committed"
        ))
    })?;
    let partition = partition(history, &read.topic, read.partition);
    let extent = match (&read.error, read.start, read.end, read.reached) {
        (Some(error), ..) => Err(history.names.error(&error.0)),
        (None, Some(start), Some(end), Some(reached)) => Ok(Extent {
            start: Offset(start),
            end: Offset(end),
            reached: Offset(reached),
        }),
        _ => {
            return Err(serde_json::Error::custom(
                "a final read has start, end and reached, or an error",
            ));
        }
    };
    let message = text(history, read.message);
    let mut records = Vec::with_capacity(read.records.len());
    for (offset, id) in &read.records {
        records.push(Placed {
            partition,
            offset: Offset(*offset),
            record: history.names.record(&id.0),
        });
    }
    let records = history.keep(records);
    Ok(Operation::Final(Box::new(FinalRead {
        partition,
        isolation,
        extent,
        message,
        records,
    })))
}
