//! LIV-1 send-resolves, LIV-2 converges-after-heal.

use ktrial_sim::{Duration, NodeId, Time};

use super::convergence::Convergence;
use super::judges::Judges;
use super::sends::Told;
use super::witness::{Detail, Ground, Place};
use crate::ids::RecordId;
use crate::invariants::{Exposure, Invariant};

impl Judges {
    /// Something made a client's own clock and its progress differ from the trial's time: it was paused or resumed,
    /// its wall clock is moved, its clocks run fast or slow, or all that is over. Its sends get their time anew. What
    /// they were sent at is a reading of its wall clock: if that was `ahead` and is set back, it shows only so much
    /// later that their time is over.
    pub fn disturbed(&mut self, at: Time, client: NodeId, ahead: Duration) {
        if let Some(client) = self.sends.client_mut(client) {
            client.undisturbed = client.undisturbed.max(at + ahead);
        }
    }

    /// LIV-1 of a send that was told of.
    pub(super) fn resolves_in_time(&mut self, record: RecordId) {
        self.unresolved_if_late(record, "it was told after delivery.timeout.ms");
    }

    fn unresolved_if_late(&mut self, record: RecordId, text: &'static str) {
        let (Some(send), Some(client)) = (self.sends.get(record), self.sends.client(record.producer)) else {
            return;
        };
        let Some(ground) = client.lateness(send, self.witnesses.at) else {
            return;
        };
        let place = Place {
            record: Some(record),
            ..Place::default()
        };
        self.witnesses
            .add(Invariant::SendResolves, place, ground, Detail::Text(text));
    }

    /// Whether a replica stays outside the ISR that holds what it wrote before its broker registered: what its leader
    /// sends begins before its end, and a fetcher gives such a partition up (`UnexpectedAppendOffsetException`).
    fn diverged_before_registering(&self) -> Option<Exposure> {
        let stays_out = self.partitions.iter().any(|partition| {
            let Some(registration) = &partition.registration else {
                return false;
            };
            let mut replicas = registration.replicas.iter();
            replicas.any(|replica| {
                let log = partition.logs.get(usize::from(replica.0));
                !registration.isr.contains(replica) && log.is_some_and(|log| log.led_unregistered.is_some())
            })
        });
        stays_out.then_some(Exposure::LedBeforeRegistering)
    }

    pub(super) fn finish_liveness(&mut self, convergence: Convergence, pending: usize) {
        let untold = self.sends.iter().filter(|(_, send)| send.told == Told::Nothing);
        let untold: Vec<RecordId> = untold.map(|(record, _)| record).collect();
        for record in untold {
            self.unresolved_if_late(record, "it has no outcome although delivery.timeout.ms is over");
        }
        let ground = match convergence {
            Convergence::Missed(settings) => {
                let excuse = settings.or_else(|| self.diverged_before_registering());
                Some(excuse.map_or(Ground::Quorum, Ground::Exposed))
            }
            Convergence::Unread(settings) => {
                let threw = self.reader_threw.then_some(Exposure::ReaderThrew);
                let excuse = self.groups.excuse().or(threw).or(settings);
                Some(excuse.map_or(Ground::Quorum, Ground::Exposed))
            }
            Convergence::Reached | Convergence::TooShort(..) | Convergence::Unpromised => None,
        };
        self.convergence_unjudged = match convergence {
            Convergence::TooShort(heal, needed) => Some(format!(
                "{heal} of healing are less than the {needed} that time-outs, sessions, elections and applications may take; `heal:` gives more"
            )),
            Convergence::Unpromised => Some(
                "an application never gets past a record that fails, and nobody promises that it does"
                    .to_owned(),
            ),
            _ => None,
        };
        if let Some(ground) = ground {
            for number in 0..pending.max(1) {
                let (place, detail) = (Place::default(), Detail::Pending(number));
                self.witnesses.add(Invariant::Converges, place, ground, detail);
            }
        }
    }
}
