//! What delivery a group had in a trial, in the words that its users have for it.

/// Whether a group left records out, and whether it finished with some more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// It finished with every record, and with each once.
    Clean,
    /// It finished with every record, and with some more than once: at least once.
    Repeated,
    /// It left some out, and finished with none more than once: at most once.
    Lost,
    /// It left some out, and finished with some more than once.
    LostAndRepeated,
}

impl Delivery {
    /// All of them.
    pub const ALL: [Delivery; 4] = [
        Delivery::Clean,
        Delivery::Repeated,
        Delivery::Lost,
        Delivery::LostAndRepeated,
    ];

    /// Of so many records left out and so many finished with more than once.
    pub fn of(unprocessed: u64, twice: u64) -> Self {
        match (unprocessed > 0, twice > 0) {
            (false, false) => Delivery::Clean,
            (false, true) => Delivery::Repeated,
            (true, false) => Delivery::Lost,
            (true, true) => Delivery::LostAndRepeated,
        }
    }

    /// Its name in scenarios and reports.
    pub fn name(self) -> &'static str {
        match self {
            Delivery::Clean => "clean",
            Delivery::Repeated => "repeated",
            Delivery::Lost => "lost",
            Delivery::LostAndRepeated => "lost and repeated",
        }
    }
}
