//! Where the group stands: OffsetFetch in `CommitRequestManager`.
//!
//! | answer | becomes |
//! |---|---|
//! | positions, or that there are none | [`super::positions`] |
//! | NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, a lost connection | look for the coordinator; again after a back-off |
//! | other retriable ones, UNSTABLE_OFFSET_COMMIT or UNKNOWN_TOPIC_OR_PARTITION of a partition | again after a back-off |
//! | STALE_MEMBER_EPOCH | again after a back-off if it is a member |
//! | others | thrown |

use ktrial_sim::Time;
use smallvec::SmallVec;

use super::background::Background;
use super::commits::Commits;
use super::request_state::RequestState;
use super::requests::What;
use crate::client::{Environment, Node, is_retriable};
use crate::consumer::exception::Exception;
use crate::ids::{GenerationId, MemberEpoch, PartitionId, ServerId};
use crate::notes::ClientNote;
use crate::protocol::{ErrorCode, FetchedOffset, OffsetFetchRequest, OffsetFetchResponse, Request};

/// `OffsetFetchRequestState`.
#[derive(Debug)]
pub(super) struct OffsetFetch {
    pub(super) number: u64,
    pub(super) partitions: Vec<PartitionId>,
    pub(super) state: RequestState,
    deadline: Time,
    /// Who was asked last.
    coordinator: Option<ServerId>,
}

impl Commits {
    /// An OffsetFetch of the same partitions that waits or is on its way.
    pub(super) fn fetch_of(&self, partitions: &[PartitionId]) -> Option<u64> {
        let unsent = self.unsent_fetches.iter();
        let unsent = unsent.map(|fetch| (fetch.number, &fetch.partitions));
        let in_flight = self.fetches_in_flight.iter();
        let in_flight = in_flight.map(|(number, partitions)| (*number, partitions));
        let mut all = unsent.chain(in_flight);
        all.find(|(_, others)| *others == partitions)
            .map(|(number, _)| number)
    }
}

impl Background {
    pub(super) fn send_offset_fetch(&mut self, mut fetch: OffsetFetch, environment: &mut impl Environment) {
        fetch.coordinator = self.coordinator.node().map(Node::server);
        let epoch = self.commit_epoch();
        let message = Request::OffsetFetch(Box::new(OffsetFetchRequest {
            group: self.specification.group,
            member: epoch.map(|_| self.membership.member),
            member_epoch: epoch.map_or(GenerationId::NONE, MemberEpoch::generation),
            partitions: Some(SmallVec::from_slice(&fetch.partitions)),
            require_stable: true,
        }));
        let known = (fetch.number, fetch.partitions.clone());
        self.commits.fetches_in_flight.push(known);
        self.tell(ClientNote::AsksForPositions(fetch.number), environment);
        self.send_to_coordinator(What::OffsetFetch(Box::new(fetch)), message, environment.wall());
    }

    /// `fetchOffsets`: its number.
    pub(super) fn fetch_offsets(&mut self, partitions: Vec<PartitionId>, deadline: Time) -> u64 {
        let number = self.number();
        self.commits.unsent_fetches.push(OffsetFetch {
            number,
            partitions,
            state: RequestState::default(),
            deadline,
            coordinator: None,
        });
        number
    }

    /// `OffsetFetchRequestState.onResponse`.
    pub(super) fn offset_fetch_answered(
        &mut self,
        fetch: OffsetFetch,
        response: OffsetFetchResponse,
        environment: &mut impl Environment,
    ) {
        let exception = match response.error {
            ErrorCode::None => partition_errors(&response.partitions),
            error @ (ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) => {
                self.coordinator.forget();
                Some(Exception::Error(error))
            }
            error @ (ErrorCode::UnknownMemberId | ErrorCode::StaleMemberEpoch) => {
                Some(Exception::Error(error))
            }
            error if is_retriable(error) => Some(Exception::Error(error)),
            error => Some(Exception::Unexpected(error)),
        };
        match exception {
            None => {
                self.forget_fetch(fetch.number);
                self.told_positions(&fetch, &response.partitions, environment);
                self.offset_fetch_ends(fetch.number, Ok(&response.partitions), environment);
            }
            Some(exception) => self.offset_fetch_failed(fetch, exception, environment),
        }
    }

    /// Again after a back-off if that may help and there is time.
    pub(super) fn offset_fetch_failed(
        &mut self,
        mut fetch: OffsetFetch,
        exception: Exception,
        environment: &mut impl Environment,
    ) {
        let now = environment.wall();
        fetch.state.failed(now, &mut self.backoffs, environment);
        self.coordinator.disconnected(exception);
        self.forget_fetch(fetch.number);
        let stale = exception == Exception::Error(ErrorCode::StaleMemberEpoch);
        let again = exception.is_retriable() || stale && self.commit_epoch().is_some();
        if again && now < fetch.deadline {
            return self.commits.unsent_fetches.push(fetch);
        }
        let exception = match again {
            true => Exception::TimedOut,
            false => exception,
        };
        self.tell(ClientNote::AskedInVain(fetch.number), environment);
        self.offset_fetch_ends(fetch.number, Err(exception), environment);
    }

    /// Tells what the member is going to go by: partitions that were given up or have got a position meanwhile are not
    /// among it.
    fn told_positions(
        &mut self,
        fetch: &OffsetFetch,
        offsets: &[FetchedOffset],
        environment: &mut impl Environment,
    ) {
        let waits = |fetched: &&FetchedOffset| self.waits_for_position(fetched.partition);
        let told = offsets.iter().filter(waits).map(|fetched| {
            let committed = fetched.committed.map(|committed| committed.offset);
            (fetched.partition, committed)
        });
        let note = ClientNote::ToldPositions {
            question: fetch.number,
            offsets: told.collect(),
            by: fetch.coordinator.expect("it was sent"),
        };
        self.tell(note, environment);
    }

    fn forget_fetch(&mut self, number: u64) {
        self.commits
            .fetches_in_flight
            .retain(|(known, _)| *known != number);
    }
}

/// Errors of single partitions: one that may pass is the whole request's.
fn partition_errors(partitions: &[FetchedOffset]) -> Option<Exception> {
    let mut passing = None;
    for partition in partitions {
        match partition.error {
            ErrorCode::None => {}
            error @ (ErrorCode::UnstableOffsetCommit
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId) => passing = Some(Exception::Error(error)),
            error => return Some(Exception::Unexpected(error)),
        }
    }
    passing
}
