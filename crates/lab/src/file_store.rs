//! [`world::Store`] on disk: append-only segments of length-prefixed, checksummed records.
//!
//! A segment is `NNNNNNNN.journal`: eight octets of magic, then records of length (4), CRC-32 (4) and octets. Records
//! collect in memory until [`Store::commit`] writes and syncs them, so a commit is one write. Whatever stands behind the
//! last whole record of the last segment is the trace of a crash and is cut off when the journal is opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use world::{Store, StoreError};

/// Largest record, in octets.
pub const RECORD_MAX: usize = 64 << 20;
/// A segment larger than this is followed by a new one.
pub const SEGMENT_SIZE: u64 = 64 << 20;

const MAGIC: &[u8; 8] = b"s1labj\0\x01";

/// A journal in a folder of its own. One process has it open at a time.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    segment: u32,
    file: File,
    written: u64,
    pending: Vec<u8>,
    segment_size: u64,
}

impl FileStore {
    /// Opens the journal in `folder`, which is created if need be, and cuts off a torn tail.
    ///
    /// # Errors
    /// When the folder cannot be used, another process has it open, or a record before the tail is damaged.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, SEGMENT_SIZE)
    }

    fn open_with(folder: &Path, segment_size: u64) -> Result<Self, StoreError> {
        let failed = |error: io::Error| problem(folder, &error);
        fs::create_dir_all(folder).map_err(failed)?;
        let last = segments(folder).map_err(failed)?.into_iter().next_back();
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
        Ok(Self {
            folder: folder.to_owned(),
            segment,
            file,
            written,
            pending: Vec::new(),
            segment_size,
        })
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
        let length = u32::try_from(record.len()).ok().filter(|_| record.len() <= RECORD_MAX);
        let length = length.ok_or_else(|| {
            problem(
                &self.folder,
                &format!("a record of {} octets, at most {RECORD_MAX} are taken", record.len()),
            )
        })?;
        self.pending.extend_from_slice(&length.to_be_bytes());
        self.pending.extend_from_slice(&crc32(record).to_be_bytes());
        self.pending.extend_from_slice(record);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let folder = self.folder.clone();
        let failed = |error: io::Error| problem(&folder, &error);
        self.file.write_all(&self.pending).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        if self.written >= self.segment_size {
            self.next_segment().map_err(failed)?;
        }
        Ok(())
    }

    fn replay(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        for segment in segments(&self.folder).map_err(|error| problem(&self.folder, &error))? {
            let path = segment_path(&self.folder, segment);
            let octets = fs::read(&path).map_err(|error| problem(&path, &error))?;
            let whole = scan(&octets, each).map_err(|error| problem(&path, &error))?;
            if whole < octets.len() && segment != self.segment {
                return Err(problem(&path, &format!("damaged at octet {whole}")));
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
        if !self.folder.exists() {
            return Ok(());
        }
        for segment in segments(&self.folder).map_err(|error| problem(&self.folder, &error))? {
            let path = segment_path(&self.folder, segment);
            let octets = fs::read(&path).map_err(|error| problem(&path, &error))?;
            // What its writer is adding now counts as not there yet.
            if octets.len() >= MAGIC.len() {
                scan(&octets, each).map_err(|error| problem(&path, &error))?;
            }
        }
        Ok(())
    }
}

/// Gives each whole record; returns how many octets they take with the magic. Damage that whole records follow is an
/// error, damage at the end is the end.
fn scan(octets: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<usize, String> {
    let mut rest = octets
        .strip_prefix(MAGIC.as_slice())
        .ok_or("not a journal of this program")?;
    loop {
        let at = octets.len() - rest.len();
        match record(rest) {
            Some((body, after)) => {
                each(body);
                rest = after;
            }
            // A bad checksum with more records behind it is no torn write.
            None if following(rest).is_some() => return Err(format!("damaged at octet {at}")),
            None => return Ok(at),
        }
    }
}

fn record(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (crc32(body) == u32::from_be_bytes(*sum)).then_some((body, rest))
}

/// The record behind one whose length is credible but whose octets are not.
fn following(octets: &[u8]) -> Option<&[u8]> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    let behind = rest.get(4 + usize::try_from(u32::from_be_bytes(*length)).ok()?..)?;
    record(behind).map(|(body, _)| body)
}

/// Numbers of the segments, lowest first.
fn segments(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(
            name.to_str()
                .and_then(|name| name.strip_suffix(".journal"))
                .and_then(|n| n.parse::<u32>().ok()),
        );
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn segment_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:08}.journal"))
}

/// Makes a new name in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

fn problem(journal: &Path, problem: &dyn std::fmt::Display) -> StoreError {
    StoreError {
        journal: journal.display().to_string(),
        problem: problem.to_string(),
    }
}

/// CRC-32 as in zip and Ethernet.
fn crc32(octets: &[u8]) -> u32 {
    static TABLE: std::sync::LazyLock<[u32; 256]> = std::sync::LazyLock::new(|| {
        std::array::from_fn(|n| {
            let mut value = u32::try_from(n).unwrap_or(0);
            for _ in 0..8 {
                value = if value & 1 == 1 {
                    value >> 1 ^ 0xEDB8_8320
                } else {
                    value >> 1
                };
            }
            value
        })
    });
    let folded = octets.iter().fold(u32::MAX, |crc, octet| {
        crc >> 8 ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ octet)]
    });
    !folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(store: &FileStore) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        store.replay(&mut |record| out.push(record.to_vec())).expect("readable");
        out
    }

    fn filled(folder: &Path) -> PathBuf {
        let mut store = FileStore::open(folder).expect("opened");
        for record in [&b"one"[..], b"", b"three"] {
            store.append(record).expect("taken");
        }
        store.commit().expect("written");
        store.append(b"never committed").expect("taken");
        segment_path(folder, 1)
    }

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn what_was_committed_is_there_after_any_torn_tail() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = filled(folder.path());
        let whole = fs::read(&path).expect("there");
        for cut in (MAGIC.len()..=whole.len()).rev() {
            fs::write(&path, &whole[..cut]).expect("cut");
            let store = FileStore::open(folder.path()).expect("opened");
            let records = all(&store);
            let expected: &[&[u8]] = &[b"one", b"", b"three"];
            assert_eq!(records, expected[..records.len()], "cut at {cut}");
            assert_eq!(records.len() == 3, cut == whole.len());
        }
    }

    #[test]
    fn damage_before_the_last_record_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = filled(folder.path());
        let mut octets = fs::read(&path).expect("there");
        octets[MAGIC.len() + 8] ^= 1;
        fs::write(&path, &octets).expect("damaged");
        let error = FileStore::open(folder.path()).expect_err("damaged").to_string();
        assert!(error.ends_with("00000001.journal: damaged at octet 8"), "{error}");
    }

    #[test]
    fn segments_follow_one_another_and_only_one_has_it_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = FileStore::open_with(folder.path(), 100).expect("opened");
        for n in 0..20u8 {
            store.append(&[n; 30]).expect("taken");
            store.commit().expect("written");
        }
        assert!(FileStore::open(folder.path()).is_err());
        assert!(segments(folder.path()).expect("there").len() > 3);
        drop(store);
        let store = FileStore::open(folder.path()).expect("opened again");
        assert_eq!(all(&store), (0..20u8).map(|n| vec![n; 30]).collect::<Vec<_>>());
    }
}
