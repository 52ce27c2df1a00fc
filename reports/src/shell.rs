//! Words for a shell.

/// A word as a POSIX shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_a_shell_would_change_is_quoted() {
        assert_eq!(
            ["acks=1", "a b", "it's", ""].map(quoted),
            ["acks=1", "'a b'", "'it'\\''s'", "''"]
        );
    }
}
