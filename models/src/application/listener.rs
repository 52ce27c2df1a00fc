//! The application's `ConsumerRebalanceListener`.
//!
//! | method | what it does |
//! |---|---|
//! | onPartitionsAssigned | a sink with a store of its own, or a fence: goes to where that stands |
//! | onPartitionsRevoked | commitSync of all it is done with, if it is to; `poll` or `close` waits for that |
//! | onPartitionsLost | forgets what it is done with: somebody else may own it by now |
//! | both, above a worker | drops what is in hand of them ([`super::worker`]) |

use super::client::{Callback, ConsumerClient, Positions, Returned};
use super::process::{Process, tell_seek};
use crate::client::Environment;
use crate::consumer::Exception;
use crate::protocol::CommittedOffset;
use crate::specification::{OnRevoked, SinkKind};

#[expect(private_bounds, reason = "clients are this crate's")]
impl<C: ConsumerClient> Process<C> {
    /// The client calls the listener.
    pub(super) fn called_back(&mut self, callback: Callback, environment: &mut impl Environment) {
        self.told.clear();
        self.client.take_told(callback, &mut self.told);
        match callback {
            Callback::Assigned => self.assigned(environment),
            Callback::Revoked | Callback::Lost if self.worker.is_some() => self.partitions_removed(),
            Callback::Revoked if self.specification.application.on_revoked == OnRevoked::Note => {
                self.forget_removed();
            }
            Callback::Revoked => {
                self.add_unfinished_poll();
                self.listening = true;
                self.client.commit_sync(self.progress.done(), environment);
            }
            Callback::Lost => self.forget_removed(),
        }
    }

    /// The commit of onPartitionsRevoked is over, and so is the method.
    pub(super) fn revoked(&mut self, returned: Returned) {
        self.listening = false;
        self.forget_removed();
        let thrown = match returned {
            Ok(true) => None,
            Ok(false) => Some(Exception::TimedOut),
            Err(exception) => Some(exception),
        };
        let uncaught = self.specification.application.on_revoked == OnRevoked::CommitUncaught;
        if let Some(exception) = thrown.filter(|_| uncaught) {
            self.client.listener_threw(exception);
        }
    }

    fn forget_removed(&mut self) {
        for partition in &self.told {
            self.progress.forget(*partition);
        }
    }

    /// What a poll returned of which not all is done with: the consumer is closed in the middle of it.
    fn add_unfinished_poll(&mut self) {
        if self.polled.next().is_none() {
            return;
        }
        let reached = self.ends.iter().map(|(partition, end)| {
            let left = self.polled.first_left(*partition);
            let next = left.map(|offset| CommittedOffset {
                offset,
                leader_epoch: None,
            });
            (*partition, next.unwrap_or(*end))
        });
        let reached: Positions = reached.collect();
        self.progress.add(&reached);
    }

    fn assigned(&mut self, environment: &mut impl Environment) {
        let (group, sink) = (self.specification.group, self.specification.application.sink);
        let Some(sink) = sink else { return };
        let generation = self.client.generation();
        for partition in &self.told {
            let outside = &mut environment.contents().outside;
            let passes = !sink.fenced || outside.pass_fence(group, *partition, generation);
            if passes
                && sink.kind == SinkKind::OwnOffsets
                && let Some(next) = outside.offset(group, *partition)
            {
                self.client.seek(*partition, next);
                tell_seek(*partition, next.offset, environment);
            }
        }
    }
}
