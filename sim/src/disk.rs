//! The disk of one machine: logs whose tail may still be in the page cache, and small files that are replaced whole.

use crate::chance::{Chance, Identity, Site};

/// Names a log on a disk. Dense: the disk keeps a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// Names a small file on a disk. Dense like [`FileId`], and a numbering of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(pub u32);

/// One unit of a log that a power loss can spoil.
pub trait Entry: Clone {
    /// Makes this entry unreadable: what a checksum finds out when it is read.
    fn spoil(&mut self);
}

/// A log as its machine sees it: what is flushed, and what was appended or cut since.
#[derive(Clone, Debug)]
pub struct File<E> {
    entries: Vec<E>,
    /// How many of `entries` are on the platter.
    flushed: usize,
    /// What is on the platter behind `flushed`: entries cut since the last flush, which a power loss brings back.
    cut: Vec<E>,
    exists: bool,
}

impl<E> Default for File<E> {
    fn default() -> Self {
        File {
            entries: Vec::new(),
            flushed: 0,
            cut: Vec::new(),
            exists: false,
        }
    }
}

impl<E: Entry> File<E> {
    /// The log as it reads now, page cache included.
    pub fn entries(&self) -> &[E] {
        &self.entries
    }

    /// How many entries a power loss cannot take.
    pub fn flushed(&self) -> usize {
        self.flushed
    }

    /// Whether anything was ever written here (an empty log exists all the same).
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Creates the log if it is not there.
    pub fn create(&mut self) {
        self.exists = true;
    }

    /// Appends to the page cache.
    pub fn append(&mut self, entry: E) {
        self.exists = true;
        self.entries.push(entry);
    }

    /// Cuts the log to its first `length` entries, in the page cache only.
    pub fn truncate(&mut self, length: usize) {
        if length < self.flushed {
            let mut tail: Vec<E> = self.entries[length..self.flushed].to_vec();
            tail.append(&mut self.cut);
            self.cut = tail;
            self.flushed = length;
        }
        self.entries.truncate(length);
    }

    /// Removes the first `count` entries, from the platter too.
    pub fn remove_first(&mut self, count: usize) {
        if count > self.flushed {
            self.cut.clear();
        }
        self.flushed = self.flushed.saturating_sub(count);
        self.entries.drain(..count);
    }

    /// Replaces the last entry, in the page cache only: what truncating inside a batch leaves of it.
    pub fn replace_last(&mut self, entry: E) {
        let length = self.entries.len();
        assert!(length > 0, "an empty log has no last entry");
        self.truncate(length - 1);
        self.append(entry);
    }

    /// Everything up to the first `length` entries, and every cut, is on the platter from now on.
    pub fn flush(&mut self, length: usize) {
        self.flushed = self.flushed.max(length.min(self.entries.len()));
        self.cut.clear();
    }

    /// Removes the log, from the platter too.
    pub fn delete(&mut self) {
        self.entries.clear();
        self.cut.clear();
        self.flushed = 0;
        self.exists = false;
    }

    /// Makes entry `index` unreadable without anybody noticing yet.
    pub fn corrupt(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.spoil();
        }
    }

    fn lose_power(&mut self, mode: PowerLoss, draw: u64) {
        let pending = self.entries.len() - self.flushed;
        match mode {
            PowerLoss::EverythingUnflushed => self.entries.truncate(self.flushed),
            PowerLoss::Drawn => match draw % 8 {
                0 | 1 => self.entries.truncate(self.flushed),
                2 => {}
                3 if pending > 1 => {
                    let hole = self.flushed + (draw >> 8) as usize % (pending - 1);
                    self.entries[hole].spoil();
                }
                4 if pending > 0 => {
                    let torn = self.flushed + (draw >> 8) as usize % pending;
                    self.entries.truncate(torn + 1);
                    self.entries[torn].spoil();
                }
                _ => self
                    .entries
                    .truncate(self.flushed + (draw >> 8) as usize % (pending + 1)),
            },
        }
        if self.entries.len() == self.flushed && (mode == PowerLoss::EverythingUnflushed || draw >> 63 == 1) {
            self.entries.append(&mut self.cut);
        }
        self.cut.clear();
        self.flushed = self.entries.len();
    }
}

/// What a power loss makes of writes that were never flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerLoss {
    /// Each log keeps what is drawn for it: usually a prefix of its pending writes, sometimes all or none of
    /// them, sometimes a hole or a torn end; a cut that was never flushed may be undone.
    Drawn,
    /// Nothing unflushed survives, the hardest case.
    EverythingUnflushed,
}

/// Why a disk refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// No space left on device.
    Full,
    /// Input/output error.
    Failing,
}

/// How a disk is doing. Faults change it; nodes only feel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskHealth {
    /// Every operation takes this many times as long as it should.
    pub slowness: u32,
    /// Why writes fail, if they do.
    pub refuses: Option<DiskError>,
}

impl Default for DiskHealth {
    fn default() -> Self {
        DiskHealth {
            slowness: 1,
            refuses: None,
        }
    }
}

/// Everything one machine keeps when its process dies.
#[derive(Clone, Debug)]
pub struct Disk<E, D> {
    files: Vec<File<E>>,
    documents: Vec<Option<D>>,
    /// How the disk is doing.
    pub health: DiskHealth,
    /// Which disk this is: grows when it is replaced by an empty one.
    generation: u32,
}

impl<E, D> Default for Disk<E, D> {
    fn default() -> Self {
        Disk {
            files: Vec::new(),
            documents: Vec::new(),
            health: DiskHealth::default(),
            generation: 0,
        }
    }
}

impl<E: Entry, D> Disk<E, D> {
    /// A log; an absent one reads as empty.
    pub fn file(&mut self, id: FileId) -> &mut File<E> {
        let index = id.0 as usize;
        if index >= self.files.len() {
            self.files.resize_with(index + 1, File::default);
        }
        &mut self.files[index]
    }

    /// A log, if it was ever written.
    pub fn existing(&self, id: FileId) -> Option<&File<E>> {
        self.files.get(id.0 as usize).filter(|file| file.exists)
    }

    /// Ids of all logs that exist, in order.
    pub fn existing_ids(&self) -> impl Iterator<Item = FileId> + '_ {
        (0..self.files.len() as u32)
            .map(FileId)
            .filter(|id| self.existing(*id).is_some())
    }

    /// A small file's content.
    pub fn document(&self, id: DocumentId) -> Option<&D> {
        self.documents.get(id.0 as usize)?.as_ref()
    }

    /// Replaces a small file: written aside, flushed and renamed, so never torn and at once durable.
    pub fn write_document(&mut self, id: DocumentId, content: D) {
        *self.slot(id) = Some(content);
    }

    /// Changes a small file in place, as replacing it by its changed copy would.
    pub fn update_document(
        &mut self,
        id: DocumentId,
        absent: impl FnOnce() -> D,
        change: impl FnOnce(&mut D),
    ) {
        change(self.slot(id).get_or_insert_with(absent));
    }

    /// Deletes a small file.
    pub fn delete_document(&mut self, id: DocumentId) {
        *self.slot(id) = None;
    }

    /// Which disk this is: 0, and one more each time it was replaced.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    fn slot(&mut self, id: DocumentId) -> &mut Option<D> {
        let index = id.0 as usize;
        if index >= self.documents.len() {
            self.documents.resize_with(index + 1, || None);
        }
        &mut self.documents[index]
    }

    /// Takes what was not flushed. `who` identifies this loss for the draws.
    pub(crate) fn lose_power(&mut self, mode: PowerLoss, chance: &Chance, who: u64) {
        for (index, file) in self.files.iter_mut().enumerate() {
            file.lose_power(mode, chance.draw(Site::POWER_LOSS, Identity(who, index as u64)));
        }
    }

    /// Replaces the disk by an empty one.
    pub(crate) fn lose(&mut self) {
        self.files.iter_mut().for_each(File::delete);
        self.documents.clear();
        self.generation += 1;
    }

    /// As new, for the next trial; memory is kept.
    pub(crate) fn reset(&mut self) {
        self.lose();
        self.health = DiskHealth::default();
        self.generation = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Number(u32, bool);
    impl Entry for Number {
        fn spoil(&mut self) {
            self.1 = false;
        }
    }

    fn log(n: u32) -> File<Number> {
        let mut file = File::default();
        (0..n).for_each(|i| file.append(Number(i, true)));
        file
    }

    #[test]
    fn a_power_loss_never_takes_what_was_flushed() {
        for draw in 0..1 << 12 {
            for mode in [PowerLoss::Drawn, PowerLoss::EverythingUnflushed] {
                let mut file = log(9);
                file.flush(4);
                file.lose_power(mode, draw << 52 | draw);
                assert!(file.entries.len() >= 4);
                assert!(file.entries[..4].iter().all(|entry| entry.1));
            }
        }
    }

    #[test]
    fn a_power_loss_brings_nothing_back_that_was_removed_from_the_front() {
        for removed in [2, 5] {
            let mut file = log(6);
            file.flush(3);
            file.remove_first(removed);
            assert_eq!(file.entries[0], Number(removed as u32, true));
            file.lose_power(PowerLoss::EverythingUnflushed, 0);
            assert_eq!(file.entries.len(), 3_usize.saturating_sub(removed));
        }
    }

    #[test]
    fn a_power_loss_keeps_prefixes_holes_torn_ends_all_and_nothing() {
        let (mut kept, mut holes, mut torn) = (std::collections::BTreeSet::new(), 0, 0);
        for draw in 0..1u64 << 14 {
            let mut file = log(6);
            file.lose_power(PowerLoss::Drawn, draw);
            kept.insert(file.entries.len());
            match file.entries.iter().position(|entry| !entry.1) {
                Some(at) if at + 1 == file.entries.len() => torn += 1,
                Some(_) => holes += 1,
                None => {}
            }
        }
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), (0..=6).collect::<Vec<_>>());
        assert!(holes > 0 && torn > 0);
    }

    #[test]
    fn a_cut_that_was_not_flushed_can_be_undone_by_a_power_loss_and_a_flushed_one_cannot() {
        let mut file = log(3);
        file.flush(3);
        file.truncate(1);
        let mut flushed = file.clone();
        flushed.flush(1);
        file.lose_power(PowerLoss::EverythingUnflushed, 0);
        flushed.lose_power(PowerLoss::EverythingUnflushed, 0);
        assert_eq!((file.entries.len(), flushed.entries.len()), (3, 1));
    }
}
