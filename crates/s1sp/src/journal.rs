//! What the S1SP must not forget: requests it took, critical steps it began, outcomes and alerts the DCC has not taken.

use std::collections::BTreeMap;

use domain::RequestId;
use prost::Message;
use proto::{CountersignedServiceRequest, S1spAlert, S1spResponse};
use world::{Store, StoreError};

/// One record of the journal; exactly one of its parts is set.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(message, optional, tag = "1")]
    accepted: Option<Accepted>,
    #[prost(message, optional, tag = "2")]
    began: Option<Began>,
    #[prost(message, optional, tag = "3")]
    ended: Option<Ended>,
    #[prost(message, optional, tag = "4")]
    alert: Option<Alert>,
    /// Number of the message that the DCC has taken.
    #[prost(uint64, tag = "5")]
    taken: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Accepted {
    #[prost(string, tag = "1")]
    request_id: String,
    #[prost(message, optional, tag = "2")]
    request: Option<CountersignedServiceRequest>,
    #[prost(int64, tag = "3")]
    at_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Began {
    #[prost(string, tag = "1")]
    request_id: String,
    #[prost(uint32, tag = "2")]
    step: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Ended {
    #[prost(message, optional, tag = "1")]
    response: Option<S1spResponse>,
    #[prost(uint64, tag = "2")]
    number: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Alert {
    #[prost(message, optional, tag = "1")]
    alert: Option<S1spAlert>,
    #[prost(uint64, tag = "2")]
    number: u64,
}

/// A message for the DCC.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ToDcc {
    Response(S1spResponse),
    Alert(S1spAlert),
}

/// A request that was taken and has no outcome yet.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    pub(crate) request: CountersignedServiceRequest,
    /// When it was taken, milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// Steps that change the device and were begun.
    pub(crate) began: Vec<u32>,
}

/// Where a request stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    UnderWay,
    Ended,
}

/// The journal and what follows from it.
pub(crate) struct Journal {
    store: Box<dyn Store>,
    standing: BTreeMap<RequestId, Standing>,
    next_number: u64,
}

/// What a restart finds.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) unfinished: BTreeMap<RequestId, Unfinished>,
    /// Messages the DCC has not taken, by number.
    pub(crate) untaken: BTreeMap<u64, ToDcc>,
    /// Last alert counter per device.
    pub(crate) alert_counters: BTreeMap<u64, u64>,
}

impl Journal {
    pub(crate) fn open(store: Box<dyn Store>) -> Result<(Self, Found), StoreError> {
        let mut found = Found::default();
        let mut standing = BTreeMap::new();
        let mut last_number = 0;
        let mut strange = 0u32;
        store.replay(&mut |octets| match Record::decode(octets) {
            Ok(record) => last_number = last_number.max(found.take(record, &mut standing)),
            Err(_) => strange += 1,
        })?;
        if strange > 0 {
            let problem = format!("{strange} record(s) that are none");
            return Err(StoreError {
                journal: "s1sp".into(),
                problem,
            });
        }
        Ok((
            Self {
                store,
                standing,
                next_number: last_number + 1,
            },
            found,
        ))
    }

    pub(crate) fn standing(&self, request: RequestId) -> Option<Standing> {
        self.standing.get(&request).copied()
    }

    /// A request is taken: durable when this returns.
    pub(crate) fn accept(
        &mut self,
        id: RequestId,
        request: &CountersignedServiceRequest,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let accepted = Accepted {
            request_id: id.to_string(),
            request: Some(request.clone()),
            at_ms,
        };
        self.write(&Record {
            accepted: Some(accepted),
            ..Record::default()
        })?;
        self.standing.insert(id, Standing::UnderWay);
        Ok(())
    }

    /// A step that changes the device begins: durable when this returns, so that a restart does not repeat it.
    pub(crate) fn begin(&mut self, id: RequestId, step: u32) -> Result<(), StoreError> {
        let began = Began {
            request_id: id.to_string(),
            step,
        };
        self.write(&Record {
            began: Some(began),
            ..Record::default()
        })
    }

    /// The outcome of a request: durable when this returns. Gives the number of the message to the DCC.
    pub(crate) fn end(&mut self, id: RequestId, response: &S1spResponse) -> Result<u64, StoreError> {
        let number = self.number();
        let ended = Ended {
            response: Some(response.clone()),
            number,
        };
        self.write(&Record {
            ended: Some(ended),
            ..Record::default()
        })?;
        self.standing.insert(id, Standing::Ended);
        Ok(number)
    }

    /// An alert for the DCC: durable when this returns. Gives the number of the message.
    pub(crate) fn alert(&mut self, alert: &S1spAlert) -> Result<u64, StoreError> {
        let number = self.number();
        let alert = Alert {
            alert: Some(alert.clone()),
            number,
        };
        self.write(&Record {
            alert: Some(alert),
            ..Record::default()
        })?;
        Ok(number)
    }

    /// A number for a message that need not survive a restart.
    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// The DCC has taken a message. Durable with the next commit: forgetting it only means sending once more.
    pub(crate) fn taken(&mut self, number: u64) -> Result<(), StoreError> {
        self.store.append(
            &Record {
                taken: number,
                ..Record::default()
            }
            .encode_to_vec(),
        )
    }

    /// Makes the confirmations noted since the last commit durable.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        self.store.commit()
    }

    /// The outcome of a request that ended, from the journal; slow, for the rare request that comes again.
    pub(crate) fn outcome(&self, id: RequestId) -> Result<Option<S1spResponse>, StoreError> {
        let wanted = id.to_string();
        let mut outcome = None;
        self.store.replay(&mut |octets| {
            let response = Record::decode(octets)
                .ok()
                .and_then(|record| record.ended)
                .and_then(|ended| ended.response);
            if let Some(response) = response.filter(|response| response.request_id == wanted) {
                outcome = Some(response);
            }
        })?;
        Ok(outcome)
    }

    fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        self.store.append(&record.encode_to_vec())?;
        self.store.commit()
    }
}

impl Found {
    /// Takes one record; gives the message number it holds, else zero.
    fn take(&mut self, record: Record, standing: &mut BTreeMap<RequestId, Standing>) -> u64 {
        if let Some(Accepted {
            request_id,
            request: Some(request),
            at_ms,
        }) = record.accepted
            && let Ok(id) = request_id.parse()
        {
            standing.insert(id, Standing::UnderWay);
            self.unfinished.insert(
                id,
                Unfinished {
                    request,
                    at_ms,
                    began: Vec::new(),
                },
            );
        }
        if let Some(began) = record.began
            && let Ok(id) = began.request_id.parse::<RequestId>()
            && let Some(unfinished) = self.unfinished.get_mut(&id)
        {
            unfinished.began.push(began.step);
        }
        if let Some(Ended {
            response: Some(response),
            number,
        }) = record.ended
        {
            if let Ok(id) = response.request_id.parse::<RequestId>() {
                standing.insert(id, Standing::Ended);
                self.unfinished.remove(&id);
            }
            self.untaken.insert(number, ToDcc::Response(response));
            return number;
        }
        if let Some(Alert {
            alert: Some(alert),
            number,
        }) = record.alert
        {
            let counter = self.alert_counters.entry(alert.device).or_insert(0);
            *counter = alert.counter.max(*counter);
            self.untaken.insert(number, ToDcc::Alert(alert));
            return number;
        }
        self.untaken.remove(&record.taken);
        record.taken
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({} requests)", self.standing.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Eui64;
    use world::MemoryStore;

    #[test]
    fn a_restart_finds_what_was_taken_begun_ended_and_not_yet_delivered() {
        let store = MemoryStore::default();
        let id = |counter| RequestId {
            originator: Eui64(1),
            target: Eui64(2),
            counter,
        };
        let request = CountersignedServiceRequest::default();
        let response = |counter| S1spResponse {
            request_id: id(counter).to_string(),
            ..S1spResponse::default()
        };
        let (mut journal, _) = Journal::open(Box::new(store.clone())).unwrap();
        for counter in 1..=4 {
            journal.accept(id(counter), &request, 5).unwrap();
        }
        journal.begin(id(2), 1).unwrap();
        let first = journal.end(id(3), &response(3)).unwrap();
        let second = journal.end(id(4), &response(4)).unwrap();
        let alert = S1spAlert {
            device: 9,
            counter: 7,
            ..S1spAlert::default()
        };
        let third = journal.alert(&alert).unwrap();
        journal.taken(first).unwrap();
        journal.accept(id(5), &request, 6).unwrap();
        drop(journal);

        let (mut journal, found) = Journal::open(Box::new(store)).unwrap();
        assert_eq!(
            found.unfinished.keys().copied().collect::<Vec<_>>(),
            [id(1), id(2), id(5)]
        );
        assert_eq!(found.unfinished[&id(2)].began, [1]);
        assert_eq!(found.untaken.keys().copied().collect::<Vec<_>>(), [second, third]);
        assert_eq!(found.alert_counters[&9], 7);
        assert_eq!(journal.standing(id(3)), Some(Standing::Ended));
        assert_eq!(journal.standing(id(1)), Some(Standing::UnderWay));
        assert_eq!(journal.standing(id(9)), None);
        assert_eq!(journal.outcome(id(3)).unwrap(), Some(response(3)));
        assert!(journal.number() > third);
    }
}
