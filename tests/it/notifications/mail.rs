//! E-mail over TLS: only to a trusted server. An untrusted one never gets the password.

use std::fs;

use super::smtp_server::{SmtpSecurity, SmtpServer};
use super::{channel_outcomes, write_notify_settings};
use crate::json_output::run_record;
use crate::support::test_cli::TestCli;

/// The certificate authority that the program trusts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TrustedAuthority {
    /// The authority of the server's certificate.
    Own,
    /// Another authority.
    Other,
}

/// Runs a batch with e-mail notification. Returns whether it was sent, and the message about it.
async fn run_with_email(
    postbox: &SmtpServer,
    tls: &str,
    trust: TrustedAuthority,
) -> (bool, String) {
    let office = TestCli::new(1).await;
    let port = postbox.port();
    write_notify_settings(
        &office,
        &format!(
            "email_to = 'ann@example.org'\nemail_from = 'callsheet@example.org'\n\
             smtp = '127.0.0.1:{port}'\nsmtp_tls = '{tls}'\nsmtp_user = 'callsheet'\n\
             smtp_password = {{ env = 'PASSWORD' }}\ntimeout = '20s'"
        ),
    );
    let another = SmtpServer::start(SmtpSecurity::Tls).authority;
    let authority = if trust == TrustedAuthority::Own { &postbox.authority } else { &another };
    fs::write(office.path("authority.pem"), authority).unwrap();
    let mut command = office.command(&["-vv", "run", "b.toml"]);
    command.env("PASSWORD", "canary-of-the-mail");
    // The variable for trusted certificates, as in OpenSSL.
    command.env("SSL_CERT_FILE", office.path("authority.pem")).env_remove("SSL_CERT_DIR");
    let running = office.start(&mut command);
    let ended = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    super::assert_no_secret_in_files(&office);
    assert!(!ended.stderr.contains("canary-of-the-mail"));
    let record = run_record(&office, "out");
    let [(_, sent)] = channel_outcomes(&record)[..] else { panic!("{record}") };
    (sent, record["notices"][0]["words"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn email_is_sent_over_tls_to_a_trusted_server() {
    for (secrecy, word) in [(SmtpSecurity::Tls, "tls"), (SmtpSecurity::Starttls, "starttls")] {
        let postbox = SmtpServer::start(secrecy);
        assert_eq!(
            run_with_email(&postbox, word, TrustedAuthority::Own).await,
            (true, String::new()),
            "{word}"
        );
        let letters = postbox.messages();
        assert_eq!(letters.len(), 1, "{word}: {letters:?}");
        assert!(letters[0].contains("AUTH PLAIN"), "{word}: {}", letters[0]);
        assert!(letters[0].contains("Subject: [callsheet] promo: 1 of 1 done"), "{word}");
        let overheard = postbox.plaintext();
        for said in ["AUTH", "MAIL", "RCPT", "Subject", "promo"] {
            assert!(!overheard.contains(said), "{word}: {overheard}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn email_is_not_sent_to_an_untrusted_or_plaintext_server() {
    let untrusted = "not sent to `ann@example.org`: the mail server `127.0.0.1` offers no trusted TLS \
                     connection: check `smtp_tls`";
    for (secrecy, word) in [(SmtpSecurity::Tls, "tls"), (SmtpSecurity::Starttls, "starttls")] {
        let postbox = SmtpServer::start(secrecy);
        let told = run_with_email(&postbox, word, TrustedAuthority::Other).await;
        assert_eq!(told, (false, untrusted.to_owned()), "{word}");
        assert!(postbox.messages().is_empty() && !postbox.plaintext().contains("AUTH"), "{word}");
    }
    let postbox = SmtpServer::start_plain();
    let (sent, words) = run_with_email(&postbox, "starttls", TrustedAuthority::Own).await;
    assert!(!sent && words.contains("check `smtp_tls`"), "{words}");
    assert_eq!(
        run_with_email(&postbox, "tls", TrustedAuthority::Own).await,
        (false, untrusted.to_owned())
    );
    assert!(postbox.messages().is_empty() && !postbox.plaintext().contains("AUTH"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_is_named_and_does_not_stop_the_others() {
    for (recipients, sent_to, expected) in [
        (
            "['ann@example.org', 'refused@example.org', 'Bob <bob@example.org>']",
            &["ann@example.org", "bob@example.org"][..],
            "not sent to `refused@example.org`: the mail server `127.0.0.1` refused the message \
             (code 550); sent to 2 other recipients",
        ),
        (
            "['gr\u{fc}\u{df}e@example.org', 'ann@example.org']",
            &["ann@example.org"][..],
            "not sent to `gr\u{fc}\u{df}e@example.org`: the mail server `127.0.0.1` does not support \
             addresses with characters outside ASCII (SMTPUTF8); sent to 1 other recipient",
        ),
    ] {
        let postbox = SmtpServer::start_plain();
        let office = TestCli::new(1).await;
        write_notify_settings(
            &office,
            &format!(
                "email_to = {recipients}\nemail_from = 'Callsheet N\u{e4}chte <jobs@mail.example.org>'\n\
                 smtp = '127.0.0.1:{}'\nsmtp_tls = 'none'",
                postbox.port()
            ),
        );
        let ended = office.run(&["run", "b.toml"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let record = run_record(&office, "out");
        assert_eq!(record["notices"][0]["words"], expected, "{record:#}");
        let letters = postbox.messages();
        let mut ids = std::collections::BTreeSet::new();
        for recipient in sent_to {
            let to = format!("RCPT TO:<{recipient}>");
            let letter: Vec<_> = letters.iter().filter(|letter| letter.contains(&to)).collect();
            let [letter] = letter[..] else { panic!("{recipient}: {letters:?}") };
            assert_eq!(letter.matches("RCPT TO").count(), 1, "{letter}");
            let header = |name: &str| letter.lines().find_map(|line| line.strip_prefix(name));
            assert_eq!(header("MIME-Version: "), Some("1.0"), "{letter}");
            assert!(header("Date: ").is_some(), "{letter}");
            let id = header("Message-ID: ").unwrap();
            assert!(id.starts_with('<') && id.ends_with("@mail.example.org>"), "{id}");
            assert!(ids.insert(id), "two messages have the id {id}");
        }
        assert_eq!(letters.len(), sent_to.len(), "{letters:?}");
    }
}
