//! Reading the tables. They are ours: a line that does not parse is our mistake and stops the process.

use super::{Fallback, Kind, Machinery, Reach, Readers, Setting, Treatment, Valid};
use crate::config::value;

/// All settings of a table, sorted by name. `servers`: whether it has the column of readers.
pub(super) fn table(text: &'static str, servers: bool) -> Vec<Setting> {
    let mut class = "";
    let mut settings = Vec::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.strip_prefix('[') {
            Some(heading) => class = heading.trim_end_matches(']'),
            None => settings.push(setting(line, class, servers)),
        }
    }
    settings.sort_by(|a, b| a.name.cmp(b.name));
    settings
}

fn setting(line: &'static str, class: &'static str, servers: bool) -> Setting {
    let mut rest = line;
    let mut column = || {
        let (word, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = tail.trim_start();
        word
    };
    let name = column();
    let kind_word = column();
    let (kind, internal) = match kind_word.strip_suffix('!') {
        Some(word) => (kind(word), true),
        None => (kind(kind_word), false),
    };
    let default = match column() {
        "required" => Fallback::Required,
        "null" => Fallback::Null,
        "\"\"" => Fallback::Text(""),
        text => Fallback::Text(text),
    };
    let valid = valid(column(), kind);
    let readers = match if servers { column() } else { "both" } {
        "broker" => Readers::Brokers,
        "controller" => Readers::Controllers,
        "both" => Readers::Both,
        word => unreachable!("{name}: no reader {word}"),
    };
    let (everywhere, on_controllers) = match rest.split_once(" on controllers ") {
        Some((everywhere, own)) => (everywhere, Some(own)),
        None => (rest, None),
    };
    Setting {
        name,
        class,
        kind,
        default,
        valid,
        internal,
        readers,
        treatment: treatment(everywhere),
        reach: reach(everywhere),
        on_controllers: on_controllers.map(|text| (treatment(text), reach(text))),
    }
}

fn reach(text: &'static str) -> Option<Reach> {
    let mut words = text.splitn(4, ' ').skip(1);
    let limit = match (words.next()?, words.next()?) {
        ("below", number) => number.parse().expect("a number of ours"),
        _ => return None,
    };
    let reason = words.next().expect("a reason of ours");
    text.starts_with("unmodelled ").then_some(Reach { limit, reason })
}

fn kind(word: &str) -> Kind {
    match word {
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "short" => Kind::Short,
        "double" => Kind::Double,
        "list" => Kind::List,
        "class" => Kind::Class,
        "password" => Kind::Password,
        "string" => Kind::String,
        _ => unreachable!("no type {word}"),
    }
}

fn valid(text: &'static str, kind: Kind) -> Valid {
    let (head, inside) = match text.split_once('(') {
        Some((head, inside)) => (head, inside.trim_end_matches(')').split(',').collect()),
        None => (text, Vec::new()),
    };
    match head {
        "-" => Valid::Anything,
        "in" => Valid::In(inside),
        "in_any_case" => Valid::InAnyCase(inside),
        "list" => Valid::List {
            empty: true,
            of: inside,
        },
        "list_not_empty" => Valid::List {
            empty: false,
            of: inside,
        },
        "not_empty" => Valid::NotEmpty,
        "voters" => Valid::Voters,
        "host_ports" => Valid::HostPorts,
        "throttled_replicas" => Valid::ThrottledReplicas,
        "offset_reset" => Valid::OffsetReset,
        range => {
            let bound = |text: &str| {
                (!text.is_empty()).then(|| match kind {
                    Kind::Double => value::millionths(text).expect("a bound of ours"),
                    _ => text.parse().expect("a bound of ours"),
                })
            };
            let (one, range) = match range.split_once('|') {
                Some((one, range)) => (bound(one), range),
                None => (None, range),
            };
            let (from, to) = range.split_once("..").expect("a range of ours");
            match (one, bound(from), bound(to)) {
                (Some(one), Some(from), Some(to)) => Valid::ValueOrRange(one, from, to),
                (_, from, to) => Valid::Range(from, to),
            }
        }
    }
}

fn treatment(text: &'static str) -> Treatment {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "modelled" => match rest.strip_prefix("with ").and_then(|rest| rest.split_once(' ')) {
            Some((name, test)) => Treatment::Modelled {
                test,
                with: Some(machinery(name)),
            },
            None => Treatment::Modelled {
                test: rest,
                with: None,
            },
        },
        "neutral" => Treatment::Neutral { reason: rest },
        "replaced" => Treatment::Replaced { by: rest },
        "unmodelled" => Treatment::Unmodelled,
        "inert" => Treatment::Inert {
            without: machinery(rest.strip_prefix("without ").unwrap_or(rest)),
        },
        _ => unreachable!("no treatment {text}"),
    }
}

fn machinery(name: &str) -> Machinery {
    let known = Machinery::ALL
        .into_iter()
        .find(|machinery| machinery.word() == name);
    known.expect("a machinery of ours")
}
