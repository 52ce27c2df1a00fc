//! A Java consumer of a group of the consumer protocol (KIP-848): `AsyncKafkaConsumer` with `subscribe`.
//!
//! Two lanes: the application's thread polls, commits, runs the listener and hands records out ([`calls`]); the
//! background thread has the network, the membership and all requests ([`background`]). They share `SubscriptionState`,
//! the fetch buffer and the metadata ([`crate::reader::core`]), and hand events to each other ([`events`]); [`threads`]
//! lets them run. One goes on until it waits, the background first; where it may be the other way round is a named cut.
//!
//! | apart | is |
//! |---|---|
//! | offsets | answered to a fetch; buffered; handed out (the position); processed (the application knows); committed |
//! | assignments | the coordinator's target; what is being reconciled; what is reconciled; what a heartbeat has told |
//! | member epoch | that the background knows; in a request on its way; at the coordinator; that the application saw last |
//! | alive | the background heartbeats whatever the application does; `max.poll.interval.ms` after its last poll it leaves |
//!
//! | timer | clock | starts | ends |
//! |---|---|---|---|
//! | `poll`, commitSync, close | wall | the call | it returns without records, throws, ends without answers |
//! | `max.poll.interval.ms` | wall | a poll | the member leaves; the same for a commit before a reconciliation |
//! | heartbeat | wall | a heartbeat is made | another one is |
//! | `auto.commit.interval.ms` | wall | a commit of that kind, an assignment | the next poll commits |
//! | `retry.backoff.ms` | wall | a request failed | again; doubles with jitter, for each kind of request for itself |
//! | `request.timeout.ms` | wall | a request is made | it is given up, sent or not |
//!
//! The listener runs on the application's thread, and the background waits for it, and for nobody without one; one that
//! commits waits there for the background. Topics are subscribed to by name. What it does not: subscriptions that change, `unsubscribe`, interceptors, `wakeup`, closing fetch sessions on close.

mod background;
mod calls;
mod commits;
mod committed;
mod coordinator;
mod events;
mod heartbeats;
mod membership;
mod network;
mod positions;
mod rebalance_metrics;
mod reconciliation;
mod request_state;
mod requests;
mod threads;
mod waiting_calls;

pub use threads::AsyncConsumer;
