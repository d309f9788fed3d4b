//! A plain e-mail over SMTP: the headline as its subject, details in a few lines.
//!
//! Each recipient gets a message of its own, so that one refused address does not silence the others.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, MIME_VERSION_1_0};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as Privacy, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;

use super::message;
use crate::batch::{EmailSettings, NotifySettings, SmtpTls};
use crate::http::check_certificate_file;
use crate::report::RunRecord;
use crate::text::pluralize;

/// Connections at once. Mail servers limit those of one client.
const CONNECTIONS_MAX: usize = 4;

type MailServer = AsyncSmtpTransport<Tokio1Executor>;

pub(super) async fn send(notify: &NotifySettings, record: &RunRecord) -> Result<(), String> {
    let Some(email) = &notify.email else { return Ok(()) };
    let server = mail_server(email, notify).await?;
    // Ends before the limit of the whole channel, so that the failure names the recipient.
    let timeout = notify.timeout.mul_f64(0.9);
    let mut sending = Vec::new();
    for (index, recipient) in email.to.iter().enumerate() {
        sending.push(Letter { email, record, recipient, index }.send(&server, timeout));
    }
    let outcomes: Vec<_> = stream::iter(sending).buffered(CONNECTIONS_MAX).collect().await;
    let mut failures: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut sent = 0;
    for (recipient, outcome) in email.to.iter().zip(outcomes) {
        match outcome {
            Ok(()) => sent += 1,
            Err(reason) => failures.entry(reason).or_default().push(format!("`{recipient}`")),
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    let failures: Vec<String> = failures
        .into_iter()
        .map(|(reason, recipients)| format!("not sent to {}: {reason}", recipients.join(", ")))
        .collect();
    let others = match sent {
        0 => String::new(),
        _ => format!("; sent to {}", pluralize(sent, "other recipient")),
    };
    Err(format!("{}{others}", failures.join("; ")))
}

async fn mail_server(email: &EmailSettings, notify: &NotifySettings) -> Result<MailServer, String> {
    let mut server = MailServer::builder_dangerous(&email.host)
        .port(email.port.unwrap_or(match email.tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        }))
        .timeout(Some(notify.timeout))
        .tls(tls_mode(email)?);
    if let (Some(user), Some(password)) = (&email.user, &email.password) {
        let password = notify.resolve_secret(password).await?.expose_secret().to_owned();
        server = server.credentials(Credentials::new(user.clone(), password));
    }
    Ok(server.build())
}

fn tls_mode(email: &EmailSettings) -> Result<Privacy, String> {
    let parameters = || {
        check_certificate_file().map_err(|error| error.to_string())?;
        TlsParameters::new(email.host.clone())
            .map_err(|_| "this machine cannot create a TLS client".to_owned())
    };
    Ok(match email.tls {
        SmtpTls::Starttls => Privacy::Required(parameters()?),
        SmtpTls::Tls => Privacy::Wrapper(parameters()?),
        SmtpTls::None => Privacy::None,
    })
}

/// The message for one recipient.
#[derive(Clone, Copy)]
struct Letter<'a> {
    email: &'a EmailSettings,
    record: &'a RunRecord,
    recipient: &'a str,
    /// The recipient's place in `email_to`.
    index: usize,
}

impl Letter<'_> {
    async fn send(self, server: &MailServer, timeout: Duration) -> Result<(), String> {
        let (from, to) = (parse_mailbox(&self.email.from)?, parse_mailbox(self.recipient)?);
        let is_ascii = |mailbox: &Mailbox| AsRef::<str>::as_ref(&mailbox.email).is_ascii();
        let has_ascii_addresses = is_ascii(&from) && is_ascii(&to);
        let host = &self.email.host;
        let sending = tokio::time::timeout(timeout, server.send(self.build(from, to)?)).await;
        match sending {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_client() && !has_ascii_addresses => Err(format!(
                "the mail server `{host}` does not support addresses with characters outside \
                 ASCII (SMTPUTF8)"
            )),
            Ok(Err(error)) => Err(describe_smtp_error(&error, host)),
            Err(_) => Err(format!("the mail server `{host}` did not respond in time")),
        }
    }

    fn build(&self, from: Mailbox, to: Mailbox) -> Result<Message, String> {
        let record = self.record;
        let mut text = message::body_lines(record).join("\n");
        if let Some(next) = &record.next {
            text.push_str(&format!("\n\nNext: {next}"));
        }
        text.push_str(&format!("\n\n-- \n{}\n", message::footer(record)));
        // Without these headers, large providers refuse a message that their relay took.
        Message::builder()
            .message_id(Some(self.message_id(&from)))
            .header(MIME_VERSION_1_0)
            .from(from)
            .to(to)
            .date_now()
            .subject(format!("[callsheet] {}", message::headline(record)))
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|_| "the e-mail cannot be built".to_owned())
    }

    /// Returns an id that is unique to this run and recipient, in the domain of the sender.
    fn message_id(&self, from: &Mailbox) -> String {
        let run = message::run_id(self.record);
        let domain = url::Url::parse(&format!("https://{}", from.email.domain()));
        let domain = domain.ok().and_then(|url| url.host_str().map(str::to_owned));
        let domain = domain.unwrap_or_else(|| "callsheet.invalid".to_owned());
        format!("<{run}.{}@{domain}>", self.index)
    }
}

fn parse_mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| format!("`{text}` is not an e-mail address"))
}

/// Returns the cause in a sentence. The server's own message is left out, since it may echo the
/// password.
fn describe_smtp_error(error: &lettre::transport::smtp::Error, host: &str) -> String {
    match error.status() {
        Some(code) => format!("the mail server `{host}` refused the message (code {code})"),
        None if error.is_timeout() => format!("the mail server `{host}` did not respond in time"),
        None if error.is_tls() || is_untrusted_tls(error) => {
            format!("the mail server `{host}` offers no trusted TLS connection: check `smtp_tls`")
        }
        None if error.is_client() => {
            format!(
                "the mail server `{host}` does not support this: check `smtp_tls` and the login"
            )
        }
        None => format!("the mail server `{host}` cannot be reached"),
    }
}

/// Returns whether no trusted TLS connection was established. An untrusted certificate, or no TLS
/// at all, appears as a connection with invalid data.
fn is_untrusted_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::InvalidData)
}
