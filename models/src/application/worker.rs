//! A worker thread beside the one that polls, and what holds the consumer back while the worker is behind.
//!
//! The polling thread hands over what polls return, and polls on: that keeps the membership, whatever the worker does.
//! Once `buffer` records or more are in hand it pauses what it is assigned, and resumes it when half of that is left.
//! What the worker has finished with it commits behind its polls (`commit: after` and `async`); with `commit: auto` the
//! client commits what it has returned, whether the worker has come to it or not.
//!
//! | `pause` | with a full buffer |
//! |---|---|
//! | each poll | everything assigned is paused behind each poll until it resumes: what a rebalance brought anew too |
//! | once | what is assigned at that moment is paused |
//! | never | nothing is |
//!
//! | `given_up` | records of partitions that the member gives up, or has lost |
//! |---|---|
//! | drop | the listener takes them out of the buffer, and what would have been committed of them; the worker finishes the record at hand |
//! | finish | there is no listener: the worker goes on, and commits, whoever owns them now |
//!
//! An application that ends drops what is in the buffer, lets the worker finish the record at hand and commits before it
//! closes its client.

use ktrial_sim::Duration;

use super::client::{ConsumerClient, Positions, Returned};
use super::process::{Doing, Process};
use super::work::Work;
use crate::client::Environment;
use crate::ids::PartitionId;
use crate::protocol::CommittedOffset;
use crate::reader::core::Handed;
use crate::specification::{CommitStyle, HandOver, PauseStyle};

/// The alarm that the worker waits for.
pub(super) const WORKER: u32 = 2;

/// The worker thread, and what the polling thread knows of it.
#[derive(Debug, Default)]
pub(super) struct Worker {
    /// What it does; none: it has nothing to do. Otherwise the first record in hand is the one it is at.
    pub(super) doing: Option<Work>,
    /// How far it is done with partitions that are not committed so far.
    done: Positions,
    /// The partition of the record at hand was given up.
    at_lost: bool,
    /// The buffer was full, and was not half empty since.
    holds_back: bool,
}

impl Worker {
    /// Records of a batch are done with.
    pub(super) fn done_with(&mut self, next: Handed, count: u32) {
        if std::mem::take(&mut self.at_lost) {
            return;
        }
        let to = CommittedOffset {
            offset: next.from.plus(u64::from(count)),
            leader_epoch: Some(next.batch.leader_epoch),
        };
        match self.done.iter_mut().find(|(known, _)| *known == next.partition) {
            Some((_, position)) => *position = to,
            None => self.done.push((next.partition, to)),
        }
    }
}

#[expect(private_bounds, reason = "clients are this crate's")]
impl<C: ConsumerClient> Process<C> {
    fn hand_over_style(&self) -> HandOver {
        let style = self.specification.application.hand_over;
        style.expect("who has a worker hands records over")
    }

    /// A poll has returned: the polling thread hands over, pauses or resumes, commits, and polls again.
    pub(super) fn hand_over(&mut self, environment: &mut impl Environment) {
        self.polled.forget_done();
        self.client.take_records(&mut self.polled.handed);
        if self.ending {
            self.let_go_of_all();
        }
        let worker = self.worker.as_mut().expect("it has a worker");
        if worker.doing.is_none() && self.polled.next().is_some() {
            worker.doing = Some(Work::Choosing);
            environment.alarm(WORKER, Duration::ZERO);
        }
        self.hold_back();
        let worker = self.worker.as_mut().expect("it has a worker");
        let commit = self.specification.application.commit;
        if !worker.done.is_empty() && matches!(commit, CommitStyle::After | CommitStyle::AfterAsync) {
            self.ends.clone_from(&worker.done);
            if commit == CommitStyle::After {
                return self.commit_sync(Doing::CommittingAfter, environment);
            }
            worker.done.clear();
            if let Err(exception) = self.client.commit_async(&self.ends, environment) {
                self.throws(exception, environment);
            }
        }
        self.again(environment);
    }

    /// Pauses what is assigned, or resumes it.
    fn hold_back(&mut self) {
        let HandOver { buffer, pause, .. } = self.hand_over_style();
        let in_hand = self.polled.in_hand();
        let worker = self.worker.as_mut().expect("it has a worker");
        let held_back = worker.holds_back;
        worker.holds_back = match held_back {
            true => in_hand > buffer / 2,
            false => in_hand >= buffer,
        };
        let pauses = match pause {
            PauseStyle::EachPoll => worker.holds_back,
            PauseStyle::Once => worker.holds_back && !held_back,
            PauseStyle::Never => false,
        };
        if pauses || self.ending {
            let assigned: Vec<PartitionId> = self.client.assignment().collect();
            assigned.into_iter().for_each(|one| self.client.pause(one));
        } else if held_back && !worker.holds_back {
            let paused: Vec<PartitionId> = self.client.paused().collect();
            paused.into_iter().for_each(|one| self.client.resume(one));
        }
    }

    /// The worker's alarm went off.
    pub(super) fn worker_goes_on(&mut self, environment: &mut impl Environment) {
        let doing = self.worker.as_ref().and_then(|worker| worker.doing);
        self.work_on(doing.expect("it waits for something"), environment);
    }

    /// A `commitSync` of what the worker has finished with ended. What could not be committed will be, with what the
    /// worker finishes until then.
    pub(super) fn hand_over_committed(&mut self, returned: Returned) {
        if let Some(worker) = &mut self.worker
            && returned == Ok(true)
        {
            worker.done.retain(|done| !self.ends.contains(done));
        }
    }

    /// The listener is told of partitions that are revoked or lost.
    pub(super) fn partitions_removed(&mut self) {
        let removed = std::mem::take(&mut self.told);
        self.let_go_of(|partition| removed.contains(&partition));
        self.told = removed;
    }

    /// Nothing more is begun.
    pub(super) fn let_go_of_all(&mut self) {
        let worker = self.worker.as_mut().expect("it has a worker");
        self.polled.give_up(|_| true, worker.doing.is_some());
    }

    fn let_go_of(&mut self, partitions: impl Fn(PartitionId) -> bool) {
        let worker = self.worker.as_mut().expect("it has a worker");
        worker.done.retain(|(partition, _)| !partitions(*partition));
        worker.at_lost |= self.polled.give_up(partitions, worker.doing.is_some());
    }
}
