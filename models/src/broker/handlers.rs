//! Request handler threads and the queue before them (`RequestChannel`, `KafkaRequestHandler`), and the network
//! threads before that (`SocketServer.Processor`).
//!
//! | who | may |
//! |---|---|
//! | connection | have one request in hand; the server mutes it until the answer is out |
//! | network thread (`num.network.threads`) | put a request into the queue; if that is full it stands still, its other requests and all answers to its connections with it |
//! | queue (`queued.max.requests`) | hold so many requests, first in first out |
//! | handler (`num.io.threads`) | work on one request at a time |

use std::collections::VecDeque;

use ktrial_sim::ConnectionId;

use crate::protocol::{Correlation, Request, Response};

/// A request that was read from its connection.
#[derive(Debug)]
pub struct Arrived {
    /// Where it came from.
    pub connection: ConnectionId,
    /// Its number there.
    pub correlation: Correlation,
    /// What is asked.
    pub request: Request,
}

/// An answer that a network thread has not written yet.
#[derive(Debug)]
pub struct Unwritten {
    /// Where it goes.
    pub connection: ConnectionId,
    /// To which request.
    pub correlation: Correlation,
    /// The answer; none: only reading goes on (acks=0).
    pub response: Option<Response>,
}

#[derive(Debug, Default)]
struct NetworkThread {
    /// What it stands still with, and what waits unread behind that.
    blocked: VecDeque<Arrived>,
    unwritten: Vec<Unwritten>,
}

/// See the module.
#[derive(Debug)]
pub struct Handlers {
    idle: Vec<u16>,
    queue: VecDeque<Arrived>,
    limit: usize,
    threads: Vec<NetworkThread>,
    blocked: usize,
}

impl Handlers {
    /// `handlers` of them, a queue of `limit`, and so many network threads.
    pub fn new(handlers: u32, limit: u32, network_threads: u32) -> Self {
        let mut threads = Vec::new();
        threads.resize_with(network_threads.max(1) as usize, NetworkThread::default);
        Handlers {
            idle: (0..handlers.max(1) as u16).rev().collect(),
            queue: VecDeque::new(),
            limit: limit.max(1) as usize,
            threads,
            blocked: 0,
        }
    }

    /// Requests that wait for a handler (`RequestQueueSize`).
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// A request was read. If a handler is idle it gets the request at once.
    pub fn arrived(&mut self, arrived: Arrived) -> Option<(u16, Arrived)> {
        if let Some(handler) = self.idle.pop() {
            return Some((handler, arrived));
        }
        let thread = self.thread(arrived.connection);
        if self.queue.len() < self.limit && self.threads[thread].blocked.is_empty() {
            self.queue.push_back(arrived);
        } else {
            self.blocked += usize::from(self.threads[thread].blocked.is_empty());
            self.threads[thread].blocked.push_back(arrived);
        }
        None
    }

    /// A handler is done; it gets the next request, if there is one.
    pub fn done(&mut self, handler: u16) -> Option<Arrived> {
        let next = self.queue.pop_front();
        match next {
            Some(_) => self.refill(),
            None => self.idle.push(handler),
        }
        next
    }

    /// The network threads are gone, and with them whatever no handler has begun
    /// (`SocketServer.stopProcessingRequests`).
    pub fn stop_taking(&mut self) {
        self.queue.clear();
        self.blocked = 0;
        for thread in &mut self.threads {
            *thread = NetworkThread::default();
        }
    }

    /// Whether the network thread of a connection stands still, so that its answers cannot be written.
    #[inline]
    pub fn stands_still(&self, connection: ConnectionId) -> bool {
        self.blocked > 0 && !self.threads[self.thread(connection)].blocked.is_empty()
    }

    /// Keeps an answer until its network thread goes on.
    pub fn keep(&mut self, unwritten: Unwritten) {
        let thread = self.thread(unwritten.connection);
        self.threads[thread].unwritten.push(unwritten);
    }

    /// An answer whose network thread goes on again.
    pub fn take_unwritten(&mut self) -> Option<Unwritten> {
        let free = |thread: &&mut NetworkThread| thread.blocked.is_empty() && !thread.unwritten.is_empty();
        let thread = self.threads.iter_mut().find(free)?;
        Some(thread.unwritten.remove(0))
    }

    fn refill(&mut self) {
        if self.blocked == 0 {
            return;
        }
        for thread in &mut self.threads {
            while self.queue.len() < self.limit
                && let Some(arrived) = thread.blocked.pop_front()
            {
                self.queue.push_back(arrived);
                self.blocked -= usize::from(thread.blocked.is_empty());
            }
        }
    }

    /// Acceptors hand connections to the network threads in turn.
    fn thread(&self, connection: ConnectionId) -> usize {
        (connection.0 >> 1) as usize % self.threads.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(connection: u32) -> Arrived {
        Arrived {
            connection: ConnectionId(connection << 1 | 1),
            correlation: Correlation(0),
            request: Request::ApiVersions,
        }
    }

    fn numbers(arrived: Option<Arrived>) -> Option<u32> {
        arrived.map(|arrived| arrived.connection.0 >> 1)
    }

    #[test]
    fn requests_wait_in_line_for_a_handler() {
        let mut handlers = Handlers::new(2, 500, 3);
        assert!(handlers.arrived(arrived(1)).is_some());
        assert!(handlers.arrived(arrived(2)).is_some());
        assert!(handlers.arrived(arrived(3)).is_none());
        assert!(handlers.arrived(arrived(4)).is_none());
        assert_eq!(numbers(handlers.done(0)), Some(3));
        assert_eq!(numbers(handlers.done(1)), Some(4));
        assert_eq!(numbers(handlers.done(0)), None);
        assert!(handlers.arrived(arrived(5)).is_some());
    }

    #[test]
    fn a_full_queue_stops_a_network_thread_with_the_answers_of_its_connections() {
        let mut handlers = Handlers::new(1, 1, 2);
        assert!(handlers.arrived(arrived(1)).is_some());
        assert!(handlers.arrived(arrived(3)).is_none(), "queued");
        assert!(handlers.arrived(arrived(4)).is_none(), "its thread stands still");
        assert!(handlers.stands_still(arrived(2).connection));
        assert!(!handlers.stands_still(arrived(1).connection));
        handlers.keep(Unwritten {
            connection: arrived(2).connection,
            correlation: Correlation(0),
            response: None,
        });
        assert!(handlers.take_unwritten().is_none());
        assert_eq!(numbers(handlers.done(0)), Some(3));
        assert!(!handlers.stands_still(arrived(2).connection));
        assert!(handlers.take_unwritten().is_some());
        assert_eq!(numbers(handlers.done(0)), Some(4));
    }
}
