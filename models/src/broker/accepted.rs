//! Connections that others opened to this broker, and their end after `connections.max.idle.ms` without a request
//! or an answer (`Selector.IdleExpiryManager`, monotonic).

use ktrial_sim::{ConnectionId, Context, Duration, Time};

use crate::broker::slots;
use crate::kafka::Kafka;

/// See the module.
#[derive(Debug)]
pub struct Accepted {
    /// Each with its last use.
    open: Vec<(ConnectionId, Time)>,
    longest: Option<Duration>,
}

impl Accepted {
    /// None yet. Without `longest` they stay open for ever.
    pub fn new(longest: Option<Duration>) -> Self {
        Accepted {
            open: Vec::new(),
            longest,
        }
    }

    /// Somebody connected.
    pub fn opened(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) {
        self.open.push((connection, context.monotonic()));
        if self.open.len() == 1 {
            self.arm(context);
        }
    }

    /// A connection is gone.
    pub fn closed(&mut self, connection: ConnectionId) {
        self.open.retain(|(open, _)| *open != connection);
    }

    /// A request was read or an answer written.
    #[inline]
    pub fn used(&mut self, connection: ConnectionId, now: Time) {
        if self.longest.is_some()
            && let Some(entry) = self.open.iter_mut().find(|(open, _)| *open == connection)
        {
            entry.1 = now;
        }
    }

    /// The connection that was used least recently may be idle for too long.
    pub fn close_idle(&mut self, context: &mut Context<'_, Kafka>) {
        let (now, longest) = (context.monotonic(), self.longest.unwrap_or(Duration::FOREVER));
        self.open.retain(|(connection, used)| {
            let stays = now.since(*used) < longest;
            if !stays {
                context.close(*connection);
            }
            stays
        });
        self.arm(context);
    }

    /// All of them, to close them.
    pub fn drain(&mut self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.open.drain(..).map(|(connection, _)| connection)
    }

    fn arm(&self, context: &mut Context<'_, Kafka>) {
        let oldest = self.open.iter().map(|(_, used)| *used).min();
        if let (Some(oldest), Some(longest)) = (oldest, self.longest) {
            context.set_timer_at(slots::IDLE, oldest + longest);
        }
    }
}
