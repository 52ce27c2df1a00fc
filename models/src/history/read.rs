//! Reading `ktrial.history/1`: JSON Lines, plain or gzipped.

use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ktrial_sim::Time;
use thiserror::Error;

use super::event::History;
use super::header::{Header, SCHEMA, Schema};
use super::lines;
use super::shapes::Head;

/// Why a history cannot be read, and where: lines count from 1.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The first line is not a header.
    #[error("line 1: no header; the first line of a history is {{\"schema\":\"{SCHEMA}\",...}}")]
    MissingHeader,
    /// The header names a schema that this version does not know.
    #[error("line 1: schema {found:?} is unknown; this version reads {SCHEMA}")]
    UnknownSchema {
        /// What the header says.
        found: String,
    },
    /// A line is no JSON object.
    #[error("line {line}: no JSON object ({problem}); was the file cut short or edited?")]
    NotAnObject {
        /// Which line.
        line: u64,
        /// What the parser says.
        problem: String,
    },
    /// A line is a JSON object, but a field that its op needs is missing or of another kind.
    #[error("line {line}: {problem}")]
    BadEvent {
        /// Which line.
        line: u64,
        /// Which field, and what was expected.
        problem: String,
    },
    /// A line is earlier than the one before.
    #[error("line {line}: time runs backwards, from {before} ns to {time} ns; sort the lines by t")]
    TimeRunsBackwards {
        /// Which line.
        line: u64,
        /// Its time in nanoseconds.
        time: u64,
        /// The time of the line before, in nanoseconds.
        before: u64,
    },
    /// A line is longer than any history's.
    #[error("line {line}: it is longer than {} MiB", longest >> 20)]
    TooLong {
        /// Which line.
        line: u64,
        /// The most bytes that a line may have.
        longest: u64,
    },
    /// The bytes could not be read or decompressed.
    #[error("line {line}: {source}")]
    Unreadable {
        /// The line that was being read.
        line: u64,
        /// What went wrong.
        source: std::io::Error,
    },
}

impl History {
    /// Reads a history, decompressing it if it is gzipped.
    ///
    /// Unknown fields are ignored, and so are unknown ops, which are counted.
    ///
    /// # Errors
    /// Where the bytes are no history, with the line's number.
    pub fn read(source: impl Read) -> Result<History, ReadError> {
        let mut source = BufReader::new(source);
        let start = source
            .fill_buf()
            .map_err(|source| ReadError::Unreadable { line: 1, source })?;
        if start.starts_with(&[0x1f, 0x8b]) {
            read_lines(BufReader::new(MultiGzDecoder::new(source)))
        } else {
            read_lines(source)
        }
    }
}

/// The longest header: settings of a cluster and its clients.
const LONGEST_HEADER: u64 = 4 << 20;
/// The longest line: a final read of some million records.
const LONGEST_LINE: u64 = 256 << 20;

fn read_lines(mut source: impl BufRead) -> Result<History, ReadError> {
    let mut text = Vec::new();
    let mut number = 0;
    let mut next = |text: &mut Vec<u8>, line: u64| {
        text.clear();
        let longest = if line == 1 { LONGEST_HEADER } else { LONGEST_LINE };
        let read = source.by_ref().take(longest + 1).read_until(b'\n', text);
        match read {
            Ok(read) if read as u64 > longest => Err(ReadError::TooLong { line, longest }),
            Ok(read) => Ok(read),
            Err(source) => Err(ReadError::Unreadable { line, source }),
        }
    };
    next(&mut text, 1)?;
    number += 1;
    let mut history = History::new(read_header(&text)?);
    loop {
        if next(&mut text, number + 1)? == 0 {
            return Ok(history);
        }
        number += 1;
        read_event(&mut history, &text, number)?;
    }
}

/// Whether a line starts as an object does: arrays would otherwise pass for structures.
fn starts_an_object(text: &[u8]) -> bool {
    text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

fn read_header(text: &[u8]) -> Result<Header, ReadError> {
    let parsed = starts_an_object(text).then(|| serde_json::from_slice::<Schema>(text).ok());
    let schema = parsed.flatten().and_then(|header| header.schema);
    match schema {
        None => Err(ReadError::MissingHeader),
        Some(found) if found != SCHEMA => Err(ReadError::UnknownSchema { found }),
        Some(_) => serde_json::from_slice(text).map_err(|error| ReadError::BadEvent {
            line: 1,
            problem: error.to_string(),
        }),
    }
}

fn read_event(history: &mut History, text: &[u8], line: u64) -> Result<(), ReadError> {
    let bad = |error: serde_json::Error| match error.classify() {
        serde_json::error::Category::Data => ReadError::BadEvent {
            line,
            problem: error.to_string(),
        },
        _ => ReadError::NotAnObject {
            line,
            problem: error.to_string(),
        },
    };
    if !starts_an_object(text) {
        let problem = "it does not start with {".to_owned();
        return Err(ReadError::NotAnObject { line, problem });
    }
    let head: Head<'_> = serde_json::from_slice(text).map_err(bad)?;
    let before = history.last_time().0;
    if head.t < before {
        return Err(ReadError::TimeRunsBackwards {
            line,
            time: head.t,
            before,
        });
    }
    match lines::operation(history, &head.op.0, text).map_err(bad)? {
        Some(operation) => history.push(Time(head.t), operation),
        None => {
            let op = head.op.0.chars().take(40).collect();
            *history.unknown_ops.entry(op).or_insert(0) += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::history::{Operation, RecordId};

    const HEADER: &str = r#"{"schema":"ktrial.history/1","source":"kafka 4.3.1"}"#;

    fn problem(text: &str) -> String {
        History::read(text.as_bytes())
            .expect_err("it is no history")
            .to_string()
    }

    #[test]
    fn a_missing_header_is_told_with_what_belongs_there() {
        let told = problem("");
        assert!(told.starts_with("line 1: no header"), "{told}");
        let told = problem(r#"{"t":1,"op":"end","process":"p1"}"#);
        assert!(told.starts_with("line 1: no header"), "{told}");
    }

    #[test]
    fn an_unknown_schema_is_named() {
        let told = problem(r#"{"schema":"ktrial.history/2"}"#);
        assert_eq!(
            told,
            r#"line 1: schema "ktrial.history/2" is unknown; this version reads ktrial.history/1"#
        );
    }

    #[test]
    fn a_line_that_is_no_object_is_refused_with_its_number() {
        for line in [r#"{"t":1,"op":"en"#, "", "[1]", "7", "\u{feff}{}"] {
            let told = problem(&format!(
                "{HEADER}\n{{\"t\":1,\"op\":\"end\",\"process\":\"p1\"}}\n{line}\n"
            ));
            assert!(told.starts_with("line 3: no JSON object"), "{line}: {told}");
        }
    }

    #[test]
    fn a_field_of_the_wrong_kind_is_refused_with_the_line_and_the_field() {
        let told = problem(&format!(
            "{HEADER}\n{{\"t\":1,\"op\":\"send\",\"process\":\"p1\",\"topic\":\"t\"}}\n"
        ));
        assert!(told.starts_with("line 2: missing field `id`"), "{told}");
        let told = problem(&format!(
            "{HEADER}\n{{\"t\":1,\"op\":\"ok\",\"id\":\"a\",\"partition\":0,\"offset\":-2}}"
        ));
        assert!(told.starts_with("line 2: offset -2"), "{told}");
        let told = problem(&format!(
            "{HEADER}\n{{\"t\":-1,\"op\":\"end\",\"process\":\"p1\"}}"
        ));
        assert!(told.starts_with("line 2: invalid value"), "{told}");
    }

    #[test]
    fn time_that_runs_backwards_is_refused_with_the_line() {
        let text = format!(
            "{HEADER}\n{{\"t\":5,\"op\":\"end\",\"process\":\"a\"}}\n{{\"t\":4,\"op\":\"end\",\"process\":\"b\"}}\n"
        );
        assert!(problem(&text).starts_with("line 3: time runs backwards, from 5 ns to 4 ns"));
    }

    #[test]
    fn unknown_ops_and_fields_are_ignored() {
        let text = format!(
            "{HEADER}\n{{\"t\":1,\"op\":\"later\",\"deep\":[[1],{{}}]}}\n{{\"more\":null,\"t\":2,\"op\":\"end\",\"process\":\"a\"}}"
        );
        let history = History::read(text.as_bytes()).expect("a history");
        assert_eq!(history.events().len(), 1);
    }

    #[test]
    fn a_gzipped_history_is_read_and_one_that_breaks_off_is_refused() {
        let text = format!(
            "{HEADER}\n{{\"t\":1,\"op\":\"send\",\"process\":\"p\",\"id\":\"p-3\",\"topic\":\"t\"}}\n"
        );
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory takes it");
        let bytes = encoder.finish().expect("memory takes it");
        let history = History::read(bytes.as_slice()).expect("a history");
        let Operation::Send { process, record, .. } = history.events()[0].operation else {
            panic!("a send")
        };
        assert_eq!(record, RecordId::Counted { process, number: 3 });
        let cut = History::read(&bytes[..bytes.len() / 2]).expect_err("it breaks off");
        assert!(cut.to_string().starts_with("line 1:"), "{cut}");
    }

    #[test]
    fn an_empty_topic_name_and_escaped_text_survive() {
        let text = format!(
            "{HEADER}\n{{\"t\":1,\"op\":\"send\",\"process\":\"p\\u0031\",\"id\":\"a\\\"b\",\"topic\":\"\",\"key\":null}}\n"
        );
        let history = History::read(text.as_bytes()).expect("a history");
        let mut written = Vec::new();
        history.write(&mut written).expect("memory takes it");
        let written = String::from_utf8(written).expect("JSON is UTF-8");
        let line = written.lines().nth(1).expect("a line");
        assert_eq!(
            line,
            r#"{"t":1,"op":"send","process":"p1","id":"a\"b","topic":""}"#
        );
    }
}
