//! What a coordinator's state machine asks for: records, answers, timers, notes.

use ktrial_sim::{Duration, Time};

use crate::config::{BrokerSettings, GroupSettings};
use crate::groups::CoordinatorRecord;
use crate::ids::GroupId;
use crate::metadata::MetadataImage;
use crate::mutation::Mutations;
use crate::notes::Note;
use crate::protocol::{ErrorCode, Response};
use crate::specification::GroupConfigs;

/// Names a request that is not answered yet (its `CompletableFuture`). Answering it twice answers it once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResponseId(pub u64);

/// What happens to a timer of the shard (`CoordinatorTimer`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerChange<K, A> {
    /// Set anew: when it runs out and what is done then.
    Schedule(K, Duration, A),
    /// Set unless it runs already.
    ScheduleIfAbsent(K, Duration, A),
    /// Taken back.
    Cancel(K),
}

/// What is to be done once an operation is over.
#[derive(Debug)]
pub struct Effects<K, A> {
    /// Timers, in order.
    pub timers: Vec<TimerChange<K, A>>,
    /// Answers to other requests than the one at hand, or ahead of its records.
    pub answers: Vec<(ResponseId, Response)>,
    /// For those who watch.
    pub notes: Vec<Note>,
}

impl<K, A> Default for Effects<K, A> {
    fn default() -> Self {
        Effects {
            timers: Vec::new(),
            answers: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// What an operation looks at and asks for.
pub struct Around<'a, K, A> {
    /// The coordinator's wall clock.
    pub wall: Time,
    /// The broker's settings.
    pub settings: &'a BrokerSettings,
    /// Groups with settings of their own.
    pub configs: &'a GroupConfigs,
    /// The broker's metadata.
    pub image: &'a MetadataImage,
    /// Deviations from Kafka.
    pub mutations: Mutations,
    /// What is asked for.
    pub effects: &'a mut Effects<K, A>,
}

impl<K, A> Around<'_, K, A> {
    /// What counts for a group (`GroupConfigManager.groupConfig`).
    pub fn group_settings(&self, group: GroupId) -> GroupSettings {
        let own = self.configs.get(&group).copied();
        own.unwrap_or_else(|| GroupSettings::of_all(self.settings))
    }

    /// Sets a timer anew.
    pub fn schedule(&mut self, timer: K, after: Duration, then: A) {
        self.effects
            .timers
            .push(TimerChange::Schedule(timer, after, then));
    }

    /// Sets a timer unless it runs already.
    pub fn schedule_if_absent(&mut self, timer: K, after: Duration, then: A) {
        self.effects
            .timers
            .push(TimerChange::ScheduleIfAbsent(timer, after, then));
    }

    /// Takes a timer back.
    pub fn cancel(&mut self, timer: K) {
        self.effects.timers.push(TimerChange::Cancel(timer));
    }

    /// Answers a request.
    pub fn answer(&mut self, to: ResponseId, response: Response) {
        self.effects.answers.push((to, response));
    }

    /// Tells those who watch.
    pub fn note(&mut self, note: Note) {
        self.effects.notes.push(note);
    }
}

/// What an operation wants to be written (`CoordinatorResult`).
#[derive(Debug)]
pub struct Written<P> {
    /// Appended in one batch; none: nothing is written.
    pub records: Vec<CoordinatorRecord>,
    /// The answer to the request at hand, once the records and everything before them is committed.
    pub response: Option<Response>,
    /// What the shard does when the records are committed or could not be (`appendFuture`).
    pub append: Option<P>,
    /// Whether the records are applied to the state before they are appended. Classic groups have changed their
    /// state already.
    pub replay: bool,
}

impl<P> Written<P> {
    /// Nothing is written (`EMPTY_RESULT`).
    pub fn nothing() -> Self {
        Written {
            records: Vec::new(),
            response: None,
            append: None,
            replay: true,
        }
    }

    /// Nothing but an answer, behind everything that is still on its way.
    pub fn answer(response: Response) -> Self {
        Written {
            response: Some(response),
            ..Written::nothing()
        }
    }

    /// Whether it is [`Written::nothing`].
    pub fn is_nothing(&self) -> bool {
        self.records.is_empty() && self.response.is_none() && self.append.is_none()
    }
}

/// The error a client is told of for one that befell the coordinator's own append
/// (`CoordinatorOperationExceptionHelper`, `GroupMetadataManager.appendGroupMetadataErrorToResponseError`).
pub fn coordinator_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        other => other,
    }
}
