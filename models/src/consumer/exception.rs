//! What the client throws, or would if somebody asked.

use crate::client::is_retriable;
use crate::protocol::ErrorCode;
use crate::reader::core::LogTruncation;

/// An exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exception {
    /// The one behind an error code.
    Error(ErrorCode),
    /// A KafkaException: an answer has an error that is not expected there.
    Unexpected(ErrorCode),
    /// DisconnectException: retriable.
    Disconnected,
    /// TimeoutException: retriable.
    TimedOut,
    /// UnjoinedGroupException: an answer to a JoinGroup that nobody waits for; retriable.
    Unjoined,
    /// CommitFailedException: not a member any more.
    CommitFailed,
    /// RetriableCommitFailedException: an asynchronous commit failed and is not repeated.
    RetriableCommitFailed,
    /// NoOffsetForPartitionException or OffsetOutOfRangeException, or a bad record.
    Position,
    /// LogTruncationException.
    LogTruncation,
    /// An assignor threw.
    Assignor,
    /// A KafkaException: the application's listener threw.
    Listener,
}

impl Exception {
    pub(crate) fn is_retriable(self) -> bool {
        match self {
            Exception::Error(error) => is_retriable(error) || error == ErrorCode::UnstableOffsetCommit,
            Exception::Disconnected | Exception::TimedOut | Exception::Unjoined => true,
            _ => false,
        }
    }

    /// Kafka's name of the error, or the class of the exception.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Exception::Error(error) | Exception::Unexpected(error) => error.name(),
            Exception::Disconnected => "DisconnectException",
            Exception::TimedOut => "TimeoutException",
            Exception::Unjoined => "UnjoinedGroupException",
            Exception::CommitFailed => "CommitFailedException",
            Exception::RetriableCommitFailed => "RetriableCommitFailedException",
            Exception::Position => "NoOffsetForPartitionException",
            Exception::LogTruncation => "LogTruncationException",
            Exception::Assignor => "IllegalStateException",
            Exception::Listener => "KafkaException",
        }
    }
}

impl From<LogTruncation> for Exception {
    fn from(_: LogTruncation) -> Self {
        Exception::LogTruncation
    }
}
