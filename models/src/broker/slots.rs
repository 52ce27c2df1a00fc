//! Timers and alarms of a broker, by what they are for.

use ktrial_sim::TimerSlot;

use crate::kafka::{alarm, slot};

/// The next heartbeat or registration (`BrokerLifecycleManager`, monotonic).
pub const COMMUNICATION: TimerSlot = TimerSlot(slot::BROKER);
/// `initial.broker.registration.timeout.ms` (monotonic).
pub const REGISTRATION: TimerSlot = TimerSlot(slot::BROKER + 1);
/// The channel for heartbeats.
pub const HEARTBEAT_CHANNEL: TimerSlot = TimerSlot(slot::BROKER + 2);
/// The channel for AlterPartition.
pub const ALTER_CHANNEL: TimerSlot = TimerSlot(slot::BROKER + 3);
/// AlterPartition again, 50 ms after an error (monotonic).
pub const ALTER_RETRY: TimerSlot = TimerSlot(slot::BROKER + 4);
/// The channel for forwarded requests and producer id blocks.
pub const FORWARD_CHANNEL: TimerSlot = TimerSlot(slot::BROKER + 5);
/// `isr-expiration`, every half `replica.lag.time.max.ms` (monotonic).
pub const ISR_EXPIRATION: TimerSlot = TimerSlot(slot::BROKER + 6);
/// `highwatermark-checkpoint` (monotonic).
pub const HIGH_WATERMARKS: TimerSlot = TimerSlot(slot::BROKER + 7);
/// `kafka-recovery-point-checkpoint` (monotonic).
pub const RECOVERY_POINTS: TimerSlot = TimerSlot(slot::BROKER + 8);
/// `kafka-log-start-offset-checkpoint` (monotonic).
pub const LOG_STARTS: TimerSlot = TimerSlot(slot::BROKER + 9);
/// `kafka-log-flusher` (monotonic).
pub const FLUSHER: TimerSlot = TimerSlot(slot::BROKER + 10);
/// The earliest time-out of a parked request (`SystemTimer`, monotonic).
pub const PURGATORY: TimerSlot = TimerSlot(slot::BROKER + 11);
/// The metadata publisher's lane: lag, recovery of logs, and what is left behind a cut.
pub const PUBLISHER: TimerSlot = TimerSlot(slot::BROKER + 12);
/// Controlled shutdown: five minutes in all.
pub const SHUTDOWN: TimerSlot = TimerSlot(slot::BROKER + 13);
/// The last steps of a stop: flushing, checkpoints.
pub const STOPPING: TimerSlot = TimerSlot(slot::BROKER + 14);
/// `PeriodicProducerExpirationCheck` (monotonic).
pub const PRODUCER_EXPIRATION: TimerSlot = TimerSlot(slot::BROKER + 15);

/// `kafka-log-retention` (monotonic).
pub const RETENTION: TimerSlot = TimerSlot(slot::BROKER + 18);
/// The next connection that may have been idle for too long.
pub const IDLE: TimerSlot = TimerSlot(slot::BROKER + 16);
/// The channel for directories of replicas.
pub const ASSIGNMENTS_CHANNEL: TimerSlot = TimerSlot(slot::BROKER + 30);
/// Directories of replicas are due (`AssignmentsManager`, monotonic).
pub const ASSIGNMENTS: TimerSlot = TimerSlot(slot::BROKER + 31);

/// The next deadline of a coordinator (`SystemTimer`, monotonic).
pub const COORDINATORS: TimerSlot = TimerSlot(slot::BROKER + 17);

/// The timer of replica fetcher `number`.
pub fn fetcher(number: usize) -> TimerSlot {
    TimerSlot(slot::FETCHER + number as u16)
}

/// What an alarm of the broker is for; the low bits say which.
pub const HANDLER: u32 = alarm::BROKER | 1 << 24;
/// A flush by a background task has reached the platter.
pub const FLUSHED: u32 = alarm::BROKER | 2 << 24;
/// A background task writes a partition's epoch file.
pub const EPOCHS: u32 = alarm::BROKER | 4 << 24;
/// The ISR check goes on behind an open cut.
pub const SHRINK: u32 = alarm::BROKER | 5 << 24;
/// A thread of the group coordinator is done with its event.
pub const COORDINATOR: u32 = alarm::BROKER | 6 << 24;
/// The log directory failed; what is left of the process ends.
pub const HALT: u32 = alarm::BROKER | 3 << 24;
/// Which bits name the purpose.
pub const PURPOSE: u32 = 0xff << 24;
