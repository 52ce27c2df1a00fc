//! Promises as a history alone lets them be judged: by its header, its faults and what brokers told.

use super::super::event::Operation;
use super::super::finding::{Invariant, Witness};
use super::super::header::Header;
use super::super::identity::{PartitionId, ProcessId, RecordId};
use super::super::ledger::Ledger;
use super::super::outcome::Outcome;
use super::super::settings::{self, Acks, ProducerSettings, TopicSettings};
use super::committed::{self, Cluster, released};
use super::faults::Faults;
use super::{Promises, Standing};

const AT_LEAST_ONCE: &str = "a group reads again what it had not committed: delivery is at least once";
const UNKNOWN_IS_NOT_FAILED: &str =
    "an error that is no refusal before the append leaves the outcome unknown";
const NOT_IDEMPOTENT: &str = "idempotence is not in force: a retry can be appended twice and overtake";
const FORGOTTEN: &str = "producer.id.expiration.ms is shorter than delivery.timeout.ms: a retry can come to a leader that has forgotten the producer";
const ACKS_0: &str = "acks=0 promises nothing";
const ACKS_1: &str = "acks=1 promises nothing across a change of leader or a loss";
const ENDS_EARLY: &str = "the history ends before delivery.timeout.ms has passed";
const NOT_HEALED: &str = "the history ends with faults in force";
const STOPPED_EARLY: &str = "the application that moves records died";
const NO_GROUP_OFFSETS: &str = "the history holds no offsets committed inside the transactions";

/// What the header and the recorded faults leave standing.
///
/// Coarser than a judge who knows what happened to each copy: where it cannot see, it releases, so that
/// *broken* is said only of what no recorded fault excuses.
pub struct SettingsAndFaults<'l, 'h> {
    ledger: &'l Ledger<'h>,
    producer: ProducerSettings,
    /// By partition: why its committed records need not stay.
    committed: Vec<Option<String>>,
    /// By partition: whether brokers told of one leader only, and none forgot anything.
    one_leader: Vec<bool>,
    /// Why `__transaction_state` need not keep what it committed.
    transaction_state: Option<String>,
    /// Why `__consumer_offsets` need not.
    consumer_offsets: Option<String>,
    /// Any partition's reason: transactions and groups span several.
    anywhere: Option<String>,
    /// By process: the error after which its idempotent producer took a new epoch.
    epoch_bumped: Vec<Option<String>>,
    healed: bool,
    died: Vec<bool>,
    ended: Vec<bool>,
    offsets_in_transactions: bool,
}

impl<'l, 'h> SettingsAndFaults<'l, 'h> {
    /// Works out once what every later question needs.
    pub fn new(ledger: &'l Ledger<'h>) -> Self {
        let history = ledger.history;
        let (names, header) = (&history.names, &history.header);
        let faults = Faults::of(history);
        let cluster = Cluster {
            eligible_leader_replicas: settings::eligible_leader_replicas(header),
            voters_are_known_by_disk: settings::voters_are_known_by_disk(header),
        };
        let (mut reasons, mut one_leader) = (Vec::new(), Vec::new());
        for partition in 0..names.partitions() {
            let partition = PartitionId(partition as u32);
            let states = committed::states(history, partition);
            let (topic, _) = names.partition_parts(partition);
            let topic = TopicSettings::of(header, names.topic_name(topic));
            reasons.push(released(&faults, &topic, &states, cluster));
            let first = states.first().and_then(|(_, state)| state.leader);
            let same = first.is_some() && states.iter().all(|(_, state)| state.leader == first);
            one_leader.push(same && committed::losses(&faults, &topic).is_empty());
        }
        let internal = |factor: &str, minimum: Option<&str>| {
            let topic = internal_topic(header, factor, minimum);
            released(&faults, &topic, &Vec::new(), cluster)
        };
        let transaction_state = internal(
            "transaction.state.log.replication.factor",
            Some("transaction.state.log.min.isr"),
        );
        let mut promises = SettingsAndFaults {
            ledger,
            producer: ledger.producer.clone(),
            anywhere: reasons.iter().flatten().next().cloned(),
            committed: reasons,
            one_leader,
            transaction_state,
            consumer_offsets: internal("offsets.topic.replication.factor", None),
            epoch_bumped: vec![None; names.processes()],
            healed: faults.healed,
            died: vec![false; names.processes()],
            ended: vec![false; names.processes()],
            offsets_in_transactions: false,
        };
        promises.follow_lives();
        promises
    }

    fn follow_lives(&mut self) {
        for event in self.ledger.history.events() {
            match &event.operation {
                Operation::Died { process, .. } => self.died[process.index()] = true,
                Operation::End { process } => self.ended[process.index()] = true,
                Operation::Start { process, .. } => {
                    self.ended[process.index()] = false;
                }
                Operation::Committed { offsets, .. } if !offsets.is_empty() => {
                    self.offsets_in_transactions = true;
                }
                _ => {}
            }
        }
        let names = &self.ledger.history.names;
        for entry in &self.ledger.entries {
            if let (Some(sent), Some((error, _)), Outcome::Unknown) = (entry.sent, entry.error, entry.outcome)
            {
                self.epoch_bumped[sent.process.index()].get_or_insert_with(|| {
                    let (process, error) = (names.process_name(sent.process), names.error_name(error));
                    format!(
                        "a batch of {process} failed with {error}: its producer may have taken a new epoch"
                    )
                });
            }
        }
    }

    /// C*: what was committed stays.
    fn committed_stays(&self, partition: Option<PartitionId>) -> Standing<'_> {
        let reason = match partition {
            Some(partition) => &self.committed[partition.index()],
            None => &self.anywhere,
        };
        standing(reason)
    }

    /// D*: what was acknowledged survives.
    fn acknowledged_survives(&self, partition: Option<PartitionId>) -> Standing<'_> {
        let one_leader = partition.is_some_and(|partition| self.one_leader[partition.index()]);
        match (self.committed_stays(partition), self.producer.acks) {
            (_, Acks::None) => Standing::Released(ACKS_0),
            (_, Acks::Leader) if !one_leader => Standing::Released(ACKS_1),
            (committed, _) => committed,
        }
    }

    /// I*: a record is appended once, in the order of the sends.
    fn appended_once(&self, partition: Option<PartitionId>, process: Option<ProcessId>) -> Standing<'_> {
        if !self.producer.idempotent {
            return Standing::Released(NOT_IDEMPOTENT);
        }
        // TransactionLogConfig's own words on producer.id.expiration.ms.
        if self.producer.remembered < self.producer.delivery_timeout {
            return Standing::Released(FORGOTTEN);
        }
        match process.and_then(|process| self.epoch_bumped[process.index()].as_deref()) {
            Some(reason) => Standing::Released(reason),
            // What a broker knows of sequences it knows from the log, and forgets with it.
            None => self.committed_stays(partition),
        }
    }

    /// ORD-2 stands with idempotence, and where nothing can be overtaken: one request in flight or no
    /// retries, as long as the record's own attempts were all answered and it landed once.
    fn order_kept(&self, witness: &Witness) -> Standing<'_> {
        if self.producer.idempotent || !(self.producer.one_in_flight || self.producer.one_attempt) {
            return self.appended_once(witness.partition, witness.process);
        }
        let settled = |record: Option<RecordId>| {
            let entry = record.map(|record| self.ledger.entry(self.ledger.slot(record)));
            entry.is_some_and(|entry| entry.copies <= 1 && entry.outcome == Outcome::Acknowledged)
        };
        match settled(witness.record) && settled(witness.other) {
            true => self.acknowledged_survives(witness.partition),
            false => Standing::Released(NOT_IDEMPOTENT),
        }
    }

    /// T*: transactions are atomic.
    fn atomic(&self, partition: Option<PartitionId>) -> Standing<'_> {
        match standing(&self.transaction_state) {
            Standing::Promised => self.committed_stays(partition),
            released => released,
        }
    }

    fn consumed_once(&self) -> Standing<'_> {
        if !self.offsets_in_transactions {
            return Standing::Released(NO_GROUP_OFFSETS);
        }
        if !settings::consumers_read_committed(&self.ledger.history.header) {
            return Standing::Released("the application reads uncommitted records");
        }
        match standing(&self.consumer_offsets) {
            Standing::Promised => self.atomic(None),
            released => released,
        }
    }

    fn resolves(&self, witness: &Witness) -> Standing<'_> {
        let history = self.ledger.history;
        let ended = witness.process.is_some_and(|process| self.ended[process.index()]);
        let waited = witness.time.map(|sent| history.last_time().since(sent));
        match waited {
            _ if ended => Standing::Promised,
            Some(waited) if waited > self.producer.delivery_timeout => Standing::Promised,
            _ => Standing::Released(ENDS_EARLY),
        }
    }
}

fn standing(reason: &Option<String>) -> Standing<'_> {
    reason.as_deref().map_or(Standing::Promised, Standing::Released)
}

/// An internal topic's settings, of which no states are recorded.
fn internal_topic(header: &Header, factor: &str, minimum: Option<&str>) -> TopicSettings {
    let given = |name: &str| header.broker.get(name).and_then(|text| text.parse().ok());
    let cluster = TopicSettings::of(header, "");
    TopicSettings {
        replication_factor: Some(given(factor).unwrap_or(3)),
        min_insync_replicas: match minimum {
            Some(minimum) => given(minimum).unwrap_or(2),
            None => cluster.min_insync_replicas,
        },
        ..cluster
    }
}

impl Promises for SettingsAndFaults<'_, '_> {
    fn standing(&self, invariant: Invariant, witness: &Witness) -> Standing<'_> {
        let partition = witness.partition;
        match invariant {
            Invariant::LostWrite => self.acknowledged_survives(partition),
            Invariant::InconsistentOffset if witness.read => self.committed_stays(partition),
            Invariant::InconsistentOffset => self.acknowledged_survives(partition),
            Invariant::ReadThenGone => self.committed_stays(partition),
            Invariant::FailedWriteVisible => Standing::Promised,
            Invariant::Duplicate => self.appended_once(partition, witness.process),
            Invariant::NonmonotonicSend => self.order_kept(witness),
            // A log that shrank lets a position fall out of range, and the consumer resets it.
            Invariant::NonmonotonicPoll | Invariant::PollSkip => self.committed_stays(partition),
            Invariant::ReadTwice => Standing::Released(AT_LEAST_ONCE),
            Invariant::ErrorButInTheLog => Standing::Released(UNKNOWN_IS_NOT_FAILED),
            Invariant::SendResolves => self.resolves(witness),
            Invariant::FinalUnreadable if !self.healed => Standing::Released(NOT_HEALED),
            Invariant::FinalUnreadable => self.committed_stays(partition),
            Invariant::AbortedRead | Invariant::TornTransaction => self.atomic(partition),
            Invariant::InputWithoutOutput if self.died.iter().any(|died| *died) => {
                Standing::Released(STOPPED_EARLY)
            }
            Invariant::InputWithoutOutput | Invariant::InputCountedTwice => self.consumed_once(),
        }
    }
}
