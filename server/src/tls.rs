//! The relay's certificate and key, and how a connection is encrypted with them.

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What makes a pair that a client on this machine takes; its names are for the user to change.
const MAKE_ONE: &str = "a pair of one's own:\n\
     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=relay \
     -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
     -keyout relay.key -out relay.crt";

/// Why the files cannot be used, and what to do about it.
#[derive(Debug)]
pub struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A certificate with its chain and key: the files, and what they held when they were last read.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads two files in PEM format: the certificate, followed by those between it and the
    /// authority, and its key.
    pub fn read(chain: &Path, key: &Path) -> Result<Certificate, Unusable> {
        let current = read(chain, key).map_err(Unusable)?;
        Ok(Certificate {
            chain: chain.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(Arc::new(current)),
        })
    }

    /// Reads the files again. New connections get what they hold now; where they are of no use,
    /// what they held before.
    pub fn reload(&self) -> Result<(), Unusable> {
        let new = read(&self.chain, &self.key).map_err(Unusable)?;
        *self.current.write() = Arc::new(new);
        Ok(())
    }

    /// Whether a client that calls the relay by this host name or address takes the certificate for
    /// the relay's.
    pub fn is_for(&self, host: &str) -> bool {
        let current = self.current.read();
        let Some(Ok(own)) = current.cert.first().map(ParsedCertificate::try_from) else {
            return false;
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(host).is_ok_and(|name| verify_server_name(&own, &name).is_ok())
    }

    /// How connections are encrypted: TLS 1.2 and 1.3, nothing asked of the client.
    pub fn settings(self: Arc<Self>) -> Result<ServerConfig, Unusable> {
        let versions = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Unusable(error.to_string()))?;
        Ok(versions.with_no_client_auth().with_cert_resolver(self))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().clone())
    }
}

/// Named wherever it is needed: the process has no default that a dependency could change.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let (cert_file, key_file) = (named("--tls-cert", chain), named("--tls-key", key));
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&cert_file, "certificate", &error))?;
    if certificates.is_empty() {
        return Err(unreadable(
            &cert_file,
            "certificate",
            &PemError::NoItemsFound,
        ));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable(&key_file, "private key without a passphrase", &error))?;
    let unusable = |file: &str, what, error: &dyn fmt::Display| {
        format!("{file}: the {what} cannot be used: {error}\n{MAKE_ONE}")
    };
    let signer = provider()
        .key_provider
        .load_private_key(private)
        .map_err(|error| unusable(&key_file, "key", &error))?;
    let pair = CertifiedKey::new(certificates, signer);
    match pair.keys_match() {
        Ok(()) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => Err(format!(
            "{key_file} is not the key of the certificate in {}\n\
             give the key that this certificate was made with; where the file holds a chain, the \
             relay's own certificate comes first",
            chain.display()
        )),
        Err(error) => Err(unusable(&cert_file, "first certificate", &error)),
    }
}

fn named(option: &str, file: &Path) -> String {
    format!("{option} {}", file.display())
}

fn unreadable(file: &str, what: &str, error: &PemError) -> String {
    match error {
        PemError::Io(error) => format!("{file}: {error}\n{MAKE_ONE}"),
        PemError::NoItemsFound => {
            format!("{file} holds no {what} in PEM format (-----BEGIN ...)\n{MAKE_ONE}")
        }
        error => format!("{file} is damaged: {error}\n{MAKE_ONE}"),
    }
}
