//! Mail over TLS: to a server that is known, and to nobody else. The password is said to nobody who
//! was not vouched for.

use std::fs;

use super::postbox::{Postbox, Secrecy};
use super::{notify, outcomes};
use crate::machine::run_record;
use crate::support::binary::Office;

/// Whom the program trusts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The server's own authority.
    This,
    /// Another.
    Another,
}

/// Runs a batch that reports by mail. Returns whether it was sent, and what was said of it.
async fn mailed(postbox: &Postbox, tls: &str, trust: Trust) -> (bool, String) {
    let office = Office::new(1).await;
    let port = postbox.port();
    notify(
        &office,
        &format!(
            "email_to = 'ann@example.org'\nemail_from = 'callsheet@example.org'\n\
             smtp = '127.0.0.1:{port}'\nsmtp_tls = '{tls}'\nsmtp_user = 'callsheet'\n\
             smtp_password = {{ env = 'PASSWORD' }}\ntimeout = '20s'"
        ),
    );
    let another = Postbox::of(Secrecy::Tls).authority;
    let authority = if trust == Trust::This { &postbox.authority } else { &another };
    fs::write(office.path("authority.pem"), authority).unwrap();
    let mut command = office.command(&["-vv", "run", "b.toml"]);
    command.env("PASSWORD", "canary-of-the-mail");
    // Where OpenSSL and its kin look for whom a machine trusts.
    command.env("SSL_CERT_FILE", office.path("authority.pem")).env_remove("SSL_CERT_DIR");
    let running = office.start(&mut command);
    let ended = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    super::assert_no_canary(&office);
    assert!(!ended.err.contains("canary-of-the-mail"));
    let record = run_record(&office, "out");
    let [(_, sent)] = outcomes(&record)[..] else { panic!("{record}") };
    (sent, record["notices"][0]["words"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_over_tls_to_a_server_that_is_trusted_and_nothing_of_it_is_overheard() {
    for (secrecy, word) in [(Secrecy::Tls, "tls"), (Secrecy::Starttls, "starttls")] {
        let postbox = Postbox::of(secrecy);
        assert_eq!(mailed(&postbox, word, Trust::This).await, (true, String::new()), "{word}");
        let letters = postbox.letters();
        assert_eq!(letters.len(), 1, "{word}: {letters:?}");
        assert!(letters[0].contains("AUTH PLAIN"), "{word}: {}", letters[0]);
        assert!(letters[0].contains("Subject: [callsheet] night: 1 of 1 done"), "{word}");
        let overheard = postbox.overheard();
        for said in ["AUTH", "MAIL", "RCPT", "Subject", "night"] {
            assert!(!overheard.contains(said), "{word}: {overheard}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_nobody_vouches_for_or_that_offers_no_tls_is_told_nothing() {
    let untrusted = "the mail server `127.0.0.1` offers no trusted TLS connection (`smtp_tls`)";
    for (secrecy, word) in [(Secrecy::Tls, "tls"), (Secrecy::Starttls, "starttls")] {
        let postbox = Postbox::of(secrecy);
        let told = mailed(&postbox, word, Trust::Another).await;
        assert_eq!(told, (false, untrusted.to_owned()), "{word}");
        assert!(postbox.letters().is_empty() && !postbox.overheard().contains("AUTH"), "{word}");
    }
    let postbox = Postbox::open();
    let (sent, words) = mailed(&postbox, "starttls", Trust::This).await;
    assert!(!sent && words.contains("(`smtp_tls`"), "{words}");
    assert_eq!(mailed(&postbox, "tls", Trust::This).await, (false, untrusted.to_owned()));
    assert!(postbox.letters().is_empty() && !postbox.overheard().contains("AUTH"));
}
