//! Asks a running lab.

use std::path::Path;

use proto::v1 as m;
use proto::v1::control_client::ControlClient;
use proto::v1::deliver_again_request::Which;
use tonic::transport::{Channel, Endpoint};

use crate::server::MESSAGE_MAX;
use crate::state::{StateError, StateFile};

/// A question that got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is none.
    #[error("{address:?} is no control address; expected one such as http://127.0.0.1:8081")]
    Address {
        /// What stood there.
        address: String,
    },
    /// Nobody answers there.
    #[error("no lab answers at {address}\nhint: start one with `s1lab up`")]
    Connect {
        /// Where.
        address: String,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
    /// The lab refused, with its words.
    #[error("{0}")]
    Refused(String),
    /// No running lab was found.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A connection to a running lab.
#[derive(Clone, Debug)]
pub struct Client(ControlClient<Channel>);

impl Client {
    /// Connects to the lab at `address`, or else to the one that runs on the state folder.
    ///
    /// # Errors
    /// [`ClientError`] when there is none.
    pub async fn find(address: Option<&str>, state: &Path) -> Result<Self, ClientError> {
        match address {
            Some(address) => Self::connect(address).await,
            None => Self::connect(&StateFile::address(state)?).await,
        }
    }

    /// Connects to the lab at `address`, for example `http://127.0.0.1:8081`.
    ///
    /// # Errors
    /// When it is no address or nobody answers there.
    pub async fn connect(address: &str) -> Result<Self, ClientError> {
        let channel = connect(address).await?;
        let client = ControlClient::new(channel).max_decoding_message_size(MESSAGE_MAX);
        Ok(Self(client.max_encoding_message_size(MESSAGE_MAX)))
    }

    /// Seed, clock, addresses and users.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn status(&mut self) -> Result<m::StatusReply, ClientError> {
        answer(self.0.status(m::StatusRequest {}).await)
    }

    /// All devices.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn devices(&mut self) -> Result<Vec<m::DeviceEntry>, ClientError> {
        Ok(answer(self.0.list_devices(m::ListDevicesRequest {}).await)?.devices)
    }

    /// One device, with its test keys if `secrets`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is no such device.
    pub async fn device(&mut self, device: &str, secrets: bool) -> Result<m::ShowDeviceReply, ClientError> {
        answer(
            self.0
                .show_device(m::ShowDeviceRequest {
                    device: device.into(),
                    secrets,
                })
                .await,
        )
    }

    /// Opens a port for one device; gives the bound address. It stays open until the lab stops.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is no such device or the address cannot be bound.
    pub async fn expose(&mut self, device: &str, listen: &str) -> Result<String, ClientError> {
        let request = m::ExposeDeviceRequest {
            device: device.into(),
            listen: listen.into(),
        };
        Ok(answer(self.0.expose_device(request).await)?.address)
    }

    /// The audit trail of a request, a device or a metering point.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the text is none of these.
    pub async fn audit(&mut self, subject: &str) -> Result<Vec<m::AuditEntry>, ClientError> {
        Ok(answer(
            self.0
                .audit(m::AuditRequest {
                    subject: subject.into(),
                })
                .await,
        )?
        .entries)
    }

    /// The inventory as the DCC has it.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn inventory(&mut self) -> Result<Vec<m::InventoryEntry>, ClientError> {
        Ok(answer(self.0.inventory(m::InventoryRequest {}).await)?.devices)
    }

    /// Deliveries that were refused or given up.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn dead_letters(&mut self) -> Result<Vec<m::DeadLetter>, ClientError> {
        Ok(answer(self.0.dead_letters(m::DeadLettersRequest {}).await)?.letters)
    }

    /// Puts a dead letter of a user back to be delivered.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is none of that number.
    pub async fn deliver_again(&mut self, user: &str, delivery_id: u64) -> Result<(), ClientError> {
        let request = m::DeliverAgainRequest {
            user: user.into(),
            which: Some(Which::DeliveryId(delivery_id)),
        };
        answer(self.0.deliver_again(request).await).map(|_| ())
    }

    /// Delivers everything a user was sent since an instant (milliseconds of the calendar) once more. Gives how many that
    /// are.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a user the lab does not have.
    pub async fn deliver_since(&mut self, user: &str, since_ms: i64) -> Result<u64, ClientError> {
        let request = m::DeliverAgainRequest {
            user: user.into(),
            which: Some(Which::SinceMs(since_ms)),
        };
        Ok(answer(self.0.deliver_again(request).await)?.count)
    }

    /// What waits for a user that fetches. It stays until [`Client::fetched`].
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a user the lab does not have.
    pub async fn fetch(&mut self, user: &str, max: u32) -> Result<Vec<m::FetchedDelivery>, ClientError> {
        let request = m::FetchRequest { user: user.into(), max };
        Ok(answer(self.0.fetch(request).await)?.deliveries)
    }

    /// A user has these deliveries: they need not wait any more. Gives how many did.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a user the lab does not have.
    pub async fn fetched(&mut self, user: &str, delivery_ids: Vec<u64>) -> Result<u64, ClientError> {
        let request = m::FetchedRequest {
            user: user.into(),
            delivery_ids,
        };
        Ok(answer(self.0.fetched(request).await)?.count)
    }

    /// Forgets the RequestID counters of one user.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a user the lab does not have.
    pub async fn reset_counters(&mut self, user: &str) -> Result<(), ClientError> {
        let request = m::ResetCountersRequest { user: user.into() };
        answer(self.0.reset_counters(request).await).map(|_| ())
    }

    /// The requests that anomaly detection holds.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn quarantine(&mut self) -> Result<Vec<m::QuarantinedEntry>, ClientError> {
        Ok(answer(self.0.quarantine(m::QuarantineRequest {}).await)?.requests)
    }

    /// Lets a request in quarantine go on, or deletes it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is none of that number.
    pub async fn end_quarantine(&mut self, reference: u64, release: bool) -> Result<(), ClientError> {
        let request = m::EndQuarantineRequest { reference, release };
        answer(self.0.end_quarantine(request).await).map(|_| ())
    }

    /// Sends a request as one of the lab's users and waits up to `wait_ms` for its outcome.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when it cannot be read or signed, or the DCC does not reply.
    pub async fn send(&mut self, xml: Vec<u8>, path: &str, wait_ms: u64) -> Result<m::SendRequestReply, ClientError> {
        let request = m::SendRequestRequest {
            xml: xml.into(),
            wait_ms,
            path: path.into(),
        };
        answer(self.0.send_request(request).await)
    }

    /// Has a code made for a meter, in a supplier's place, and waits as long as is asked for the alert that tells it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where a top-up by that supplier would be.
    pub async fn vend(&mut self, request: m::VendRequest) -> Result<m::VendReply, ClientError> {
        answer(self.0.vend(request).await)
    }

    /// Enters a code at the keys of a meter, or of a prepayment interface for a kind of meter (empty: the electricity meter).
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is no such device.
    pub async fn key_in(&mut self, device: &str, code: &str, meter: &str) -> Result<m::KeyInReply, ClientError> {
        let request = m::KeyInRequest {
            device: device.into(),
            code: code.into(),
            meter: meter.into(),
        };
        answer(self.0.key_in(request).await)
    }

    /// Lets installations come into the lab, all that the tables have or none. Gives their devices.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with file, line and what is wrong.
    pub async fn add_devices(&mut self, request: m::AddDevicesRequest) -> Result<Vec<m::DeviceEntry>, ClientError> {
        Ok(answer(self.0.add_devices(request).await)?.devices)
    }

    /// Takes the installation behind a hub out of the lab. Gives the devices it had.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is none, or the device is no hub.
    pub async fn remove_device(&mut self, device: &str) -> Result<Vec<m::DeviceEntry>, ClientError> {
        let request = m::RemoveDeviceRequest { device: device.into() };
        Ok(answer(self.0.remove_device(request).await)?.devices)
    }

    /// Changes a device or its installation, all that is asked or nothing. Gives the device as it is then.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with what cannot be done.
    pub async fn patch_device(&mut self, request: m::PatchDeviceRequest) -> Result<m::DeviceEntry, ClientError> {
        Ok(answer(self.0.patch_device(request).await)?.device.unwrap_or_default())
    }

    /// Asks the lab to stop.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn stop(&mut self) -> Result<(), ClientError> {
        answer(self.0.stop(m::StopRequest {}).await).map(|_| ())
    }
}

/// A channel to an address.
pub(crate) async fn connect(address: &str) -> Result<Channel, ClientError> {
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| ClientError::Address {
        address: address.chars().take(200).collect(),
    })?;
    endpoint.connect().await.map_err(|source| ClientError::Connect {
        address: address.to_owned(),
        source,
    })
}

pub(crate) fn answer<T>(response: Result<tonic::Response<T>, tonic::Status>) -> Result<T, ClientError> {
    response
        .map(tonic::Response::into_inner)
        .map_err(|status| ClientError::Refused(status.message().to_owned()))
}
