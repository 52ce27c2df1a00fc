//! `.properties` files, read exactly as `java.util.Properties.load` reads them from ISO-8859-1 bytes
//! (Kafka's `Utils.loadProps`), and with the place of every key and value.

use std::sync::Arc;

use super::place::Place;
use super::problem::ConfigError;

/// One `key=value` of a file, unescaped, not trimmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value; blanks at its end belong to it, Kafka trims them when it parses.
    pub value: String,
    /// Where the key begins.
    pub key_place: Place,
    /// Where the value begins (the end of the line if it is empty).
    pub value_place: Place,
}

/// A file as written: all its entries in order, also those that a later one replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertiesFile {
    /// The file, as the user named it.
    pub path: Arc<str>,
    /// In the order of the file.
    pub entries: Vec<Entry>,
}

impl PropertiesFile {
    /// The entry that counts for each key: the last one, in the order of those last ones.
    pub fn effective(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .enumerate()
            .filter(|(at, entry)| !self.replaced_later(*at, entry))
            .map(|(_, e)| e)
    }

    /// Entries that a later one with the same key replaces.
    pub fn duplicates(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .enumerate()
            .filter(|(at, entry)| self.replaced_later(*at, entry))
            .map(|(_, e)| e)
    }

    fn replaced_later(&self, at: usize, entry: &Entry) -> bool {
        self.entries[at + 1..].iter().any(|later| later.key == entry.key)
    }
}

/// Reads a file's bytes.
///
/// # Errors
/// A `\u` without four hexadecimal digits (Java throws there too), or one half of a surrogate pair
/// (which Java would keep, but which is no text).
pub fn read(path: &str, bytes: &[u8]) -> Result<PropertiesFile, ConfigError> {
    let mut reader = LineReader {
        bytes,
        at: 0,
        line: 1,
        column: 1,
    };
    let path: Arc<str> = path.into();
    let mut entries = Vec::new();
    while let Some(line) = reader.next_logical_line() {
        entries.push(split(&path, &line)?);
    }
    Ok(PropertiesFile { path, entries })
}

/// A character and where it stood.
#[derive(Clone, Copy)]
struct Glyph {
    byte: u8,
    line: u32,
    column: u32,
}

/// One logical line: natural lines joined where a backslash stood at the end.
struct LogicalLine {
    glyphs: Vec<Glyph>,
    end: (u32, u32),
}

struct LineReader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    column: u32,
}

impl LineReader<'_> {
    /// The next byte; `\r`, `\n` and `\r\n` all arrive as one `\n`.
    fn next(&mut self) -> Option<Glyph> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        let glyph = Glyph {
            byte,
            line: self.line,
            column: self.column,
        };
        if byte == b'\r' || byte == b'\n' {
            if byte == b'\r' && self.bytes.get(self.at) == Some(&b'\n') {
                self.at += 1;
            }
            self.line += 1;
            self.column = 1;
            return Some(Glyph { byte: b'\n', ..glyph });
        }
        self.column += 1;
        Some(glyph)
    }

    /// As `Properties.LineReader.readLine`: without comments, blank lines, and the blanks that begin
    /// each natural line.
    fn next_logical_line(&mut self) -> Option<LogicalLine> {
        let mut glyphs: Vec<Glyph> = Vec::new();
        let mut skip_blanks = true;
        let mut continued = false;
        let mut after_backslash = false;
        while let Some(glyph) = self.next() {
            if skip_blanks {
                if is_blank(glyph.byte) || (!continued && glyph.byte == b'\n') {
                    continue;
                }
                skip_blanks = false;
                continued = false;
            }
            if glyphs.is_empty() && (glyph.byte == b'#' || glyph.byte == b'!') {
                while self.next().is_some_and(|glyph| glyph.byte != b'\n') {}
                skip_blanks = true;
                continue;
            }
            if glyph.byte != b'\n' {
                glyphs.push(glyph);
                after_backslash = glyph.byte == b'\\' && !after_backslash;
            } else if glyphs.is_empty() {
                skip_blanks = true;
            } else if after_backslash {
                glyphs.pop();
                if self.at == self.bytes.len() && !self.bytes.ends_with(b"\r\n") {
                    // Java notices the end of the file before it joins lines: even nothing is an entry.
                    return Some(LogicalLine {
                        glyphs,
                        end: (glyph.line, glyph.column),
                    });
                }
                skip_blanks = true;
                continued = true;
                after_backslash = false;
            } else {
                return Some(LogicalLine {
                    glyphs,
                    end: (glyph.line, glyph.column),
                });
            }
        }
        if after_backslash {
            glyphs.pop();
        }
        let end = (self.line, self.column);
        (!glyphs.is_empty() || after_backslash).then_some(LogicalLine { glyphs, end })
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

/// Key, separator, value: the key ends at the first unescaped `=`, `:` or blank; blanks and one
/// separator more are skipped.
fn split(path: &Arc<str>, line: &LogicalLine) -> Result<Entry, ConfigError> {
    let glyphs = &line.glyphs;
    let mut key_end = glyphs.len();
    let mut value_start = glyphs.len();
    let mut separated = false;
    let mut after_backslash = false;
    for (at, glyph) in glyphs.iter().enumerate() {
        let separator = matches!(glyph.byte, b'=' | b':');
        if !after_backslash && (separator || is_blank(glyph.byte)) {
            key_end = at;
            value_start = at + 1;
            separated = separator;
            break;
        }
        after_backslash = glyph.byte == b'\\' && !after_backslash;
    }
    while let Some(glyph) = glyphs.get(value_start) {
        if !is_blank(glyph.byte) {
            if separated || !matches!(glyph.byte, b'=' | b':') {
                break;
            }
            separated = true;
        }
        value_start += 1;
    }
    let place = |at: usize| {
        let (line, column) = glyphs
            .get(at)
            .map_or(line.end, |glyph| (glyph.line, glyph.column));
        Place {
            path: path.clone(),
            line,
            column,
        }
    };
    Ok(Entry {
        key: unescape(path, &glyphs[..key_end], &place(0))?,
        value: unescape(path, &glyphs[value_start..], &place(value_start))?,
        key_place: place(0),
        value_place: place(value_start),
    })
}

/// As `Properties.loadConvert`.
fn unescape(path: &Arc<str>, glyphs: &[Glyph], start: &Place) -> Result<String, ConfigError> {
    let mut units: Vec<u16> = Vec::with_capacity(glyphs.len());
    let mut at = 0;
    while let Some(glyph) = glyphs.get(at) {
        at += 1;
        if glyph.byte != b'\\' {
            units.push(u16::from(glyph.byte));
            continue;
        }
        let Some(escaped) = glyphs.get(at) else { break };
        at += 1;
        units.push(match escaped.byte {
            b'u' => {
                let unit = glyphs.get(at..at + 4).and_then(hexadecimal).ok_or_else(|| {
                    let place = Place {
                        path: path.clone(),
                        line: glyph.line,
                        column: glyph.column,
                    };
                    ConfigError::at(
                        &place,
                        "\\u without four hexadecimal digits (Java: Malformed \\uxxxx encoding)",
                        "write \\u and four digits such as \\u00e9, or double the backslash for a plain one",
                    )
                })?;
                at += 4;
                unit
            }
            b't' => 0x09,
            b'r' => 0x0d,
            b'n' => 0x0a,
            b'f' => 0x0c,
            byte => u16::from(byte),
        });
    }
    String::from_utf16(&units).map_err(|_| {
        ConfigError::at(
            start,
            "one half of a surrogate pair, which is no character",
            "write characters above \\uffff as a pair such as \\ud83d\\ude00",
        )
    })
}

fn hexadecimal(glyphs: &[Glyph]) -> Option<u16> {
    glyphs.iter().try_fold(0u16, |unit, glyph| {
        let digit = char::from(glyph.byte).to_digit(16)?;
        Some(unit << 4 | digit as u16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let file = read("f", text.as_bytes()).expect("well formed");
        file.entries
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[test]
    fn a_key_ends_at_the_first_unescaped_separator_or_blank() {
        for text in [
            "a=b", "a:b", "a b", "a = b", "a\t:\tb", "  a   b", "a b\r\n", "a=b\r",
        ] {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a==b"), ("a".into(), "=b".into()));
        assert_eq!(one("a\\=b c"), ("a=b".into(), "c".into()));
        assert_eq!(one("a"), ("a".into(), String::new()));
        assert_eq!(one("=b"), (String::new(), "b".into()));
    }

    #[test]
    fn a_hash_after_a_value_belongs_to_the_value() {
        assert_eq!(
            one("min.insync.replicas=2 # two"),
            ("min.insync.replicas".into(), "2 # two".into())
        );
        assert_eq!(
            pairs("  # c\n! c\n\n#c \\\nx=1\n"),
            vec![("x".to_string(), "1".to_string())]
        );
    }

    #[test]
    fn a_backslash_at_the_end_of_a_line_continues_it_without_the_next_lines_blanks() {
        assert_eq!(one("a=b,\\\n   c"), ("a".into(), "b,c".into()));
        assert_eq!(one("a=b\\\\"), ("a".into(), "b\\".into()));
        assert_eq!(one("a=b\\"), ("a".into(), "b".into()));
        assert_eq!(one("a=b\\\r\n # c"), ("a".into(), "b# c".into()));
        assert_eq!(pairs("a=b\\\n\nc=d").len(), 2);
    }

    #[test]
    fn escapes_are_javas() {
        assert_eq!(
            one("a=\\t\\n\\r\\f\\q\\u0041"),
            ("a".into(), "\t\n\r\u{c}qA".into())
        );
        assert_eq!(one("a=\\ud83d\\ude00"), ("a".into(), "\u{1f600}".into()));
    }

    #[test]
    fn bytes_are_latin_1() {
        let file = read("f", b"a=\xe9\xc3\xa9").expect("well formed");
        assert_eq!(file.entries[0].value, "\u{e9}\u{c3}\u{a9}");
    }

    #[test]
    fn a_bad_unicode_escape_is_an_error_at_its_backslash() {
        let error = read("server.properties", b"x=1\nname=ab\\u12g4").expect_err("bad escape");
        assert_eq!(
            error.to_string().split(": ").next(),
            Some("server.properties:2:8")
        );
        assert!(read("f", b"a=\\u12").is_err());
        assert!(read("f", b"a\\u12=345").is_err());
        assert!(read("f", b"a=\\ud83d").is_err());
    }

    #[test]
    fn places_are_of_the_natural_line() {
        let file = read("f", b"# c\n  key = one,\\\n    two\nempty=\n").expect("well formed");
        let first = &file.entries[0];
        assert_eq!((first.key_place.line, first.key_place.column), (2, 3));
        assert_eq!((first.value_place.line, first.value_place.column), (2, 9));
        let second = &file.entries[1];
        assert_eq!((second.value_place.line, second.value_place.column), (4, 7));
    }

    #[test]
    fn of_a_key_given_twice_the_last_wins_and_the_first_is_remembered() {
        let file = read("f", b"a=1\nb=2\na=3\n").expect("well formed");
        let effective: Vec<_> = file
            .effective()
            .map(|e| (e.key.as_str(), e.value.as_str()))
            .collect();
        assert_eq!(effective, [("b", "2"), ("a", "3")]);
        let lost: Vec<_> = file
            .duplicates()
            .map(|e| (e.value.as_str(), e.key_place.line))
            .collect();
        assert_eq!(lost, [("1", 1)]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_with_a_place(bytes: Vec<u8>) {
            let lines = bytes.len() as u32 + 1;
            match read("f", &bytes) {
                Ok(file) => for entry in &file.entries {
                    assert!(entry.key_place.line <= entry.value_place.line && entry.value_place.line <= lines);
                },
                Err(error) => assert!(error.place.is_some()),
            }
        }

        #[test]
        fn the_alphabet_of_the_format_is_read_or_refused(text in "[\\\\u0-9a# !=:\t\r\n\x0c]{0,40}") {
            let _ = read("f", text.as_bytes());
        }

        #[test]
        fn what_java_would_store_is_read_back(key in "[ -~]{1,12}", value in "[ -~]{0,12}") {
            let escape = |text: &str| text.chars().fold(String::new(), |mut out, c| {
                if "\\ #!=:".contains(c) {
                    out.push('\\');
                }
                out.push(c);
                out
            });
            let line = format!("{}={}", escape(&key), escape(&value));
            assert_eq!(one(&line), (key, value));
        }
    }
}
