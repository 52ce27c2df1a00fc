//! Both threads of the client, and which of them runs.

use std::sync::Arc;

use ktrial_sim::{Duration, Input, Time, TimerSlot};

use super::background::Background;
use super::calls::{At, Calls, Step, Wait};
use crate::application::{Callback, ConsumerClient, Event, Positions, Woken};
use crate::client::{Environment, SocketEvent};
use crate::consumer::exception::Exception;
use crate::consumer::timer::Timer;
use crate::ids::{GenerationId, MemberEpoch, PartitionId};
use crate::kafka::Kafka;
use crate::protocol::CommittedOffset;
use crate::reader::core::Handed;
use crate::reader::subscription::Position;
use crate::specification::{ClusterSpecification, ConsumerSpecification};

/// The application's thread: its wait ends, or it comes back.
const APPLICATION: TimerSlot = TimerSlot(0);
/// The background's wait ends.
const BACKGROUND: TimerSlot = TimerSlot(1);
const GATHERED: u32 = 1;

/// Turns that do not wait take time all the same; so many in one instant count as this.
const TURNS_IN_AN_INSTANT: u32 = 16;
const TURN_COST: Duration = Duration::micros(100);

/// Where the application's thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Application {
    /// In a call, and it runs.
    Runs,
    /// In a call, where it waits for this, on the monotonic clock at most until then.
    Waits(Wait, Time),
    /// Not in a call of this client until then.
    Away(Time),
}

/// A member of a consumer group with its threads (`AsyncKafkaConsumer`, KIP-848).
#[derive(Debug)]
pub struct AsyncConsumer {
    background: Background,
    calls: Calls,
    application: Application,
    has_member_id: bool,
    gathering: bool,
    instant: (Time, u32),
    /// The timers that are set, for the application's thread and the background's.
    timers: [Option<Time>; 2],
}

impl ConsumerClient for AsyncConsumer {
    fn new(
        cluster: &Arc<ClusterSpecification>,
        specification: &Arc<ConsumerSpecification>,
        now: Time,
    ) -> Self {
        AsyncConsumer {
            background: Background::new(cluster, specification, now),
            calls: Calls::new(now),
            application: Application::Away(Time::ZERO),
            has_member_id: false,
            gathering: false,
            instant: (Time::ZERO, 0),
            timers: [None; 2],
        }
    }

    fn poll(&mut self, timeout: Duration, environment: &mut impl Environment) {
        if !std::mem::replace(&mut self.has_member_id, true) {
            self.background.draw_member_id(environment);
        }
        self.application = Application::Runs;
        self.calls.poll(Timer::new(environment.wall(), timeout));
    }

    fn commit_sync(&mut self, offsets: &Positions, environment: &mut impl Environment) {
        let timeout = self.background.core.settings.default_api_timeout_ms;
        let timer = Timer::new(environment.wall(), timeout);
        self.application = Application::Runs;
        self.calls
            .commit_sync(offsets, timer, &mut self.background, environment);
    }

    fn close(&mut self, timeout: Duration, environment: &mut impl Environment) {
        let timeout = timeout.min(self.background.core.client.request_timeout);
        self.application = Application::Runs;
        self.calls.close(Timer::new(environment.wall(), timeout));
    }

    fn run(&mut self, environment: &mut impl Environment) -> Option<Event> {
        let event = self.run_call(environment);
        self.set_timers(environment);
        event
    }

    fn commit_async(
        &mut self,
        offsets: &Positions,
        environment: &mut impl Environment,
    ) -> Result<(), Exception> {
        self.calls
            .commit_async(offsets, &mut self.background, environment);
        self.background.run(environment);
        Ok(())
    }

    fn take_records(&mut self, records: &mut Vec<Handed>) {
        let handed = self.background.core.handed.as_mut();
        records.append(handed.expect("what is handed out is kept"));
    }

    fn take_told(&mut self, callback: Callback, partitions: &mut Vec<PartitionId>) {
        partitions.append(match callback {
            Callback::Assigned => &mut self.calls.added,
            Callback::Revoked | Callback::Lost => &mut self.calls.removed,
        });
    }

    fn listener_threw(&mut self, exception: Exception) {
        self.calls.listener_threw = Some(exception);
    }

    /// The background does it (`SeekUnvalidatedEvent`), and the application waits for that: it takes no time.
    fn seek(&mut self, partition: PartitionId, to: CommittedOffset) {
        self.background.core.seek(partition, to);
    }

    /// The background does it (`PausePartitionsEvent`), behind what it was told before, and the application waits for
    /// that: it takes no time.
    fn pause(&mut self, partition: PartitionId) {
        self.background.core.set_paused(partition, true);
    }

    /// Likewise (`ResumePartitionsEvent`).
    fn resume(&mut self, partition: PartitionId) {
        self.background.core.set_paused(partition, false);
    }

    fn paused(&self) -> impl Iterator<Item = PartitionId> {
        self.background.core.paused()
    }

    fn generation(&self) -> GenerationId {
        let epoch = self.background.hand_over.known_epoch;
        epoch.map_or(GenerationId::NONE, MemberEpoch::generation)
    }

    fn position(&self, partition: PartitionId) -> Option<CommittedOffset> {
        self.background.core.position(partition).map(Position::to_commit)
    }

    fn assignment(&self) -> impl Iterator<Item = PartitionId> {
        let assigned = self.background.core.assigned.iter();
        assigned.map(|assigned| assigned.partition)
    }

    fn away(&mut self, span: Duration, environment: &mut impl Environment) -> bool {
        if span == Duration::ZERO {
            return false;
        }
        self.background.run(environment);
        self.application = Application::Away(environment.monotonic() + span);
        self.set_timers(environment);
        true
    }

    fn handle(&mut self, input: Input<Kafka>, environment: &mut impl Environment) -> Woken {
        let late = self.is_late(environment.monotonic());
        let gathered = matches!(input, Input::Alarm(GATHERED));
        match SocketEvent::of(input) {
            Ok(event) => self.background.core.inbox.push_back(event),
            Err(Input::Alarm(GATHERED)) => self.gathering = false,
            Err(Input::Timer(APPLICATION)) => self.timers[0] = None,
            Err(Input::Timer(BACKGROUND)) => self.timers[1] = None,
            Err(_) => return Woken::No,
        }
        if late && !self.gathering && !gathered {
            self.gathering = true;
            environment.alarm(GATHERED, Duration::ZERO);
        }
        if self.gathering {
            return Woken::No;
        }
        self.background.run(environment);
        let woken = self.woken(environment.monotonic());
        if woken == Woken::No {
            self.set_timers(environment);
        }
        woken
    }

    fn shut_down(&mut self, environment: &mut impl Environment) {
        self.background.core.shut_down(environment);
    }

    fn is_settled(&self) -> bool {
        self.background.is_settled()
    }
}

impl AsyncConsumer {
    fn run_call(&mut self, environment: &mut impl Environment) -> Option<Event> {
        loop {
            self.background.run(environment);
            if self.woken(environment.monotonic()) != Woken::InCall {
                return None;
            }
            match self.calls.step(&mut self.background, environment) {
                Step::On => self.application = Application::Runs,
                Step::Wait(wait, most) => self.wait(wait, most, environment),
                Step::CallBack(callback) => {
                    self.application = Application::Runs;
                    return Some(Event::CallsBack(callback));
                }
                Step::Return(returned) => {
                    // A commit in a listener returns into the call that has called that.
                    self.application = match self.calls.at {
                        At::Nowhere => Application::Away(Time::NEVER),
                        _ => Application::Runs,
                    };
                    return Some(Event::Returned(returned));
                }
            }
        }
    }

    fn wait(&mut self, wait: Wait, most: Duration, environment: &mut impl Environment) {
        let now = environment.monotonic();
        self.instant = match self.instant {
            (instant, turns) if instant == now => (now, turns + 1),
            _ => (now, 0),
        };
        let most = match self.instant.1 > TURNS_IN_AN_INSTANT {
            true => most.max(TURN_COST),
            false => most,
        };
        self.application = Application::Waits(wait, now + most);
    }

    /// Whether the application's thread goes on, and where.
    fn woken(&self, now: Time) -> Woken {
        match self.application {
            Application::Runs => Woken::InCall,
            Application::Waits(wait, until) if until <= now || wait.is_over(&self.background) => {
                Woken::InCall
            }
            Application::Away(until) if until <= now => Woken::Back,
            _ => Woken::No,
        }
    }

    /// Whether a thread should have run earlier: the process was paused. Then everything that happened meanwhile is
    /// there before either of them goes on.
    fn is_late(&self, now: Time) -> bool {
        let application = match self.application {
            Application::Waits(_, until) | Application::Away(until) => Some(until),
            Application::Runs => None,
        };
        let mut waits = application.into_iter().chain(self.background.wakes_at());
        waits.any(|until| now > until + Duration::millis(1))
    }

    fn set_timers(&mut self, environment: &mut impl Environment) {
        let application = match self.application {
            Application::Waits(_, until) | Application::Away(until) => Some(until),
            Application::Runs => None,
        };
        let wanted = [application, self.background.wakes_at()];
        let now = environment.monotonic();
        for (slot, wanted) in [APPLICATION, BACKGROUND].into_iter().zip(wanted) {
            let set = &mut self.timers[usize::from(slot.0)];
            let wanted = wanted.filter(|until| *until != Time::NEVER);
            if *set == wanted {
                continue;
            }
            *set = wanted;
            match wanted {
                Some(until) => environment.set_timer(slot, until.since(now)),
                None => environment.clear_timer(slot),
            }
        }
    }
}
