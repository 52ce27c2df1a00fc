//! Records whose processing fails, and what the application does about one.
//!
//! | `on_failure` | what happens |
//! |---|---|
//! | retry | again after a pause, for as long as it fails; the thread works on nothing else meanwhile |
//! | skip | the record is left out |
//! | seek | its partition goes back to it; what the poll returned behind it is dropped, and comes again |
//! | continue | the record is left out, and what the poll returned is not committed: "it will come again" |
//! | dead_letter | the record is sent to another topic ([`super::letters`]), waiting for the acknowledgement or not; then the next one |
//! | die | the process exits without closing its client |
//! | close | the exception leaves the loop, and `finally` closes the client, as after any other end of it |
//!
//! Which records fail is drawn for each, whoever tries; copies in other topics count as what they are copies of. How
//! often one has failed counts for each group.

use ktrial_sim::{Chance, Duration, Identity};

use crate::client::Environment;
use crate::ids::{GroupId, RecordId};
use crate::kafka::site;
use crate::specification::{ApplicationSpecification, ConsumerSpecification, Failures, OnFailure};

/// Who is drawn for.
fn identity(record: RecordId) -> Identity {
    Identity(0, u64::from(record.producer.0) << 32 | u64::from(record.number))
}

impl Failures {
    /// Whether processing a record fails this time.
    pub(super) fn fails(&self, group: GroupId, record: RecordId, environment: &mut impl Environment) -> bool {
        let mut drawn = |site, one_in: Option<u32>| {
            one_in
                .is_some_and(|one_in| environment.draw_below(site, identity(record), u64::from(one_in)) == 0)
        };
        if drawn(site::POISON, self.poison) {
            return true;
        }
        drawn(site::FAILING, self.failing)
            && environment
                .contents()
                .outside
                .fails_again(group, record, self.times)
    }

    /// The pause before something is tried again.
    pub(super) fn pause(&self) -> Duration {
        self.backoff
    }

    /// How often processing `record` fails in a group before it is done with; [`None`]: it never is.
    fn tries(&self, record: RecordId, chance: &Chance) -> Option<u64> {
        let drawn = |site, one_in: Option<u32>| {
            one_in.is_some_and(|one_in| chance.below(site, identity(record), u64::from(one_in)) == 0)
        };
        let where_it_stands = u64::from(self.retries) + 1;
        let gives_up = !self.insists();
        if drawn(site::POISON, self.poison) {
            return gives_up.then_some(where_it_stands);
        }
        let times = u64::from(self.times);
        match drawn(site::FAILING, self.failing) {
            true if gives_up => Some(times.min(where_it_stands)),
            true => Some(times),
            false => Some(0),
        }
    }

    /// Whether a record that fails is processed again and again.
    fn insists(&self) -> bool {
        matches!(
            self.then,
            OnFailure::Retry | OnFailure::Seek | OnFailure::Die | OnFailure::Close
        )
    }
}

impl ApplicationSpecification {
    /// Whether a record can be in its way for ever: one that always fails, or that ends it and nobody starts it again.
    pub fn can_get_stuck(&self) -> bool {
        let failures = &self.failures;
        let ends = matches!(failures.then, OnFailure::Die | OnFailure::Close);
        let is_left_dead = ends && self.restart.is_none() && failures.times > failures.retries;
        failures.insists() && (failures.poison.is_some() || failures.failing.is_some() && is_left_dead)
    }
}

impl ConsumerSpecification {
    /// The most that its application may have to work until it is done with all of `records`: they take their time,
    /// are to be old enough, and fail for a while. Records that it never gets past count nothing
    /// ([`ApplicationSpecification::can_get_stuck`]). `start`: how long its process takes to start, at most.
    pub fn work_on(
        &self,
        records: impl Iterator<Item = RecordId>,
        start: Duration,
        chance: &Chance,
    ) -> Duration {
        let (application, failures) = (&self.application, &self.application.failures);
        let (mut processed, mut tries, mut ends) = (0u64, 0u64, 0u64);
        for record in records {
            let failed = failures.tries(record, chance).unwrap_or_default();
            processed += 1;
            tries = tries.saturating_add(failed);
            ends = ends.saturating_add(failed.div_ceil(u64::from(failures.retries) + 1));
        }
        let (processing, polled) = (application.processing.1, self.work_of_a_poll());
        let again = match failures.then {
            OnFailure::Seek => self.reader.settings.fetch_max_wait_ms,
            OnFailure::Die | OnFailure::Close => [
                application.restart.unwrap_or_default(),
                start,
                self.member.session_timeout_ms,
                polled,
            ]
            .into_iter()
            .fold(Duration::ZERO, Duration::saturating_add),
            _ => Duration::ZERO,
        };
        let applying = application.sink.map_or(Duration::ZERO, |sink| sink.applying.1);
        let trying = processing.saturating_add(failures.pause()).saturating_mul(tries);
        // Who tries for too long is put out of its group, and the next one begins with what that poll returned.
        let put_out = trying.0 / self.member.max_poll_interval_ms.0.max(1);
        let begun_again = polled.saturating_add(self.member.session_timeout_ms);
        [
            processing.saturating_add(applying).saturating_mul(processed),
            application.delay,
            trying,
            again.saturating_mul(ends),
            begun_again.saturating_mul(put_out),
        ]
        .into_iter()
        .fold(Duration::ZERO, Duration::saturating_add)
    }
}
