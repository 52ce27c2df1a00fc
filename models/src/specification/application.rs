//! What people write around consumers: everything an application is told before it starts.

use ktrial_sim::Duration;

/// What an application does with what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationSpecification {
    /// How long each `poll` may last.
    pub poll_timeout: Duration,
    /// How long a record takes: uniform in least ..= most.
    pub processing: (Duration, Duration),
    /// When it commits what it was given.
    pub commit: CommitStyle,
    /// It does so behind every so-manieth poll, of those that return nothing too. At least 1; 1 before it processes.
    pub commit_every: u32,
    /// What it does when partitions are taken from it.
    pub on_revoked: OnRevoked,
    /// It works on no record that is younger than this.
    pub delay: Duration,
    /// Which records fail, and what it does about them.
    pub failures: Failures,
    /// What takes effect of records; none: it only lists what it has processed.
    pub sink: Option<Sink>,
    /// Whether a worker thread works on records beside the one that polls, and how it is kept up with.
    pub hand_over: Option<HandOver>,
    /// Its supervisor starts it again so long after it has ended itself; none: nobody does.
    pub restart: Option<Duration>,
}

impl ApplicationSpecification {
    /// Whether records need more than their time.
    pub fn is_careful(&self) -> bool {
        self.delay > Duration::ZERO || self.failures.any() || self.sink.is_some()
    }

    /// What becomes of records in hand of partitions that its member gives up, if it has a worker.
    pub fn given_up(&self) -> Option<GivenUp> {
        self.hand_over.map(|hand_over| hand_over.given_up)
    }

    /// Whether it has a `ConsumerRebalanceListener` at all: one has all three methods, whatever they do.
    /// `AsyncKafkaConsumer` waits for it before it gives partitions up, and for nobody without one.
    pub fn has_listener(&self) -> bool {
        self.hears_assignments() || self.hears_removals()
    }

    /// Whether its listener does something when partitions are assigned.
    pub fn hears_assignments(&self) -> bool {
        self.sink
            .is_some_and(|sink| sink.fenced || sink.kind == SinkKind::OwnOffsets)
    }

    /// Whether its listener does something when partitions are revoked or lost, if only to write it down.
    pub fn hears_removals(&self) -> bool {
        self.on_revoked != OnRevoked::Nothing || self.given_up() == Some(GivenUp::Drop)
    }
}

impl Default for ApplicationSpecification {
    /// Records take no time, nothing fails, and the client commits.
    fn default() -> Self {
        ApplicationSpecification {
            poll_timeout: Duration::millis(200),
            processing: (Duration::ZERO, Duration::ZERO),
            commit: CommitStyle::Auto,
            commit_every: 1,
            on_revoked: OnRevoked::Nothing,
            delay: Duration::ZERO,
            failures: Failures::default(),
            sink: None,
            hand_over: None,
            restart: None,
        }
    }
}

/// A worker thread beside the one that polls. See [`crate::application`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// With so many records in hand, or more, the buffer is full; with half of them it is no more. At least 1.
    pub buffer: u32,
    /// What the application pauses while the buffer is full.
    pub pause: PauseStyle,
    /// What becomes of records in hand of partitions that the member gives up.
    pub given_up: GivenUp,
}

/// What an application pauses whose buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseStyle {
    /// Behind each poll everything that is assigned then.
    EachPoll,
    /// What is assigned when the buffer gets full.
    Once,
    /// Nothing.
    Never,
}

/// What becomes of records in hand of partitions that a member gives up or has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GivenUp {
    /// A listener drops them. The record that the worker is at is finished.
    Drop,
    /// There is no listener: the worker goes on with them.
    Finish,
}

/// Records whose processing fails, and what an application does about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// One record in so many fails always.
    pub poison: Option<u32>,
    /// One record in so many fails for a while.
    pub failing: Option<u32>,
    /// How often each of those fails.
    pub times: u32,
    /// How often a record is tried again where it stands, before anything else is done.
    pub retries: u32,
    /// How long the application waits before it tries again, or has gone back.
    pub backoff: Duration,
    /// What it does about a record that fails.
    pub then: OnFailure,
}

impl Failures {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.poison.is_some() || self.failing.is_some()
    }
}

impl Default for Failures {
    /// None.
    fn default() -> Self {
        Failures {
            poison: None,
            failing: None,
            times: 0,
            retries: 0,
            backoff: Duration::secs(1),
            then: OnFailure::Retry,
        }
    }
}

/// What an application does about a record whose processing fails. See [`crate::application`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnFailure {
    /// Tries again for as long as it fails.
    Retry,
    /// Leaves it out.
    Skip,
    /// Goes back to it and polls.
    Seek,
    /// Leaves it out and does not commit what that poll returned.
    Continue,
    /// Sends it to another topic by [`super::ConsumerSpecification::letters`].
    SendOn {
        /// Whether it waits for the acknowledgement.
        waits: bool,
    },
    /// Its process exits.
    Die,
    /// It leaves its loop and closes its client.
    Close,
}

/// What takes effect of records, outside of Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sink {
    /// What it makes of a record that comes twice, or late.
    pub kind: SinkKind,
    /// How long a call takes: uniform in least ..= most.
    pub applying: (Duration, Duration),
    /// It knows the generation of each partition's owner, and refuses older ones.
    pub fenced: bool,
}

/// Kinds of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SinkKind {
    /// Every call has its effect: an e-mail, an addition.
    Plain,
    /// The first call for a record has its effect, by the record's identity.
    Insert,
    /// A register for each key: the last call counts.
    Upsert,
    /// A register for each key with a version: older records change nothing.
    Versioned,
    /// Effects and the next offset in one step. The application seeks there when it is assigned the partition.
    OwnOffsets,
}

/// What an application's listener does in `onPartitionsRevoked`. In `onPartitionsLost` it commits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnRevoked {
    /// There is no listener for that.
    Nothing,
    /// There is one that only writes it down.
    Note,
    /// `commitSync` of what it has processed. If that fails it goes on.
    Commit,
    /// The same. What `commitSync` throws leaves the listener, and `poll`.
    CommitUncaught,
}

/// When an application commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommitStyle {
    /// Never itself: `enable.auto.commit` does, or nobody.
    Auto,
    /// `commitSync` before it processes what a poll returned. What it cannot commit it does not process.
    Before,
    /// `commitSync` after it has processed what a poll returned. If that fails it goes on.
    After,
    /// `commitAsync` after it has processed what a poll returned.
    AfterAsync,
}
