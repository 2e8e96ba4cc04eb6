//! [`world::Store`] on disk: append-only segments of length-prefixed, checksummed records.
//!
//! A segment is `NNNNNNNN.journal`: eight octets of magic, then records of length (4), CRC-32 (4) and octets. Records
//! collect in memory until [`Store::commit`] writes and syncs them, so a commit is one write. Whatever stands behind the
//! last whole record of the last segment is the trace of a crash and is cut off when the journal is opened.
//!
//! A snapshot is `NNNNNNNN.snapshot` in the same form: it stands for all segments with lower numbers. It is written under
//! another name, synced and renamed, so that there is a whole one or none; appending then goes on in segment `NNNNNNNN`.
//! Segments it stands for are history and stay, up to a limit; older snapshots go.

mod files;
mod frames;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use world::{Store, StoreError};

use files::{Files, UNFINISHED, first_segment, segment_path, snapshot_path, sync_folder};
use frames::{MAGIC, frame, read_whole, scan};

pub use frames::RECORD_MAX;

/// A segment larger than this is followed by a new one.
pub const SEGMENT_SIZE: u64 = 64 << 20;
/// Octets of segments kept that a snapshot stands for; the oldest go first.
pub const HISTORY_SIZE: u64 = 2 << 30;

/// A journal in a folder of its own. One process has it open at a time.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    segment: u32,
    file: File,
    written: u64,
    pending: Vec<u8>,
    /// Octets committed since the last snapshot.
    since_snapshot: u64,
    sizes: Sizes,
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    segment: u64,
    history: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            segment: SEGMENT_SIZE,
            history: HISTORY_SIZE,
        }
    }
}

impl FileStore {
    /// Opens the journal in `folder`, which is created if need be, and cuts off a torn tail.
    ///
    /// # Errors
    /// When the folder cannot be used, another process has it open, or a record before the tail is damaged.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, Sizes::default())
    }

    fn open_with(folder: &Path, sizes: Sizes) -> Result<Self, StoreError> {
        let failed = |error: io::Error| problem(folder, &error);
        fs::create_dir_all(folder).map_err(failed)?;
        let files = Files::of(folder).map_err(failed)?;
        // A crash may have come between a snapshot and its segment.
        let last = files.segments.last().copied().max(files.snapshot);
        let segment = last.unwrap_or(1);
        let path = segment_path(folder, segment);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = options.open(&path).map_err(failed)?;
        file.try_lock()
            .map_err(|_| problem(folder, &"another process has it open"))?;
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).map_err(failed)?;
        let mut written = octets.len() as u64;
        if octets.len() < MAGIC.len() {
            file.set_len(0).map_err(failed)?;
            file.write_all(MAGIC).map_err(failed)?;
            written = MAGIC.len() as u64;
        } else {
            let whole = scan(&octets, &mut |_| {}).map_err(|error| problem(&path, &error))?;
            if whole < octets.len() {
                tracing::warn!(journal = %path.display(), octets = octets.len() - whole, "cut off a torn tail");
                file.set_len(whole as u64).map_err(failed)?;
                written = whole as u64;
            }
        }
        file.sync_all().map_err(failed)?;
        sync_folder(folder).map_err(failed)?;
        let live = files.live().filter(|number| *number != segment);
        let octets = live.map(|number| fs::metadata(segment_path(folder, number)).map(|file| file.len()));
        let since_snapshot = octets.sum::<io::Result<u64>>().map_err(failed)? + written;
        let store = Self {
            folder: folder.to_owned(),
            segment,
            file,
            written,
            pending: Vec::new(),
            since_snapshot,
            sizes,
        };
        store.tidy().map_err(failed)?;
        Ok(store)
    }

    /// Removes what nothing needs any more: what a crash left of a snapshot, older snapshots, and history beyond the limit.
    fn tidy(&self) -> io::Result<()> {
        let files = Files::of(&self.folder)?;
        for name in &files.useless {
            fs::remove_file(self.folder.join(name))?;
        }
        let mut kept = 0;
        for number in files.history().rev() {
            let path = segment_path(&self.folder, number);
            kept += fs::metadata(&path)?.len();
            if kept > self.sizes.history {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn write_snapshot(&self, number: u32, records: &mut dyn Iterator<Item = Vec<u8>>) -> Result<(), StoreError> {
        let path = self.folder.join(format!("{number:08}.{UNFINISHED}"));
        let failed = |error: io::Error| problem(&path, &error);
        let mut file = io::BufWriter::new(File::create(&path).map_err(failed)?);
        file.write_all(MAGIC).map_err(failed)?;
        let mut framed = Vec::new();
        for record in records {
            framed.clear();
            frame(&record, &mut framed).map_err(|error| problem(&path, &error))?;
            file.write_all(&framed).map_err(failed)?;
        }
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        fs::rename(&path, snapshot_path(&self.folder, number)).map_err(failed)?;
        sync_folder(&self.folder).map_err(failed)
    }

    fn next_segment(&mut self) -> io::Result<()> {
        let path = segment_path(&self.folder, self.segment + 1);
        let mut file = OpenOptions::new().read(true).append(true).create_new(true).open(path)?;
        file.try_lock()
            .map_err(|_| io::Error::other("another process has it open"))?;
        file.write_all(MAGIC)?;
        file.sync_all()?;
        sync_folder(&self.folder)?;
        self.file = file;
        self.segment += 1;
        self.written = MAGIC.len() as u64;
        Ok(())
    }
}

impl Store for FileStore {
    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        frame(record, &mut self.pending).map_err(|error| problem(&self.folder, &error))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let folder = self.folder.clone();
        let failed = |error: io::Error| problem(&folder, &error);
        let (file, pending) = (&mut self.file, &self.pending);
        aside(|| file.write_all(pending).and_then(|()| file.sync_data())).map_err(failed)?;
        self.written += self.pending.len() as u64;
        self.since_snapshot += self.pending.len() as u64;
        self.pending.clear();
        if self.written >= self.sizes.segment {
            self.next_segment().map_err(failed)?;
        }
        Ok(())
    }

    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        let files = Files::of(&self.folder).map_err(|error| problem(&self.folder, &error))?;
        if let Some(number) = files.snapshot {
            let path = snapshot_path(&self.folder, number);
            read_whole(&path, each)?;
        }
        self.read(files.live(), each)
    }

    fn since_snapshot(&self) -> u64 {
        self.since_snapshot
    }

    fn snapshot(&mut self, records: &mut dyn Iterator<Item = Vec<u8>>) -> Result<(), StoreError> {
        if !self.pending.is_empty() {
            return Err(problem(&self.folder, &"a snapshot while records are pending"));
        }
        self.write_snapshot(self.segment + 1, records)?;
        let folder = self.folder.clone();
        let failed = |error: io::Error| problem(&folder, &error);
        self.next_segment().map_err(failed)?;
        self.since_snapshot = 0;
        self.tidy().map_err(failed)
    }

    fn history(&self, before: &dyn Fn(&[u8]) -> bool, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        let files = Files::of(&self.folder).map_err(|error| problem(&self.folder, &error))?;
        let from = first_segment(&self.folder, &files.segments, before);
        self.read(files.segments.iter().skip(from).copied(), each)
    }
}

impl FileStore {
    /// Reads segments: all but the one that is being written must be whole.
    fn read(&self, segments: impl Iterator<Item = u32>, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        for segment in segments {
            let path = segment_path(&self.folder, segment);
            if segment == self.segment {
                let octets = fs::read(&path).map_err(|error| problem(&path, &error))?;
                scan(&octets, each).map_err(|error| problem(&path, &error))?;
            } else {
                read_whole(&path, each)?;
            }
        }
        Ok(())
    }
}

/// A journal in a folder that somebody else may have open: it can be read, not written.
#[derive(Clone, Debug)]
pub struct FileReader {
    folder: PathBuf,
}

impl FileReader {
    /// The journal in `folder`; one that does not exist is empty.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }
}

impl Store for FileReader {
    fn append(&mut self, _record: &[u8]) -> Result<(), StoreError> {
        Err(problem(&self.folder, &"it is open for reading only"))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        let files = self.files()?;
        if let Some(number) = files.snapshot {
            read_whole(&snapshot_path(&self.folder, number), each)?;
        }
        files
            .live()
            .try_for_each(|number| self.read(&segment_path(&self.folder, number), each))
    }

    fn history(&self, before: &dyn Fn(&[u8]) -> bool, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        let files = self.files()?;
        let from = first_segment(&self.folder, &files.segments, before);
        let mut segments = files.segments.iter().skip(from);
        segments.try_for_each(|number| self.read(&segment_path(&self.folder, *number), each))
    }
}

impl FileReader {
    fn files(&self) -> Result<Files, StoreError> {
        if !self.folder.exists() {
            return Ok(Files::default());
        }
        Files::of(&self.folder).map_err(|error| problem(&self.folder, &error))
    }

    /// What its writer is adding now counts as not there yet, and what it has just removed as not there any more.
    fn read(&self, path: &Path, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        let octets = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|error| problem(path, &error))?,
        };
        if octets.len() >= MAGIC.len() {
            scan(&octets, each).map_err(|error| problem(path, &error))?;
        }
        Ok(())
    }
}

/// Waits for the disk without keeping a runtime of several threads from its other tasks: one role's journal must not hold up
/// another role. On a runtime of one thread, and outside of one, there is nobody to make way for.
fn aside<T>(wait: impl FnOnce() -> T) -> T {
    let several = tokio::runtime::Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread);
    if several {
        tokio::task::block_in_place(wait)
    } else {
        wait()
    }
}

fn problem(journal: &Path, problem: &dyn std::fmt::Display) -> StoreError {
    StoreError {
        journal: journal.display().to_string(),
        problem: problem.to_string(),
    }
}
