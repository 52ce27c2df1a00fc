//! What happens over and over again is told once, with how often it happened.

use std::collections::BTreeMap;

use super::{About, Line};

/// So many lines may be the same but for their numbers before only the first of them is told.
const MOST: usize = 12;

/// A line without its numbers: an epoch, a generation, a length of time. Digits of names (`b1`, `orders-0`) stay.
fn kind(text: &str) -> String {
    let mut kind = String::with_capacity(text.len());
    let mut before = ' ';
    let mut in_number = false;
    for letter in text.chars() {
        let of_number = letter.is_ascii_digit() || (letter == '.' && in_number);
        let begins = letter.is_ascii_digit() && (before == ' ' || before == '(');
        let now = in_number && of_number || begins;
        if begins {
            kind.push('#');
        }
        if !now {
            kind.push(letter);
        }
        (before, in_number) = (letter, now);
    }
    kind
}

/// Whether a line may be told together with others: not what the script does, but for what is started again and again.
fn can_repeat(line: &Line) -> bool {
    match line.about {
        About::Fault => line.text.ends_with("started again"),
        About::Trial => false,
        About::Cluster | About::Broker | About::Client => true,
    }
}

/// Lines in order of time, those that say the same too often told once.
pub(super) fn told_once(lines: Vec<Line>) -> Vec<Line> {
    let mut kinds: BTreeMap<String, (usize, super::Moment)> = BTreeMap::new();
    for line in lines.iter().filter(|line| can_repeat(line)) {
        let (count, last) = kinds.entry(kind(&line.text)).or_insert((0, line.at));
        *count += 1;
        *last = line.at;
    }
    kinds.retain(|_, (count, _)| *count > MOST);
    if kinds.is_empty() {
        return lines;
    }
    let mut told = Vec::new();
    for mut line in lines {
        let known = kind(&line.text);
        match kinds.get_mut(&known).filter(|_| can_repeat(&line)) {
            None => told.push(line),
            Some((0, _)) => {}
            Some((count, last)) => {
                let more = std::mem::take(count) - 1;
                line.text = format!(
                    "{} (and {more} times more until {last}, but for its numbers)",
                    line.text
                );
                told.push(line);
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Moment;

    fn line(at: i64, about: About, text: String) -> Line {
        let at = Moment(at * 1_000_000);
        Line { at, about, text }
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        told_once(lines).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn the_same_over_and_over_again_is_told_once_with_how_often_and_until_when() {
        let error = |at| line(at, About::Client, format!("m1 enters generation {at}"));
        let mut lines: Vec<Line> = (1..=13).map(error).collect();
        lines.push(line(14, About::Client, "m2 enters generation 9".to_owned()));
        let first = "m1 enters generation 1 (and 12 times more until 13.000 s, but for its numbers)";
        assert_eq!(texts(lines), [first, "m2 enters generation 9"]);
    }

    #[test]
    fn a_dozen_is_told_line_by_line_and_so_is_what_the_script_does() {
        let few = (1..=12).map(|at| line(at, About::Cluster, format!("b{at} is fenced")));
        assert_eq!(texts(few.collect()).len(), 12);
        let killed = (1..=20).map(|at| line(at, About::Fault, format!("b1 is killed for {at}.00s")));
        assert_eq!(texts(killed.collect()).len(), 20);
        let names = (1..=20).map(|at| line(at, About::Cluster, format!("orders-{at}: led by b{at}")));
        assert_eq!(texts(names.collect()).len(), 20, "of twenty partitions");
    }
}
