//! Server of the Model Context Protocol: tools with which agents buy pictures, each purchase a row of
//! the journal before anything is sent.

mod arguments;
mod bought;
mod buying;
mod confirmation;
mod output;
mod preview;
mod reading;
mod refusal;
mod root;
mod schema;
mod server;
mod session;
mod tools;
mod waiting;

pub(crate) use self::root::Root;
pub(crate) use self::server::Server;
pub(crate) use self::session::Session;
