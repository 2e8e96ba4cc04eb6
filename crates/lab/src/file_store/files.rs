//! The files of a journal's folder: which are there, and which a restart reads.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::frames::first_record;

/// What stands in a journal's folder.
#[derive(Default, Debug)]
pub(super) struct Files {
    /// Numbers of the segments, lowest first.
    pub(super) segments: Vec<u32>,
    /// Number of the last snapshot.
    pub(super) snapshot: Option<u32>,
    /// Names of files that nothing needs: older snapshots, and unfinished ones.
    pub(super) useless: Vec<String>,
}

impl Files {
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        let mut snapshots = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let Some((number, kind)) = name.to_str().and_then(|name| name.split_once('.')) else {
                continue;
            };
            let Ok(number) = number.parse::<u32>() else { continue };
            match kind {
                SEGMENT => files.segments.push(number),
                SNAPSHOT => snapshots.push(number),
                UNFINISHED => files.useless.push(format!("{number:08}.{UNFINISHED}")),
                _ => {}
            }
        }
        files.segments.sort_unstable();
        files.snapshot = snapshots.iter().copied().max();
        let older = snapshots.into_iter().filter(|number| Some(*number) != files.snapshot);
        files
            .useless
            .extend(older.map(|number| format!("{number:08}.{SNAPSHOT}")));
        Ok(files)
    }

    /// The segments that a restart reads.
    pub(super) fn live(&self) -> impl Iterator<Item = u32> {
        let from = self.snapshot.unwrap_or(0);
        self.segments.iter().copied().filter(move |number| *number >= from)
    }

    /// The segments that the snapshot stands for, oldest first.
    pub(super) fn history(&self) -> impl DoubleEndedIterator<Item = u32> {
        let until = self.snapshot.unwrap_or(0);
        self.segments.iter().copied().filter(move |number| *number < until)
    }
}

const SEGMENT: &str = "journal";
const SNAPSHOT: &str = "snapshot";
pub(super) const UNFINISHED: &str = "snapshot-unfinished";

/// The place of the last segment whose first record is `before`; the first where none is.
pub(super) fn first_segment(folder: &Path, segments: &[u32], before: &dyn Fn(&[u8]) -> bool) -> usize {
    let begins_before = |number: &u32| first_record(&segment_path(folder, *number)).is_some_and(|first| before(&first));
    segments.iter().rposition(begins_before).unwrap_or(0)
}

pub(super) fn segment_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:08}.{SEGMENT}"))
}

pub(super) fn snapshot_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:08}.{SNAPSHOT}"))
}

/// Makes a new name in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
