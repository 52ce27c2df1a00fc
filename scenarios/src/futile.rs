//! Faults that can never do anything: refused, since whoever wrote them expects something of them.

use ktrial_models::config::ConfigError;
use ktrial_sim::Duration;

use crate::fault::{FaultKind, Moment, RandomFaults};
use crate::fault_file::FaultReader;
use crate::file::{FaultFile, RandomFile, Text};
use crate::role::Role;
use crate::script::Action;
use crate::span::Span;

const NO_TIME: &str = "give a length of time, or leave `for` out to take it back when the faults are over";

impl FaultReader<'_> {
    /// An entry of `faults` that begins too late, lasts no time, or changes nothing.
    pub(crate) fn not_futile(
        &self,
        file: &FaultFile,
        entry: &Text,
        moment: &Moment,
        lasting: Option<Span>,
        actions: &[Action],
    ) -> Result<(), ConfigError> {
        let (text, span) = match moment {
            Moment::At(span) => (&file.at, span),
            Moment::On(_, span) => (&file.after, span),
        };
        self.in_time(text.as_ref().unwrap_or(entry), *span)?;
        if let (Some(text), Some(span)) = (&file.lasting, lasting)
            && span.most == Duration::ZERO
            && !actions.iter().any(does_something_at_once)
        {
            return Err(self.places.error(text, "this lasts no time", NO_TIME));
        }
        for action in actions {
            if let Some((message, remedy)) = changes_nothing(action) {
                return Err(self.places.error(entry, message, remedy));
            }
        }
        Ok(())
    }

    /// An entry of `random` that begins too late or lasts no time.
    pub(crate) fn not_futile_at_random(
        &self,
        file: &RandomFile,
        random: &RandomFaults,
    ) -> Result<(), ConfigError> {
        use FaultKind::{Kill, LoseDisk, PowerOff, ResetLink, Stop};
        self.in_time(&file.within, random.within)?;
        let at_once = [Kill, LoseDisk, PowerOff, ResetLink, Stop];
        if random.lasting.most == Duration::ZERO && !random.kinds.iter().any(|kind| at_once.contains(kind)) {
            return Err(self
                .places
                .error(&file.lasting, "these last no time", "give a length of time"));
        }
        Ok(())
    }

    fn in_time(&self, text: &Text, span: Span) -> Result<(), ConfigError> {
        if span.least <= self.duration {
            return Ok(());
        }
        let message = format!(
            "`{}` is after the end: the clients work for {} (`duration`)",
            text.value, self.duration
        );
        let remedy = "give an earlier moment, or a longer `duration`";
        Err(self.places.error(text, message, remedy))
    }
}

/// A process that is started again at once has lost its memory all the same.
fn does_something_at_once(action: &Action) -> bool {
    matches!(
        action,
        Action::Kill(_) | Action::PowerOff { .. } | Action::LoseDisk(_) | Action::Stop(_)
    )
}

fn changes_nothing(action: &Action) -> Option<(String, &'static str)> {
    match action {
        Action::Cut { who, from, .. }
        | Action::Mend { who, from, .. }
        | Action::Reset { who, from }
        | Action::Slow { who, from, .. }
            if who == from && is_one_machine(who) =>
        {
            let message = format!("no link goes from {who} to itself");
            Some((
                message,
                "name others in `from`, or leave it out for everything else",
            ))
        }
        Action::Slow { latency, .. } if latency.0 == Duration::ZERO => {
            Some(("links that are slower by nothing".to_owned(), "give a `latency`"))
        }
        Action::SlowDisk { times: 0 | 1, .. } => Some((
            "a disk as fast as before".to_owned(),
            "give `times` above 1: how many times slower",
        )),
        Action::Stall { by, .. } if by.0 == Duration::ZERO => {
            Some(("a stall of no time".to_owned(), "give a length of time in `by`"))
        }
        _ => None,
    }
}

/// Whether a role means one machine at most, and the same one wherever it stands in an entry.
fn is_one_machine(role: &Role) -> bool {
    matches!(
        role,
        Role::Node(_)
            | Role::LeaderOf(_)
            | Role::FollowerOf(_)
            | Role::ActiveController
            | Role::StandbyController
            | Role::CoordinatorOf(_)
    )
}
