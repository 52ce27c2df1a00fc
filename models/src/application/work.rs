//! Work on what a poll returned, one record after the other: wait until it is old enough, process it, and have a sink
//! take effect of it.
//!
//! A call of a sink takes a drawn while, and its effect happens at a drawn moment in it: a process that dies meanwhile
//! leaves an effect or none, and nobody knows which.

use ktrial_sim::Duration;

use super::client::ConsumerClient;
use super::process::{Doing, Process, tell_seek};
use super::worker::WORKER;
use crate::client::{Environment, draw};
use crate::ids::{Offset, PartitionId};
use crate::kafka::site;
use crate::notes::{ClientNote, FailureEnd, Note};
use crate::protocol::CommittedOffset;
use crate::reader::core::Handed;
use crate::records::Record;
use crate::specification::{CommitStyle, OnFailure, SinkKind};

/// What the application does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It looks at the next one.
    Choosing,
    /// The record is too young.
    Waiting,
    Processing,
    /// The sink has been called.
    Applying,
    /// The sink's answer is on its way.
    Applied,
    /// It is going to process the record again.
    BackingOff,
    /// It went back to a record.
    Pausing,
    /// It waits for the acknowledgement of this send.
    Sending(u32),
}

/// Where work leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    GoesOn,
    /// The thread is away, or there is none any more.
    Waits,
    /// All is done, and a call of the client has begun.
    Calls,
}

#[expect(private_bounds, reason = "clients are this crate's")]
impl<C: ConsumerClient> Process<C> {
    /// Works until the thread waits (true) or calls its client.
    pub(super) fn work_on(&mut self, work: Work, environment: &mut impl Environment) -> bool {
        self.is_at(work);
        loop {
            let Some(work) = self.at_work() else {
                return false;
            };
            let flow = match work {
                Work::Choosing => self.choose(environment),
                Work::Waiting | Work::BackingOff => self.start_record(environment),
                Work::Processing => self.processed(environment),
                Work::Applying => self.apply(environment),
                Work::Applied => self.finish_record(environment),
                Work::Pausing => self.next_record(),
                Work::Sending(number) => self.sent(number, environment),
            };
            match flow {
                Flow::GoesOn => {}
                Flow::Waits => return true,
                Flow::Calls => return false,
            }
        }
    }

    /// What whoever works on records is at.
    pub(super) fn at_work(&self) -> Option<Work> {
        match (&self.worker, self.doing) {
            (Some(worker), _) => worker.doing,
            (None, Doing::Working(work)) => Some(work),
            (None, _) => None,
        }
    }

    fn is_at(&mut self, work: Work) {
        match &mut self.worker {
            Some(worker) => worker.doing = Some(work),
            None => self.doing = Doing::Working(work),
        }
    }

    /// Takes so long over something; then on from there.
    fn takes(&mut self, span: Duration, then: Work, environment: &mut impl Environment) -> Flow {
        self.is_at(then);
        let waits = match self.worker {
            Some(_) => {
                if Duration::ZERO < span && span < Duration::FOREVER {
                    environment.alarm(WORKER, span);
                }
                span > Duration::ZERO
            }
            None => self.client.away(span, environment),
        };
        match waits {
            true => Flow::Waits,
            false => Flow::GoesOn,
        }
    }

    fn next_record(&mut self) -> Flow {
        self.attempt = 0;
        self.is_at(Work::Choosing);
        Flow::GoesOn
    }

    /// Records at hand are dealt with.
    fn done_with(&mut self, next: Handed, count: u32) {
        self.polled.advance(count);
        if let Some(worker) = &mut self.worker {
            worker.done_with(next, count);
        }
    }

    fn choose(&mut self, environment: &mut impl Environment) -> Flow {
        let Some(next) = self.polled.next() else {
            if let Some(worker) = &mut self.worker {
                worker.doing = None;
                return Flow::Waits;
            }
            self.end_of_poll(environment);
            return Flow::Calls;
        };
        let application = &self.specification.application;
        let (takes_time, delay) = (application.processing.1 > Duration::ZERO, application.delay);
        if !takes_time && self.stall == Duration::ZERO && !self.is_careful {
            self.tell_processed(next, next.count, environment);
            return Flow::GoesOn;
        }
        if delay > Duration::ZERO {
            let due = self.record(next, environment).timestamp + delay;
            let wait = due.since(environment.wall());
            return self.takes(wait, Work::Waiting, environment);
        }
        self.start_record(environment)
    }

    fn start_record(&mut self, environment: &mut impl Environment) -> Flow {
        let next = self.at_hand();
        let (least, most) = self.specification.application.processing;
        let takes = draw_span(least, most, site::PROCESSING, next, environment);
        let span = takes.saturating_add(std::mem::take(&mut self.stall));
        self.takes(span, Work::Processing, environment)
    }

    /// The while is over that the record took.
    fn processed(&mut self, environment: &mut impl Environment) -> Flow {
        if !self.is_careful {
            return self.finish_record(environment);
        }
        let (next, group) = (self.at_hand(), self.specification.group);
        let failures = self.specification.application.failures;
        if failures.any() {
            let record = self.record(next, environment).id;
            let record = environment.contents().original(record);
            if failures.fails(group, record, environment) {
                return self.failed(next, environment);
            }
        }
        let Some(sink) = self.specification.application.sink else {
            return self.finish_record(environment);
        };
        let (least, most) = sink.applying;
        let span = draw_span(least, most, site::APPLYING, next, environment);
        let before = draw_span(Duration::ZERO, span, site::EFFECT, next, environment);
        self.answer_after = span.saturating_sub(before);
        self.takes(before, Work::Applying, environment)
    }

    /// The sink takes effect of the record.
    fn apply(&mut self, environment: &mut impl Environment) -> Flow {
        let (next, group) = (self.at_hand(), self.specification.group);
        let sink = self.specification.application.sink.expect("a sink was called");
        let outside = &mut environment.contents().outside;
        if sink.fenced && !outside.pass_fence(group, next.partition, self.client.generation()) {
            environment.note(Note::Client(ClientNote::ApplyRefused {
                partition: next.partition,
                offset: next.from,
            }));
            self.polled.drop_partition(next.partition);
            self.ends.retain(|(partition, _)| *partition != next.partition);
            self.progress.forget(next.partition);
            return self.takes(self.answer_after, Work::Pausing, environment);
        }
        if sink.kind == SinkKind::OwnOffsets {
            let then = CommittedOffset {
                offset: next.from.plus(1),
                leader_epoch: Some(next.batch.leader_epoch),
            };
            outside.keep_offset(group, next.partition, then);
        }
        environment.note(Note::Client(ClientNote::Applied {
            partition: next.partition,
            offset: next.from,
            batch: next.batch,
            number: next.first,
        }));
        self.takes(self.answer_after, Work::Applied, environment)
    }

    fn finish_record(&mut self, environment: &mut impl Environment) -> Flow {
        let next = self.at_hand();
        self.tell_processed(next, 1, environment);
        self.next_record()
    }

    /// Processing the record has failed.
    fn failed(&mut self, next: Handed, environment: &mut impl Environment) -> Flow {
        let failures = self.specification.application.failures;
        self.attempt += 1;
        let again = failures.then == OnFailure::Retry || self.attempt <= failures.retries;
        let end = match failures.then {
            _ if again => FailureEnd::TriedAgain,
            OnFailure::Retry => unreachable!("it is tried again"),
            OnFailure::Skip | OnFailure::Continue => FailureEnd::LeftOut,
            OnFailure::Seek => FailureEnd::SoughtBack,
            OnFailure::SendOn { .. } => FailureEnd::SentOn,
            OnFailure::Die => FailureEnd::Died,
            OnFailure::Close => FailureEnd::Closed,
        };
        environment.note(Note::Client(ClientNote::ProcessingFailed {
            partition: next.partition,
            offset: next.from,
            batch: next.batch,
            number: next.first,
            end,
        }));
        match end {
            FailureEnd::TriedAgain => self.takes(failures.pause(), Work::BackingOff, environment),
            FailureEnd::LeftOut => {
                self.leaves_commit_out |= failures.then == OnFailure::Continue;
                self.done_with(next, 1);
                self.next_record()
            }
            FailureEnd::SoughtBack => {
                self.seek_back(next.partition, next.from, environment);
                self.takes(failures.pause(), Work::Pausing, environment)
            }
            FailureEnd::SentOn => self.send_on(next, environment),
            FailureEnd::Died => {
                environment.note(Note::Client(ClientNote::Exited("RuntimeException")));
                environment.exit();
                Flow::Waits
            }
            FailureEnd::Closed => {
                self.ends_by("RuntimeException", environment);
                self.again(environment);
                Flow::Calls
            }
        }
    }

    fn send_on(&mut self, next: Handed, environment: &mut impl Environment) -> Flow {
        let record = self.record(next, environment);
        let letters = self.letters.as_mut().expect("it has a producer");
        let number = letters.send(record, environment);
        let then = self.specification.application.failures.then;
        if then == (OnFailure::SendOn { waits: true }) {
            return self.takes(Duration::FOREVER, Work::Sending(number), environment);
        }
        self.done_with(next, 1);
        self.next_record()
    }

    /// Something happened to the producer while the application waits for a send.
    fn sent(&mut self, number: u32, environment: &mut impl Environment) -> Flow {
        let letters = self.letters.as_mut().expect("it has a producer");
        match letters.outcome(number) {
            None => Flow::Waits,
            Some(true) => {
                self.done_with(self.at_hand(), 1);
                self.next_record()
            }
            // Nobody has the record: it is as before.
            Some(false) => {
                let pause = self.specification.application.failures.pause();
                self.takes(pause, Work::BackingOff, environment)
            }
        }
    }

    /// The next poll returns this record again; what the last one returned behind it is dropped.
    fn seek_back(&mut self, partition: PartitionId, offset: Offset, environment: &mut impl Environment) {
        let to = CommittedOffset {
            offset,
            leader_epoch: None,
        };
        self.client.seek(partition, to);
        tell_seek(partition, offset, environment);
        self.polled.drop_partition(partition);
        if let Some((_, end)) = self.ends.iter_mut().find(|(one, _)| *one == partition) {
            *end = to;
        }
    }

    /// All records of the poll are dealt with.
    fn end_of_poll(&mut self, environment: &mut impl Environment) {
        let commit = self.specification.application.commit;
        let commits = self.is_commit_due() && !self.ends.is_empty();
        match commit {
            CommitStyle::After if commits => {
                return self.commit_sync(Doing::CommittingAfter, environment);
            }
            CommitStyle::AfterAsync if commits => {
                if let Err(exception) = self.client.commit_async(&self.ends, environment) {
                    self.throws(exception, environment);
                }
            }
            _ => {}
        }
        self.again(environment);
    }

    /// Whether this is a poll behind which it commits; then `ends` is what it commits.
    fn is_commit_due(&mut self) -> bool {
        let left_out = std::mem::take(&mut self.leaves_commit_out);
        let application = &self.specification.application;
        let every = application.commit_every;
        if !left_out && (every > 1 || application.hears_removals()) {
            self.progress.add(&self.ends);
        }
        if every == 1 {
            return !left_out;
        }
        let due = self.progress.counts(every) && !left_out && self.progress.is_new();
        if due {
            self.ends = self
                .progress
                .consumed(|partition| self.client.position(partition));
        }
        due
    }

    fn at_hand(&self) -> Handed {
        self.polled.next().expect("a record is worked on")
    }

    fn record(&self, next: Handed, environment: &mut impl Environment) -> Record {
        environment.contents().records(next.batch.records)[next.first as usize]
    }

    /// The next `count` records of a batch are done with.
    fn tell_processed(&mut self, next: Handed, count: u32, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Processed {
            partition: next.partition,
            from: next.from,
            batch: next.batch,
            first: next.first,
            count,
        }));
        self.done_with(next, count);
    }
}

/// Draws a length for a record: uniform in least ..= most.
fn draw_span(
    least: Duration,
    most: Duration,
    site: ktrial_sim::Site,
    next: Handed,
    environment: &mut impl Environment,
) -> Duration {
    if most == Duration::ZERO {
        return Duration::ZERO;
    }
    let name = u64::from(next.partition.0) << 40 | next.from.0;
    let spread = most.saturating_sub(least).0 + 1;
    Duration(least.0 + draw(environment, site, name, spread))
}
