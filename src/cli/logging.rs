//! Log lines on stderr, in the form and from the level that the configuration says.

use tracing::Level;

use crate::config::{Log, LogFormat};

/// Starts logging. Commands other than the service keep to warnings, unless more than the default was asked for.
pub(super) fn start(log: Log, serving: bool) {
    let level = if !serving && log.level == Level::INFO { Level::WARN } else { log.level };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // An error here means that a test has set its own subscriber.
    let _ = match log.format {
        LogFormat::Text => builder.with_ansi(ansi).try_init(),
        LogFormat::Json => builder.with_ansi(false).json().try_init(),
    };
}
