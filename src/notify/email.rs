//! A plain e-mail over SMTP: the headline as its subject, details in a few lines.

use std::io;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as Privacy, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;

use super::{message, secret_ref};
use crate::batch::{EmailSettings, NotifySettings, SmtpTls};
use crate::report::RunRecord;

pub(super) async fn send(notify: &NotifySettings, record: &RunRecord) -> Result<(), String> {
    let Some(email) = &notify.email else { return Ok(()) };
    let message = build_message(email, record)?;
    let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&email.host)
        .port(email.port.unwrap_or(match email.tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        }))
        .timeout(Some(notify.timeout))
        .tls(tls_mode(email)?);
    if let (Some(user), Some(password)) = (&email.user, &email.password) {
        let password = secret_ref::resolve_secret(password).await?.expose_secret().to_owned();
        server = server.credentials(Credentials::new(user.clone(), password));
    }
    match server.build().send(message).await {
        Ok(_) => Ok(()),
        Err(error) => Err(describe_smtp_error(&error, &email.host)),
    }
}

fn tls_mode(email: &EmailSettings) -> Result<Privacy, String> {
    let parameters = || {
        TlsParameters::new(email.host.clone())
            .map_err(|_| "this machine cannot create a TLS client".to_owned())
    };
    Ok(match email.tls {
        SmtpTls::Starttls => Privacy::Required(parameters()?),
        SmtpTls::Tls => Privacy::Wrapper(parameters()?),
        SmtpTls::None => Privacy::None,
    })
}

fn build_message(email: &EmailSettings, record: &RunRecord) -> Result<Message, String> {
    let invalid = |which: &str| format!("`{which}` is not an e-mail address");
    let mut mail = Message::builder()
        .from(email.from.parse().map_err(|_| invalid(&email.from))?)
        .subject(format!("[callsheet] {}", message::headline(record)))
        .header(ContentType::TEXT_PLAIN);
    for to in &email.to {
        mail = mail.to(to.parse().map_err(|_| invalid(to))?);
    }
    let mut text = message::body_lines(record).join("\n");
    if let Some(next) = &record.next {
        text.push_str(&format!("\n\nNext: {next}"));
    }
    text.push_str(&format!("\n\n-- \n{}\n", message::footer(record)));
    mail.body(text).map_err(|_| "the e-mail cannot be built".to_owned())
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
