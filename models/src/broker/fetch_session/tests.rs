use smallvec::{SmallVec, smallvec};

use super::*;
use crate::broker::follower_session::FollowerSession;
use crate::config::IsolationLevel;
use crate::ids::{BrokerEpoch, PartitionId, ServerId};
use crate::protocol::{BrokerIdentity, FetchResponse};

fn asked(partition: u32, offset: u64) -> FetchPartition {
    FetchPartition {
        partition: PartitionId(partition),
        current_leader_epoch: None,
        fetch_offset: Offset(offset),
        last_fetched_epoch: None,
        log_start: Offset(0),
        max_bytes: 1_000,
    }
}

fn told(partition: u32, high_watermark: u64) -> FetchedPartition {
    FetchedPartition {
        partition: PartitionId(partition),
        error: ErrorCode::None,
        high_watermark: Offset(high_watermark),
        last_stable_offset: Offset(high_watermark),
        log_start: Offset(0),
        diverging: None,
        current_leader: None,
        preferred_read_replica: None,
        batches: SmallVec::new(),
    }
}

fn request(session: u32, epoch: i32, partitions: &[FetchPartition], privileged: bool) -> FetchRequest {
    FetchRequest {
        replica: privileged.then_some(BrokerIdentity {
            broker: ServerId(1),
            epoch: BrokerEpoch(0),
        }),
        max_wait: Duration::ZERO,
        min_bytes: 1,
        max_bytes: 1_000,
        isolation: IsolationLevel::ReadUncommitted,
        session,
        session_epoch: epoch,
        partitions: partitions.iter().copied().collect(),
        forgotten: smallvec![],
        rack: None,
    }
}

/// Sessions with ids counted from 1 instead of drawn.
struct Served {
    sessions: FetchSessions,
    read: Vec<FetchPartition>,
    ids: u32,
}

impl Served {
    fn new(slots: u32) -> Self {
        Served {
            sessions: FetchSessions::sharded(slots, 1),
            read: Vec::new(),
            ids: 0,
        }
    }

    fn serve(&mut self, request: &FetchRequest, answer: &[FetchedPartition], now: Time) -> FetchResponse {
        let mut partitions: SmallVec<_> = answer.iter().cloned().collect();
        let (error, session) = match self.sessions.begin(request, now, &mut self.read) {
            Err(error) => {
                partitions.clear();
                (error, 0)
            }
            Ok(context) => {
                let ids = &mut self.ids;
                self.sessions
                    .finish(context, &self.read, &mut partitions, now, || {
                        *ids += 1;
                        *ids
                    })
            }
        };
        FetchResponse {
            error,
            session,
            partitions,
        }
    }
}

#[test]
fn an_incremental_answer_names_only_what_is_news() {
    let mut served = Served::new(10);
    let first = served.serve(
        &request(0, 0, &[asked(1, 0), asked(2, 0)], true),
        &[told(1, 5), told(2, 5)],
        Time(0),
    );
    assert_eq!((first.session, first.partitions.len()), (1, 2));
    let idle = served.serve(&request(1, 1, &[], true), &[told(1, 5), told(2, 5)], Time(0));
    assert_eq!((idle.error, idle.partitions.len()), (ErrorCode::None, 0));
    assert_eq!(served.read, [asked(1, 0), asked(2, 0)], "read all the same");
    let moved = served.serve(&request(1, 2, &[], true), &[told(1, 5), told(2, 6)], Time(0));
    assert_eq!(moved.partitions[0].partition, PartitionId(2));
    let mut failed = told(1, 5);
    failed.error = ErrorCode::NotLeaderOrFollower;
    let error = served.serve(&request(1, 3, &[], true), &[failed, told(2, 6)], Time(0));
    assert_eq!(error.partitions[0].partition, PartitionId(1));
    let again = served.serve(&request(1, 4, &[], true), &[told(1, 5), told(2, 6)], Time(0));
    assert_eq!(
        again.partitions.len(),
        1,
        "what was told before an error is told again"
    );
}

#[test]
fn a_request_changes_and_forgets_partitions_of_its_session() {
    let mut served = Served::new(10);
    served.serve(&request(0, 0, &[asked(1, 0), asked(2, 0)], true), &[], Time(0));
    let mut next = request(1, 1, &[asked(1, 9), asked(3, 0)], true);
    next.forgotten = smallvec![PartitionId(2)];
    served.serve(&next, &[], Time(0));
    assert_eq!(served.read, [asked(1, 9), asked(3, 0)]);
    let mut last = request(1, 2, &[], true);
    last.forgotten = smallvec![PartitionId(1), PartitionId(3)];
    assert_eq!(
        served.serve(&last, &[], Time(0)).session,
        0,
        "nothing is left: closed"
    );
    let gone = served.serve(&request(1, 3, &[], true), &[], Time(0));
    assert_eq!(gone.error, ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn a_wrong_epoch_is_refused_and_a_full_request_closes_the_session_it_names() {
    let mut served = Served::new(10);
    served.serve(&request(0, 0, &[asked(1, 0)], true), &[], Time(0));
    let skipped = served.serve(&request(1, 2, &[], true), &[], Time(0));
    assert_eq!(skipped.error, ErrorCode::InvalidFetchSessionEpoch);
    let anew = served.serve(&request(1, 0, &[asked(1, 0)], true), &[], Time(0));
    assert_eq!(anew.session, 2);
    let old = served.serve(&request(1, 1, &[], true), &[], Time(0));
    assert_eq!(old.error, ErrorCode::FetchSessionIdNotFound);
    let closed = served.serve(&request(2, -1, &[asked(1, 0)], true), &[], Time(0));
    assert_eq!(closed.session, 0);
}

#[test]
fn followers_take_the_place_of_consumers_and_old_sessions_that_of_anybody() {
    let mut served = Served::new(1);
    let consumer = request(0, 0, &[asked(1, 0)], false);
    let follower = request(0, 0, &[asked(1, 0)], true);
    assert_eq!(served.serve(&consumer, &[], Time(0)).session, 1);
    assert_eq!(served.serve(&consumer, &[], Time(0)).session, 0, "no room");
    assert_eq!(served.serve(&follower, &[], Time(0)).session, 2);
    assert_eq!(
        served.serve(&follower, &[], Time(0)).session,
        0,
        "no room among equals"
    );
    let later = Time(0) + Duration::secs(121);
    assert_eq!(
        served.serve(&consumer, &[], later).session,
        3,
        "unused for two minutes"
    );
}

#[test]
fn a_follower_names_only_what_changed_and_starts_over_when_the_session_is_lost() {
    let mut served = Served::new(10);
    let mut follower = FollowerSession::default();
    let mut round = |follower: &mut FollowerSession, wanted: &[FetchPartition], lost: bool| {
        let next = follower.next(wanted).expect("something to ask");
        let mut request = request(next.session, next.epoch, &next.partitions, true);
        request.forgotten = next.forgotten.clone();
        if lost {
            follower.failed();
            return (next.partitions.len(), next.forgotten.len(), false);
        }
        let answers: Vec<_> = wanted.iter().map(|want| told(want.partition.0, 7)).collect();
        let response = served.serve(&request, &answers, Time(0));
        let fine = follower.answered(&response);
        (next.partitions.len(), next.forgotten.len(), fine)
    };
    assert_eq!(
        round(&mut follower, &[asked(1, 0), asked(2, 0)], false),
        (2, 0, true)
    );
    assert_eq!(
        round(&mut follower, &[asked(1, 0), asked(2, 0)], false),
        (0, 0, true)
    );
    assert_eq!(
        round(&mut follower, &[asked(1, 4), asked(2, 0)], false),
        (1, 0, true)
    );
    assert_eq!(round(&mut follower, &[asked(2, 0)], false), (0, 1, true));
    assert_eq!(round(&mut follower, &[asked(2, 3)], true), (1, 0, false));
    assert_eq!(
        round(&mut follower, &[asked(2, 3)], false),
        (1, 0, true),
        "a full request after a failed one"
    );
    assert_eq!(round(&mut follower, &[asked(2, 3)], false), (0, 0, true));
}

#[test]
fn a_follower_without_partitions_forgets_them_once_and_then_asks_nothing() {
    let mut follower = FollowerSession::default();
    assert_eq!(follower.next(&[]), None);
    follower.next(&[asked(1, 0)]).expect("a full request");
    let response = FetchResponse {
        error: ErrorCode::None,
        session: 5,
        partitions: smallvec![told(1, 0)],
    };
    assert!(follower.answered(&response));
    let forgetting = follower.next(&[]).expect("something to forget");
    assert_eq!(forgetting.forgotten.as_slice(), [PartitionId(1)]);
    let closed = FetchResponse {
        error: ErrorCode::None,
        session: 0,
        partitions: smallvec![],
    };
    assert!(follower.answered(&closed));
    assert_eq!(follower.next(&[]), None);
}

#[test]
fn an_answer_that_does_not_fit_the_session_is_not_looked_at() {
    let mut follower = FollowerSession::default();
    follower.next(&[asked(1, 0)]).expect("a full request");
    let foreign = FetchResponse {
        error: ErrorCode::None,
        session: 5,
        partitions: smallvec![told(2, 0)],
    };
    assert!(!follower.answered(&foreign));
    let next = follower.next(&[asked(1, 0)]).expect("again");
    assert_eq!((next.session, next.epoch, next.partitions.len()), (0, 0, 1));
}

#[test]
fn slots_are_divided_among_eight_shards_and_what_is_left_over_is_lost() {
    let made = |slots: u32| {
        let mut sessions = FetchSessions::new(slots);
        let mut id = 0;
        let made = (0..20).filter(|_| {
            let mut read = Vec::new();
            let context = sessions
                .begin(&request(0, 0, &[asked(0, 0)], false), Time::ZERO, &mut read)
                .expect("a full request");
            let mut answer = smallvec![told(0, 0)];
            let new_id = || {
                id += 1;
                id
            };
            sessions.finish(context, &read, &mut answer, Time::ZERO, new_id).1 != 0
        });
        made.count()
    };
    assert_eq!([7, 8, 15, 16].map(made), [0, 8, 8, 16]);
}
