//! Logging in: greeting, TLS, and the proof of the password in the way that the account asks for.
//!
//! A password travels as it is only where nobody else can read it: in TLS or through a Unix socket, and for `mysql_clear_password`, which
//! sends it at once and to whoever asks, in TLS with a server whose certificate is verified.
//!
//! Not here: what follows (`session`).

use crate::verify::sql::wire::mysql::channel::Channel;
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::options::{MysqlOptions, TlsMode};
use crate::verify::sql::wire::mysql::packets::{self, Greeting, LoginStep, capability};
use crate::verify::sql::wire::mysql::scramble;
use crate::verify::sql::wire::tls;
use crate::verify::sql::wire::transport::{self, Transport};

const NATIVE: &str = "mysql_native_password";
const CACHING_SHA2: &str = "caching_sha2_password";
const SHA256: &str = "sha256_password";
const CLEAR: &str = "mysql_clear_password";

/// What is asked of every server; it has been said of every one since MySQL 5.5.
const NEEDED: u32 = capability::PROTOCOL_41 | capability::SECURE_CONNECTION | capability::PLUGIN_AUTH | capability::CONNECT_WITH_DB;
/// What is used where the server has it.
const WANTED: u32 = capability::LONG_PASSWORD
    | capability::LONG_FLAG
    | capability::TRANSACTIONS
    | capability::MULTI_RESULTS
    | capability::PS_MULTI_RESULTS
    | capability::PLUGIN_AUTH_LENENC_DATA
    | capability::DEPRECATE_EOF;

/// Connects and logs in; says too whether rows end with a packet of the new kind.
pub async fn connect(options: &MysqlOptions) -> Result<(Channel, bool), WireError> {
    login(transport::connect(&options.host, options.port, options.socket.as_deref()).await?, options).await
}

/// Logs in over a stream that has been connected.
pub async fn login(stream: Box<dyn Transport>, options: &MysqlOptions) -> Result<(Channel, bool), WireError> {
    if [&options.user, &options.database].into_iter().any(|text| text.contains('\0')) {
        return Err(WireError::Login("a user or a database with a NUL in its name".into()));
    }
    let mut channel = Channel::new(stream);
    let greeting = packets::greeting(channel.next().await?)?;
    if greeting.capabilities & NEEDED != NEEDED {
        let lacks = format!("which can {:#x}, and needed is {NEEDED:#x}", greeting.capabilities);
        return Err(WireError::TooOld { version: greeting.version, lacks });
    }
    let mut capabilities = NEEDED | greeting.capabilities & WANTED;
    let offered = greeting.capabilities & capability::SSL != 0;
    if options.tls != TlsMode::Disabled && offered {
        capabilities |= capability::SSL;
        channel.answer(&packets::tls_request(capabilities)).await?;
        let (stream, sequence) = channel.upgrade()?;
        channel = Channel::upgraded(Box::new(tls::begin(stream, options.tls_options()).await.map_err(WireError::Tls)?), sequence);
    } else if !matches!(options.tls, TlsMode::Disabled | TlsMode::Preferred) {
        return Err(WireError::Tls("server does not support TLS".into()));
    }
    prove(&mut channel, options, &greeting, capabilities).await?;
    Ok((channel, capabilities & capability::DEPRECATE_EOF != 0))
}

/// The proof of the password.
async fn prove(channel: &mut Channel, options: &MysqlOptions, greeting: &Greeting, capabilities: u32) -> Result<(), WireError> {
    let encrypted = capabilities & capability::SSL != 0;
    let private = encrypted || options.socket.is_some();
    // Only what shows nothing of the password is said at once; the server asks again where the account wants another way.
    let mut plugin = if greeting.plugin == CACHING_SHA2 { CACHING_SHA2.to_owned() } else { NATIVE.to_owned() };
    let proof = proof_by(&plugin, options, &greeting.nonce, encrypted)?;
    channel.answer(&packets::login(capabilities, &options.user, &proof, &options.database, &plugin)).await?;
    // No account asks more often than this.
    for _ in 0..6 {
        match packets::login_step(channel.next().await?)? {
            LoginStep::Done => return Ok(()),
            LoginStep::Switch { plugin: other, nonce } => {
                let proof = proof_by(&other, options, &nonce, encrypted)?;
                plugin = other;
                channel.answer(&proof).await?;
            }
            // The server knows the password's hash already: its last word follows.
            LoginStep::More(said) if plugin == CACHING_SHA2 && said == [3] => {}
            LoginStep::More(said) if plugin == CACHING_SHA2 && said == [4] => {
                if !private {
                    return Err(WireError::Login(format!(
                        "the account logs in by {CACHING_SHA2}, and the server does not know its password yet: it asks for it in TLS, and the session has none"
                    )));
                }
                channel.answer(&[options.password.as_bytes(), b"\0"].concat()).await?;
            }
            LoginStep::More(_) => return Err(WireError::protocol(format!("a question of {} that has no answer", plugin.escape_default()))),
        }
    }
    Err(WireError::protocol("a login without end"))
}

/// What proves the password in the way that is asked for.
fn proof_by(plugin: &str, options: &MysqlOptions, nonce: &[u8], encrypted: bool) -> Result<Vec<u8>, WireError> {
    let password = options.password.as_bytes();
    let plain = || [password, b"\0"].concat();
    match plugin {
        NATIVE => Ok(scramble::native(password, nonce)),
        CACHING_SHA2 => Ok(scramble::caching_sha2(password, nonce)),
        SHA256 if password.is_empty() => Ok(vec![0]),
        SHA256 if encrypted => Ok(plain()),
        CLEAR if encrypted && options.tls.is_verified() => Ok(plain()),
        SHA256 => Err(WireError::Login(format!("the account logs in by {SHA256}, which sends the password: only in TLS"))),
        CLEAR => Err(WireError::Login(format!(
            "the server asks for {CLEAR}, which sends the password as it is: only in TLS with a server whose certificate is verified"
        ))),
        other => Err(WireError::Login(format!(
            "the account logs in by `{}`; known are {NATIVE}, {CACHING_SHA2}, {SHA256} and {CLEAR}",
            other.escape_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    const MORE: u32 = capability::DEPRECATE_EOF;

    fn options(tls: TlsMode) -> MysqlOptions {
        MysqlOptions {
            host: "127.0.0.1".into(),
            port: 1,
            socket: None,
            user: "reader".into(),
            password: "secret".into(),
            database: "crm".into(),
            tls,
            ca: None,
        }
    }

    fn greeting(capabilities: u32, plugin: &str) -> Vec<u8> {
        let mut packet = b"\n8.0.36\0\x01\0\0\0abcdefgh\0".to_vec();
        packet.extend((capabilities as u16).to_le_bytes());
        packet.extend([45, 2, 0]);
        packet.extend(((capabilities >> 16) as u16).to_le_bytes());
        packet.extend([21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(b"ijklmnopqrst\0");
        packet.extend(plugin.as_bytes());
        packet.push(0);
        packet
    }

    async fn say(far: &mut DuplexStream, number: u8, packet: &[u8]) {
        let head = (packet.len() as u32).to_le_bytes();
        let _ = far.write_all(&[&[head[0], head[1], head[2], number], packet].concat()).await;
    }

    async fn hear(far: &mut DuplexStream) -> Vec<u8> {
        let mut head = [0; 4];
        if far.read_exact(&mut head).await.is_err() {
            return Vec::new();
        }
        let mut packet = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
        far.read_exact(&mut packet).await.unwrap();
        packet
    }

    /// A login with a server that says these packets, each after it has heard one, and what it heard.
    fn with(options: MysqlOptions, said: Vec<Vec<u8>>) -> (Result<bool, WireError>, Vec<Vec<u8>>) {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let server = async move {
            let mut heard = Vec::new();
            for (at, packet) in said.iter().enumerate() {
                say(&mut far, 2 * at as u8, packet).await;
                if at + 1 < said.len() {
                    heard.push(hear(&mut far).await);
                }
            }
            heard
        };
        let client = async { login(Box::new(near), &options).await.map(|(_, deprecated)| deprecated) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::join!(client, server) })
    }

    const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

    #[test]
    fn each_way_to_log_in() {
        let nonce = b"abcdefghijklmnopqrst";
        let (logged, heard) = with(options(TlsMode::Preferred), vec![greeting(NEEDED | MORE, NATIVE), OK.to_vec()]);
        assert!(logged.unwrap(), "rows end in the new way");
        let proof = scramble::native(b"secret", nonce);
        assert!(heard[0].windows(proof.len()).any(|window| window == proof) && heard[0].ends_with(b"crm\0mysql_native_password\0"));
        let switched = [b"\xfecaching_sha2_password\0".as_slice(), b"qrstuvwxyzqrstuvwxyz\0"].concat();
        let (logged, heard) = with(options(TlsMode::Disabled), vec![greeting(NEEDED, "another"), switched, OK.to_vec()]);
        assert!(!logged.unwrap());
        assert_eq!(heard[1], scramble::caching_sha2(b"secret", b"qrstuvwxyzqrstuvwxyz"));
        // Through a Unix socket the password itself may be asked for.
        let asked = vec![greeting(NEEDED, CACHING_SHA2), vec![1, 4], OK.to_vec()];
        let by_socket = MysqlOptions { socket: Some("/a/socket".into()), ..options(TlsMode::Disabled) };
        assert_eq!(with(by_socket, asked.clone()).1[1], b"secret\0");
        let (logged, heard) = with(options(TlsMode::Disabled), asked);
        assert!(logged.unwrap_err().to_string().contains("TLS"));
        assert_eq!(heard.last().unwrap(), b"", "and nothing of the password was sent");
    }

    #[test]
    fn a_password_is_not_sent_to_whoever_asks() {
        let refused = |plugin: &str| {
            let switch = [b"\xfe", plugin.as_bytes(), b"\0"].concat();
            let (logged, heard) = with(options(TlsMode::Preferred), vec![greeting(NEEDED, NATIVE), switch, OK.to_vec()]);
            assert_eq!(heard[1], b"", "{plugin}");
            logged.unwrap_err()
        };
        for plugin in [CLEAR, SHA256, "client_ed25519", "mysql_old_password"] {
            let error = refused(plugin);
            assert!(matches!(&error, WireError::Login(said) if said.contains(plugin)), "{error}");
        }
        let verified = options(TlsMode::VerifyIdentity);
        assert_eq!(proof_by(CLEAR, &verified, b"", true).unwrap(), b"secret\0");
        assert!(proof_by(CLEAR, &options(TlsMode::Required), b"", true).is_err() && proof_by(CLEAR, &verified, b"", false).is_err());
    }

    #[test]
    fn servers_that_cannot_or_will_not() {
        let no_tls = with(options(TlsMode::Required), vec![greeting(NEEDED, NATIVE)]).0.unwrap_err();
        assert!(matches!(no_tls, WireError::Tls(_)), "{no_tls}");
        let old = with(options(TlsMode::Preferred), vec![greeting(capability::PROTOCOL_41, NATIVE)]).0.unwrap_err();
        assert!(old.to_string().contains("too old"), "{old}");
        let denied = b"\xff\x15\x04#28000Access denied".to_vec();
        let denied = with(options(TlsMode::Preferred), vec![greeting(NEEDED, NATIVE), denied]).0.unwrap_err();
        assert!(matches!(denied, WireError::Server { number: 1045, .. }), "{denied}");
        let ended = with(options(TlsMode::Preferred), vec![greeting(NEEDED, NATIVE)]).0.unwrap_err();
        assert!(matches!(ended, WireError::Io(_)), "{ended}");
        let again = vec![[b"\xfe".as_slice(), b"mysql_native_password\0abcdefghijabcdefghij\0"].concat(); 9];
        let endless = with(options(TlsMode::Preferred), [vec![greeting(NEEDED, NATIVE)], again].concat()).0.unwrap_err();
        assert!(endless.to_string().contains("without end"), "{endless}");
    }

    /// The greeting of 5.5.2 that the protocol's documentation has as its example, one of 5.0 as traces of networks have it, and those of 4.0, of
    /// the first 3.21 and of version 9 in their forms.
    #[test]
    fn servers_of_before_are_known_by_their_greeting() {
        let hexed = |text: &str| hex::decode(text.replace(' ', "")).unwrap();
        for (greeting, version) in [
            (
                "0a 352e352e322d6d3200 0b000000 64764840492d434a 00 fff7 08 0200 00000000000000000000000000 2a34647c635a776b345e5d3a 00",
                "5.5.2-m2",
            ),
            (
                "0a 352e302e353400 5e000000 3e7e24347574682c 00 2ca2 21 0200 00000000000000000000000000 3e36313249575a3e66685758 00",
                "5.0.54",
            ),
            ("0a 342e302e323700 01000000 3e7e24347574682c 00 2c20 08 0200 00000000000000000000000000", "4.0.27"),
            ("0a 332e32312e333300 01000000 3e7e24347574682c 00 2c00", "3.21.33"),
            ("09 332e32302e333200 01000000 3e7e24347574682c00", "3.20.32"),
        ] {
            let error = with(options(TlsMode::Preferred), vec![hexed(greeting)]).0.unwrap_err();
            assert!(matches!(&error, WireError::TooOld { version: found, .. } if found == version), "{version}: {error}");
        }
    }

    /// A login with a server that says all of this at once and then nothing more.
    fn flooded(packets: &[(u8, Vec<u8>)]) -> Result<bool, WireError> {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let server = async move {
            for (number, packet) in packets {
                say(&mut far, *number, packet).await;
            }
            let _ = far.shutdown().await;
            let _ = far.read_to_end(&mut Vec::new()).await;
        };
        let options = options(TlsMode::Preferred);
        let client = async { login(Box::new(near), &options).await.map(|(_, deprecated)| deprecated) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::join!(client, server) }).0
    }

    #[test]
    fn a_password_that_the_server_remembers_is_not_asked_for() {
        assert!(!flooded(&[(0, greeting(NEEDED, CACHING_SHA2)), (2, vec![1, 3]), (3, OK.to_vec())]).unwrap());
        assert!(flooded(&[(0, greeting(NEEDED, CACHING_SHA2)), (2, vec![1, 5])]).is_err());
        assert!(flooded(&[(0, greeting(NEEDED, NATIVE)), (2, vec![1, 3]), (3, OK.to_vec())]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_login_or_refused(said in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..4), plugin in 0usize..3) {
            let first = ["", NATIVE, CACHING_SHA2].get(plugin).filter(|name| !name.is_empty()).map(|name| greeting(NEEDED, name));
            let packets: Vec<(u8, Vec<u8>)> = first.into_iter().chain(said).enumerate().map(|(at, packet)| (if at == 0 { 0 } else { at as u8 + 1 }, packet)).collect();
            let _ = flooded(&packets);
        }
    }
}
