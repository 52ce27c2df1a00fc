//! The command line of ktrial.

fn main() {}
