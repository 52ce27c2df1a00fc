//! LIV-1 send-resolves, LIV-2 converges-after-heal.

use ktrial_sim::{NodeId, Time};

use super::judges::Judges;
use super::sends::Told;
use super::witness::{Detail, Ground, Place};
use crate::ids::RecordId;
use crate::invariants::Invariant;

impl Judges {
    /// Something made a client's own clock and its progress differ from the trial's time: it was paused or resumed,
    /// its wall clock was moved, its clocks run fast or slow, or all that is over. Its sends get their time anew.
    pub fn disturbed(&mut self, at: Time, client: NodeId) {
        if let Some(client) = self.sends.client_mut(client) {
            client.undisturbed = client.undisturbed.max(at);
        }
    }

    /// LIV-1 of a send that was told of.
    #[inline]
    pub(super) fn resolves_in_time(&mut self, record: RecordId) {
        if self.is_late(record) {
            self.unresolved(record, "it was told after delivery.timeout.ms");
        }
    }

    #[inline]
    fn is_late(&self, record: RecordId) -> bool {
        let (Some(send), Some(client)) = (self.sends.get(record), self.sends.client(record.producer)) else {
            return false;
        };
        self.witnesses.at.since(send.sent.max(client.undisturbed)) > client.patience
    }

    fn unresolved(&mut self, record: RecordId, text: &'static str) {
        let place = Place {
            record: Some(record),
            ..Place::default()
        };
        self.witnesses
            .add(Invariant::SendResolves, place, Ground::Always, Detail::Text(text));
    }

    pub(super) fn finish_liveness(&mut self, converged: bool, pending: usize) {
        let untold = self.sends.iter().filter(|(_, send)| send.told == Told::Nothing);
        let untold: Vec<RecordId> = untold.map(|(record, _)| record).collect();
        for record in untold {
            if self.is_late(record) {
                self.unresolved(record, "it has no outcome although delivery.timeout.ms is over");
            }
        }
        if !converged {
            for number in 0..pending.max(1) {
                let (place, detail) = (Place::default(), Detail::Pending(number));
                self.witnesses
                    .add(Invariant::Converges, place, Ground::Quorum, detail);
            }
        }
    }
}
