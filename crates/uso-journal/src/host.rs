//! Name of this machine, as the records of saved pictures have it.

/// The name of this machine.
pub(crate) fn name() -> &'static str {
    use std::sync::LazyLock;
    static NAME: LazyLock<String> = LazyLock::new(|| {
        #[cfg(unix)]
        let name = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        #[cfg(not(unix))]
        let name = std::env::var("COMPUTERNAME").unwrap_or_default();
        name
    });
    &NAME
}
