//! The options of the console, and opening it.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderName;
use clap::Args;

use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::console::{
    BasePath, CONSOLE_ADDRESS, ConsoleAddressRule, ConsoleServer, ConsoleSettings, TrustedHeader,
};
use crate::ledger::Ledger;
use crate::session::error::CommandError;
use crate::session::ledger_location::LedgerOptions;
use crate::text::describe_io_error;

/// The options of the console.
#[derive(Clone, Debug, Args)]
pub(super) struct ConsoleArgs {
    /// Address of the console [default: 127.0.0.1:8780]
    #[arg(long, value_name = "ADDRESS")]
    console: Option<SocketAddr>,
    /// Only receive webhooks
    #[arg(long, conflicts_with = "console")]
    no_console: bool,
    /// Host name under which browsers reach the console (repeatable)
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Path under which a proxy serves the console
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    base_path: BasePath,
    /// A proxy serves the console over HTTPS only
    #[arg(long)]
    behind_tls: bool,
    /// Allow passwords over unencrypted HTTP (insecure)
    #[arg(long, conflicts_with = "behind_tls")]
    plain_http: bool,
    /// Header in which a trusted proxy names the user
    #[arg(long, value_name = "NAME", requires = "trusted_proxies")]
    trusted_header: Option<HeaderName>,
    /// Address of that proxy (repeatable)
    #[arg(long = "trusted-proxy", value_name = "IP", requires = "trusted_header")]
    trusted_proxies: Vec<IpAddr>,
}

impl ConsoleArgs {
    /// Opens the console, unless it is not wanted.
    pub(super) async fn open(
        &self,
        ledger_options: LedgerOptions,
        ledger: &Ledger,
        clock: &Clock,
        printer: &Printer,
    ) -> Result<Option<ConsoleServer>, CommandError> {
        if self.no_console {
            return Ok(None);
        }
        let listen = self.console.unwrap_or(CONSOLE_ADDRESS);
        let has_users = !ledger.console_users().await?.is_empty();
        let rule = ConsoleAddressRule {
            listen,
            has_users,
            is_behind_tls: self.behind_tls,
            allows_plain_http: self.plain_http,
        };
        rule.check().map_err(CommandError::usage)?;
        let opened =
            ConsoleServer::open(self.settings(listen, ledger_options), ledger, clock, has_users);
        match opened.await {
            Ok(console) => Ok(Some(console)),
            // Units that only receive webhooks keep working beside another console.
            Err(error) if self.console.is_none() => {
                printer.status(&format!(
                    "no console: {listen} cannot be used ({}); choose another --console ADDRESS",
                    describe_io_error(error.kind())
                ));
                Ok(None)
            }
            Err(error) => {
                let reason = describe_io_error(error.kind());
                let message = format!("the console cannot listen on {listen}: {reason}");
                Err(CommandError::usage(message))
            }
        }
    }

    fn settings(&self, listen: SocketAddr, ledger_options: LedgerOptions) -> ConsoleSettings {
        ConsoleSettings {
            listen,
            base_path: self.base_path.clone(),
            hosts: self.hosts.clone(),
            is_behind_tls: self.behind_tls,
            trusted_header: self.trusted_header.clone().map(|name| TrustedHeader {
                name,
                proxies: self.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            }),
            ledger_options,
        }
    }
}
