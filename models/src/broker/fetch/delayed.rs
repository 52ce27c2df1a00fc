//! Fetches that wait, and the answer to any fetch (`DelayedFetch`).

use ktrial_sim::{Context, Identity};
use smallvec::SmallVec;

use super::FetchWork;
use crate::broker::Broker;
use crate::broker::purgatory::Ticket;
use crate::broker::work::Work;
use crate::config::IsolationLevel;
use crate::ids::PartitionId;
use crate::kafka::{Kafka, site};
use crate::notes::{LeaderNote, Note};
use crate::protocol::{ErrorCode, FetchResponse, FetchedPartition, Response};

impl Broker {
    /// Takes the work over if it has to wait.
    pub(in crate::broker) fn park_fetch(
        &mut self,
        mut work: Box<Work>,
        context: &mut Context<'_, Kafka>,
    ) -> Option<Box<Work>> {
        if self.fetch_is_complete(&work.fetch, context) {
            self.read_again_and_answer(&mut work, context);
            return Some(work);
        }
        let deadline = context.monotonic() + work.fetch.max_wait;
        let keys: SmallVec<[PartitionId; 8]> = work.fetch.read.iter().map(|asked| asked.partition).collect();
        self.parked_fetches.park(work, keys.into_iter(), deadline);
        self.arm_purgatory(context);
        None
    }

    /// `DelayedFetch.tryComplete`, cases A to H.
    fn fetch_is_complete(&self, fetch: &FetchWork, context: &mut Context<'_, Kafka>) -> bool {
        let mut bytes = 0u64;
        for asked in &fetch.read {
            let Some(partition) = self.partitions.get(asked.partition) else {
                return true;
            };
            let refused = partition
                .check_current_leader_epoch(asked.current_leader_epoch)
                .is_err()
                || (fetch.replica.is_some() && !partition.is_leader())
                || partition.log().is_offline();
            if refused {
                return true;
            }
            let end = match fetch.replica {
                Some(_) => partition.log().end(),
                None => partition.consumer_limit(fetch.isolation),
            };
            let from = asked.fetch_offset;
            if from > end {
                return true;
            }
            if from < end {
                let segments = partition.log().segments();
                if segments.floor(from) < segments.floor(end) {
                    return true;
                }
                let available = partition.log().bytes_between(from, end, context);
                bytes += available.min(u64::from(asked.max_bytes));
            }
            if let Some(last) = asked.last_fetched_epoch {
                let found = partition.last_offset_for_leader_epoch(asked.current_leader_epoch, last, false);
                match found {
                    Ok(Some((epoch, epoch_end))) if epoch >= last && epoch_end >= from => {}
                    _ => return true,
                }
            }
        }
        bytes >= u64::from(fetch.min_bytes)
    }

    /// Something moved in a partition: completes parked fetches.
    pub(in crate::broker) fn complete_fetches(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        if self.parked_fetches.is_empty() {
            return;
        }
        let mut tickets: Vec<Ticket> = std::mem::take(&mut self.tickets);
        self.parked_fetches.watching(id, &mut tickets);
        for ticket in &tickets {
            let Some(mut work) = self.parked_fetches.take(*ticket) else {
                continue;
            };
            if self.fetch_is_complete(&work.fetch, context) {
                self.read_again_and_answer(&mut work, context);
                self.spare.push(work);
            } else {
                self.parked_fetches.put_back(*ticket, work);
            }
        }
        self.tickets = tickets;
    }

    /// The longest wait is over.
    pub(in crate::broker) fn expire_fetch(&mut self, mut work: Box<Work>, context: &mut Context<'_, Kafka>) {
        self.read_again_and_answer(&mut work, context);
        self.spare.push(work);
    }

    fn read_again_and_answer(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) {
        work.fetch.start_reading();
        for index in 0..work.fetch.read.len() {
            let asked = work.fetch.read[index];
            self.read_partition(&mut work.fetch, &asked, context);
        }
        self.answer_fetch(work, context);
    }

    pub(super) fn answer_fetch(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) {
        let fetch = &mut work.fetch;
        if fetch.read.len() < fetch.all.len() {
            for asked in &fetch.all {
                if fetch.read.iter().all(|read| read.partition != asked.partition) {
                    let failed = self.failed_fetch(asked.partition, ErrorCode::UnknownTopicOrPartition);
                    fetch.answer.push(failed);
                }
            }
        }
        let (now, identity) = (context.monotonic(), work.identity);
        let mut tries = 0;
        let (error, session) =
            self.sessions
                .finish(fetch.session, &fetch.all, &mut fetch.answer, now, || {
                    tries += 1;
                    let who = Identity(identity, tries);
                    context.draw_below(site::FETCH_SESSION, who, i32::MAX as u64) as u32
                });
        let mut response = context.arena().fetch_answers.reuse(|| FetchResponse {
            error,
            session,
            partitions: SmallVec::new(),
        });
        (response.error, response.session) = (error, session);
        // The list itself stays with the work: of a session's many partitions few have anything to be told.
        response.partitions.clear();
        response.partitions.extend(fetch.answer.drain(..));
        if fetch.replica.is_none() {
            for told in &response.partitions {
                self.tell_served(work.fetch.isolation, told, context);
            }
        }
        let response = Response::Fetch(response);
        self.respond(work.connection, work.correlation, response, context);
    }

    fn tell_served(
        &self,
        isolation: IsolationLevel,
        told: &FetchedPartition,
        context: &mut Context<'_, Kafka>,
    ) {
        if let (Some(last), Some(partition)) = (told.batches.last(), self.partitions.get(told.partition)) {
            let limit = match isolation {
                IsolationLevel::ReadUncommitted => told.high_watermark,
                IsolationLevel::ReadCommitted => told.last_stable_offset,
            };
            let served = LeaderNote::Served {
                limit,
                to: last.next_offset(),
            };
            context.note(Note::Leader(partition.id(), served));
        }
    }
}
