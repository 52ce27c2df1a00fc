//! Everything that parses takes everything: spoilt inputs are errors with a message, never a panic.
//!
//! Each parser gets good inputs spoilt at random: bytes changed, taken out, put in, pieces repeated, moved, cut off.
//! The suite tries 2,000 for each; a million each, some minutes on two cores:
//!
//! ```text
//! KTRIAL_PARSER_INPUTS=1000000 cargo test --release --package ktrial-scenarios --test parsers
//! ```

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use ktrial_models::config::properties;
use ktrial_models::history::{History, judge};
use ktrial_scenarios::{
    Bench, Keep, LIBRARY, Overrides, Recording, Results, Row, Scenario, Source, SweepHeader, TrialLine,
};
use ktrial_sim::{Chance, Sequence};

fn inputs() -> u64 {
    let given = std::env::var("KTRIAL_PARSER_INPUTS").ok();
    given.map_or(2_000, |text| {
        text.parse().expect("KTRIAL_PARSER_INPUTS is a number")
    })
}

/// Words that mean something to one of the parsers.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b", ",
    b"\"",
    b"\\",
    b"\\u12",
    b"\n",
    b"  ",
    b"&a ",
    b"*a",
    b"!!str ",
    b"null",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"..",
    b"0s",
    b"\xff",
    b"\xc3",
    b"\0",
    b"#",
];

/// Spoils an input in one to four ways.
fn spoilt(good: &[u8], draws: &mut Sequence) -> Vec<u8> {
    let mut text = good.to_vec();
    for _ in 0..=draws.below(4) {
        let at = draws.below(text.len() as u64 + 1) as usize;
        let longest = 1 << draws.below(7);
        let length = 1 + draws.below(longest) as usize;
        let end = (at + length).min(text.len());
        match draws.below(7) {
            0 if at < text.len() => text[at] = draws.below(256) as u8,
            1 => drop(text.drain(at..end)),
            2 => text.truncate(at),
            3 => {
                let piece = text[at..end].to_vec();
                text.splice(at..at, piece.repeat(1 + draws.below(8) as usize));
            }
            4 => {
                let piece: Vec<u8> = text.drain(at..end).collect();
                let to = draws.below(text.len() as u64 + 1) as usize;
                text.splice(to..to, piece);
            }
            _ => {
                let word = WORDS[draws.below(WORDS.len() as u64) as usize];
                text.splice(at..at, word.iter().copied());
            }
        }
    }
    text
}

/// Hands as many spoilt inputs to a parser as are asked for, and counts those that it takes all the same.
fn spoil(purpose: u64, good: &[Vec<u8>], mut takes: impl FnMut(&[u8]) -> bool) -> u64 {
    let mut draws = Chance::new(17).sequence(purpose);
    let taken = (0..inputs()).filter(|number| {
        let good = &good[(*number % good.len() as u64) as usize];
        takes(&spoilt(good, &mut draws))
    });
    taken.count() as u64
}

/// A parser that takes everything, or nothing, was not put to the test.
fn some_and_not_all(taken: u64) {
    assert!(
        taken > 0 && taken < inputs(),
        "{taken} of {} inputs were taken",
        inputs()
    );
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn scenarios() {
    let good: Vec<Vec<u8>> = LIBRARY.iter().map(|(_, text)| text.as_bytes().to_vec()).collect();
    some_and_not_all(spoil(1, &good, |text| {
        let text = String::from_utf8_lossy(text);
        let read = Scenario::read("spoilt.yaml", &text, Path::new("."), &Overrides::default());
        read.and_then(|scenario| scenario.arm(&[])).is_ok()
    }));
}

#[test]
fn property_files_and_the_settings_in_them() {
    let mut good = Vec::new();
    for team in ["stock-4.3", "careful", "hurried", "upgraded"] {
        let folder = root().join("models/tests/files").join(team);
        for entry in std::fs::read_dir(&folder).expect("it is committed") {
            good.push(std::fs::read(entry.expect("it can be listed").path()).expect("it can be read"));
        }
    }
    good.sort();
    let source = Source::parse("@t0").expect("it is built in");
    let mut turn = 0;
    some_and_not_all(spoil(2, &good, |text| {
        let whole = properties::read("spoilt.properties", text).is_ok();
        turn += 1;
        // Resolving a whole cluster's settings takes a hundred times as long as reading the file.
        if turn % 10 != 0 {
            return whole;
        }
        let file = ktrial_scenarios::PropertyFile {
            path: "spoilt.properties".to_owned(),
            bytes: text.to_vec(),
        };
        let overrides = Overrides {
            contents: vec![(ktrial_models::config::catalogue::Scope::Broker, file)],
            ..Overrides::default()
        };
        let read = source.read(&overrides).and_then(|scenario| scenario.arm(&[]));
        assert!(
            whole || read.is_err(),
            "a file that cannot be read made a cluster"
        );
        read.is_ok()
    }));
}

/// The first lines of some recordings, plain.
fn histories() -> Vec<Vec<u8>> {
    let names = [
        "acks_1_paused_followers",
        "transactions_leader_killed",
        "power_loss_everywhere",
    ];
    let texts = names.iter().map(|name| {
        let path = root().join("tests/recordings").join(format!("{name}.jsonl.gz"));
        let mut text = String::new();
        let file = std::fs::File::open(path).expect("it is committed");
        GzDecoder::new(file)
            .read_to_string(&mut text)
            .expect("it is text");
        let lines: Vec<&str> = text.lines().collect();
        // The beginning, and the final reads at the end.
        let kept = lines.iter().take(60).chain(lines.iter().rev().take(4).rev());
        let kept: Vec<&str> = kept.copied().collect();
        kept.join("\n").into_bytes()
    });
    texts.collect()
}

#[test]
fn histories_and_their_judges() {
    some_and_not_all(spoil(3, &histories(), |text| match History::read(text) {
        Ok(history) => {
            judge(&history);
            true
        }
        Err(error) => {
            assert!(error.to_string().starts_with("line "), "{error}");
            false
        }
    }));
}

#[test]
fn replay_files() {
    let scenario = Source::parse("@leader-loss").and_then(|source| {
        let read = source.read(&Overrides::default());
        read.map_err(|mut errors| errors.remove(0))
    });
    let scenario = scenario.expect("it is built in");
    let arm = scenario.arm(&[]).expect("it resolves");
    let detailed = Bench::default().run(&arm.resolved, 1, Keep::default());
    let good = Recording::of(&scenario, &detailed).to_json().into_bytes();
    some_and_not_all(spoil(4, &[good], |text| {
        let text = String::from_utf8_lossy(text);
        let read = Recording::read("spoilt.json", &text, true);
        read.is_ok_and(|recording| recording.arm().is_ok())
    }));
}

#[test]
fn results_of_sweeps() {
    let source = Source::parse("@t0").expect("it is built in");
    let scenario = source.read(&Overrides::default()).expect("it is good");
    let arm = scenario.arm(&[]).expect("it resolves");
    let header = SweepHeader::new(
        &scenario,
        "@t0",
        "ktrial run @t0".to_owned(),
        "1..3".parse().expect("it is a range"),
        None,
    );
    let mut good = header.to_text();
    let mut bench = Bench::default();
    for seed in 1..=3 {
        let row = Row {
            arm: 0,
            trial: bench.run(&Arc::clone(&arm.resolved), seed, Keep::default()).trial,
            errors: BTreeMap::new(),
        };
        good.push_str(&TrialLine::of(&row, BTreeMap::new()).to_text());
    }
    some_and_not_all(spoil(5, &[good.into_bytes()], |text| {
        let mut results = Results::read(PathBuf::from("spoilt.jsonl"), text);
        let Ok(header) = results.header() else {
            return false;
        };
        let mut seeds = header.own_seeds().into_iter().flat_map(|seeds| seeds.all());
        loop {
            match results.trial(seeds.next()) {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }));
}
