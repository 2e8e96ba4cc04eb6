//! Planning: what suppliers send, what capacity there is, who may migrate when. Pure.

pub mod authorisation;
pub mod demand;
pub mod forecast;
pub mod gates;
pub mod intake;
pub mod lists;
pub mod name;
pub mod notice;
pub mod protection;
pub mod ramp;
pub mod scaling;
