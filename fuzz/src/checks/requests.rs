use clawlink_server::http::head::{Headers, Name};
use clawlink_server::http::request::{Seen, read};

/// What a client has sent on a connection.
pub fn requests(data: &[u8]) {
    match read(data) {
        Seen::Frequent(request) => {
            let (length, body) = (request.length, request.body.to_vec());
            assert!(length <= data.len() && body.len() < length);
            let announced = request.headers.header(Name::ContentLength).first();
            let announced = announced.map_or(0, |digits| digits.parse().expect("a number"));
            assert_eq!(announced, body.len());
            // What follows changes nothing, and what is missing is waited for.
            let Seen::Frequent(alone) = read(&data[..length]) else {
                panic!("it was read with what follows alone");
            };
            assert_eq!((alone.length, alone.body), (length, &*body));
            if !body.is_empty() {
                assert!(
                    matches!(read(&data[..length - 1]), Seen::Part(whole) if whole == Some(length))
                );
            }
        }
        Seen::Part(length) => assert!(length.is_none_or(|length| length > data.len())),
        Seen::Other(length) => assert_ne!(length, Some(0)),
    }
}
