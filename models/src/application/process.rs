//! The process of a consumer, and what its application does in which order.

use std::sync::Arc;

use ktrial_sim::{Context, Duration, Input, Time};

use super::client::{ConsumerClient, Positions, Returned, Woken};
use super::records::Polled;
use crate::client::{Environment, draw};
use crate::consumer::{Exception, KafkaConsumer};
use crate::ids::{Offset, PartitionId};
use crate::kafka::{Kafka, Signal, site};
use crate::notes::{ClientNote, Note};
use crate::specification::{ClusterSpecification, CommitStyle, ConsumerSpecification};

/// The only alarm that is not the client's.
const STARTED: u32 = 0;

/// `KafkaConsumer.close` without a time-out of its own.
const CLOSE_TIMEOUT: Duration = Duration::secs(30);

/// What the application is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Starting,
    Polling,
    CommittingBefore,
    Processing,
    CommittingAfter,
    /// It stalls, with records or without.
    Stalling,
    Closing,
}

/// The process of a consumer of a group.
pub type Consumer = Process<KafkaConsumer>;

/// A consumer's process: an application above a client.
pub struct Process<C> {
    cluster: Arc<ClusterSpecification>,
    specification: Arc<ConsumerSpecification>,
    /// Made anew by the application's `main`.
    client: C,
    doing: Doing,
    polled: Polled,
    /// Where the next poll goes on, of what the last one returned.
    ends: Positions,
    /// How much longer the next thing takes.
    stall: Duration,
    ending: bool,
}

#[expect(private_bounds, reason = "clients are this crate's")]
impl<C: ConsumerClient> Process<C> {
    /// A consumer that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>, specification: Arc<ConsumerSpecification>) -> Self {
        Process {
            client: C::new(&cluster, &specification, Time::ZERO),
            cluster,
            specification,
            doing: Doing::Starting,
            polled: Polled::default(),
            ends: Positions::new(),
            stall: Duration::ZERO,
            ending: false,
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
        self.doing == Doing::Polling
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
        *self = Process::new(Arc::clone(&self.cluster), Arc::clone(&self.specification));
        environment.note(Note::Client(ClientNote::Started));
        let (least, most) = self.cluster.capacity.client_start;
        let spread = most.saturating_sub(least).0;
        let after = Duration(least.0 + draw(environment, site::PROCESS_START, 0, spread + 1));
        environment.alarm(STARTED, after);
    }

    pub(crate) fn handle_in(&mut self, input: Input<Kafka>, environment: &mut impl Environment) {
        match input {
            Input::Alarm(STARTED) => self.start(environment),
            Input::Signal(Signal::Terminate) if self.doing == Doing::Starting => {
                environment.note(Note::Client(ClientNote::Closed));
                environment.exit();
            }
            Input::Signal(Signal::Terminate) => self.ending = true,
            Input::Signal(Signal::Stall(span)) => self.stall = self.stall.saturating_add(span),
            input => match self.client.handle(input, environment) {
                Woken::No => {}
                Woken::InCall => self.run(environment),
                Woken::Back => self.go_on(environment),
            },
        }
    }

    fn start(&mut self, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Runs));
        self.client = C::new(&self.cluster, &self.specification, environment.wall());
        self.poll(environment);
        self.run(environment);
    }

    /// Runs the application's thread until it waits.
    fn run(&mut self, environment: &mut impl Environment) {
        while let Some(returned) = self.client.run(environment) {
            if self.returned(returned, environment) {
                return;
            }
        }
    }

    /// The thread was away from its client.
    fn go_on(&mut self, environment: &mut impl Environment) {
        let waits = match self.doing {
            Doing::Processing => {
                self.finish_record(environment);
                self.process(environment)
            }
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
        match (self.doing, returned) {
            (Doing::Closing, _) => {
                self.client.shut_down(environment);
                environment.note(Note::Client(ClientNote::Closed));
                environment.exit();
                true
            }
            (Doing::CommittingBefore, Ok(true)) => self.process(environment),
            (Doing::CommittingBefore | Doing::CommittingAfter, _) => self.again(environment),
            (_, Err(exception)) => {
                self.die(exception, environment);
                self.close(environment);
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

    fn die(&mut self, exception: Exception, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Died(exception.name())));
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
            _ => self.process(environment),
        }
    }

    fn commit_sync(&mut self, doing: Doing, environment: &mut impl Environment) {
        self.doing = doing;
        self.client.commit_sync(&self.ends, environment);
    }

    /// Works on the next record. Whether the thread waits.
    fn process(&mut self, environment: &mut impl Environment) -> bool {
        self.doing = Doing::Processing;
        let (least, most) = self.specification.application.processing;
        while let Some(next) = self.polled.next() {
            if most == Duration::ZERO && self.stall == Duration::ZERO {
                self.tell_processed(next.count, environment);
                continue;
            }
            let name = u64::from(next.partition.0) << 40 | next.from.0;
            let spread = most.saturating_sub(least).0 + 1;
            let takes = least.0 + draw(environment, site::PROCESSING, name, spread);
            let span = Duration(takes).saturating_add(std::mem::take(&mut self.stall));
            if self.client.away(span, environment) {
                return true;
            }
            self.finish_record(environment);
        }
        self.processed(environment)
    }

    fn finish_record(&mut self, environment: &mut impl Environment) {
        self.tell_processed(1, environment);
    }

    /// The next `count` records of a batch are done with.
    fn tell_processed(&mut self, count: u32, environment: &mut impl Environment) {
        let next = self.polled.next().expect("it is worked on");
        environment.note(Note::Client(ClientNote::Processed {
            partition: next.partition,
            from: next.from,
            batch: next.batch,
            first: next.first,
            count,
        }));
        self.polled.advance(count);
    }

    /// All records of the poll are processed. Whether the thread waits.
    fn processed(&mut self, environment: &mut impl Environment) -> bool {
        let commit = self.specification.application.commit;
        if !self.ends.is_empty() && commit == CommitStyle::After {
            self.commit_sync(Doing::CommittingAfter, environment);
            return false;
        }
        if !self.ends.is_empty()
            && commit == CommitStyle::AfterAsync
            && let Err(exception) = self.client.commit_async(&self.ends, environment)
        {
            self.die(exception, environment);
            self.ending = true;
        }
        self.again(environment)
    }

    /// The next poll, or the end. It does not wait.
    fn again(&mut self, environment: &mut impl Environment) -> bool {
        match self.ending {
            true => self.close(environment),
            false => self.poll(environment),
        }
        false
    }

    fn close(&mut self, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Closes));
        self.doing = Doing::Closing;
        self.client.close(CLOSE_TIMEOUT, environment);
    }
}
