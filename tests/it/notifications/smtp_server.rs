//! An SMTP server with one dialogue, in plain text or over TLS, that records its input.
//!
//! Its certificate and authority are generated each time; a client trusts it by the authority's file.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::tls_server::test_certificate;

/// When the connection becomes encrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SmtpSecurity {
    Plain,
    /// After STARTTLS.
    Starttls,
    /// From the first byte.
    Tls,
}

pub(super) struct SmtpServer {
    port: u16,
    messages: Arc<Mutex<Vec<String>>>,
    /// The input in plain text.
    plaintext: Arc<Mutex<String>>,
    /// The certificate of its authority, in PEM.
    pub(super) authority: String,
}

impl SmtpServer {
    pub(super) fn start_plain() -> Self {
        Self::start(SmtpSecurity::Plain)
    }

    pub(super) fn start(secrecy: SmtpSecurity) -> Self {
        let (tls, authority) = test_certificate();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut postbox = Self::without_listener(listener.local_addr().unwrap().port());
        postbox.authority = authority;
        let (letters, overheard) = (postbox.messages.clone(), postbox.plaintext.clone());
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                // A client may disconnect at any point.
                drop(serve_connection(caller.unwrap(), (secrecy, &tls), (&letters, &overheard)));
            }
        });
        postbox
    }

    /// Returns a port where nothing listens.
    pub(super) fn without_listener(port: u16) -> Self {
        let (messages, plaintext) = (Arc::default(), Arc::default());
        Self { port, messages, plaintext, authority: String::new() }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    pub(super) fn plaintext(&self) -> String {
        self.plaintext.lock().unwrap().clone()
    }
}

fn serve_connection(
    mut caller: TcpStream,
    (secrecy, tls): (SmtpSecurity, &Arc<ServerConfig>),
    (letters, overheard): (&Mutex<Vec<String>>, &Mutex<String>),
) -> io::Result<()> {
    let secret = |caller| StreamOwned::new(ServerConnection::new(tls.clone()).unwrap(), caller);
    match secrecy {
        SmtpSecurity::Tls => {
            let mut caller = secret(caller);
            caller.write_all(b"220 postbox\r\n")?;
            serve_smtp(caller, false, letters).map(drop)
        }
        SmtpSecurity::Plain | SmtpSecurity::Starttls => {
            caller.write_all(b"220 postbox\r\n")?;
            let clear = RecordingStream { stream: caller, log: overheard };
            match serve_smtp(clear, secrecy == SmtpSecurity::Starttls, letters)? {
                Some(clear) => serve_smtp(secret(clear.stream), false, letters).map(drop),
                None => Ok(()),
            }
        }
    }
}

/// Records plain-text input.
struct RecordingStream<'l> {
    stream: TcpStream,
    log: &'l Mutex<String>,
}

impl Read for RecordingStream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buf)?;
        self.log.lock().unwrap().push_str(&String::from_utf8_lossy(&buf[..read]));
        Ok(read)
    }
}

impl Write for RecordingStream<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Serves a client until it disconnects. Returns the connection if it requests TLS.
fn serve_smtp<C: Read + Write>(
    caller: C,
    offers_tls: bool,
    letters: &Mutex<Vec<String>>,
) -> io::Result<Option<C>> {
    let mut caller = BufReader::new(caller);
    let mut heard = String::new();
    loop {
        let line = read_line(&mut caller)?;
        heard.push_str(&format!("{line}\n"));
        let command = line.split_whitespace().next().unwrap_or_default().to_uppercase();
        let answer = match command.as_str() {
            "EHLO" if offers_tls => "250-postbox\r\n250 STARTTLS",
            "EHLO" => "250-postbox\r\n250 AUTH PLAIN",
            "STARTTLS" => "220 go on",
            "AUTH" => "235 welcome",
            "RCPT" if line.contains("refused@") => "550 no such user",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        write_reply(&mut caller, answer)?;
        match command.as_str() {
            "STARTTLS" => return Ok(Some(caller.into_inner())),
            "QUIT" => return Ok(None),
            "DATA" => {
                loop {
                    let line = read_line(&mut caller)?;
                    if line == "." {
                        break;
                    }
                    heard.push_str(&format!("{line}\n"));
                }
                letters.lock().unwrap().push(std::mem::take(&mut heard));
                write_reply(&mut caller, "250 taken")?;
            }
            _ => {}
        }
    }
}

fn read_line<C: Read>(caller: &mut BufReader<C>) -> io::Result<String> {
    let mut line = String::new();
    match caller.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

fn write_reply<C: Read + Write>(caller: &mut BufReader<C>, words: &str) -> io::Result<()> {
    caller.get_mut().write_all(format!("{words}\r\n").as_bytes())?;
    caller.get_mut().flush()
}
