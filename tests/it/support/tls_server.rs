//! A certificate of an authority of its own for 127.0.0.1, and a web server that has it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Returns the settings of a server at 127.0.0.1, and the certificate of its authority in PEM.
pub(crate) fn test_certificate() -> (Arc<ServerConfig>, String) {
    let (key, mut root) = (KeyPair::generate().unwrap(), CertificateParams::default());
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = root.self_signed(&key).unwrap().pem();
    let own = KeyPair::generate().unwrap();
    let signed = CertificateParams::new(["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&own, &Issuer::new(root, key))
        .unwrap();
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], secret)
        .unwrap();
    (Arc::new(config), authority)
}

/// A web server over TLS.
pub(crate) struct TlsServer {
    pub(crate) url: String,
    /// The certificate of its authority, in PEM.
    pub(crate) authority: String,
}

impl TlsServer {
    /// Answers each request with what `respond` makes of its path: a whole response.
    pub(crate) fn start(respond: impl Fn(&str) -> String + Send + 'static) -> Self {
        let (tls, authority) = test_certificate();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                // A client may disconnect at any point.
                drop(serve_request(client.unwrap(), &tls, &respond));
            }
        });
        Self { url, authority }
    }
}

fn serve_request(
    client: TcpStream,
    tls: &Arc<ServerConfig>,
    respond: &impl Fn(&str) -> String,
) -> io::Result<()> {
    let connection = ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, client));
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let length = stream.read_line(&mut line)?;
        if length == 0 || line.trim_end().is_empty() {
            break;
        }
        lines.push(line);
    }
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let mut stream = stream.into_inner();
    stream.write_all(respond(path).as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}
