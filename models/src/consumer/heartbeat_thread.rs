//! The heartbeat thread (`AbstractCoordinator.HeartbeatThread`, KIP-62).
//!
//! It shares the coordinator's lock and the network with the application's thread: while that waits in a select, it
//! waits too. Where the application's thread keeps the lock over several selects, it waits for all of them: in
//! `ensureCoordinatorReady`, and in `onLeaderElected` until metadata are fresh, which can outlast the session. It works
//! from the answer to JoinGroup on.
//!
//! | timer | clock | starts | fires |
//! |---|---|---|---|
//! | `heartbeat.interval.ms` | wall | a heartbeat is sent | another is sent |
//! | `session.timeout.ms` | wall | an answer, or the coordinator is found | the coordinator is unknown |
//! | `max.poll.interval.ms` | wall | the application polls | the member leaves its group |
//! | `retry.backoff.ms` | monotonic | nothing to do | looks again |

use ktrial_sim::Time;

use super::member::Member;
use crate::client::Environment;
use crate::notes::ClientNote;

impl Member {
    /// From the answer to JoinGroup on.
    pub(super) fn enable_heartbeats(&mut self, environment: &mut impl Environment) {
        if self.thread.started {
            self.thread.enabled = true;
            self.heartbeat.reset_timeouts(environment.wall());
            self.notify();
        }
    }

    /// Whether the thread waits no longer.
    pub(super) fn heartbeat_thread_runs(&self, now: Time) -> bool {
        self.thread.wakes.is_some_and(|wakes| wakes <= now)
    }

    /// Works until it waits again.
    pub(super) fn run_heartbeat_thread(&mut self, environment: &mut impl Environment) {
        loop {
            let thread = &mut self.thread;
            thread.wakes = None;
            if !thread.enabled || thread.failed.is_some() {
                return;
            }
            if self.state.has_not_joined() {
                self.thread.enabled = false;
                return;
            }
            self.poll_now(environment);
            let now = environment.wall();
            if self.known_coordinator(environment).is_none() {
                match self.find {
                    Some(_) => self.find = None,
                    None => _ = self.look_up_coordinator(environment),
                }
                return self.heartbeat_thread_waits(environment);
            } else if self.heartbeat.session_expired(now) {
                self.mark_coordinator_unknown(false);
            } else if self.heartbeat.poll_expired(now) {
                self.tell(ClientNote::PollTimeout, environment);
                self.maybe_leave(environment);
                self.poll_now(environment);
            } else if !self.heartbeat.is_due(now) {
                return self.heartbeat_thread_waits(environment);
            } else {
                self.heartbeat.sent(now);
                self.send_heartbeat(environment);
            }
        }
    }

    fn heartbeat_thread_waits(&mut self, environment: &mut impl Environment) {
        let now = environment.monotonic();
        // Somebody may have notified it meanwhile: that goes by unheard in Java too, because nobody waited.
        self.thread.wakes = Some(now + self.core.client.retry_backoff);
    }
}
