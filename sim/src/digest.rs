//! A running digest of everything that happened.

use crate::chance::fold_multiply;

/// A fold-multiply hash over the events of a trial. Equal digests of equal length mean equal trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Digest(0x2545_f491_4f6c_dd1d)
    }
}

impl Digest {
    /// Takes two words in.
    #[inline(always)]
    pub fn fold(&mut self, a: u64, b: u64) {
        self.0 = fold_multiply(
            a ^ self.0 ^ 0xa076_1d64_78bd_642f,
            b ^ self.0.rotate_left(32) ^ 0xe703_7ed1_a0b4_28db,
        );
    }

    /// The hash so far.
    pub fn value(self) -> u64 {
        self.0
    }
}
