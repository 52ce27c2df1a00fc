//! How long an application may have to work, for those who wait for it.

use ktrial_sim::{Chance, Duration};

use crate::ids::RecordId;
use crate::specification::{CommitStyle, ConsumerSpecification, OnFailure};

/// How long an acknowledgement may take in a cluster that is well.
const ACKNOWLEDGEMENT: Duration = Duration::secs(1);

impl ConsumerSpecification {
    /// How long its application works on what one poll returns before it polls again, if nothing fails.
    pub fn work_of_a_poll(&self) -> Duration {
        if self.application.hand_over.is_some() {
            return Duration::ZERO;
        }
        self.work_on_a_record()
            .saturating_mul(u64::from(self.reader.settings.max_poll_records))
    }

    /// Whether its application never gets past one of `records`, which always fails.
    pub fn gets_stuck(&self, mut records: impl Iterator<Item = RecordId>, chance: &Chance) -> bool {
        let failures = &self.application.failures;
        let insists = self.insists();
        failures.poison.is_some()
            && insists
            && records.any(|record| failures.tries(record, insists, chance).is_none())
    }

    /// The most that its application may have to work until it is done with all of `records`: they take their time,
    /// are to be old enough, and fail for a while. Records that it never gets past count nothing
    /// ([`ConsumerSpecification::gets_stuck`]). `start`: how long its process takes to start, at most.
    pub fn longest_work(
        &self,
        records: impl Iterator<Item = RecordId>,
        start: Duration,
        chance: &Chance,
    ) -> Duration {
        let (application, failures) = (&self.application, &self.application.failures);
        let (mut sent, mut tries, mut given_up) = (0u64, 0u64, 0u64);
        for record in records {
            sent += 1;
            if failures.any() {
                let failed = failures.tries(record, self.insists(), chance).unwrap_or_default();
                tries = tries.saturating_add(failed);
                given_up = given_up.saturating_add(failed / (u64::from(failures.retries) + 1));
            }
        }
        let work = self.work_on_a_record().saturating_mul(sent);
        // Who begins again does so with what was not committed.
        let uncommitted = match application.commit {
            CommitStyle::Auto if !self.member.enable_auto_commit => work,
            CommitStyle::Auto => self
                .work_of_a_poll()
                .saturating_add(self.member.auto_commit_interval_ms),
            _ => self
                .work_of_a_poll()
                .saturating_mul(u64::from(application.commit_every)),
        };
        let begins_again = self
            .member
            .session_timeout_ms
            .saturating_add(uncommitted.min(work));
        let after_it = match failures.then {
            OnFailure::Retry | OnFailure::Skip | OnFailure::Continue => Duration::ZERO,
            OnFailure::Seek => self.reader.settings.fetch_max_wait_ms,
            OnFailure::SendOn { .. } => {
                let linger = self.letters.as_ref().map(|letters| letters.settings.linger_ms);
                let sent = linger.unwrap_or_default().saturating_add(ACKNOWLEDGEMENT);
                match self.takes_its_own_letters() {
                    true => sent.saturating_add(application.delay),
                    false => sent,
                }
            }
            OnFailure::Die | OnFailure::Close => application
                .restart
                .unwrap_or_default()
                .saturating_add(start)
                .saturating_add(begins_again),
        };
        // Behind `seek` there is a pause too; whoever gives a record up in another way goes on at once.
        let pauses = match failures.then {
            OnFailure::Retry | OnFailure::Seek => tries,
            _ => tries - given_up,
        };
        let trying = application
            .processing
            .1
            .saturating_mul(tries)
            .saturating_add(failures.pause().saturating_mul(pauses));
        // Who tries for too long is put out of its group, and the next one begins again.
        let put_out = trying.0 / self.member.max_poll_interval_ms.0.max(1);
        [
            work,
            application.delay,
            trying,
            after_it.saturating_mul(given_up),
            begins_again.saturating_mul(put_out),
        ]
        .into_iter()
        .fold(Duration::ZERO, Duration::saturating_add)
    }

    fn work_on_a_record(&self) -> Duration {
        let application = &self.application;
        let applying = application.sink.map_or(Duration::ZERO, |sink| sink.applying.1);
        application.processing.1.saturating_add(applying)
    }

    /// Whether a record that fails comes again until it does not.
    fn insists(&self) -> bool {
        match self.application.failures.then {
            OnFailure::Retry | OnFailure::Seek | OnFailure::Die | OnFailure::Close => true,
            OnFailure::SendOn { .. } => self.takes_its_own_letters(),
            OnFailure::Skip | OnFailure::Continue => false,
        }
    }

    fn takes_its_own_letters(&self) -> bool {
        let letters = self.letters.as_ref();
        letters.is_some_and(|letters| self.reader.topics.contains(&letters.topic))
    }
}
