//! What became of a send, judged by what its callback said.
//!
//! The class is that of all attempts together: *failed* only if every attempt that was sent was answered
//! by a refusal before the append. A history of a real cluster holds the last error alone, and any earlier
//! attempt may have been appended, with idempotence too: the broker refuses before it looks for
//! duplicates (Partition.appendRecordsToLeader, UnifiedLog.append). So from a callback only these are
//! failed:
//!
//! * errors that a client gives to what it never sent: a batch without a sequence when its transaction is
//!   aborted (RecordAccumulator.abortUndrainedBatches), a value that could not be serialized; and an
//!   invalid topic name, which no attempt can have got past;
//! * refusals before the append when `retries=0`, because then no other attempt was made.
//!
//! Everything else is unknown: NOT_ENOUGH_REPLICAS with retries (an earlier attempt may have timed out and
//! be in the log), NOT_ENOUGH_REPLICAS_AFTER_APPEND (it is in the log), NOT_LEADER_OR_FOLLOWER (given before an
//! append and after it alike), and REQUEST_TIMED_OUT, by which name Kafka also calls what expired in the
//! accumulator without having been sent. A simulated history that saw every attempt says so itself, in the
//! field `outcome`.

use super::event::KnownOutcome;

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The callback came without an error. With `acks=0` that promises nothing, but the application believes it.
    Acknowledged,
    /// It is in no log.
    Failed,
    /// It may be in a log.
    Unknown,
    /// No callback came.
    Pending,
}

/// Errors of sends that never left the client, whatever happened to others.
const NEVER_SENT: [&str; 3] = [
    "TransactionAbortedException",
    "SerializationException",
    "INVALID_TOPIC_EXCEPTION",
];

/// Answers that a broker gives before it appends, and never after.
const REFUSED_BEFORE_APPEND: [&str; 7] = [
    "NOT_ENOUGH_REPLICAS",
    "MESSAGE_TOO_LARGE",
    "RECORD_LIST_TOO_LARGE",
    "INVALID_REQUIRED_ACKS",
    "TOPIC_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
];

/// The class of a send whose callback came with an error.
pub(super) fn of_error(error: &str, known: Option<KnownOutcome>, one_attempt: bool) -> Outcome {
    match known {
        Some(KnownOutcome::Failed) => Outcome::Failed,
        Some(KnownOutcome::Unknown) => Outcome::Unknown,
        None if NEVER_SENT.contains(&error) => Outcome::Failed,
        None if one_attempt && REFUSED_BEFORE_APPEND.contains(&error) => Outcome::Failed,
        None => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_after_retries_is_unknown_because_an_earlier_attempt_may_be_in_the_log() {
        assert_eq!(of_error("NOT_ENOUGH_REPLICAS", None, false), Outcome::Unknown);
        assert_eq!(of_error("NOT_ENOUGH_REPLICAS", None, true), Outcome::Failed);
    }

    #[test]
    fn an_error_after_the_append_is_unknown_without_retries_too() {
        for error in [
            "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
            "NOT_LEADER_OR_FOLLOWER",
            "REQUEST_TIMED_OUT",
        ] {
            assert_eq!(of_error(error, None, true), Outcome::Unknown);
        }
    }

    #[test]
    fn whoever_saw_every_attempt_has_the_last_word() {
        let known = Some(KnownOutcome::Failed);
        assert_eq!(of_error("NOT_ENOUGH_REPLICAS", known, false), Outcome::Failed);
        let known = Some(KnownOutcome::Unknown);
        assert_eq!(
            of_error("TransactionAbortedException", known, false),
            Outcome::Unknown
        );
    }
}
