//! When parked requests are looked at: something moved, or their time is up.

use ktrial_sim::Context;

use crate::broker::{Broker, slots};
use crate::ids::PartitionId;
use crate::kafka::Kafka;

impl Broker {
    /// A high watermark moved, or a role changed: whoever waits for it is looked after.
    pub(super) fn complete_delayed(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        self.complete_fetches(id, context);
        self.complete_produce(id, context);
        self.tell_coordinator(id, context);
    }

    pub(super) fn arm_purgatory(&mut self, context: &mut Context<'_, Kafka>) {
        let produce = self.parked_produce.next_deadline();
        let next = match (produce, self.parked_fetches.next_deadline()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if let Some(next) = next
            && self.purgatory_armed.is_none_or(|armed| next < armed)
        {
            self.purgatory_armed = Some(next);
            context.set_timer_at(slots::PURGATORY, next);
        }
    }

    pub(super) fn purgatory_woke(&mut self, context: &mut Context<'_, Kafka>) {
        self.purgatory_armed = None;
        let now = context.monotonic();
        while let Some(work) = self.parked_produce.expire(now) {
            self.expire_produce(work, context);
        }
        while let Some(work) = self.parked_fetches.expire(now) {
            self.expire_fetch(work, context);
        }
        self.arm_purgatory(context);
    }
}
