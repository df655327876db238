#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clawlink_fuzz::checks::requests(data));
