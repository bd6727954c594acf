//! Servers that an address names.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Port of a server where the address names none.
pub(super) const DEFAULT_PORT: u16 = 5432;

/// Host and port of each server.
pub(super) fn servers(config: &Config) -> Vec<(String, u16)> {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.last()).copied();
    let hosts = config.get_hosts().iter().enumerate();
    hosts
        .map(|(index, host)| {
            let name = match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(folder) => folder.display().to_string(),
            };
            (name, port(index).unwrap_or(DEFAULT_PORT))
        })
        .collect()
}
