//! Violations in words.

use super::finding::{Finding, Invariant, Witness};
use super::identity::Names;

impl Finding {
    /// A witness of this finding as a sentence: who, which record, where, when.
    pub fn describe(&self, witness: &Witness, names: &Names) -> String {
        let words = Words::of(witness, names);
        let Words {
            record,
            other,
            reader,
            partition,
            place,
            other_place,
            time,
            transaction,
        } = &words;
        match self.invariant {
            Invariant::LostWrite => {
                format!("{record} was acknowledged {place} at {time} and is not in the final log")
            }
            Invariant::InconsistentOffset => format!("{record} and {other} were both told {place}"),
            Invariant::ReadThenGone => {
                format!("{record} was given to {reader} {place} at {time} and is not in the final log")
            }
            Invariant::FailedWriteVisible => format!("{record} failed at {time} and stands {place}"),
            Invariant::Duplicate => format!("{record} stands {place} and {other_place}"),
            Invariant::NonmonotonicSend => {
                format!("{record} stands {place} behind {other} {other_place}, which {reader} sent later")
            }
            Invariant::NonmonotonicPoll => {
                format!("{reader} was given {record} {place} at {time} after {other} {other_place}")
            }
            Invariant::PollSkip => format!("{reader} was not given {record} {place}"),
            Invariant::ReadTwice => format!("{reader} was given {record} {place} again at {time}"),
            Invariant::ErrorButInTheLog => {
                format!("{record} ended with an error at {time} and stands {place}")
            }
            Invariant::SendResolves => format!("{record}, sent by {reader} at {time}, has no outcome"),
            Invariant::FinalUnreadable => match (witness.offset, witness.other_offset) {
                (Some(reached), Some(end)) => {
                    format!("{partition} was read up to offset {} of {}", reached.0, end.0)
                }
                _ => format!("{partition} could not be read"),
            },
            Invariant::AbortedRead => {
                format!("{reader} was given {record} {place} of the aborted transaction {transaction}")
            }
            Invariant::TornTransaction => {
                format!("{record} stands alone against the rest or the fate of transaction {transaction}")
            }
            Invariant::InputWithoutOutput => format!("{record}, an input {place}, has no output"),
            Invariant::InputCountedTwice => {
                format!("{record}, an input {place}, has more outputs than places")
            }
        }
    }
}

/// The parts of a witness in words; a dash where there is nothing to say.
struct Words {
    record: String,
    other: String,
    reader: String,
    partition: String,
    place: String,
    other_place: String,
    time: String,
    transaction: String,
}

impl Words {
    fn of(witness: &Witness, names: &Names) -> Self {
        let dash = || "-".to_owned();
        let partition = witness
            .partition
            .map_or_else(dash, |partition| names.partition_name(partition));
        Words {
            record: witness
                .record
                .map_or_else(dash, |record| names.record_name(record)),
            other: witness
                .other
                .map_or_else(dash, |record| names.record_name(record)),
            reader: match witness.process {
                Some(process) => names.process_name(process).to_owned(),
                None => "the final reader".to_owned(),
            },
            place: match witness.offset {
                Some(offset) => format!("at {partition} offset {}", offset.0),
                None => format!("in {partition}"),
            },
            other_place: witness
                .other_offset
                .map_or_else(dash, |offset| format!("at offset {}", offset.0)),
            partition,
            time: witness.time.map_or_else(dash, |time| time.to_string()),
            transaction: match witness.transaction {
                Some(transaction) => names.transaction_name(transaction).to_owned(),
                None => dash(),
            },
        }
    }
}
