//! In which log directory each replica is, told to the controller where the metadata say otherwise
//! (`AssignmentsManager`, KIP-858): after a disk was replaced, for all replicas on it.
//!
//! | what | when |
//! |---|---|
//! | a replica whose registered directory is not where its log is | found when a publication shows a new directory for it (the first one shows all) |
//! | the request, with the broker epoch that the published metadata know | 100 ms (monotonic) after the first of them; none while one is in flight |
//! | an error of the whole request | again, after a pause that doubles from 200 ms to 10 s |
//! | an error of one replica | again with the next request |
//!
//! While the process before still has its session, the registered epoch is the former one, and so is the directory:
//! the controller takes the replicas for lost with it.

use std::collections::BTreeSet;

use ktrial_sim::{Context, Duration, Identity, Time};

use crate::broker::controller_channel::{ControllerChannel, ControllerLine, ControllerSender, Outcome};
use crate::broker::slots;
use crate::ids::{BrokerEpoch, DirectoryId, PartitionId, ServerId};
use crate::kafka::{Kafka, site};
use crate::metadata::MetadataImage;
use crate::protocol::{AssignReplicasToDirsRequest, BrokerIdentity, ErrorCode, Request, Response};
use crate::specification::ClusterSpecification;

/// How long a request is tried (`BrokerServer`: the channel "directory-assignments").
const RETRY_TIMEOUT: Duration = Duration::secs(60);
/// `STANDARD_BACKOFF`: the first pause, which gathers replicas, and the longest.
const GATHERING: Duration = Duration::millis(100);
const LONGEST: Duration = Duration::secs(10);
/// `AssignReplicasToDirsRequest.MAX_ASSIGNMENTS_PER_REQUEST`.
const MOST: usize = 2_250;

/// See the module.
pub struct Assignments {
    channel: ControllerChannel<()>,
    /// The log directory of this process.
    directory: DirectoryId,
    ready: BTreeSet<PartitionId>,
    in_flight: Vec<PartitionId>,
    /// Whole requests that failed, one after the other.
    failures: u32,
    due: Option<Time>,
}

impl Assignments {
    /// Nothing to tell yet.
    pub fn new(specification: &ClusterSpecification) -> Self {
        Assignments {
            channel: ControllerChannel::new(slots::ASSIGNMENTS_CHANNEL, RETRY_TIMEOUT, &specification.broker),
            directory: DirectoryId::UNASSIGNED,
            ready: BTreeSet::new(),
            in_flight: Vec::new(),
            failures: 0,
            due: None,
        }
    }

    /// The process starts with this log directory.
    pub fn start(&mut self, directory: DirectoryId) {
        self.directory = directory;
    }

    /// A publication shows this directory for a replica whose log is here (`maybeUpdateTopicAssignment`).
    pub fn published(
        &mut self,
        partition: PartitionId,
        registered: DirectoryId,
        context: &mut Context<'_, Kafka>,
    ) {
        if registered != self.directory {
            self.ready.insert(partition);
            self.reschedule(context);
        }
    }

    /// Sends what is ready, unless a request is in flight.
    pub fn send(&mut self, image: &MetadataImage, me: ServerId, context: &mut Context<'_, Kafka>) {
        self.due = None;
        if !self.in_flight.is_empty() {
            return;
        }
        while self.in_flight.len() < MOST
            && let Some(partition) = self.ready.pop_first()
        {
            let still = image
                .partition(partition)
                .is_some_and(|known| known.replicas.contains(&me));
            if still {
                self.in_flight.push(partition);
            }
        }
        if self.in_flight.is_empty() {
            return;
        }
        // ClusterImage.brokerEpoch: -1 if the broker is not registered, which no registration has.
        let epoch = image
            .broker(me)
            .map_or(BrokerEpoch(u64::MAX), |registered| registered.epoch);
        let request = AssignReplicasToDirsRequest {
            identity: BrokerIdentity { broker: me, epoch },
            directory: self.directory,
            partitions: self.in_flight.clone(),
        };
        self.channel
            .send((), Request::AssignReplicasToDirs(Box::new(request)), context);
        self.settle(context);
    }

    /// Sends nothing any more.
    pub fn shut_down(&mut self, context: &mut Context<'_, Kafka>) {
        self.ready.clear();
        self.in_flight.clear();
        self.channel.shut_down(context);
        context.clear_timer(slots::ASSIGNMENTS);
    }

    /// `AssignmentsManagerDeadlineFunction`: an earlier deadline stays.
    fn reschedule(&mut self, context: &mut Context<'_, Kafka>) {
        let pause = match self.failures {
            0 => GATHERING,
            failures => {
                let term = GATHERING.saturating_mul(1 << failures.min(20)).min(LONGEST).0;
                let who = Identity(u64::from(context.incarnation()), u64::from(failures));
                let jitter = context.draw_below(site::BROKER_BACKOFF, who, term / 25 + 1);
                Duration((term - term / 50 + jitter).min(LONGEST.0))
            }
        };
        let due = context.monotonic() + pause;
        if self.due.is_none_or(|before| due < before) {
            self.due = Some(due);
            context.set_timer_at(slots::ASSIGNMENTS, due);
        }
    }
}

impl ControllerSender for Assignments {
    fn line(&mut self) -> &mut dyn ControllerLine {
        &mut self.channel
    }

    fn settle(&mut self, context: &mut Context<'_, Kafka>) {
        while let Some(outcome) = self.channel.take_outcome() {
            let sent = std::mem::take(&mut self.in_flight);
            match outcome {
                Outcome::Answered((), Response::AssignReplicasToDirs(Ok(results))) => {
                    self.failures = 0;
                    let failed = results.iter().filter(|(_, error)| *error != ErrorCode::None);
                    self.ready.extend(failed.map(|(partition, _)| *partition));
                }
                Outcome::Answered(..) | Outcome::TimedOut(()) => {
                    self.failures += 1;
                    self.ready.extend(sent);
                }
            }
            if !self.ready.is_empty() {
                self.reschedule(context);
            }
        }
    }
}
