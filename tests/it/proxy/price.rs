//! The price that counts for a caller's limit is never below the facade's estimate.

use std::sync::{Arc, Mutex};

use http::HeaderMap;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use tokio::net::TcpListener;
use uso::{ApiKey, BaseUrls, Config, ImageSize, ImageSizePreset, Request, UsoInput};
use uso_cli::serve::{Limits, serve};
use uso_proxy::{
    Caller, Guard, MemoryRecords, NotBegun, Proxy, Purchase, PurchaseLimits, Recording, Records,
    RecordsError, Settings,
};
use uso_transport::{Ticket, Transport};

use super::{KEY, SUBMIT, client};

/// Records that keep every purchase, and let none begin.
struct Refusing(Arc<Mutex<Vec<Purchase>>>, MemoryRecords);

impl Records for Refusing {
    fn begin<'a>(
        &'a self,
        purchase: &'a Purchase,
        _: &'a PurchaseLimits,
    ) -> Recording<'a, Result<Option<Guard>, NotBegun>> {
        self.0.lock().unwrap().push(purchase.clone());
        Box::pin(std::future::ready(Err(NotBegun::TooDear)))
    }

    fn end<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>> {
        self.1.end(purchase, limits)
    }

    fn received<'a>(&'a self, purchase: &'a Purchase) -> Recording<'a, ()> {
        self.1.received(purchase)
    }

    fn owns<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
    ) -> Recording<'a, Result<bool, RecordsError>> {
        self.1.owns(caller, ticket)
    }

    fn adopt<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>> {
        self.1.adopt(caller, ticket, limits)
    }

    fn unknown(&self) -> Recording<'_, Result<Vec<Purchase>, RecordsError>> {
        self.1.unknown()
    }
}

/// Inputs that the endpoint accepts, as far as they decide the price.
fn inputs() -> impl Strategy<Value = UsoInput> {
    let side = || proptest::option::of(1_u32..=14_142);
    let custom = (side(), side()).prop_map(|(width, height)| ImageSize { width, height }.into());
    let presets = proptest::sample::select(vec![
        ImageSizePreset::Square,
        ImageSizePreset::SquareHd,
        ImageSizePreset::Portrait4_3,
        ImageSizePreset::Portrait16_9,
        ImageSizePreset::Landscape4_3,
        ImageSizePreset::Landscape16_9,
    ]);
    let preset = presets.prop_map(Into::into);
    let size = proptest::option::of(prop_oneof![custom, preset]);
    let images = proptest::option::of(1_u32..=4);
    let keeps = proptest::option::of(Just(false));
    (size, images, keeps).prop_map(|(image_size, num_images, keep_size)| {
        let mut input = UsoInput::new(vec!["https://example.org/a.png".to_owned()]);
        input.image_size = image_size;
        input.num_images = num_images;
        input.keep_size = keep_size;
        input
    })
}

#[test]
fn the_reserved_amount_is_never_below_the_facades_estimate() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let records = Refusing(Arc::clone(&seen), MemoryRecords::new());
    let url = runtime.block_on(async {
        let bases = BaseUrls::single_origin("http://127.0.0.1:9").unwrap();
        let transport = Transport::new(Config::new(ApiKey::new(KEY).unwrap(), bases)).unwrap();
        let settings = Settings::new()
            .records(records)
            .requests_per_minute(u32::MAX);
        let check = |_: HeaderMap| std::future::ready(Some(Caller::new("a")));
        let proxy = Proxy::new(transport, settings, check);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let stop = std::future::pending();
        tokio::spawn(serve(
            listener,
            proxy.router(),
            Limits::default(),
            |_| true,
            stop,
        ));
        url
    });
    let client = client();
    let mut runner = TestRunner::new(Cases::with_cases(256));
    let outcome = runner.run(&inputs(), |input| {
        let body = serde_json::to_string(&input).unwrap();
        let facade = runtime.block_on(async {
            let request = client.post(&url).header("x-fal-target-url", SUBMIT);
            let status = request.body(body.clone()).send().await.unwrap().status();
            assert_eq!(status, 403, "{body}");
            Request::raw(input)
                .estimate()
                .await
                .unwrap()
                .price()
                .unwrap()
        });
        let purchase = seen.lock().unwrap().pop().unwrap();
        prop_assert_eq!(purchase.estimate, facade, "{}", body);
        prop_assert!(purchase.reserved >= facade, "{}", body);
        Ok(())
    });
    outcome.unwrap();
}
