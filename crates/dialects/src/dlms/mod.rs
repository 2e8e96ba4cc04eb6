//! The families that speak DLMS/COSEM: one table of objects, one way from operations to requests, and carriers that differ.

mod carrier;
mod device;
mod head_end;
mod image;
mod job;
mod log_objects;
mod logs;
mod meter;
mod methods;
mod objects;
mod server;
mod time;
mod values;

pub(crate) use carrier::Framing;
pub(crate) use head_end::Operator;
pub(crate) use meter::Device;
pub(crate) use objects::half_hourly;
