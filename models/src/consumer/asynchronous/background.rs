//! The background thread: `ConsumerNetworkThread` and `ApplicationEventProcessor`.
//!
//! Over and over: the application's events in order; each manager says what to send and how long it can wait
//! (coordinator, commits, heartbeats, membership, positions, fetches); the network, where the thread waits; what
//! answers mean. What an AsyncPollEvent does is in two steps: whether a reconciliation starts, and the rest.

use std::collections::VecDeque;
use std::sync::Arc;

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::commits::Commits;
use super::coordinator::Coordinator;
use super::events::{ApplicationEvent, BufferWakeup, HandOver, PollEvent};
use super::heartbeats::Heartbeats;
use super::membership::Membership;
use super::network::Delegate;
use super::positions::Updates;
use super::request_state::Backoffs;
use super::requests::OnItsWay;
use crate::client::{Environment, ExponentialBackoff, draw};
use crate::consumer::commits::{Commit, CommitFor};
use crate::consumer::slots::Slots;
use crate::cuts;
use crate::ids::MemberId;
use crate::kafka::site;
use crate::notes::ClientNote;
use crate::reader::core::Core;
use crate::specification::{ClusterSpecification, ConsumerSpecification};

/// `ConsumerNetworkThread.MAX_POLL_TIMEOUT_MS`.
const LONGEST_SELECT: Duration = Duration::secs(5);
/// Turns that do not wait take time all the same; so many in one instant count as this.
const TURNS_IN_AN_INSTANT: u32 = 16;
const TURN_COST: Duration = Duration::micros(100);

/// Where the thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a select, which ends by itself at this time of the monotonic clock.
    Select(Time),
    /// It has been woken, and has not looked at the application's events until this time of the monotonic clock.
    Woken(Time),
    /// Behind the first step of a poll event, until this time of the monotonic clock.
    Polled(Time),
    Ended,
}

/// Whether the consumer is closing, and until when by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    Wanted(Time),
    Drains(Time),
}

/// The background thread, and what it shares with the application's.
#[derive(Debug)]
pub(super) struct Background {
    pub(super) specification: Arc<ConsumerSpecification>,
    /// `SubscriptionState`, `FetchBuffer`, metadata and connections.
    pub(super) core: Core,
    pub(super) hand_over: HandOver,
    /// Topics by number, in order of their names; none: unsubscribed.
    pub(super) subscription: SmallVec<[u16; 4]>,
    pub(super) coordinator: Coordinator,
    pub(super) commits: Commits,
    pub(super) heartbeats: Heartbeats,
    pub(super) membership: Membership,
    pub(super) updates: Updates,
    pub(super) delegate: Delegate,
    pub(super) backoffs: Backoffs,
    pub(super) requests: Slots<OnItsWay>,
    /// Poll events to be completed with the next requests for records; none: nobody wants records.
    fetches_wanted: Option<SmallVec<[u64; 2]>>,
    draining: VecDeque<ApplicationEvent>,
    place: Place,
    /// `NetworkClient.wakeup`: the next select ends at once.
    woken: bool,
    /// `cachedMaximumTimeToWait`.
    maximum_wait: Duration,
    closing: Closing,
    numbers: u64,
    instant: (Time, u32),
}

impl Background {
    pub(super) fn new(
        cluster: &ClusterSpecification,
        specification: &Arc<ConsumerSpecification>,
        now: Time,
    ) -> Self {
        let settings = &specification.reader.settings;
        let mut core = Core::new(&specification.reader, cluster.mutations);
        core.handed = Some(Vec::new());
        let mut subscription: SmallVec<[u16; 4]> = specification.reader.topics.as_slice().into();
        subscription.sort_by_key(|topic| &cluster.topic(*topic).name);
        let backoff = ExponentialBackoff::new(settings.retry_backoff_ms, settings.retry_backoff_max_ms);
        Background {
            core,
            hand_over: HandOver::default(),
            subscription,
            coordinator: Coordinator::default(),
            commits: Commits::new(&specification.member, now),
            heartbeats: Heartbeats::new(now, specification.member.max_poll_interval_ms),
            membership: Membership::new(),
            updates: Updates::default(),
            delegate: Delegate::default(),
            backoffs: Backoffs::new(backoff),
            requests: Slots::new(),
            fetches_wanted: None,
            draining: VecDeque::new(),
            place: Place::Select(Time::ZERO),
            woken: false,
            maximum_wait: LONGEST_SELECT,
            closing: Closing::No,
            numbers: 0,
            instant: (Time::ZERO, 0),
            specification: Arc::clone(specification),
        }
    }

    /// The client draws its member id (KIP-1082).
    pub(super) fn draw_member_id(&mut self, environment: &mut impl Environment) {
        self.membership.member = MemberId(draw(environment, site::MEMBER_ID, 0, u64::MAX));
        self.tell(ClientNote::IsMember(self.membership.member), environment);
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// `ApplicationEventHandler.add`.
    pub(super) fn add_event(&mut self, event: ApplicationEvent) {
        self.hand_over.to_background.push_back(event);
        self.woken = true;
    }

    /// `maximumTimeToWait`, as the application's thread sees it.
    pub(super) fn maximum_wait(&self) -> Duration {
        self.maximum_wait
    }

    /// `ConsumerNetworkThread.close`, without the wait for its end.
    pub(super) fn end(&mut self, deadline: Time) {
        self.closing = Closing::Wanted(deadline);
        self.woken = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.place == Place::Ended
    }

    /// When the thread goes on by itself, on the monotonic clock.
    pub(super) fn wakes_at(&self) -> Option<Time> {
        match self.place {
            Place::Select(until) | Place::Woken(until) | Place::Polled(until) => Some(until),
            Place::Ended => None,
        }
    }

    /// Whether it waits no longer.
    pub(super) fn can_run(&self, now: Time) -> bool {
        match self.place {
            Place::Select(until) => self.woken || !self.core.inbox.is_empty() || until <= now,
            Place::Woken(until) | Place::Polled(until) => until <= now,
            Place::Ended => false,
        }
    }

    /// Runs until it waits.
    pub(super) fn run(&mut self, environment: &mut impl Environment) {
        while self.can_run(environment.monotonic()) {
            match self.place {
                Place::Ended => return,
                Place::Select(_) => {
                    self.woken = false;
                    self.selected(environment);
                    self.look_at_events(environment);
                }
                Place::Woken(_) => self.drain(environment),
                Place::Polled(_) => self.process_events(environment),
            }
        }
    }

    fn selected(&mut self, environment: &mut impl Environment) {
        let drains = matches!(self.closing, Closing::Drains(_));
        let version = self.core.metadata.version();
        self.after_select(drains, environment);
        self.hand_over.activity += u64::from(self.core.metadata.version() != version);
        let now = environment.wall();
        self.maximum_wait = self.commits.wants(now).min(self.heartbeats_want(now));
        self.reap(now);
    }

    /// `reapExpiredApplicationEvents`: of those that have a deadline.
    fn reap(&mut self, now: Time) {
        if let Some((deadline, done)) = &mut self.hand_over.leave {
            *done |= now >= *deadline;
        }
    }

    fn look_at_events(&mut self, environment: &mut impl Environment) {
        if self.hand_over.to_background.is_empty() {
            return self.drain(environment);
        }
        let who = self.numbers;
        match environment.cut(cuts::CONSUMER_EVENT_TO_BACKGROUND, who) {
            Some(delay) => self.place = Place::Woken(environment.monotonic() + delay),
            None => self.drain(environment),
        }
    }

    /// `runOnce` from its beginning.
    fn drain(&mut self, environment: &mut impl Environment) {
        match self.closing {
            Closing::No => {
                self.draining.append(&mut self.hand_over.to_background);
                self.process_events(environment);
            }
            Closing::Wanted(deadline) => {
                self.last_requests(environment);
                self.closing = Closing::Drains(deadline);
                self.drain_requests(deadline, environment);
            }
            Closing::Drains(deadline) => self.drain_requests(deadline, environment),
        }
    }

    fn process_events(&mut self, environment: &mut impl Environment) {
        while let Some(event) = self.draining.pop_front() {
            if let ApplicationEvent::Poll(poll) = event
                && let Some(delay) = self.check_reconciliation(poll.number, environment)
            {
                self.draining.push_front(ApplicationEvent::Polled(poll));
                self.place = Place::Polled(environment.monotonic() + delay);
                return;
            }
            self.process(event, environment);
        }
        self.select(environment);
    }

    /// The first step of a poll event: how long the other thread goes first, if it does.
    fn check_reconciliation(&mut self, number: u64, environment: &mut impl Environment) -> Option<Duration> {
        self.maybe_reconcile(true, environment);
        if let Some(poll) = self.hand_over.poll_event(number) {
            poll.reconciliation_checked = true;
        }
        environment.cut(cuts::CONSUMER_RECONCILIATION_TO_COMMIT, number)
    }

    /// The second step of a poll event.
    fn polled(&mut self, poll: PollEvent, environment: &mut impl Environment) {
        self.commit_periodically(poll.time, environment);
        self.application_polled(environment);
        self.reset_poll_timer(poll.time, environment);
        self.update_positions(poll.number, poll.deadline, environment);
        if let Some(known) = self.hand_over.poll_event(poll.number) {
            known.positions_validated = true;
        }
    }

    fn process(&mut self, event: ApplicationEvent, environment: &mut impl Environment) {
        match event {
            ApplicationEvent::Poll(poll) | ApplicationEvent::Polled(poll) => self.polled(poll, environment),
            ApplicationEvent::CommitAsync(commit) => {
                self.hand_over.commit_ready = commit.number;
                self.commit_for_application(commit, None, environment);
            }
            ApplicationEvent::CommitSync {
                number,
                offsets,
                deadline,
            } => {
                let by = match offsets {
                    Some(_) => CommitFor::Sync,
                    None => CommitFor::Close,
                };
                let offsets = offsets.unwrap_or_else(|| self.all_consumed());
                self.hand_over.commit_ready = number;
                let commit = Commit { offsets, by, number };
                self.commit_for_application(commit, Some(deadline), environment);
            }
            ApplicationEvent::CreateFetches => self.create_fetches(None),
            ApplicationEvent::ApplyAssignment { all, added } => {
                self.apply_assignment(&all, &added, environment);
            }
            ApplicationEvent::ListenerReturned { purpose, failed } => {
                self.listener_returned(purpose, failed, environment);
            }
            ApplicationEvent::CommitOnClose => self.commits.closing = true,
            ApplicationEvent::StopFindingCoordinator => self.coordinator.closing = true,
            ApplicationEvent::Leave(deadline) => {
                self.hand_over.leave = Some((deadline, false));
                self.leave_on_close(environment);
            }
        }
    }

    /// `FetchRequestManager.createFetchRequests`, for a poll event or ahead of one.
    pub(super) fn create_fetches(&mut self, poll: Option<u64>) {
        let wanted = self.fetches_wanted.get_or_insert_default();
        wanted.extend(poll);
    }

    /// `FetchRequestManager.poll`.
    fn poll_fetches(&mut self, environment: &mut impl Environment) {
        let Some(polls) = self.fetches_wanted.take() else {
            return;
        };
        let before = self.core.unsent().len();
        self.core.send_fetches(environment);
        if self.core.unsent().len() == before && self.hand_over.buffer_wakeup.is_none() {
            self.hand_over.buffer_wakeup = Some(BufferWakeup::NothingToFetch);
        }
        for number in polls {
            if let Some(poll) = self.hand_over.poll_event(number) {
                poll.complete = true;
            }
        }
    }

    /// The managers in their order, and the network up to its select.
    fn select(&mut self, environment: &mut impl Environment) {
        let now = environment.wall();
        let mut wait = LONGEST_SELECT
            .min(self.poll_coordinator(now))
            .min(self.poll_commits(now, environment))
            .min(self.poll_heartbeats(now, environment));
        self.maybe_reconcile(false, environment);
        self.poll_fetches(environment);
        self.add_shared(now);
        wait = self.before_select(wait, environment);
        self.wait(wait, environment);
    }

    fn wait(&mut self, mut wait: Duration, environment: &mut impl Environment) {
        let now = environment.monotonic();
        if self.core.has_unreported_sends() || !self.core.inbox.is_empty() {
            wait = Duration::ZERO;
        }
        self.instant = match self.instant {
            (instant, turns) if instant == now => (now, turns + 1),
            _ => (now, 0),
        };
        if self.instant.1 > TURNS_IN_AN_INSTANT {
            wait = wait.max(TURN_COST);
        }
        self.place = Place::Select(now + wait);
    }

    /// `runAtClose`: a leave that was not sent yet.
    fn last_requests(&mut self, environment: &mut impl Environment) {
        if self.membership.state.is_leaving() {
            self.poll_heartbeats(environment.wall(), environment);
        }
    }

    /// `sendUnsentRequests`.
    fn drain_requests(&mut self, deadline: Time, environment: &mut impl Environment) {
        let now = environment.wall();
        if now >= deadline || !self.has_pending_requests() {
            self.place = Place::Ended;
            return;
        }
        let wait = self.before_select(deadline.since(now), environment);
        self.wait(wait, environment);
    }

    /// Whether it is a member whose assignment is the coordinator's.
    pub(super) fn is_settled(&self) -> bool {
        self.membership.is_settled() && self.closing == Closing::No
    }
}
