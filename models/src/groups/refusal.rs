//! Requests that are refused as a whole (`GroupCoordinatorService`: what stands before an operation, and the handlers
//! behind `exceptionally`).

use smallvec::SmallVec;

use crate::groups::classic::{join_error, sync_error};
use crate::groups::effects::coordinator_error;
use crate::groups::operations::GroupRequest;
use crate::protocol::{
    ConsumerGroupHeartbeatResponse, ErrorCode, LeaveGroupResponse, MemberIdentity, OffsetCommitResponse,
    OffsetFetchResponse, Response,
};

/// The answer to a request that failed as a whole, before it is known with what (`getErrorResponse`).
pub fn refusal(request: &GroupRequest) -> Response {
    match request {
        GroupRequest::Join(..) => join_error(ErrorCode::None, None),
        GroupRequest::Sync(_) => sync_error(ErrorCode::None),
        GroupRequest::Heartbeat(_) => Response::Heartbeat(ErrorCode::None),
        GroupRequest::Leave(request) => {
            let members: SmallVec<[(MemberIdentity, ErrorCode); 1]> = request
                .members
                .iter()
                .map(|identity| (*identity, ErrorCode::None))
                .collect();
            Response::LeaveGroup(Box::new(LeaveGroupResponse {
                error: ErrorCode::None,
                members,
            }))
        }
        GroupRequest::ConsumerGroupHeartbeat(_) => Response::ConsumerGroupHeartbeat(Box::new(
            ConsumerGroupHeartbeatResponse::failed(ErrorCode::None),
        )),
        GroupRequest::OffsetCommit(request) => {
            let partitions = request.partitions.iter();
            Response::OffsetCommit(Box::new(OffsetCommitResponse {
                partitions: partitions.map(|told| (told.partition, ErrorCode::None)).collect(),
            }))
        }
        GroupRequest::OffsetFetch(_) => Response::OffsetFetch(Box::new(OffsetFetchResponse {
            error: ErrorCode::None,
            partitions: Vec::new(),
        })),
    }
}

/// Puts an error into such an answer that stands before any operation.
pub fn refuse_at_once(answer: &mut Response, error: ErrorCode) {
    match answer {
        Response::OffsetCommit(commit) => {
            commit
                .partitions
                .iter_mut()
                .for_each(|(_, partition)| *partition = error);
        }
        answer => refuse(answer, error, true),
    }
}

/// Puts the error of a failed operation into such an answer (`GroupCoordinatorService`: the handlers behind
/// `exceptionally`). `required_stable`: an OffsetFetch that was a write.
pub fn refuse(answer: &mut Response, error: ErrorCode, required_stable: bool) {
    let told = coordinator_error(error);
    match answer {
        Response::JoinGroup(join) => join.error = told,
        Response::SyncGroup(sync) => sync.error = told,
        // The session goes on while the group loads: it is too early to complain.
        Response::Heartbeat(heartbeat) => {
            *heartbeat = match told {
                ErrorCode::CoordinatorLoadInProgress => ErrorCode::None,
                told => told,
            };
        }
        Response::LeaveGroup(leave) if told == ErrorCode::UnknownMemberId => {
            leave.members.iter_mut().for_each(|(_, member)| *member = told);
        }
        Response::LeaveGroup(leave) => {
            leave.error = told;
            leave.members.clear();
        }
        Response::ConsumerGroupHeartbeat(beat) => beat.error = told,
        Response::OffsetCommit(commit) => {
            commit
                .partitions
                .iter_mut()
                .for_each(|(_, partition)| *partition = told);
        }
        Response::OffsetFetch(fetch) => {
            // Consumers before 3.9 know no other error that makes them look for the coordinator again.
            fetch.error = match told {
                ErrorCode::CoordinatorNotAvailable if required_stable => ErrorCode::NotCoordinator,
                _ if required_stable => told,
                _ => error,
            };
        }
        other => unreachable!("no answer of a group: {other:?}"),
    }
}
