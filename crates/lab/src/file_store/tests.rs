use super::frames::crc32;
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
    let mut store = FileStore::open_with(folder.path(), small()).expect("opened");
    for n in 0..20u8 {
        store.append(&[n; 30]).expect("taken");
        store.commit().expect("written");
    }
    assert!(FileStore::open(folder.path()).is_err());
    assert!(Files::of(folder.path()).expect("there").segments.len() > 3);
    drop(store);
    let store = FileStore::open(folder.path()).expect("opened again");
    assert_eq!(all(&store), (0..20u8).map(|n| vec![n; 30]).collect::<Vec<_>>());
}

fn small() -> Sizes {
    Sizes {
        segment: 100,
        history: 1000,
    }
}

fn put(store: &mut FileStore, records: &[&str]) {
    for record in records {
        store.append(record.as_bytes()).expect("taken");
    }
    store.commit().expect("written");
}

fn texts(read: impl Fn(&mut dyn FnMut(&[u8]))) -> Vec<String> {
    let mut out = Vec::new();
    read(&mut |record| out.push(String::from_utf8_lossy(record).into_owned()));
    out
}

fn state(store: &dyn Store) -> Vec<String> {
    texts(|each| store.replay(each).expect("readable"))
}

fn history(store: &dyn Store, before: &str) -> Vec<String> {
    texts(|each| {
        let before = |record: &[u8]| record < before.as_bytes();
        store.history(&before, each).expect("readable");
    })
}

fn snapshot(store: &mut FileStore, records: &[&str]) {
    let mut records = records.iter().map(|record| record.as_bytes().to_vec());
    store.snapshot(&mut records).expect("written");
}

#[test]
fn a_snapshot_stands_for_what_came_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = FileStore::open(folder.path()).expect("opened");
    put(&mut store, &["a", "b"]);
    let before = store.since_snapshot();
    snapshot(&mut store, &["ab"]);
    assert!(before > 0 && store.since_snapshot() == 0);
    put(&mut store, &["c"]);
    snapshot(&mut store, &["abc"]);
    put(&mut store, &["d"]);
    for store in [&store as &dyn Store, &FileReader::new(folder.path())] {
        assert_eq!(state(store), ["abc", "d"]);
        assert_eq!(history(store, ""), ["a", "b", "c", "d"]);
        assert_eq!(
            history(store, "d"),
            ["c", "d"],
            "from the last segment that begins before"
        );
    }
    assert!(store.append(b"e").is_ok());
    assert!(store.snapshot(&mut std::iter::empty()).is_err(), "something is pending");
    drop(store);
    let store = FileStore::open(folder.path()).expect("opened again");
    assert_eq!(
        (state(&store), store.since_snapshot()),
        (vec!["abc".into(), "d".into()], 17)
    );
}

#[test]
fn history_goes_beyond_its_limit_and_the_state_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = FileStore::open_with(folder.path(), small()).expect("opened");
    for n in 0..100 {
        put(&mut store, &[&format!("record {n:03} of some length")]);
        if n % 10 == 9 {
            snapshot(&mut store, &[&format!("up to {n:03}")]);
        }
    }
    assert_eq!(state(&store), ["up to 099"]);
    let kept = history(&store, "");
    assert!(
        (10..60).contains(&kept.len()) && kept.last().is_some_and(|last| last.starts_with("record 099")),
        "{kept:?}"
    );
}

/// Every state of the folder that a crash can leave while a snapshot is taken.
#[test]
fn a_crash_in_the_middle_of_a_snapshot_leaves_the_old_state_or_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = FileStore::open(folder.path()).expect("opened");
    put(&mut store, &["a", "b"]);
    snapshot(&mut store, &["ab"]);
    put(&mut store, &["c", "d"]);
    drop(store);
    let whole = {
        let mut octets = MAGIC.to_vec();
        frame(b"abcd", &mut octets).expect("framed");
        octets
    };
    let unfinished = folder.path().join(format!("{:08}.{UNFINISHED}", 3));
    // Killed while it was written, or before it had its name.
    for cut in 0..=whole.len() {
        fs::write(&unfinished, &whole[..cut]).expect("written");
        let store = FileStore::open(folder.path()).expect("opened");
        assert_eq!(state(&store), ["ab", "c", "d"], "{cut} octets");
        assert!(!unfinished.exists());
    }
    // Killed before its segment was there, or was begun.
    fs::write(snapshot_path(folder.path(), 3), &whole).expect("written");
    for begun in [None, Some(0), Some(3), Some(MAGIC.len())] {
        if let Some(octets) = begun {
            fs::write(segment_path(folder.path(), 3), &MAGIC[..octets]).expect("written");
        }
        let mut store = FileStore::open(folder.path()).expect("opened");
        assert_eq!(state(&store), ["abcd"], "{begun:?}");
        assert_eq!(history(&store, ""), ["a", "b", "c", "d"], "{begun:?}");
        assert!(!snapshot_path(folder.path(), 2).exists(), "the older one is of no use");
        put(&mut store, &["e"]);
        assert_eq!(state(&store), ["abcd", "e"], "{begun:?}");
        drop(store);
        fs::remove_file(segment_path(folder.path(), 3)).expect("removed");
    }
    // A snapshot that is there and not whole is no trace of a crash.
    fs::write(snapshot_path(folder.path(), 3), &whole[..whole.len() - 1]).expect("written");
    let store = FileStore::open(folder.path()).expect("opened");
    assert!(store.replay(&mut |_| {}).is_err());
}
