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

use ktrial_sim::{Duration, Identity};

use crate::client::Environment;
use crate::ids::{GroupId, RecordId};
use crate::kafka::site;
use crate::specification::Failures;

impl Failures {
    /// Whether processing a record fails this time.
    pub(super) fn fails(&self, group: GroupId, record: RecordId, environment: &mut impl Environment) -> bool {
        let who = Identity(0, u64::from(record.producer.0) << 32 | u64::from(record.number));
        let mut drawn = |site, one_in: Option<u32>| {
            one_in.is_some_and(|one_in| environment.draw_below(site, who, u64::from(one_in)) == 0)
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
}
