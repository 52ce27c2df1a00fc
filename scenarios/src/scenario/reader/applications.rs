//! What applications above consumers do.

use ktrial_models::config::nearest;
use ktrial_models::specification::{
    ApplicationSpecification, CommitStyle, Failures, GivenUp, HandOver, OnFailure, OnRevoked, PauseStyle,
    Sink, SinkKind,
};

use super::Reader;
use crate::consumer_file::{ConductFile, ConsumerFile};
use crate::file::ScenarioFile;
use crate::span::{Span, parse_duration, parse_span};

const COMMITS: [(&str, CommitStyle); 4] = [
    ("auto", CommitStyle::Auto),
    ("before", CommitStyle::Before),
    ("after", CommitStyle::After),
    ("async", CommitStyle::AfterAsync),
];
const ON_FAILURE: [(&str, OnFailure); 8] = [
    ("dead_letter", OnFailure::SendOn { waits: true }),
    ("dead_letter_unacknowledged", OnFailure::SendOn { waits: false }),
    ("retry", OnFailure::Retry),
    ("skip", OnFailure::Skip),
    ("seek", OnFailure::Seek),
    ("continue", OnFailure::Continue),
    ("die", OnFailure::Die),
    ("close", OnFailure::Close),
];
const ON_REVOKED: [(&str, OnRevoked); 4] = [
    ("nothing", OnRevoked::Nothing),
    ("note", OnRevoked::Note),
    ("commit", OnRevoked::Commit),
    ("commit_uncaught", OnRevoked::CommitUncaught),
];
const SINKS: [(&str, SinkKind); 5] = [
    ("plain", SinkKind::Plain),
    ("insert", SinkKind::Insert),
    ("upsert", SinkKind::Upsert),
    ("versioned", SinkKind::Versioned),
    ("own_offsets", SinkKind::OwnOffsets),
];
const PAUSES: [(&str, PauseStyle); 3] = [
    ("each_poll", PauseStyle::EachPoll),
    ("once", PauseStyle::Once),
    ("never", PauseStyle::Never),
];
const GIVEN_UP: [(&str, GivenUp); 2] = [("drop", GivenUp::Drop), ("finish", GivenUp::Finish)];

impl ScenarioFile {
    /// What consumers do otherwise in the wanted arm.
    pub(super) fn conduct(&self, arm: Option<&str>) -> ConductFile {
        let arm = arm.and_then(|arm| self.arms.get(arm));
        arm.map_or_else(ConductFile::default, |arm| arm.value.consumers.clone())
    }
}

impl Reader {
    /// The application above consumers that do this.
    pub(super) fn application(
        &mut self,
        file: &ConductFile,
        declared: &ConsumerFile,
    ) -> ApplicationSpecification {
        let default = ApplicationSpecification::default();
        let commit = self.read(&file.commit, default.commit, |text| one_of(text, &COMMITS));
        let on_revoked = self.read(&file.on_revoked, default.on_revoked, |text| {
            one_of(text, &ON_REVOKED)
        });
        let sink = file.sink.is_some().then(|| {
            let applying = self.read(
                &file.applying,
                Span::exactly(ktrial_sim::Duration::ZERO),
                parse_span,
            );
            Sink {
                kind: self.read(&file.sink, SinkKind::Plain, |text| one_of(text, &SINKS)),
                applying: (applying.least, applying.most),
                fenced: file.fenced.as_ref().is_some_and(|fenced| fenced.value),
            }
        });
        if sink.is_none() {
            if let Some(applying) = &file.applying {
                self.refuse(applying, "nothing is applied", "name a `sink`");
            }
            if let Some(fenced) = &file.fenced {
                self.refuse(fenced, "there is no sink to be fenced", "name a `sink`");
            }
        }
        if let Some(text) = &file.sink
            && sink.is_some_and(|sink| sink.kind == SinkKind::OwnOffsets)
            && (commit != CommitStyle::Auto || !matches!(on_revoked, OnRevoked::Nothing | OnRevoked::Note))
        {
            let remedy = "leave `commit` and `on_revoked` out, and set enable.auto.commit to false";
            self.refuse(
                text,
                "an application with offsets of its own does not commit",
                remedy,
            );
        }
        let processing = self.read(&file.processing, Span::exactly(default.processing.0), parse_span);
        let failures = self.failures(file, declared);
        let hand_over = self.hand_over(file);
        if hand_over.is_some() {
            self.only_the_polling_thread(file, commit, failures);
        }
        ApplicationSpecification {
            hand_over,
            poll_timeout: self.read(&file.poll, default.poll_timeout, parse_duration),
            processing: (processing.least, processing.most),
            commit,
            commit_every: self.commit_every(file, commit),
            on_revoked,
            delay: self.read(&file.delay, default.delay, parse_duration),
            failures,
            sink,
            restart: file
                .restart
                .as_ref()
                .map(|_| self.read(&file.restart, default.delay, parse_duration)),
        }
    }

    fn commit_every(&mut self, file: &ConductFile, commit: CommitStyle) -> u32 {
        let Some(every) = &file.commit_every else {
            return ApplicationSpecification::default().commit_every;
        };
        if every.value == 0 {
            self.refuse(
                every,
                "there is no 0th poll",
                "give 1 to commit behind each poll, or more",
            );
        }
        if !matches!(commit, CommitStyle::After | CommitStyle::AfterAsync) {
            let message = "the application does not commit behind polls";
            self.refuse(
                every,
                message,
                "say how it does: `commit: after` or `commit: async`",
            );
        }
        every.value.max(1)
    }

    /// Whether a worker thread works beside the one that polls.
    fn hand_over(&mut self, file: &ConductFile) -> Option<HandOver> {
        let pause = self.read(&file.pause, PauseStyle::EachPoll, |text| one_of(text, &PAUSES));
        let given_up = self.read(&file.given_up, GivenUp::Drop, |text| one_of(text, &GIVEN_UP));
        let Some(buffer) = &file.buffer else {
            for key in [&file.pause, &file.given_up].into_iter().flatten() {
                self.refuse(
                    key,
                    "no worker has records in hand",
                    "say from how many on it is full: `buffer: 500`",
                );
            }
            return None;
        };
        (buffer.value > 0).then_some(HandOver {
            buffer: buffer.value,
            pause,
            given_up,
        })
    }

    /// Refuses what only a thread may do that has the consumer to itself (`KafkaConsumer` is for one thread).
    fn only_the_polling_thread(&mut self, file: &ConductFile, commit: CommitStyle, failures: Failures) {
        let calls = matches!(
            failures.then,
            OnFailure::Seek | OnFailure::Continue | OnFailure::Close
        );
        if let Some(text) = file.on_failure.as_ref().filter(|_| calls) {
            let message = format!("`{}` is not the worker's to do: it has no consumer", text.value);
            self.refuse(
                text,
                message,
                "leave `buffer` out, or say `retry`, `skip`, `dead_letter` or `die`",
            );
        }
        if let Some(text) = file.commit.as_ref().filter(|_| commit == CommitStyle::Before) {
            let remedy = "say `after`, `async` or `auto`, or leave `buffer` out";
            self.refuse(
                text,
                "with a worker, what polls returned is not committed before it is handed over",
                remedy,
            );
        }
        if let Some(text) = &file.on_revoked {
            let message = "with a worker, the listener is told by `given_up` what to do";
            self.refuse(text, message, "leave `buffer` out, or `on_revoked`");
        }
        if let Some(every) = &file.commit_every {
            let message = "what a worker has finished with is committed behind the next poll";
            self.refuse(every, message, "leave `buffer` out, or `commit_every`");
        }
        if let Some(fenced) = file.fenced.as_ref().filter(|fenced| fenced.value) {
            let message = "the worker cannot ask the consumer for its generation";
            self.refuse(fenced, message, "leave `buffer` out, or `fenced`");
        }
    }

    fn failures(&mut self, file: &ConductFile, declared: &ConsumerFile) -> Failures {
        let default = Failures::default();
        let (failing, times) = self.read(&file.failing, (0, 0), passing_failures);
        let failures = Failures {
            poison: self.read(&file.poison, None, |text| one_in(text).map(Some)),
            failing: file.failing.as_ref().map(|_| failing.max(1)),
            times,
            retries: file.retries.unwrap_or(default.retries),
            backoff: self.read(&file.backoff, default.backoff, parse_duration),
            then: self.read(&file.on_failure, default.then, |text| one_of(text, &ON_FAILURE)),
        };
        if let Some(on_failure) = &file.on_failure
            && !failures.any()
        {
            self.refuse(
                on_failure,
                "no record fails",
                "say which do: `poison: 1 in 1000` or `failing: 1 in 100 for 2 tries`",
            );
        }
        if let Some(on_failure) = &file.on_failure
            && matches!(failures.then, OnFailure::SendOn { .. })
            && declared.dead_letter.is_none()
        {
            self.refuse(on_failure, "to which topic?", "name it: `dead_letter: TOPIC`");
        }
        failures
    }
}

pub(super) fn one_of<T: Copy>(text: &str, known: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names = || known.iter().map(|(name, _)| *name);
    let hint = nearest(text, names()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    let names = names().collect::<Vec<_>>().join(", ");
    Err(format!("`{text}`: expected one of {names}{hint}"))
}

/// Reads `1 in 1000`.
fn one_in(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no share: expected 1 in a number, like `1 in 1000`");
    let number = text.trim().strip_prefix("1 in ").ok_or_else(wrong)?;
    number
        .trim()
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(wrong)
}

/// Reads `1 in 100 for 2 tries`.
fn passing_failures(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("`{text}`: expected how many fail and how often, like `1 in 100 for 2 tries`");
    let (share, times) = text.split_once(" for ").ok_or_else(wrong)?;
    let number = times
        .trim()
        .strip_suffix("tries")
        .or_else(|| times.trim().strip_suffix("try"));
    let times = number
        .and_then(|number| number.trim().parse().ok())
        .ok_or_else(wrong)?;
    Ok((one_in(share)?, times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_failing_records_are_read() {
        assert_eq!(one_in("1 in 1000"), Ok(1000));
        assert_eq!(passing_failures("1 in 100 for 2 tries"), Ok((100, 2)));
        assert_eq!(passing_failures("1 in 5 for 1 try"), Ok((5, 1)));
        for wrong in ["1000", "2 in 1000", "1 in 0", "1 in many"] {
            assert!(one_in(wrong).is_err(), "{wrong}");
        }
        for wrong in ["1 in 100", "1 in 100 for ever", "100 for 2 tries"] {
            assert!(passing_failures(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_misspelt_policy_is_answered_with_the_nearest() {
        let message = one_of("sek", &ON_FAILURE).unwrap_err();
        assert!(message.contains("did you mean `seek`?"), "{message}");
    }
}
