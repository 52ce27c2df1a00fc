//! Where a group stands: `ConsumerCoordinator.fetchCommittedOffsets`.
//!
//! | answer | becomes |
//! |---|---|
//! | a position | read on from there, checked against the leader's epochs if its epoch is known |
//! | none | `auto.offset.reset` |
//! | NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE | look for the coordinator; again |
//! | COORDINATOR_LOAD_IN_PROGRESS, other retriable ones; UNSTABLE_OFFSET_COMMIT of a partition | again after a back-off |
//! | others | thrown |
//!
//! A request that is on its way is waited for by the next polls, unless the partitions or the generation are others.

use super::exception::Exception;
use super::member::{Future, Generation, Member, What};
use crate::client::{Environment, is_retriable};
use crate::ids::{PartitionId, ServerId};
use crate::notes::ClientNote;
use crate::protocol::{ErrorCode, FetchedOffset, OffsetFetchRequest, OffsetFetchResponse, Request};
use crate::reader::subscription::FetchState;

/// The number under which it is told what a member asks: a new request takes the place of the one before.
const ONLY_QUESTION: u64 = 0;

/// `PendingCommittedOffsetRequest`.
#[derive(Debug)]
pub(super) struct CommittedRequest {
    pub(super) partitions: Vec<PartitionId>,
    pub(super) generation: Option<Generation>,
    /// Who is asked.
    pub(super) coordinator: Option<ServerId>,
    pub(super) answer: Option<Future<Vec<FetchedOffset>>>,
}

impl Member {
    /// Partitions without a position.
    pub(super) fn initializing(&self) -> Vec<PartitionId> {
        let initializing =
            |one: &&crate::reader::subscription::Assigned| one.state == FetchState::Initializing;
        let partitions = self.core.assigned.iter().filter(initializing);
        partitions.map(|one| one.partition).collect()
    }

    /// Forgets a request that asks for something else by now.
    pub(super) fn keep_same_request(&mut self, partitions: &[PartitionId]) {
        let generation = self.generation_if_stable();
        let same =
            |request: &CommittedRequest| request.partitions == partitions && request.generation == generation;
        if !self.committed_request.as_ref().is_some_and(same) {
            self.committed_request = None;
        }
    }

    /// `sendOffsetFetchRequest`.
    pub(super) fn send_offset_fetch(
        &mut self,
        partitions: &[PartitionId],
        environment: &mut impl Environment,
    ) {
        let future = self.future();
        let number = future.number;
        let coordinator = self.known_coordinator(environment);
        self.committed_request = Some(CommittedRequest {
            partitions: partitions.to_vec(),
            generation: self.generation_if_stable(),
            coordinator,
            answer: Some(future),
        });
        if coordinator.is_none() {
            let unknown = Exception::Error(ErrorCode::CoordinatorNotAvailable);
            return self.committed_ends(number, Err(unknown));
        }
        let request = Request::OffsetFetch(Box::new(OffsetFetchRequest {
            group: self.specification.group,
            member: None,
            member_epoch: crate::ids::GenerationId::NONE,
            partitions: Some(partitions.into()),
            require_stable: true,
        }));
        self.tell(ClientNote::AsksForPositions(ONLY_QUESTION), environment);
        self.send(What::OffsetFetch(number), request, environment);
    }

    pub(super) fn committed_answered(
        &mut self,
        response: OffsetFetchResponse,
    ) -> Result<Vec<FetchedOffset>, Exception> {
        match response.error {
            ErrorCode::None => {}
            error @ (ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator) => {
                self.mark_coordinator_unknown(false);
                return Err(Exception::Error(error));
            }
            error if is_retriable(error) => return Err(Exception::Error(error)),
            error => return Err(Exception::Unexpected(error)),
        }
        let mut unstable = false;
        for partition in &response.partitions {
            match partition.error {
                ErrorCode::None => {}
                ErrorCode::UnstableOffsetCommit => unstable = true,
                error => return Err(Exception::Unexpected(error)),
            }
        }
        match unstable {
            true => Err(Exception::Error(ErrorCode::UnstableOffsetCommit)),
            false => Ok(response.partitions),
        }
    }

    pub(super) fn committed_ends(&mut self, number: u64, result: Result<Vec<FetchedOffset>, Exception>) {
        if let Some(request) = &mut self.committed_request {
            Future::ends(&mut request.answer, number, result);
        }
    }

    /// `refreshCommittedOffsets`.
    pub(super) fn take_committed(
        &mut self,
        offsets: &[FetchedOffset],
        by: Option<ServerId>,
        environment: &mut impl Environment,
    ) {
        if let Some(by) = by {
            let told = offsets.iter().map(|fetched| {
                let committed = fetched.committed.map(|committed| committed.offset);
                (fetched.partition, committed)
            });
            let offsets = told.collect();
            let question = ONLY_QUESTION;
            let note = ClientNote::ToldPositions {
                question,
                offsets,
                by,
            };
            self.tell(note, environment);
        }
        for fetched in offsets {
            if let Some(committed) = fetched.committed {
                self.core.seek(fetched.partition, committed);
            }
        }
    }
}
