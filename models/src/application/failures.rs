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

use ktrial_sim::{Chance, Duration, Identity, Site};

use crate::client::Environment;
use crate::ids::{GroupId, RecordId};
use crate::kafka::site;
use crate::specification::Failures;

/// What was drawn for a record.
enum Drawn {
    Poison,
    Failing,
    Sound,
}

impl Failures {
    /// What `record` is, by a uniform number in `0..bound` for whom it is asked for at a site.
    fn drawn(&self, record: RecordId, mut below: impl FnMut(Site, Identity, u64) -> u64) -> Drawn {
        let who = Identity(0, u64::from(record.producer.0) << 32 | u64::from(record.number));
        let mut one_in =
            |site, most: Option<u32>| most.is_some_and(|most| below(site, who, u64::from(most)) == 0);
        if one_in(site::POISON, self.poison) {
            Drawn::Poison
        } else if one_in(site::FAILING, self.failing) {
            Drawn::Failing
        } else {
            Drawn::Sound
        }
    }

    /// Whether processing a record fails this time.
    pub(super) fn fails(&self, group: GroupId, record: RecordId, environment: &mut impl Environment) -> bool {
        match self.drawn(record, |site, who, bound| {
            environment.draw_below(site, who, bound)
        }) {
            Drawn::Poison => true,
            Drawn::Failing => {
                let outside = &mut environment.contents().outside;
                outside.fails_again(group, record, self.times)
            }
            Drawn::Sound => false,
        }
    }

    /// The pause before something is tried again.
    pub(super) fn pause(&self) -> Duration {
        self.backoff
    }

    /// How often processing `record` fails in a group before it is done with; [`None`]: it never is. `insists`: whether
    /// it comes again whenever it is given up where it stands.
    pub(super) fn tries(&self, record: RecordId, insists: bool, chance: &Chance) -> Option<u64> {
        let where_it_stands = u64::from(self.retries) + 1;
        let most = if insists { u64::MAX } else { where_it_stands };
        match self.drawn(record, |site, who, bound| chance.below(site, who, bound)) {
            Drawn::Poison => (!insists).then_some(where_it_stands),
            Drawn::Failing => Some(most.min(u64::from(self.times))),
            Drawn::Sound => Some(0),
        }
    }
}
