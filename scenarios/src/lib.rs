//! From a scenario file to verdicts.
