#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| uso_fuzz::properties::notification(bytes));
