//! A simulated supplier: one user with a name and a list of things to do.

use domain::{SimDuration, SimInstant};

use crate::{Client, ClientError, Exchange, Order};

/// A supplier. It knows only its own devices and what the DCC tells it.
#[derive(Clone)]
pub struct Supplier {
    name: String,
    client: Client,
}

/// One thing done.
#[derive(Debug)]
pub struct Done {
    /// What was asked for.
    pub order: Order,
    /// When it was begun.
    pub begun: SimInstant,
    /// What came of it.
    pub result: Result<Exchange, ClientError>,
}

impl Supplier {
    /// A supplier of this name over its client.
    #[must_use]
    pub fn new(name: impl Into<String>, client: Client) -> Self {
        Self {
            name: name.into(),
            client,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes the requests one after the other, waiting up to `limit` for each outcome. A request that comes to no end does
    /// not stop the rest. Safe to cancel between requests.
    pub async fn work_through(&self, orders: Vec<Order>, limit: SimDuration) -> Vec<Done> {
        let mut done = Vec::with_capacity(orders.len());
        for order in orders {
            let begun = self.client.now();
            let result = self.client.request(&order, limit).await;
            if let Err(error) = &result {
                tracing::debug!(supplier = self.name, srv = %order.srv, target = %order.target, %error, "no end");
            }
            done.push(Done { order, begun, result });
        }
        done
    }
}
