//! An authority of the test's own, what it certifies, and connections that trust it alone.

use crate::http::{self, Reply};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// An encrypted connection.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Whoever trusts it takes every certificate that it has issued.
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    client: Arc<ClientConfig>,
}

impl Authority {
    /// A new one, whom nobody trusts yet.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new() -> Authority {
        let folder = TempDir::new().expect("a folder");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let own = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), own.pem()).expect("a file");
        let mut roots = RootCertStore::empty();
        roots.add(own.der().clone()).expect("an authority");
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Authority {
            folder,
            issuer: Issuer::new(params, key),
            client: Arc::new(client),
        }
    }

    /// The file with its own certificate, for those who shall trust it.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Certifies a new key for these names and addresses: the paths of certificate and key, which
    /// replace those of the same label.
    ///
    /// # Panics
    /// When it cannot be done.
    pub fn issue(&self, label: &str, names: &[&str]) -> [String; 2] {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let write = |kind: &str, text: String| {
            let path = self.folder.path().join(format!("{label}.{kind}"));
            std::fs::write(&path, text).expect("a file");
            path.to_str().expect("a path in UTF-8").to_owned()
        };
        [
            write("crt", certificate.pem()),
            write("key", key.serialize_pem()),
        ]
    }

    /// What a relay has to be started with to be `localhost` and 127.0.0.1.
    pub fn options(&self) -> [String; 4] {
        let [certificate, key] = self.issue("relay", &["localhost", "127.0.0.1"]);
        [
            "--tls-cert".to_owned(),
            certificate,
            "--tls-key".to_owned(),
            key,
        ]
    }

    /// A connection to what calls itself by its address there, ready for the handshake.
    pub fn connect(&self, address: SocketAddr) -> Stream {
        self.over(http::connect(address), address, &[])
    }

    /// The same over this connection, where these protocols of applications are offered.
    ///
    /// # Panics
    /// When TLS cannot be set up.
    pub fn over(&self, tcp: TcpStream, address: SocketAddr, protocols: &[&[u8]]) -> Stream {
        let mut client = ClientConfig::clone(&self.client);
        client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::from(address.ip());
        let session = ClientConnection::new(Arc::new(client), name).expect("a session");
        StreamOwned::new(session, tcp)
    }

    /// One request on a connection of its own.
    pub fn request(
        &self,
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut stream = self.connect(address);
        http::exchange(&mut stream, address, method, path, headers, body)
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}
