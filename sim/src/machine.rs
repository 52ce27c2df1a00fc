//! A machine with one process on it: whether it runs, its clocks, its timers, and what waits for it.

use crate::clock::Clock;
use crate::event::EventId;
use crate::time::Time;

/// How a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Without power: packets to it vanish.
    Off,
    /// Powered, but the process does not run: connections to it are refused.
    Down,
    /// The process runs.
    Up,
    /// The process runs but stands still; the machine's network stack does not.
    Paused,
}

/// One timer of a process, in the engine's time.
#[derive(Clone, Copy)]
pub(crate) struct TimerState {
    /// When the timer should run out; never: it is not set.
    pub(crate) deadline: Time,
    /// When the earliest event for it is queued.
    pub(crate) queued: Time,
    /// When a later event for it is queued, if one is known: a timer that is set for long, then for a short time,
    /// then for long again, as clients' timers for answers and pauses are, needs no third one.
    pub(crate) queued_behind: Time,
}

impl TimerState {
    pub(crate) const UNSET: TimerState = TimerState {
        deadline: Time::NEVER,
        queued: Time::NEVER,
        queued_behind: Time::NEVER,
    };
}

pub(crate) struct Machine {
    pub(crate) status: Status,
    /// The process was killed and the machine has not closed its connections yet.
    pub(crate) tearing_down: bool,
    /// How many processes have been started here.
    pub(crate) incarnation: u32,
    pub(crate) clock: Clock,
    pub(crate) timers: Vec<TimerState>,
    /// The events, as words, that found the process paused, and the number of each.
    pub(crate) backlog: Vec<(EventId, u64)>,
    /// One bit a port.
    pub(crate) listening: u32,
    /// When the network card has sent everything handed to it.
    pub(crate) egress_free: Time,
    /// How many bytes a socket takes in that the process has not read.
    pub(crate) receive_buffer: u64,
    /// How many connections this process opened to each node.
    pub(crate) opened: Vec<u32>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Machine {
            status: Status::Down,
            tearing_down: false,
            incarnation: 0,
            clock: Clock::default(),
            timers: Vec::new(),
            backlog: Vec::new(),
            listening: 0,
            egress_free: Time::ZERO,
            receive_buffer: u64::MAX,
            opened: Vec::new(),
        }
    }

    /// As new, for the next trial; memory is kept.
    pub(crate) fn reset(&mut self) {
        let old = std::mem::replace(self, Machine::new());
        (self.timers, self.backlog, self.opened) = (old.timers, old.backlog, old.opened);
        self.timers.clear();
        self.backlog.clear();
        self.opened.clear();
    }

    /// Everything a process loses when it dies.
    pub(crate) fn forget(&mut self) {
        // Events still queued for these timers find them unset.
        for timer in &mut self.timers {
            timer.deadline = Time::NEVER;
        }
        self.backlog.clear();
        self.listening = 0;
        self.receive_buffer = u64::MAX;
        self.opened.clear();
    }

    /// Whether there is a process, running or standing still.
    pub(crate) fn has_process(&self) -> bool {
        matches!(self.status, Status::Up | Status::Paused)
    }
}
