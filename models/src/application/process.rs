//! The process of a consumer: its life, the calls of its client, commits.

use std::sync::Arc;

use ktrial_sim::{Context, Duration, Input, Time};

use super::client::{ConsumerClient, Event, Positions, Returned, Woken};
use super::letters::Letters;
use super::progress::Progress;
use super::records::Polled;
use super::work::Work;
use super::worker::{WORKER, Worker};
use crate::client::{Environment, draw};
use crate::consumer::{Exception, KafkaConsumer};
use crate::ids::{Offset, PartitionId};
use crate::kafka::{Kafka, Signal, site};
use crate::notes::{ClientNote, Note};
use crate::specification::{ClusterSpecification, CommitStyle, ConsumerSpecification};

/// An alarm that is not the client's, as the worker's is not.
const STARTED: u32 = 0;

/// `KafkaConsumer.close` without a time-out of its own.
const CLOSE_TIMEOUT: Duration = Duration::secs(30);

/// What the application is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Starting,
    Polling,
    CommittingBefore,
    Working(Work),
    CommittingAfter,
    /// It stalls, with records or without.
    Stalling,
    Closing,
    /// The consumer is closed; the producer has sends without an outcome (`KafkaProducer.close`).
    Flushing,
}

/// The process of a consumer of a group.
pub type Consumer = Process<KafkaConsumer>;

/// A consumer's process: an application above a client.
pub struct Process<C> {
    cluster: Arc<ClusterSpecification>,
    pub(super) specification: Arc<ConsumerSpecification>,
    /// Made anew by the application's `main`.
    pub(crate) client: C,
    pub(super) doing: Doing,
    pub(super) polled: Polled,
    /// Where the next poll goes on, of what the last one returned.
    pub(super) ends: Positions,
    /// How much longer the next thing takes.
    pub(super) stall: Duration,
    pub(super) ending: bool,
    /// Records need more than their time.
    pub(super) is_careful: bool,
    /// How often the record at hand has failed in a row.
    pub(super) attempt: u32,
    /// How long the sink's answer takes after its effect.
    pub(super) answer_after: Duration,
    /// What this poll returned is not committed, because some of it failed.
    pub(super) leaves_commit_out: bool,
    /// What it is done with, over all polls.
    pub(super) progress: Progress,
    /// The producer that sends records on.
    pub(super) letters: Option<Box<Letters>>,
    /// What the listener was told last.
    pub(super) told: Vec<PartitionId>,
    /// The commit of onPartitionsRevoked is under way, inside of another call.
    pub(super) listening: bool,
    /// The thread that works on records, if that is not the one that polls.
    pub(super) worker: Option<Worker>,
}

#[expect(private_bounds, reason = "clients are this crate's")]
impl<C: ConsumerClient> Process<C> {
    /// A consumer that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>, specification: Arc<ConsumerSpecification>) -> Self {
        let worker = specification.application.hand_over.map(|_| Worker::default());
        Process {
            client: C::new(&cluster, &specification, Time::ZERO),
            is_careful: specification.application.is_careful(),
            cluster,
            specification,
            doing: Doing::Starting,
            polled: Polled::default(),
            ends: Positions::new(),
            stall: Duration::ZERO,
            ending: false,
            attempt: 0,
            answer_after: Duration::ZERO,
            leaves_commit_out: false,
            progress: Progress::default(),
            letters: None,
            told: Vec::new(),
            listening: false,
            worker,
        }
    }

    /// The partitions it owns, with their positions.
    pub fn positions(&self) -> impl Iterator<Item = (PartitionId, Option<Offset>)> {
        let of = |partition| self.client.position(partition).map(|committed| committed.offset);
        self.client
            .assignment()
            .map(move |partition| (partition, of(partition)))
    }

    /// Whether it is a member with an assignment and nothing says that it should join again.
    pub fn is_settled(&self) -> bool {
        self.client.is_settled()
    }

    /// Whether its application has finished with all it was given.
    pub fn is_idle(&self) -> bool {
        let sends = self.letters.as_ref().map_or(0, |letters| letters.pending());
        let works = self.worker.as_ref().is_some_and(|worker| worker.doing.is_some());
        self.doing == Doing::Polling && !self.listening && sends == 0 && !works
    }

    /// The process starts.
    pub fn boot(&mut self, context: &mut Context<'_, Kafka>) {
        self.boot_in(context);
    }

    /// Works through one input.
    pub fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        self.handle_in(input, context);
    }

    pub(crate) fn boot_in(&mut self, environment: &mut impl Environment) {
        // It numbers its sends over all processes.
        let letters = self.letters.take();
        *self = Process::new(Arc::clone(&self.cluster), Arc::clone(&self.specification));
        self.letters = letters;
        environment.note(Note::Client(ClientNote::Started));
        let (least, most) = self.cluster.capacity.client_start;
        let spread = most.saturating_sub(least).0;
        let after = Duration(least.0 + draw(environment, site::PROCESS_START, 0, spread + 1));
        environment.alarm(STARTED, after);
    }

    pub(crate) fn handle_in(&mut self, input: Input<Kafka>, environment: &mut impl Environment) {
        match input {
            Input::Alarm(STARTED) => self.start(environment),
            Input::Alarm(WORKER) => self.worker_goes_on(environment),
            Input::Signal(Signal::Terminate) if self.doing == Doing::Starting => {
                environment.note(Note::Client(ClientNote::Closed));
                environment.exit();
            }
            Input::Signal(Signal::Terminate) => self.ending = true,
            Input::Signal(Signal::Stall(span)) => self.stall = self.stall.saturating_add(span),
            mut input => {
                // A consumer that is closed gets nothing any more.
                if self.producer_takes(&mut input, environment) || self.doing == Doing::Flushing {
                    return;
                }
                match self.client.handle(input, environment) {
                    Woken::No => {}
                    Woken::InCall => self.run(environment),
                    Woken::Back => self.go_on(environment),
                }
            }
        }
    }

    /// Whether an input was the producer's. It can be what the application waited for.
    fn producer_takes(&mut self, input: &mut Input<Kafka>, environment: &mut impl Environment) -> bool {
        let Some(letters) = &mut self.letters else {
            return false;
        };
        if !letters.takes(input, environment) {
            return false;
        }
        if matches!(self.at_work(), Some(Work::Sending(_))) {
            match self.worker {
                Some(_) => self.worker_goes_on(environment),
                None => self.go_on(environment),
            }
        }
        if self.doing == Doing::Flushing {
            self.exit_when_flushed(environment);
        }
        true
    }

    fn start(&mut self, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Runs));
        self.client = C::new(&self.cluster, &self.specification, environment.wall());
        if let Some(specification) = &self.specification.letters {
            let new = || Box::new(Letters::new(&self.cluster, specification));
            self.letters.get_or_insert_with(new).begin(environment);
        }
        self.poll(environment);
        self.run(environment);
    }

    /// Runs the application's thread until it waits.
    fn run(&mut self, environment: &mut impl Environment) {
        while let Some(event) = self.client.run(environment) {
            let waits = match event {
                Event::Returned(returned) => self.returned(returned, environment),
                Event::CallsBack(callback) => {
                    self.called_back(callback, environment);
                    false
                }
            };
            if waits {
                return;
            }
        }
    }

    /// The thread was away from its client.
    fn go_on(&mut self, environment: &mut impl Environment) {
        let waits = match self.doing {
            Doing::Working(work) => self.work_on(work, environment),
            Doing::Stalling => self.work(environment),
            doing => unreachable!("nothing takes time in {doing:?}"),
        };
        if !waits {
            self.run(environment);
        }
    }

    fn poll(&mut self, environment: &mut impl Environment) {
        self.doing = Doing::Polling;
        let timeout = self.specification.application.poll_timeout;
        self.client.poll(timeout, environment);
    }

    /// The application's call returned. Whether the thread waits, or has ended.
    fn returned(&mut self, returned: Returned, environment: &mut impl Environment) -> bool {
        if self.listening {
            self.revoked(returned);
            return false;
        }
        match (self.doing, returned) {
            (Doing::Closing, _) => {
                self.client.shut_down(environment);
                self.doing = Doing::Flushing;
                self.exit_when_flushed(environment);
                true
            }
            (Doing::CommittingBefore, Ok(true)) => self.work_on(Work::Choosing, environment),
            (Doing::CommittingBefore | Doing::CommittingAfter, _) => {
                self.hand_over_committed(returned);
                self.again(environment);
                false
            }
            (_, Err(exception)) => {
                self.throws(exception, environment);
                self.close(environment);
                false
            }
            (_, Ok(_)) if self.worker.is_some() => {
                self.hand_over(environment);
                false
            }
            (_, Ok(_)) => {
                self.take_records();
                if self.stall > Duration::ZERO {
                    self.doing = Doing::Stalling;
                    let span = std::mem::take(&mut self.stall);
                    return self.client.away(span, environment);
                }
                self.work(environment)
            }
        }
    }

    fn exit_when_flushed(&mut self, environment: &mut impl Environment) {
        if self.letters.as_ref().is_none_or(|letters| letters.pending() == 0) {
            environment.note(Note::Client(ClientNote::Closed));
            environment.exit();
        }
    }

    /// The client throws: the application ends.
    pub(super) fn throws(&mut self, exception: Exception, environment: &mut impl Environment) {
        self.ends_by(exception.name(), environment);
    }

    /// An exception leaves the application's loop; behind it the client is closed.
    pub(super) fn ends_by(&mut self, exception: &'static str, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Died(exception)));
        self.ending = true;
    }

    fn take_records(&mut self) {
        self.polled.clear();
        self.client.take_records(&mut self.polled.handed);
        self.ends.clear();
        for handed in &self.polled.handed {
            let partition = handed.partition;
            let known = self.ends.iter().any(|(known, _)| *known == partition);
            if !known && let Some(position) = self.client.position(partition) {
                self.ends.push((partition, position));
            }
        }
    }

    /// Begins with what a poll returned. Whether the thread waits.
    fn work(&mut self, environment: &mut impl Environment) -> bool {
        match self.specification.application.commit {
            CommitStyle::Before if !self.polled.handed.is_empty() => {
                self.commit_sync(Doing::CommittingBefore, environment);
                false
            }
            _ => self.work_on(Work::Choosing, environment),
        }
    }

    pub(super) fn commit_sync(&mut self, doing: Doing, environment: &mut impl Environment) {
        self.doing = doing;
        self.client.commit_sync(&self.ends, environment);
    }

    /// The next poll, or the end.
    pub(super) fn again(&mut self, environment: &mut impl Environment) {
        let works = self.worker.as_ref().is_some_and(|worker| worker.doing.is_some());
        match self.ending && !works {
            true => self.close(environment),
            false => self.poll(environment),
        }
    }

    fn close(&mut self, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Closes));
        if self.worker.is_some() {
            self.let_go_of_all();
        }
        self.doing = Doing::Closing;
        self.client.close(CLOSE_TIMEOUT, environment);
    }
}

/// The application has called `seek`.
pub(super) fn tell_seek(partition: PartitionId, to: Offset, environment: &mut impl Environment) {
    environment.note(Note::Client(ClientNote::Sought { partition, to }));
}
