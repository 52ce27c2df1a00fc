//! How the sender's thread comes by a producer id: `Sender.maybeSendAndPollTransactionalRequest`, which goes before
//! records.
//!
//! It waits in `NetworkClientUtils.awaitReady` for the node to ask, and sends nothing else meanwhile; a failed
//! connection, and every attempt after the first, cost a sleep of `retry.backoff.ms` in which not even the network is
//! looked at.

use ktrial_sim::{Duration, Time};

use super::core::{Core, Token};
use super::sender::{Pause, Phase, SENDER, Turn};
use super::transactions::TransactionState;
use crate::client::{Environment, Node, Outcome, is_retriable};
use crate::notes::{ClientNote, Note};
use crate::protocol::{Request, Response};

impl Core {
    /// The part of `runOnce` before records; none: go on to records.
    pub(super) fn run_transactions(&mut self, environment: &mut impl Environment) -> Option<Turn> {
        let transactions = self.transactions.as_mut()?;
        transactions.maybe_resolve_sequences();
        if let TransactionState::Fatal(error) = transactions.state {
            self.abort_batches(error, environment);
            return Some(self.select_for_retry_backoff(environment));
        }
        if transactions.maybe_bump(&mut self.accumulator.batches)
            && let Some((producer, epoch)) = transactions.identity()
        {
            environment.note(Note::Client(ClientNote::ProducerId(producer, epoch)));
        }
        if transactions.in_flight {
            return Some(self.select_for_retry_backoff(environment));
        }
        if !transactions.pending {
            return None;
        }
        let now = environment.wall();
        if let Phase::AwaitingNode(node, since) = self.phase {
            return Some(self.await_node(node, since, now, environment));
        }
        let Some(node) = self.network.least_loaded_node(&self.metadata, now, environment) else {
            self.transactions.as_mut()?.pending_is_retry = true;
            return Some(self.select_for_retry_backoff(environment));
        };
        // `NetworkClientUtils.isReady` polls first, and that asks for metadata: by a connection of its own, if need be.
        self.network
            .before_select(Some(Duration::ZERO), &mut self.metadata, now, environment);
        if self.network.ready(node, &mut self.metadata, now, environment) {
            return Some(self.reached(node, environment));
        }
        Some(self.await_node(node, now, now, environment))
    }

    pub(super) fn select_for_retry_backoff(&mut self, environment: &mut impl Environment) -> Turn {
        Turn::Select {
            pause: Pause::until(Some(self.settings.retry_backoff_ms)),
            moved: true,
            now: environment.wall(),
        }
    }

    /// A turn of `NetworkClientUtils.awaitReady`.
    fn await_node(&mut self, node: Node, since: Time, now: Time, environment: &mut impl Environment) -> Turn {
        if self.network.is_ready(node, &mut self.metadata, now) {
            return self.reached(node, environment);
        }
        let waited = now.since(since);
        if waited >= self.settings.request_timeout_ms || self.network.connection_failed(node) {
            if let Some(transactions) = &mut self.transactions {
                transactions.pending_is_retry = true;
            }
            return self.sleep(None, environment);
        }
        self.phase = Phase::AwaitingNode(node, since);
        let left = self.settings.request_timeout_ms.saturating_sub(waited);
        let delay = self
            .network
            .poll_delay(node, now)
            .filter(|delay| *delay > Duration::ZERO);
        Turn::Select {
            pause: Pause::until(Core::earlier(Some(left), delay)),
            moved: true,
            now,
        }
    }

    fn reached(&mut self, node: Node, environment: &mut impl Environment) -> Turn {
        self.phase = Phase::Selecting;
        if self
            .transactions
            .as_ref()
            .is_some_and(|transactions| transactions.pending_is_retry)
        {
            return self.sleep(Some(node), environment);
        }
        self.ask_for_producer_id(node, environment);
        self.select_for_retry_backoff(environment)
    }

    fn sleep(&mut self, then_ask: Option<Node>, environment: &mut impl Environment) -> Turn {
        self.phase = Phase::Sleeping(then_ask);
        self.select_until = Time::NEVER;
        environment.set_timer(SENDER, self.settings.retry_backoff_ms);
        Turn::Busy
    }

    pub(super) fn ask_for_producer_id(&mut self, node: Node, environment: &mut impl Environment) {
        let now = environment.wall();
        self.network.send(
            node,
            Token::InitProducerId,
            Request::InitProducerId,
            true,
            now,
            environment,
        );
        if let Some(transactions) = &mut self.transactions {
            transactions.pending = false;
            transactions.in_flight = true;
        }
    }

    /// InitProducerId has ended.
    pub(super) fn producer_id_answered(&mut self, outcome: Outcome, environment: &mut impl Environment) {
        let transactions = self
            .transactions
            .as_mut()
            .expect("only idempotent producers ask for an id");
        match outcome {
            Outcome::Response(Response::InitProducerId(Ok(identity))) => {
                transactions.initialized(identity);
                environment.note(Note::Client(ClientNote::ProducerId(identity.0, identity.1)));
            }
            Outcome::Response(Response::InitProducerId(Err(error))) => match is_retriable(error) {
                true => transactions.retry(),
                false => transactions.fail("KafkaException"),
            },
            Outcome::Response(other) => panic!("a producer id was asked for, {other:?} came"),
            Outcome::Disconnected | Outcome::TimedOut => transactions.retry(),
            Outcome::Written => unreachable!("an answer is expected"),
        }
    }
}
