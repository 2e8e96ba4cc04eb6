//! What the S1SP must not forget: requests it took, critical steps it began, outcomes and alerts the DCC has not taken,
//! firmware images and the devices they are for, and what devices have become.
//!
//! Requests that ended are remembered by device, so that one that comes again is not executed again: the last
//! [`REMEMBERED`] of each. One that is older than these is refused.

mod images;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use domain::{Eui64, RequestId};
use prost::Message;
use prost::bytes::Bytes;
use proto::{CountersignedServiceRequest, FirmwareReport, ImageJob, ImageJobResult, S1spAlert, S1spResponse};
use world::{Store, StoreError};

use crate::codes::Codes;

use images::Images;
use record::{Accepted, Coded, EndedId, Record, Stands};

/// Ended requests remembered of one device.
const REMEMBERED: usize = 256;

/// A message for the DCC.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ToDcc {
    Response(S1spResponse),
    Alert(S1spAlert),
    Image(ImageJobResult),
    Firmware(FirmwareReport),
}

/// A request that was taken and has no outcome yet.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    pub(crate) request: CountersignedServiceRequest,
    /// When it was taken, milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// The DCC's counter for the device, which rises from request to request.
    pub(crate) originator_counter: u64,
    /// Steps that change the device and were begun.
    pub(crate) began: Vec<u32>,
}

/// Where a request stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It is older than what is remembered of its device: whether it was here is not known.
    Forgotten,
    UnderWay,
    Ended,
}

/// The journal and what follows from it.
pub(crate) struct Journal {
    store: Box<dyn Store>,
    state: State,
    snapshot_after_octets: u64,
}

/// What a restart finds.
#[derive(Clone, Default)]
pub(crate) struct Found {
    pub(crate) unfinished: BTreeMap<RequestId, Unfinished>,
    /// Messages the DCC has not taken, by number.
    pub(crate) untaken: BTreeMap<u64, ToDcc>,
    /// Last alert counter per device.
    pub(crate) alert_counters: BTreeMap<u64, u64>,
}

/// Everything that the records say.
#[derive(Default)]
struct State {
    found: Found,
    /// By device, lowest counter first.
    ended: BTreeMap<Eui64, BTreeSet<(u64, RequestId)>>,
    /// The same requests, with the highest counter they ended under.
    ended_ids: BTreeMap<RequestId, u64>,
    images: Images,
    last_number: u64,
    codes: Codes,
}

impl Journal {
    /// Reads a journal. Once so many octets have come since the last snapshot, there is a new one.
    pub(crate) fn open(store: Box<dyn Store>, snapshot_after_octets: u64) -> Result<(Self, Found), StoreError> {
        let mut state = State::default();
        let mut strange = 0u32;
        store.replay(&mut |octets| match Record::decode(octets) {
            Ok(record) => state.take(record),
            Err(_) => strange += 1,
        })?;
        if strange > 0 {
            let problem = format!("{strange} record(s) that are none");
            return Err(StoreError {
                journal: "s1sp".into(),
                problem,
            });
        }
        let found = state.found.clone();
        let journal = Self {
            store,
            state,
            snapshot_after_octets,
        };
        Ok((journal, found))
    }

    /// Where a request stands that came with this counter of the DCC.
    pub(crate) fn standing(&self, request: RequestId, originator_counter: u64) -> Option<Standing> {
        if let Some(standing) = self.known(request) {
            return Some(standing);
        }
        let ended = self.state.ended.get(&request.target)?;
        let lowest = ended.first().map_or(0, |(counter, _)| *counter);
        (ended.len() >= REMEMBERED && originator_counter < lowest).then_some(Standing::Forgotten)
    }

    /// Where a request stands, as far as it is remembered.
    pub(crate) fn known(&self, request: RequestId) -> Option<Standing> {
        if self.state.found.unfinished.contains_key(&request) {
            return Some(Standing::UnderWay);
        }
        self.state.ended_ids.contains_key(&request).then_some(Standing::Ended)
    }

    /// A request is taken: durable when this returns.
    pub(crate) fn accept(
        &mut self,
        id: RequestId,
        originator_counter: u64,
        request: &CountersignedServiceRequest,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(Record::accepted(Accepted {
            request_id: id.to_string(),
            request: Some(request.clone()),
            at_ms,
            originator_counter,
        }))
    }

    /// A step that changes the device begins: durable when this returns, so that a restart does not repeat it.
    pub(crate) fn begin(&mut self, id: RequestId, step: u32) -> Result<(), StoreError> {
        self.write(Record::began(id.to_string(), step))
    }

    /// The counter of the code that a meter takes for a supplier's code: the same one however often it is asked for. A new
    /// one is durable when this returns.
    pub(crate) fn code_counter(&mut self, device: Eui64, utrn: u64) -> Result<u16, StoreError> {
        let counter = match self.state.codes.counter(device, utrn) {
            Some(known) => known,
            None => {
                let counter = self.state.codes.next(device);
                self.write(Record::coded(Coded {
                    device: device.0,
                    utrn,
                    counter,
                }))?;
                counter
            }
        };
        Ok(u16::try_from(counter & 0x3FFF).unwrap_or_default())
    }

    /// The outcome of a request: durable when this returns. Gives the number of the message to the DCC.
    pub(crate) fn end(&mut self, response: &S1spResponse) -> Result<u64, StoreError> {
        let number = self.number();
        self.write(Record::ended(response, number))?;
        Ok(number)
    }

    /// An alert for the DCC: durable when this returns. Gives the number of the message.
    pub(crate) fn alert(&mut self, alert: &S1spAlert) -> Result<u64, StoreError> {
        let number = self.number();
        self.write(Record::alert(alert, number))?;
        Ok(number)
    }

    /// A firmware image is taken: durable when this returns.
    pub(crate) fn take_image(&mut self, image: &Bytes) -> Result<(), StoreError> {
        self.write(Record::image(image))
    }

    /// The image with this SHA-256, where it is still kept.
    pub(crate) fn image(&self, hash: &[u8]) -> Option<Bytes> {
        self.state.images.image(hash)
    }

    /// An image job is taken: durable when this returns.
    pub(crate) fn take_image_job(&mut self, job: &ImageJob) -> Result<(), StoreError> {
        self.write(Record::image_job(job))
    }

    /// Image jobs without a result.
    pub(crate) fn image_jobs(&self) -> Vec<ImageJob> {
        self.state.images.jobs.values().cloned().collect()
    }

    /// Whether an image job was taken, with or without a result.
    pub(crate) fn knows_job(&self, job: &ImageJob) -> bool {
        self.state.images.knows(job)
    }

    /// The result of an image job: durable when this returns. Gives the number of the message to the DCC.
    pub(crate) fn end_image_job(&mut self, result: &ImageJobResult) -> Result<u64, StoreError> {
        let number = self.number();
        self.write(Record::image_result(result, number))?;
        Ok(number)
    }

    /// What the DCC is told of a device's firmware: durable when this returns. Gives the number of the message.
    pub(crate) fn firmware(&mut self, report: &FirmwareReport) -> Result<u64, StoreError> {
        let number = self.number();
        self.write(Record::firmware(report, number))?;
        Ok(number)
    }

    /// A device turned out to have another profile: durable when this returns.
    pub(crate) fn became(&mut self, device: Eui64, profile: String) -> Result<(), StoreError> {
        self.write(Record::became(device, profile))
    }

    /// The profiles that devices turned out to have.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = (Eui64, &str)> {
        let became = self.state.images.became.iter();
        became.map(|(device, profile)| (*device, profile.as_str()))
    }

    /// A number for a message that need not survive a restart.
    pub(crate) fn number(&mut self) -> u64 {
        self.state.last_number += 1;
        self.state.last_number
    }

    /// The DCC has taken a message. Durable with the next commit: forgetting it only means sending once more.
    pub(crate) fn taken(&mut self, number: u64) -> Result<(), StoreError> {
        let record = Record::taken(number);
        self.store.append(&record.encode_to_vec())?;
        self.state.take(record);
        Ok(())
    }

    /// Makes the confirmations noted since the last commit durable.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        self.store.commit()
    }

    /// The outcome of a request that ended. One that the DCC has taken is looked for in the journal's history, which is
    /// slow: for the rare request that comes again.
    pub(crate) fn outcome(&self, id: RequestId) -> Result<Option<S1spResponse>, StoreError> {
        let wanted = id.to_string();
        let untaken = self.state.found.untaken.values().find_map(|message| match message {
            ToDcc::Response(response) if response.request_id == wanted => Some(response.clone()),
            _ => None,
        });
        if untaken.is_some() {
            return Ok(untaken);
        }
        let mut outcome = None;
        self.store.history(&|_| false, &mut |octets| {
            let record = Record::decode(octets).ok();
            let response = record.and_then(|record| record.ended).and_then(|ended| ended.response);
            if let Some(response) = response.filter(|response| response.request_id == wanted) {
                outcome = Some(response);
            }
        })?;
        Ok(outcome)
    }

    fn write(&mut self, record: Record) -> Result<(), StoreError> {
        self.store.append(&record.encode_to_vec())?;
        self.store.commit()?;
        self.state.take(record);
        if self.store.since_snapshot() >= self.snapshot_after_octets {
            let mut records = self.state.records().map(|record| record.encode_to_vec());
            self.store.snapshot(&mut records)?;
        }
        Ok(())
    }
}

impl State {
    fn take(&mut self, record: Record) {
        if let Some(accepted) = record.accepted {
            self.take_accepted(accepted);
        }
        if let Some(began) = record.began
            && let Ok(id) = began.request_id.parse::<RequestId>()
            && let Some(unfinished) = self.found.unfinished.get_mut(&id)
        {
            unfinished.began.push(began.step);
        }
        if let Some(ended) = record.ended {
            self.last_number = self.last_number.max(ended.number);
            if let Some(response) = ended.response {
                self.take_ended(response, ended.number);
            }
        }
        if let Some(alert) = record.alert {
            self.last_number = self.last_number.max(alert.number);
            if let Some(message) = alert.alert {
                let counter = self.found.alert_counters.entry(message.device).or_insert(0);
                *counter = message.counter.max(*counter);
                self.found.untaken.insert(alert.number, ToDcc::Alert(message));
            }
        }
        if let Some(ended) = record.image_result {
            self.last_number = self.last_number.max(ended.number);
            if let Some(result) = ended.result {
                self.images.take_result(&result);
                self.found.untaken.insert(ended.number, ToDcc::Image(result));
            }
        }
        if let Some(firmware) = record.firmware {
            self.last_number = self.last_number.max(firmware.number);
            if let Some(report) = firmware.report {
                let counter = self.found.alert_counters.entry(report.device).or_insert(0);
                *counter = report.counter.max(*counter);
                self.found.untaken.insert(firmware.number, ToDcc::Firmware(report));
            }
        }
        if let Some(job) = record.image_job {
            self.images.take_job(job);
        }
        if let Some(became) = record.became {
            self.images.became.insert(Eui64(became.device), became.profile);
        }
        if !record.image.is_empty() {
            self.images.take_image(record.image);
        }
        if let Some(coded) = record.coded {
            self.codes.put(Eui64(coded.device), coded.utrn, coded.counter);
        }
        if let Some(stands) = record.stands {
            self.take_stands(stands);
        }
        self.last_number = self.last_number.max(record.taken);
        self.found.untaken.remove(&record.taken);
    }

    fn take_accepted(&mut self, accepted: Accepted) {
        let (Ok(id), Some(request)) = (accepted.request_id.parse(), accepted.request) else {
            return;
        };
        let unfinished = Unfinished {
            request,
            at_ms: accepted.at_ms,
            originator_counter: accepted.originator_counter,
            began: Vec::new(),
        };
        self.found.unfinished.insert(id, unfinished);
    }

    fn take_ended(&mut self, response: S1spResponse, number: u64) {
        if let Ok(id) = response.request_id.parse::<RequestId>() {
            let unfinished = self.found.unfinished.remove(&id);
            self.remember(id, unfinished.map_or(0, |unfinished| unfinished.originator_counter));
        }
        self.found.untaken.insert(number, ToDcc::Response(response));
    }

    fn take_stands(&mut self, stands: Stands) {
        self.last_number = self.last_number.max(stands.last_number);
        self.images.take_stands(&stands);
        if stands.last_alert > 0 {
            self.found.alert_counters.insert(stands.device, stands.last_alert);
        }
        for ended in stands.ended {
            if let Ok(octets) = ended.request.try_into() {
                self.remember(RequestId::from_bytes(octets), ended.originator_counter);
            }
        }
    }

    fn remember(&mut self, id: RequestId, originator_counter: u64) {
        let ended = self.ended.entry(id.target).or_default();
        ended.insert((originator_counter, id));
        let highest = self.ended_ids.entry(id).or_default();
        *highest = originator_counter.max(*highest);
        if ended.len() > REMEMBERED
            && let Some((counter, forgotten)) = ended.pop_first()
            && self.ended_ids.get(&forgotten) == Some(&counter)
        {
            self.ended_ids.remove(&forgotten);
        }
    }

    /// Records that stand for all that were taken.
    fn records(&self) -> impl Iterator<Item = Record> {
        let numbers = Record::stands(Stands {
            last_number: self.last_number,
            ..Stands::default()
        });
        let alerts = self.found.alert_counters.iter().map(|(device, last_alert)| {
            Record::stands(Stands {
                device: *device,
                last_alert: *last_alert,
                ..Stands::default()
            })
        });
        let ended = self.ended.iter().map(|(device, ended)| {
            let ended = ended.iter().map(|(originator_counter, id)| EndedId {
                originator_counter: *originator_counter,
                request: id.to_bytes().to_vec(),
            });
            Record::stands(Stands {
                device: device.0,
                ended: ended.collect(),
                ..Stands::default()
            })
        });
        let unfinished = self.found.unfinished.iter().flat_map(|(id, unfinished)| {
            let request_id = id.to_string();
            let accepted = Record::accepted(Accepted {
                request_id: request_id.clone(),
                request: Some(unfinished.request.clone()),
                at_ms: unfinished.at_ms,
                originator_counter: unfinished.originator_counter,
            });
            let began = unfinished.began.iter();
            let began = began.map(move |step| Record::began(request_id.clone(), *step));
            std::iter::once(accepted).chain(began)
        });
        let untaken = self.found.untaken.iter().map(|(number, message)| match message {
            ToDcc::Response(response) => Record::ended(response, *number),
            ToDcc::Alert(alert) => Record::alert(alert, *number),
            ToDcc::Image(result) => Record::image_result(result, *number),
            ToDcc::Firmware(report) => Record::firmware(report, *number),
        });
        let codes = self.codes.iter().map(|(device, utrn, counter)| {
            Record::coded(Coded {
                device: device.0,
                utrn,
                counter,
            })
        });
        std::iter::once(numbers)
            .chain(codes)
            .chain(alerts)
            .chain(ended)
            .chain(unfinished)
            .chain(self.images.records())
            .chain(untaken)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({} requests under way)", self.state.found.unfinished.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Eui64;
    use world::MemoryStore;

    fn id(counter: u64) -> RequestId {
        RequestId {
            originator: Eui64(1),
            target: Eui64(2),
            counter,
        }
    }

    #[test]
    fn a_restart_finds_what_was_taken_begun_ended_and_not_yet_delivered() {
        // With a snapshot after every commit, with one now and then, and with none.
        [1, 100, u64::MAX].into_iter().for_each(restarts);
    }

    fn restarts(snapshot_after: u64) {
        let store = MemoryStore::default();
        let request = CountersignedServiceRequest::default();
        let response = |counter| S1spResponse {
            request_id: id(counter).to_string(),
            ..S1spResponse::default()
        };
        let (mut journal, _) = Journal::open(Box::new(store.clone()), snapshot_after).unwrap();
        for counter in 1..=4 {
            journal.accept(id(counter), counter, &request, 5).unwrap();
        }
        journal.begin(id(2), 1).unwrap();
        let first = journal.end(&response(3)).unwrap();
        let second = journal.end(&response(4)).unwrap();
        let alert = S1spAlert {
            device: 9,
            counter: 7,
            ..S1spAlert::default()
        };
        let third = journal.alert(&alert).unwrap();
        journal.taken(first).unwrap();
        journal.accept(id(5), 5, &request, 6).unwrap();
        let images = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        let job = |device, name: &str, image: &Bytes| ImageJob {
            device,
            job_id: name.into(),
            image_sha256: domain::image::hash(image).0.to_vec().into(),
            ..ImageJob::default()
        };
        let jobs = [job(1, "first", &images[0]), job(2, "second", &images[1])];
        for (job, image) in jobs.iter().zip(&images) {
            journal.take_image(image).unwrap();
            journal.take_image_job(job).unwrap();
        }
        let result = ImageJobResult {
            job_id: "first".into(),
            ..ImageJobResult::default()
        };
        let fourth = journal.end_image_job(&result).unwrap();
        journal.became(Eui64(8), "model@NEW".into()).unwrap();
        let report = FirmwareReport {
            device: 8,
            counter: 3,
            ..FirmwareReport::default()
        };
        let fifth = journal.firmware(&report).unwrap();
        let counters = [(2, 73), (2, 74), (3, 73)].map(|(device, utrn)| journal.code_counter(Eui64(device), utrn));
        assert_eq!(counters.map(Result::unwrap), [1, 2, 1]);
        drop(journal);

        let (mut journal, found) = Journal::open(Box::new(store), snapshot_after).unwrap();
        assert_eq!(
            found.unfinished.keys().copied().collect::<Vec<_>>(),
            [id(1), id(2), id(5)]
        );
        assert_eq!(found.unfinished[&id(2)].began, [1]);
        let untaken = [second, third, fourth, fifth];
        assert_eq!(found.untaken.keys().copied().collect::<Vec<_>>(), untaken);
        assert_eq!(
            journal.image(&domain::image::hash(&images[1]).0),
            Some(images[1].clone())
        );
        assert_eq!(journal.image_jobs(), [jobs[1].clone()]);
        assert!(jobs.iter().all(|job| journal.knows_job(job)));
        assert!(!journal.knows_job(&job(1, "third", &images[0])));
        assert_eq!(journal.profiles().collect::<Vec<_>>(), [(Eui64(8), "model@NEW")]);
        assert_eq!(found.alert_counters[&8], 3);
        assert_eq!(found.alert_counters[&9], 7);
        assert_eq!(journal.standing(id(3), 3), Some(Standing::Ended));
        assert_eq!(journal.standing(id(1), 1), Some(Standing::UnderWay));
        assert_eq!(journal.standing(id(9), 9), None);
        assert_eq!(journal.outcome(id(3)).unwrap(), Some(response(3)));
        assert!(journal.number() > fifth);
        assert_eq!(journal.code_counter(Eui64(2), 73).unwrap(), 1, "the same code again");
        assert_eq!(
            journal.code_counter(Eui64(2), 75).unwrap(),
            3,
            "never the same code twice"
        );
    }

    #[test]
    fn what_is_remembered_of_a_device_has_a_limit_and_what_is_older_is_not_taken_for_new() {
        let store = MemoryStore::default();
        let (mut journal, _) = Journal::open(Box::new(store.clone()), 5000).unwrap();
        let last = REMEMBERED as u64 + 50;
        for counter in 2..=last {
            journal
                .accept(id(counter), counter, &CountersignedServiceRequest::default(), 0)
                .unwrap();
            let number = journal
                .end(&S1spResponse {
                    request_id: id(counter).to_string(),
                    ..S1spResponse::default()
                })
                .unwrap();
            journal.taken(number).unwrap();
        }
        journal.flush().unwrap();
        let (reopened, _) = Journal::open(Box::new(store), 5000).unwrap();
        for journal in [journal, reopened] {
            assert_eq!(
                journal.state.ended.values().map(BTreeSet::len).sum::<usize>(),
                REMEMBERED
            );
            assert_eq!(journal.standing(id(last), last), Some(Standing::Ended));
            assert_eq!(journal.standing(id(2), 2), Some(Standing::Forgotten));
            assert_eq!(
                journal.standing(id(1), last + 1),
                None,
                "an old request that comes for the first time"
            );
            assert!(journal.outcome(id(2)).unwrap().is_some(), "it is in the history");
        }
    }
}
